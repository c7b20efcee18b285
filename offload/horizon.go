package offload

import (
	"cmp"
	"slices"
)

const (
	// tolerance is the part of the executions that may be late, over the variance
	// of the run times' logarithms, while the whole time to the deadline is left:
	// the wider they spread, the dearer is safety, and the more of what is late now
	// can still be mended. It falls to lasting of that as time passes.
	// leastTolerated and mostTolerated bound it.
	tolerance, lasting            = 3.5, 0.4
	leastTolerated, mostTolerated = 0.01, 0.15
	// sticky is what a change of plan must save.
	sticky = 0.01
	// level are lateness probabilities that the scenarios cannot tell apart.
	level = 0.02
	// revised is the budget of planning again, from the plan in force.
	revised = 100
	// returns is how many ways of bringing tasks home are tried at most.
	returns = 24
)

// spareTime are margins tried, as parts of the time that is left: a planner
// that takes run times at their word eats all slack.
var spareTime = []float64{0, 0.03, 0.07, 0.12, 0.2, 0.3, 0.45}

// Horizon makes a planner into a receding-horizon policy: a planner for run
// times that spread (Task.Spread), to be asked again and again while a run goes
// on. It has the planner plan for the present state with growing margins, runs
// each plan in scenarios, and takes the cheapest that few enough of them find
// late (3.5 times the variance of their logarithms, 15 % at most, falling to
// 1.4 times),
// the least late where there is none; of a plan that is safe it brings bought
// tasks home while it stays so. Running tasks are expected to last as long as
// those that have lasted as long already. The plan in force is kept unless
// another saves a hundredth or is less late. What has started is not moved;
// where the deadline is at risk, a straggler at home may have a Copy. Where
// nothing spreads, or there is no deadline, it is the planner itself.
func Horizon(base Planner) Planner {
	return func(p Problem, b Budget) (Plan, error) {
		if err := p.prepareState(); err != nil {
			return Plan{}, err
		}
		if !p.Spreads() || p.lastDeadlineUs() == 0 {
			return base(p, b)
		}
		if p.Incumbent != nil && len(p.Fixed) == len(p.Tasks) && len(p.stragglers()) == 0 {
			kept := *p.Incumbent
			kept.Copies = nil // they have been asked for
			return kept, nil
		}
		return newHorizon(p, base, b).decide()
	}
}

// meanSpread weighs tasks by their run times.
func (p *Problem) meanSpread() float64 {
	sum, all := 0.0, 0.0
	for i := range p.Tasks {
		sum += float64(p.Tasks[i].Spread * p.Tasks[i].RuntimeS)
		all += p.Tasks[i].RuntimeS
	}
	if all == 0 {
		return 0
	}
	return sum / all
}

// OnTime is the probability that executing a plan meets every deadline, by that
// many scenarios. They are others than those by which Horizon, with the same
// problem, chooses a plan.
func OnTime(p Problem, plan *Plan, scenarios int) (float64, error) {
	p.Seed, p.MarginUs = p.Seed^0x0ddba11, 0
	if err := p.prepareState(); err != nil {
		return 0, err
	}
	d, err := p.decide(plan)
	if err != nil {
		return 0, err
	}
	t := newTrials(p, scenarios)
	late, _ := t.run(d, 1)
	return 1 - late, nil
}

func (p *Problem) prepareState() error {
	if err := p.Prepare(); err != nil {
		return err
	}
	return p.checkState()
}

// Spreads says whether some run time is not known exactly.
func (p *Problem) Spreads() bool {
	return slices.ContainsFunc(p.Tasks, func(t Task) bool { return t.Spread > 0 })
}

// trials runs plans in the same scenarios.
type trials struct {
	sim       *simulator
	scenarios [][]float64
	copies    [][]float64 // of copies, if there are any
	reserveUs int64       // in time means this much early
}

func newTrials(p Problem, scenarios int) *trials {
	t := &trials{scenarios: p.scenarios(scenarios), reserveUs: p.MarginUs}
	p.Fixed = slices.Clone(p.Fixed)
	for k := range p.Fixed {
		if f := &p.Fixed[k]; !f.Done && p.Tasks[f.Task].Spread > 0 {
			f.FinishUs = 0 // a scenario says
		}
	}
	if len(p.Copies) > 0 {
		t.copies = p.copyScenarios(scenarios)
	}
	t.sim = newSimulator(&p)
	return t
}

// run is the part of the scenarios in which a decision is late, and its mean
// cost in pico-USD. It gives up, and says 1, once the part exceeds most.
func (t *trials) run(d *decision, most float64) (late, cost float64) {
	n := float64(len(t.scenarios))
	for k, mult := range t.scenarios {
		if t.copies != nil {
			t.sim.copyMult = t.copies[k]
		}
		t.sim.run(d, mult)
		if cost += float64(t.sim.cost()) / n; !t.sim.inTime(t.reserveUs) {
			late++
		}
		if late > most*n {
			return 1, cost
		}
	}
	return late / n, cost
}

// horizon is one call of the policy.
type horizon struct {
	given     Problem
	p         Problem // running tasks end when they may be expected to
	base      Planner
	budget    Budget
	trials    *trials
	tolerated float64 // part of the scenarios that may be late
	best      *revision
}

// revision is a plan and what became of it in the scenarios.
type revision struct {
	plan       Plan
	d          *decision
	late, cost float64
}

func newHorizon(p Problem, base Planner, b Budget) *horizon {
	h := &horizon{given: p, p: p, base: base, budget: b}
	left := float64(max(0, p.lastDeadlineUs()-p.NowUs)) / float64(p.lastDeadlineUs())
	spread := p.meanSpread()
	h.tolerated = min(max(leastTolerated, tolerance*spread*spread*(lasting+(1-lasting)*left)), mostTolerated)
	h.trials = newTrials(p, min(200, max(24, 30_000/len(p.Tasks))))
	h.p.Fixed = slices.Clone(p.Fixed)
	least := p.elapsed()
	for k := range h.p.Fixed {
		f := &h.p.Fixed[k]
		if s := p.Tasks[f.Task].Spread; !f.Done && s > 0 {
			f.FinishUs = max(p.NowUs, f.StartUs+p.lastsUs(f, expected(s, least[f.Task])))
		}
	}
	if b.Decodes == 0 && p.Incumbent != nil {
		h.budget.Decodes = revised
	}
	return h
}

func (h *horizon) decide() (Plan, error) {
	if h.p.Incumbent != nil {
		if err := h.consider(*h.p.Incumbent); err != nil {
			return Plan{}, err
		}
	}
	if err := h.widen(); err != nil {
		return Plan{}, err
	}
	if !h.safe() && h.keepLimits() {
		if err := h.widen(); err != nil {
			return Plan{}, err
		}
	}
	if h.safe() {
		if err := h.bringHome(); err != nil {
			return Plan{}, err
		}
	}
	asked := h.speculate()
	plan, err := h.expect()
	plan.Copies = asked
	return plan, err
}

// widen considers plans with ever wider margins, until one is safe.
func (h *horizon) widen() error {
	left := float64(max(0, h.p.lastDeadlineUs()-h.p.NowUs))
	for _, spare := range spareTime {
		h.p.MarginUs = h.trials.reserveUs + int64(spare*left)
		plan, err := h.base(h.p, h.budget)
		if err != nil {
			return err
		}
		if h.safe() && float64(plan.Predicted.Cost) > (1-sticky)*h.best.cost {
			break // wider margins cost more
		}
		if err := h.consider(plan); err != nil {
			return err
		}
		if h.safe() {
			break
		}
	}
	return nil
}

// keepLimits has no task bought from now on that may well outrun a provider's
// time limit, if it can run at home, and tells whether there was one.
func (h *horizon) keepLimits() (some bool) {
	h.p.Tasks = slices.Clone(h.p.Tasks)
	pinned := make([]bool, len(h.p.Tasks))
	for _, f := range h.p.Fixed {
		pinned[f.Task] = true
	}
	for i := range h.p.Tasks {
		t := &h.p.Tasks[i]
		fits := slices.ContainsFunc(h.p.Platform.Nodes, func(n Node) bool { return n.fits(t) })
		if t.Spread == 0 || !fits || t.denied(Private) != "" || pinned[i] {
			continue
		}
		for q := range h.p.Platform.Providers {
			if t.denied(q) == "" && h.p.mayOutrun(i, q) {
				deny := make([]bool, len(h.p.Platform.Providers))
				copy(deny, t.Deny)
				deny[q], some = true, true
				t.Deny = deny
			}
		}
	}
	return some
}

// mayOutrun says whether task i may take longer than a provider's limit even in
// its largest configuration.
func (p *Problem) mayOutrun(i, provider int) bool {
	q := &p.Platform.Providers[provider]
	return p.handlerUs(i, provider, len(q.Configs)-1, p.Tasks[i].longest()) > q.MaxDurUs
}

func (h *horizon) safe() bool { return h.best != nil && h.best.late <= h.tolerated }

// consider runs a plan and keeps it if it is better than the best so far.
func (h *horizon) consider(plan Plan) error {
	d, err := h.p.decide(&plan)
	if err != nil {
		return err
	}
	most := 1.0
	if h.best != nil {
		most = max(h.tolerated, h.best.late+level)
	}
	c := &revision{plan: plan, d: d}
	if c.late, c.cost = h.trials.run(d, most); c.better(h.best, h.tolerated) {
		h.best = c
	}
	return nil
}

func (c *revision) better(than *revision, tolerated float64) bool {
	if than == nil {
		return true
	}
	a, b := max(c.late, tolerated), max(than.late, tolerated)
	if a < b-level || a > b+level {
		return a < b
	}
	return c.cost < (1-sticky)*than.cost
}

// bringHome takes bought tasks home, dearest first and in halves of halves, for
// as long as the plan is safe: planners see means, and keep a margin even where
// the scenarios need none.
func (h *horizon) bringHome() error {
	g, err := newPlanning(&h.p, Budget{})
	if err != nil {
		return err
	}
	left := returns
	var halve func(part []int32)
	halve = func(part []int32) {
		if len(part) == 0 || left == 0 {
			return
		}
		left--
		next := &revision{plan: h.best.plan, d: h.best.d.clone()}
		for _, i := range part {
			next.d.target[i], next.d.config[i] = Private, 0
		}
		if next.late, next.cost = h.trials.run(next.d, h.tolerated); next.late <= h.tolerated && next.cost < h.best.cost {
			h.best = next
		} else if len(part) > 1 {
			halve(part[:len(part)/2])
			halve(part[len(part)/2:])
		}
	}
	halve(g.dearest(h.best.d))
	return nil
}

// dearest are the bought tasks that could come home, by falling price per
// private time that buying them saves.
func (g *planning) dearest(d *decision) []int32 {
	var dear []int32
	price := make([]float64, len(g.p.Tasks))
	for i := range g.p.Tasks {
		bought := slices.IndexFunc(g.options[i], func(o option) bool { return o.target == d.target[i] && o.config == d.config[i] })
		if bought >= 0 && g.home[i] && !g.pinned[i] {
			dear = append(dear, int32(i))
			price[i] = float64(g.price(i, g.options[i][bought])) / float64(max(1, g.homeUs[i]))
		}
	}
	slices.SortStableFunc(dear, func(a, b int32) int { return cmp.Compare(price[b], price[a]) })
	return dear
}

// expect is the best plan with what is to be expected of it from now on.
func (h *horizon) expect() (Plan, error) {
	plan, d := h.best.plan, h.best.d
	plan.Placements = slices.Clone(plan.Placements)
	s := newSimulator(&h.p)
	s.detail = true
	s.run(d, nil)
	o, err := s.outcome()
	for i := range plan.Placements {
		pl, x := &plan.Placements[i], &o.Tasks[i]
		pl.StartUs, pl.FinishUs, pl.Cold = x.StartUs, x.FinishUs, x.Cold
		if int(d.target[i]) != pl.Target {
			pl.Target, pl.Config, pl.Node = Private, 0, -1
			pl.Reason.ChosenBecause = "it may stay at home: run times spread less than the planner's margin"
		}
	}
	plan.Predicted = o
	return plan, err
}
