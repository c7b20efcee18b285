package report

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"github.com/spillway/spillway/workflow"
)

// chain finds the tasks that decided the finish. It walks back from the task
// that ended last: before each comes the parent that ended last, or the task
// that held its node until later than that. What the links lost adds up to the
// lateness of the last one against its plan; the rest of the run's lateness
// against the first plan is Other.
func (r *Report) chain(g *workflow.Graph, at []int) {
	last := r.lastToEnd()
	if last < 0 {
		return
	}
	c := chainer{r: r, g: g, at: at, nodes: r.byNode()}
	seen := map[int]bool{}
	for k := last; k >= 0; {
		seen[k] = true
		before, queued := c.before(k)
		if seen[before] { // tasks without duration can be before one another
			before, queued = -1, false
		}
		r.Chain = append(r.Chain, r.link(k, before, queued))
		k = before
	}
	slices.Reverse(r.Chain)
	if planned, ok := r.Planned(); ok && r.Makespan > 0 {
		r.Other = r.Makespan - planned
		for _, l := range r.Chain {
			r.Other -= l.Waited + l.Ran
		}
	}
}

func (r *Report) lastToEnd() int {
	last := -1
	for k := range r.Tasks {
		if r.Tasks[k].ran() && (last < 0 || r.Tasks[k].FinishedAt.After(r.Tasks[last].FinishedAt)) {
			last = k
		}
	}
	return last
}

// link is what was lost in task k after the task before it; a task without plan
// loses nothing.
func (r *Report) link(k, before int, queued bool) Link {
	t := &r.Tasks[k]
	l := Link{Task: k, Queued: queued}
	if !t.planned() {
		return l
	}
	l.Ran = t.FinishedAt.Sub(t.StartedAt) - t.PlannedFinish.Sub(t.PlannedStart)
	l.Waited = t.StartedAt.Sub(t.PlannedStart)
	if before >= 0 && r.Tasks[before].planned() {
		l.Waited -= r.Tasks[before].FinishedAt.Sub(r.Tasks[before].PlannedFinish)
	}
	return l
}

func (t *Task) planned() bool { return !t.PlannedStart.IsZero() && !t.PlannedFinish.IsZero() }

type chainer struct {
	r     *Report
	g     *workflow.Graph
	at    []int
	nodes map[int][]int // private node -> tasks by finish
}

func (r *Report) byNode() map[int][]int {
	nodes := map[int][]int{}
	for k := range r.Tasks {
		if t := &r.Tasks[k]; t.Site == workflow.SitePrivate && t.Node >= 0 && t.ran() {
			nodes[t.Node] = append(nodes[t.Node], k)
		}
	}
	for _, list := range nodes {
		slices.SortStableFunc(list, func(a, b int) int {
			return cmp.Or(r.Tasks[a].FinishedAt.Compare(r.Tasks[b].FinishedAt), cmp.Compare(a, b))
		})
	}
	return nodes
}

// before is the task whose end let task k start, -1 if none did.
func (c *chainer) before(k int) (task int, queued bool) {
	t := &c.r.Tasks[k]
	task = c.lastParent(k)
	list := c.nodes[t.Node]
	if t.Site != workflow.SitePrivate {
		return task, false
	}
	after := sort.Search(len(list), func(i int) bool { return c.r.Tasks[list[i]].FinishedAt.After(t.StartedAt) })
	for i := after - 1; i >= 0; i-- {
		o := &c.r.Tasks[list[i]]
		if list[i] == k || !o.StartedAt.Before(t.StartedAt) {
			continue
		}
		if task < 0 || o.FinishedAt.After(c.r.Tasks[task].FinishedAt) {
			return list[i], true
		}
		break
	}
	return task, false
}

func (c *chainer) lastParent(k int) int {
	i := c.r.Tasks[k].Index
	best := -1
	if i >= len(c.g.Instances) {
		return best
	}
	var latest time.Time
	for _, p := range c.g.Instances[i].Parents {
		if int(p) >= len(c.at) || c.at[p] < 0 || !c.r.Tasks[c.at[p]].ran() {
			continue
		}
		if f := c.r.Tasks[c.at[p]].FinishedAt; best < 0 || f.After(latest) {
			best, latest = c.at[p], f
		}
	}
	return best
}
