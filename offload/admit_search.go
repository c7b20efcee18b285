package offload

import (
	"cmp"
	"slices"

	"github.com/spillway/spillway/pricing"
)

// agreeing is the search for deadlines that can be kept.
type agreeing struct {
	planner Planner
	budget  Budget
	joint   *Joint
	best    Plan // the last one tried

	fresh    []int // parts without a plan beside the others yet
	hopeless int   // part that cannot be in time even alone; -1: none
}

func newAgreeing(plan Planner, base Problem, parts []Part, b Budget) (*agreeing, error) {
	a := &agreeing{planner: plan, budget: b, hopeless: -1}
	parts = slices.Clone(parts)
	for k := range parts {
		if p := parts[k].Problem; p == nil || p.Incumbent != nil {
			continue
		}
		own, err := parts[k].alone(plan, base, b)
		if err != nil {
			return nil, err
		}
		parts[k], a.fresh = own, append(a.fresh, k)
	}
	var err error
	a.joint, err = Join(base, parts)
	return a, err
}

// alone is the part with a plan that it could have if nobody else were there.
func (part Part) alone(plan Planner, base Problem, b Budget) (Part, error) {
	j, err := Join(base, []Part{part})
	if err != nil {
		return part, err
	}
	p, err := plan(*j.Problem, b)
	if err != nil {
		return part, err
	}
	plans, err := j.Split(&p)
	if err != nil {
		return part, err
	}
	own := *part.Problem
	own.Incumbent, plans[0].LowerBound = &plans[0], p.LowerBound
	part.Problem = &own
	return part, nil
}

// try plans with the deadlines as they are now, and keeps the incumbent where
// the planner finds nothing better. What it finds in time is the next incumbent.
func (a *agreeing) try() error {
	p := a.joint.Problem
	found, err := a.planner(*p, a.budget)
	if err != nil {
		return err
	}
	kept, err := p.again(p.Incumbent, &found)
	if err != nil {
		return err
	}
	if kept.atLeast(&found) {
		found = kept
	}
	a.adopt(&found)
	return nil
}

func (a *agreeing) adopt(plan *Plan) {
	if a.best = *plan; plan.Predicted.DeadlineMet {
		a.joint.Incumbent = plan
	}
}

// atLeast says whether a plan is in time, and as good as another.
func (plan *Plan) atLeast(other *Plan) bool {
	mine, others := &plan.Predicted, &other.Predicted
	return mine.DeadlineMet && (!others.DeadlineMet || mine.Cost <= others.Cost)
}

// again is a plan as it goes now; what is of the problem comes from another.
func (p *Problem) again(plan, other *Plan) (Plan, error) {
	o, err := Simulate(p, plan, SimOptions{})
	if err != nil {
		return Plan{}, err
	}
	return plan.expecting(o, other.LowerBound), nil
}

// insert begins with the plans in force, and looks for places for those without
// one beside them.
func (a *agreeing) insert() error {
	stacked, err := a.joint.again(a.joint.Incumbent, &Plan{})
	if err != nil {
		return err
	}
	a.adopt(&stacked)
	if err := a.release(); err != nil || len(a.joint.parts) == 1 {
		return err
	}
	for _, part := range a.fresh {
		if err := a.revise(part); err != nil {
			return err
		}
	}
	return nil
}

// release lets start what waits by the plans in force, where that does no harm.
func (a *agreeing) release() error {
	free := a.best
	free.Placements = slices.Clone(free.Placements)
	for i := range free.Placements {
		free.Placements[i].NotBeforeUs = 0
	}
	next, err := a.joint.again(&free, &a.best)
	if err == nil && next.atLeast(&a.best) {
		a.adopt(&next)
	}
	return err
}

// revise plans one part again while the others stay on their sites, and takes
// what is better. A planner that looks for the cheapest tasks of all may buy
// those of a workflow that has time, where another is in want; within one
// workflow it cannot.
func (a *agreeing) revise(part int) error {
	p := a.joint.Problem
	found, err := a.planner(a.joint.holding(&a.best, part), a.budget)
	if err != nil {
		return err
	}
	for i := range found.Placements { // the others' reasons are not that they were held
		if int(p.Tasks[i].Workflow) != part {
			found.Placements[i].Reason = a.best.Placements[i].Reason
		}
	}
	next, err := p.again(&found, &a.best)
	if err != nil {
		return err
	}
	if next.atLeast(&a.best) {
		a.adopt(&next)
	}
	return nil
}

// holding is the joint problem in which all but one part stay on their sites.
func (j *Joint) holding(plan *Plan, free int) Problem {
	p := *j.Problem
	p.Tasks = slices.Clone(p.Tasks)
	for i := range p.Tasks {
		if t := &p.Tasks[i]; int(t.Workflow) != free {
			t.hold(plan.Placements[i].Target, len(p.Platform.Providers))
		}
	}
	return p
}

// hold denies a task every other site.
func (t *Task) hold(at, providers int) {
	if at == Private {
		t.PrivateOnly = true
		return
	}
	t.PublicOnly = true
	t.Deny = slices.Repeat([]bool{true}, providers)
	t.Deny[at] = false
}

// revisions is how many parts are planned again in the end, and moments how many
// instants each is put off to.
const revisions, moments = 3, 8

// polish puts off, and revises, the parts that would pay most for what has not
// started.
func (a *agreeing) polish() error {
	bill := a.open()
	order := make([]int, len(bill))
	for w := range order {
		order[w] = w
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(bill[y], bill[x]) })
	for k, w := range order {
		if bill[w] == 0 || len(order) == 1 {
			break
		}
		if err := a.postpone(w); err != nil {
			return err
		}
		if k < revisions {
			if err := a.revise(w); err != nil {
				return err
			}
		}
	}
	return nil
}

// open is what each part would pay for what has not started.
func (a *agreeing) open() []pricing.Money {
	bill := make([]pricing.Money, len(a.joint.Workflows))
	for i := range a.joint.Tasks {
		if a.joint.started[i] == 0 && a.best.Placements[i].Target != Private {
			bill[a.joint.Tasks[i].Workflow] += a.best.Predicted.Tasks[i].Cost
		}
	}
	return bill
}

// postpone keeps a part at home and holds it back until others are done, where
// that is in time and cheaper. Tasks start as soon as cores are free, so small
// ones of a workflow that has time can keep a wide one of another waiting for
// ever; no order of tasks helps, but waiting does.
func (a *agreeing) postpone(part int) error {
	for _, at := range a.moments(part) {
		held := a.best
		held.Placements = slices.Clone(held.Placements)
		for i := range held.Placements {
			t, pl := &a.joint.Tasks[i], &held.Placements[i]
			if int(t.Workflow) != part || a.joint.started[i] != 0 || !a.joint.Platform.runsAtHome(t) {
				continue
			}
			pl.Target, pl.Config, pl.Node, pl.NotBeforeUs = Private, 0, -1, at
			pl.Reason.ChosenBecause = "waiting until others are done is in time, and cheaper than buying it"
		}
		next, err := a.joint.again(&held, &a.best)
		if err != nil {
			return err
		}
		if next.atLeast(&a.best) && next.Predicted.Cost < a.best.Predicted.Cost {
			a.adopt(&next)
		}
	}
	return nil
}

// moments are instants at which other parts end, and now.
func (a *agreeing) moments(part int) []int64 {
	all, due := []int64{a.joint.NowUs}, a.joint.Workflows[part].DeadlineUs
	for w, end := range a.best.Predicted.Ends {
		if w != part && end > a.joint.NowUs && (end < due || due == 0) {
			all = append(all, end)
		}
	}
	slices.Sort(all)
	for len(all) > moments { // the later half of each pair
		for k := range len(all) / 2 {
			all[k] = all[2*k+1]
		}
		all = all[:len(all)/2]
	}
	return all
}

// expecting is a plan with a newer prediction.
func (plan *Plan) expecting(o Outcome, bound Bound) Plan {
	p := *plan
	p.Predicted, p.LowerBound, p.Placements = o, bound, slices.Clone(plan.Placements)
	for i := range p.Placements {
		pl, t := &p.Placements[i], &o.Tasks[i]
		pl.StartUs, pl.FinishUs, pl.Cold = t.StartUs, t.FinishUs, t.Cold
	}
	return p
}

// agree plans, and lets deadlines give way where it must.
func (a *agreeing) agree() (Agreement, error) {
	if err := a.insert(); err != nil {
		return Agreement{}, err
	}
	if err := a.try(); err != nil {
		return Agreement{}, err
	}
	flows := a.joint.Workflows
	ends := a.best.Predicted.Ends // of the least late plan
	var late []Late
	for _, w := range a.givingWay() {
		if a.best.Predicted.DeadlineMet {
			break
		}
		late = append(late, Late{Part: w, DeadlineUs: flows[w].DeadlineUs})
		flows[w].DeadlineUs = 0
		if err := a.try(); err != nil {
			return Agreement{}, err
		}
	}
	for k := len(late) - 1; k >= 0; k-- {
		l := &late[k]
		if err := a.tighten(l, ends[l.Part]); err != nil {
			return Agreement{}, err
		}
	}
	if err := a.polish(); err != nil {
		return Agreement{}, err
	}
	late = slices.DeleteFunc(late, func(l Late) bool { return l.KeepUs <= l.DeadlineUs })
	return Agreement{a.joint, a.best, late}, nil
}

// givingWay lists the workflows with a deadline in the order in which it is
// given up: what cannot be helped anyway, then the light ones.
func (a *agreeing) givingWay() []int {
	flows := a.joint.Workflows
	var order []int
	for w := range slices.Backward(flows) {
		if flows[w].DeadlineUs != 0 {
			order = append(order, w)
		}
	}
	first := func(w int) int {
		if w == a.hopeless || flows[w].DeadlineUs <= a.joint.NowUs {
			return 0
		}
		return 1
	}
	weight := func(w int) float64 {
		if flows[w].Weight == 0 {
			return 1
		}
		return flows[w].Weight
	}
	slices.SortStableFunc(order, func(x, y int) int {
		return cmp.Or(cmp.Compare(first(x), first(y)), cmp.Compare(weight(x), weight(y)))
	})
	return order
}

const halvings = 5

// tighten looks for the earliest deadline that can be kept in place of the one
// given up: that one itself, then when the least late plan ended, then by
// bisection. Feasibility is not monotone; what is found is what a plan keeps.
func (a *agreeing) tighten(l *Late, leastLate int64) error {
	flow, plan := &a.joint.Workflows[l.Part], a.best
	if plan.Predicted.Ends[l.Part] == Never || !plan.Predicted.DeadlineMet {
		l.KeepUs = plan.Predicted.Ends[l.Part]
		flow.DeadlineUs = 0
		return nil
	}
	low, high := max(l.DeadlineUs, a.joint.NowUs), plan.Predicted.Ends[l.Part]
	for k := range 2 + halvings {
		at := low + (high-low)/2
		switch k {
		case 0:
			at = low
		case 1:
			at = leastLate
		}
		if at >= high || k > 0 && at <= low || high <= l.DeadlineUs {
			continue
		}
		flow.DeadlineUs = at
		if err := a.try(); err != nil {
			return err
		}
		if a.best.Predicted.DeadlineMet {
			plan, high = a.best, a.best.Predicted.Ends[l.Part]
		} else {
			low = at
		}
	}
	a.best, l.KeepUs, flow.DeadlineUs = plan, max(high, l.DeadlineUs), max(high, l.DeadlineUs)
	return nil
}
