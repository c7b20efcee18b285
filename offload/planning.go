package offload

import (
	"cmp"
	"errors"
	"math"
	"slices"

	"github.com/spillway/spillway/pricing"
)

// option is a way to buy a task.
type option struct {
	target, config int32
	wallUs         int64 // with a cold start
	cost           pricing.Money
}

// less orders options by time, then cost, then place.
func (a option) less(b option) int {
	return cmp.Or(cmp.Compare(a.wallUs, b.wallUs), cmp.Compare(a.cost, b.cost), cmp.Compare(a.target, b.target), cmp.Compare(a.config, b.config))
}

func (a option) cheaper(b option) int {
	return cmp.Or(cmp.Compare(a.cost, b.cost), a.less(b))
}

// planning is what planners share: the problem, what each task could do, one
// simulator and the budget.
type planning struct {
	p        *Problem
	sim      *simulator
	marginUs int64 // planned this much before each deadline
	decodes  int
	asked    int      // decodes the caller asked for; 0: the default
	proving  int      // decodes that the bound may be worth; 0: the default
	menu     []option // scratch of buyable
	strict   bool     // nothing is evaluated beyond the budget
	times    int      // that many times the default
	stop     func() bool
	parallel func(jobs int, job func(k int))
	home     []bool     // may and can run privately
	homeUs   []int64    // run time on the fastest node; 0 where home is false
	options  [][]option // per provider undominated, each provider's fastest first
	rank     []int64    // upward rank by private time
	seq      []int32    // tasks by falling rank, a topological order
	pinned   []bool     // Fixed: not the planner's to move
	because  []string   // by task, why its placement was chosen; "" for the planner's general reason
	seen     [][]Considered
}

const defaultDecodes = 100

func newPlanning(p *Problem, b Budget) (*planning, error) {
	if err := errors.Join(p.Prepare(), p.checkState()); err != nil {
		return nil, err
	}
	n := len(p.Tasks)
	g := &planning{
		p: p, sim: newSimulator(p), marginUs: p.MarginUs, decodes: b.Decodes, asked: b.Decodes, times: max(1, b.Times), proving: b.Decodes, stop: b.Stop, parallel: b.Parallel,
		home: make([]bool, n), homeUs: make([]int64, n), options: make([][]option, n),
		pinned: make([]bool, n), because: make([]string, n),
	}
	if g.parallel == nil {
		g.parallel = inTurn
	}
	if g.decodes <= 0 {
		g.decodes = defaultDecodes * g.times
	}
	for _, f := range p.Fixed {
		g.pinned[f.Task] = true
	}
	for i := range n {
		if err := g.consider(i); err != nil {
			return nil, err
		}
	}
	g.rank = p.graph.UpwardRank(g.aloneUs, nil)
	g.seq = g.byUrgency(g.rank)
	return g, nil
}

func inTurn(jobs int, job func(k int)) {
	for k := range jobs {
		job(k)
	}
}

// consider finds how task i can run.
func (g *planning) consider(i int) error {
	t := &g.p.Tasks[i]
	if t.denied(Private) == "" {
		fastest := 0.0
		for k := range g.p.Platform.Nodes {
			fastest = max(fastest, g.p.Platform.Nodes[k].Speed)
			g.home[i] = g.home[i] || g.p.Platform.Nodes[k].fits(t)
		}
		if g.home[i] {
			g.homeUs[i] = g.p.privateUs(i, fastest, 1)
		}
	}
	for q := range g.p.Platform.Providers {
		if t.denied(q) == "" {
			more, err := g.buyable(i, q)
			if err != nil {
				return err
			}
			g.options[i] = append(g.options[i], more...)
		}
	}
	return nil
}

// buyable lists a provider's undominated options for task i, fastest first, until
// it is called again.
func (g *planning) buyable(i, target int) ([]option, error) {
	q := &g.p.Platform.Providers[target]
	if q.Quota == 0 {
		return nil, nil
	}
	all := g.menu[:0]
	for c := range q.Configs {
		h := g.p.handlerUs(i, target, c, 1)
		if g.p.limits(i, target, c, h) != [len(limitNames)]bool{} {
			continue
		}
		cost, err := q.Rates.Total(q.invocation(c, h, true))
		if err != nil {
			return nil, err
		}
		all = append(all, option{int32(target), int32(c), q.wallUs(h, true), cost})
	}
	g.menu = all
	slices.SortFunc(all, option.less)
	kept := all[:0]
	for _, o := range all {
		if len(kept) == 0 || o.cost < kept[len(kept)-1].cost {
			kept = append(kept, o)
		}
	}
	return kept, nil
}

// aloneUs is the weight of a task in upward ranks: its private time, else its
// fastest option, else nothing. What has finished weighs nothing.
func (g *planning) aloneUs(i int) int64 {
	switch {
	case g.pinned[i]:
		return 0
	case g.home[i]:
		return g.homeUs[i]
	case len(g.options[i]) > 0:
		return g.fastest(i).wallUs
	}
	return 0
}

// byUrgency orders tasks by the latest start that an upward rank leaves before
// their deadline: by falling rank, within a workflow. Parents rank at least as
// high as their children and come first in the graph's order, so this is
// topological.
func (g *planning) byUrgency(rank []int64) []int32 {
	seq := slices.Clone(g.p.graph.Order())
	slices.SortStableFunc(seq, func(a, b int32) int {
		return cmp.Compare(g.goal(int(a))-rank[a], g.goal(int(b))-rank[b])
	})
	return seq
}

// goal is the deadline of task i's workflow less the margin; without a deadline,
// later than any.
func (g *planning) goal(i int) int64 {
	d := g.p.deadlineUs(i)
	if d == 0 {
		return Never >> 2
	}
	return max(1, d-g.marginUs)
}

// release is when task i may start at the earliest.
func (g *planning) release(i int) int64 { return g.p.releaseUs(i) }

func (g *planning) fastest(i int) option { return slices.MinFunc(g.options[i], option.less) }

// knee is the cheapest option at most 1.3 times as slow as the fastest: with CPU
// in proportion to memory, smaller sizes cost nearly the same and only eat slack.
func (g *planning) knee(i int) option { return g.kneeAt(i, Private) }

// kneeAt is the knee among one provider's options, if it has some; among all,
// for Private.
func (g *planning) kneeAt(i int, at int32) option {
	fastest := int64(-1)
	for _, o := range g.options[i] {
		if (at < 0 || o.target == at) && (fastest < 0 || o.wallUs < fastest) {
			fastest = o.wallUs
		}
	}
	if fastest < 0 {
		return g.knee(i)
	}
	limit := fastest + fastest*3/10
	best := option{wallUs: -1}
	for _, o := range g.options[i] {
		if (at < 0 || o.target == at) && o.wallUs <= limit && (best.wallUs < 0 || o.cheaper(best) < 0) {
			best = o
		}
	}
	return best
}

// decision starts from every task at home, except those that cannot run there:
// they take their knee. What is fixed stays.
func (g *planning) decision() *decision {
	n := len(g.p.Tasks)
	d := &decision{order: g.seq, target: make([]int32, n), config: make([]int32, n)}
	for i := range n {
		d.target[i] = Private
		if !g.home[i] && len(g.options[i]) > 0 {
			d.buy(i, g.knee(i))
		}
	}
	for _, f := range g.p.Fixed {
		d.target[f.Task], d.config[f.Task] = int32(f.Target), int32(f.Config)
	}
	return d
}

func (d *decision) buy(i int, o option) { d.target[i], d.config[i] = o.target, o.config }

// clone is a copy with sites and sizes of its own.
func (d *decision) clone() *decision {
	return &decision{d.order, slices.Clone(d.target), slices.Clone(d.config), slices.Clone(d.node), slices.Clone(d.notBefore)}
}

// copy is a copy that shares nothing.
func (d *decision) copy() *decision {
	c := d.clone()
	c.order = slices.Clone(d.order)
	return c
}

// movable says whether task i could be bought, and is not.
func (g *planning) movable(d *decision, i int) bool {
	return d.target[i] == Private && !g.pinned[i] && len(g.options[i]) > 0
}

// trial is a decision and what became of it.
type trial struct {
	d *decision
	score
}

// score is what a simulation says of a decision.
type score struct {
	inTime   bool // by the goals, without violation
	violated int
	worstUs  int64 // the latest workflow beyond its goal; negative: all are early
	lateUs   int64 // beyond the goals, weighted and summed
	endsUs   int64
	cost     pricing.Money
}

// better prefers plans in time, then by cost; others by fewer violations, then
// less lateness, then the earlier end.
func (a *trial) better(b *trial) bool { return b == nil || a.score.better(&b.score) }

func (a *score) better(b *score) bool {
	if a.inTime != b.inTime {
		return a.inTime
	}
	byEnd := cmp.Or(cmp.Compare(a.violated, b.violated), cmp.Compare(a.lateUs, b.lateUs), cmp.Compare(a.endsUs, b.endsUs))
	byCost := cmp.Compare(a.cost, b.cost)
	if a.inTime {
		return cmp.Or(byCost, byEnd) < 0
	}
	return cmp.Or(byEnd, byCost) < 0
}

// try simulates a decision.
func (g *planning) try(d *decision) *trial { return &trial{d, g.evaluate(d)} }

func (g *planning) evaluate(d *decision) score {
	if g.strict && g.decodes <= 0 {
		return hopeless
	}
	g.decodes--
	g.sim.run(d, nil)
	s := score{inTime: g.sim.inTime(g.marginUs), violated: g.sim.violated, endsUs: g.sim.ends, cost: g.sim.cost()}
	s.worstUs, s.lateUs = g.sim.lateness(g.marginUs)
	return s
}

// hopeless is the score of what a strict budget does not pay for: no plan is
// worse, so that a search that is cut short has done no more than its beginning.
var hopeless = score{violated: math.MaxInt, worstUs: Never, lateUs: Never, endsUs: Never}

// spent says whether the budget is used up.
func (g *planning) spent() bool {
	return g.decodes <= 0 || g.stop != nil && g.stop()
}
