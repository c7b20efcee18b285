// Package report says what a run cost and whether it was in time, from what is
// kept of it, and the same over many runs. Every sum is made of line items:
// the total of a report is the sum of its items to the pico-dollar.
//
// It computes values from values and writes them to an io.Writer: text for a
// terminal, JSON, CSV and SVG.
package report

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/workflow"
)

// Report is what became of one run.
type Report struct {
	Run      workflow.RunRecord
	Deadline Deadline
	Makespan time.Duration // 0 until the run has ended
	Cost     Cost
	Tasks    []Task // without retired instances
	Items    []Item
	Chain    []Link        // the tasks that decided the finish, first to last
	Other    time.Duration // lateness that no task of the chain explains: results on their way home, re-planning
}

// Deadline says whether a run was in time.
type Deadline struct {
	At      time.Time // zero: the run has none
	Decided bool      // Met is final
	Met     bool      // the run succeeded, by At
	Slack   time.Duration
}

// Cost is the bill, summed in several ways. Each way gives Total.
type Cost struct {
	Total      pricing.Money
	Metered    pricing.Money // from measured use
	Estimated  pricing.Money // upper bounds, where an answer was lost
	BySite     map[string]pricing.Money
	ByCategory map[pricing.Category]pricing.Money
	Other      pricing.Money // what belongs to no task
	Sandbox    pricing.Money // the part that nobody has to pay
}

// Task is one instance of a task.
type Task struct {
	workflow.TaskRecord
	Offering string        // as in "1769MiB", or "2 cores" at home
	Cores    int           // it held
	Node     int           // private node, -1 elsewhere
	Cold     bool          // its accepted attempt had a cold start
	Cost     pricing.Money // all attempts, and its outputs leaving their site
}

// Item is one line of the bill with its names.
type Item struct {
	workflow.ItemRecord
	TaskID   string // empty for none
	FileName string // of a transfer
}

// Link is one task of the chain that decided the finish. Waited and Ran are
// what the run lost there against the plan the task started under; negative is
// won.
type Link struct {
	Task   int // index in Tasks
	Waited time.Duration
	Ran    time.Duration
	Queued bool // the link before is no dependency: it held the node
}

// Build makes the report of a run, which may still be going. The graph is the
// run's own, with its foreach resolved; without one (nil) dependencies and file
// names are missing. Sums beyond Money's range stay at its end.
func Build(rec workflow.Record, g *workflow.Graph) Report {
	if g == nil {
		g = &workflow.Graph{}
	}
	r := Report{Run: rec.Run}
	if r.Run.State.Terminal() && !r.Run.StartedAt.IsZero() {
		r.Makespan = r.Run.FinishedAt.Sub(r.Run.StartedAt)
	}
	r.Deadline = deadline(&r.Run)
	at := r.tasks(&rec, g)
	r.bill(&rec, g, at)
	r.chain(g, at)
	return r
}

func deadline(run *workflow.RunRecord) Deadline {
	d := Deadline{At: run.DeadlineAt}
	if d.At.IsZero() {
		return d
	}
	switch {
	case run.State.Terminal():
		d.Decided, d.Slack = true, d.At.Sub(run.FinishedAt)
		d.Met = run.State == workflow.RunSucceeded && d.Slack >= 0
	case run.DeadlinePassed:
		d.Decided = true
	}
	return d
}

// tasks lists the tasks and returns, by instance, the index in that list; -1
// for the retired.
func (r *Report) tasks(rec *workflow.Record, g *workflow.Graph) []int {
	last := lastAttempts(rec)
	at := make([]int, len(rec.Tasks))
	for i := range rec.Tasks {
		if i < len(g.Instances) && g.Instances[i].Retired {
			at[i] = -1
			continue
		}
		at[i] = len(r.Tasks)
		t := Task{TaskRecord: rec.Tasks[i], Node: -1, Cores: 1}
		if a := last[i]; a != nil {
			t.Cold, t.Node, t.Cores = a.Cold, a.Node, max(1, a.Cores)
		}
		t.Offering = t.offering()
		r.Tasks = append(r.Tasks, t)
	}
	return at
}

func (t *Task) offering() string {
	switch {
	case t.Site == "":
		return ""
	case t.MemoryMiB > 0:
		return fmt.Sprintf("%dMiB", t.MemoryMiB)
	case t.Cores == 1:
		return "1 core"
	}
	return fmt.Sprintf("%d cores", t.Cores)
}

// ran says whether the task has both ends of an execution.
func (t *Task) ran() bool {
	return !t.StartedAt.IsZero() && !t.FinishedAt.IsZero() && !t.FinishedAt.Before(t.StartedAt)
}

// because is the short reason of the placement.
func (t *Task) because() string {
	var reason struct {
		ChosenBecause string `json:"chosen_because"`
	}
	_ = json.Unmarshal(t.Reason, &reason) // what cannot be read gives no reason
	return reason.ChosenBecause
}

// lastAttempts gives for each task the attempt that was accepted, else the
// latest one.
func lastAttempts(rec *workflow.Record) []*workflow.AttemptRecord {
	last := make([]*workflow.AttemptRecord, len(rec.Tasks))
	for k := range rec.Attempts {
		a := &rec.Attempts[k]
		if a.Task < 0 || a.Task >= len(last) {
			continue
		}
		old := last[a.Task]
		accepted := old != nil && old.State == workflow.AttemptSucceeded
		if old == nil || !accepted && (a.State == workflow.AttemptSucceeded || a.Number > old.Number) {
			last[a.Task] = a
		}
	}
	return last
}

func (r *Report) bill(rec *workflow.Record, g *workflow.Graph, at []int) {
	c := &r.Cost
	c.BySite = map[string]pricing.Money{}
	c.ByCategory = map[pricing.Category]pricing.Money{}
	for _, category := range categories {
		c.ByCategory[category] = 0
	}
	for i := range rec.Items {
		it := Item{ItemRecord: rec.Items[i]}
		owner := it.Task
		if it.File >= 0 && it.File < len(g.Files) {
			it.FileName = g.Files[it.File].Name
			if owner < 0 {
				owner = int(g.Files[it.File].Producer)
			}
		}
		c.count(&it.ItemRecord)
		if owner >= 0 && owner < len(at) && at[owner] >= 0 {
			t := &r.Tasks[at[owner]]
			t.Cost = plus(t.Cost, it.Amount)
			it.TaskID = t.ID
		} else {
			c.Other = plus(c.Other, it.Amount)
		}
		r.Items = append(r.Items, it)
	}
}

var categories = [...]pricing.Category{pricing.Compute, pricing.Request, pricing.Egress, pricing.Storage, pricing.Private}

func (c *Cost) count(it *workflow.ItemRecord) {
	c.Total = plus(c.Total, it.Amount)
	if it.Estimated {
		c.Estimated = plus(c.Estimated, it.Amount)
	} else {
		c.Metered = plus(c.Metered, it.Amount)
	}
	if sandbox(it.Site) {
		c.Sandbox = plus(c.Sandbox, it.Amount)
	}
	c.BySite[it.Site] = plus(c.BySite[it.Site], it.Amount)
	category := pricing.Category(it.Category)
	c.ByCategory[category] = plus(c.ByCategory[category], it.Amount)
}

// sandbox says whether a site's bill is the sandbox's.
func sandbox(site string) bool { return site == "sandbox" || strings.HasPrefix(site, "sandbox:") }

// UsesSandbox says whether the sandbox ran or billed anything.
func (r *Report) UsesSandbox() bool {
	for site := range r.Cost.BySite {
		if sandbox(site) {
			return true
		}
	}
	return slices.ContainsFunc(r.Tasks, func(t Task) bool { return sandbox(t.Site) && t.ran() })
}

// plus adds and stays at the end of Money's range.
func plus(a, b pricing.Money) pricing.Money {
	sum, err := a.Add(b)
	switch {
	case err == nil:
		return sum
	case a > 0:
		return math.MaxInt64
	}
	return math.MinInt64
}

// since is a time from the start of the run; false where one of them is unknown.
func (r *Report) since(t time.Time) (time.Duration, bool) {
	if t.IsZero() || r.Run.StartedAt.IsZero() {
		return 0, false
	}
	return t.Sub(r.Run.StartedAt), true
}

// Planned is the makespan of the first plan; false before there is one.
func (r *Report) Planned() (time.Duration, bool) { return r.since(r.Run.PlannedFinish) }

// Ratio is the actual makespan over the planned one; false unless the run did
// all that was planned.
func (r *Report) Ratio() (float64, bool) {
	planned, ok := r.Planned()
	if !ok || planned <= 0 || r.Run.State != workflow.RunSucceeded {
		return 0, false
	}
	return float64(r.Makespan) / float64(planned), true
}

// scale is by what the run's times and bytes were divided.
func (r *Report) scale() float64 {
	if r.Run.TimeScale <= 0 {
		return 1
	}
	return r.Run.TimeScale
}

// atScale is a measured span as the trace would have it.
func (r *Report) atScale(d time.Duration) time.Duration {
	return time.Duration(min(float64(d)*r.scale(), math.MaxInt64/2))
}
