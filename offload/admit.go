package offload

import (
	"cmp"
	"slices"

	"github.com/spillway/spillway/pricing"
)

// Agreement is a plan for several workflows, and which deadlines it cannot keep.
type Agreement struct {
	Joint *Joint
	Plan  Plan // in time for the deadlines that are left
	Late  []Late
}

// Late is a deadline that gives way, and the earliest one found that is kept in
// its place; Never where the workflow cannot be run at all.
type Late struct {
	Part       int
	DeadlineUs int64
	KeepUs     int64
}

// Together plans several workflows jointly. Where no plan in time is found,
// deadlines give way one by one until the rest can be kept: the lightest
// workflow's first, of equals the last one's in the list. Each of them then gets
// the earliest deadline that a search finds beside the others. The incumbents,
// where all parts have one, are kept unless something better is found. The
// planner is called once, and at most 8 times more for each deadline that
// gives way; the budget is for one call.
func Together(plan Planner, base Problem, parts []Part, b Budget) (Agreement, error) {
	a, err := newAgreeing(plan, base, parts, b)
	if err != nil {
		return Agreement{}, err
	}
	return a.agree(-1)
}

// Verdicts on a new workflow.
const (
	Admitted     = "admitted"   // every deadline is kept
	AdmittedLate = "late"       // some deadline gives way, maybe its own
	Impossible   = "impossible" // a bound proves its deadline cannot be kept, even alone
)

// Verdict says what becomes of the workflows admitted so far and a new one.
type Verdict struct {
	Agreement
	Kind  string
	Why   string        // when Impossible: NoSite, NoWindow or NoCapacity
	Cost  pricing.Money // of the new workflow
	Extra pricing.Money // of all workflows with it, beyond what they cost without it
}

// Admit plans a new workflow together with those that are admitted. An
// Impossible one gets a plan too, by the earliest deadline that can be kept.
func Admit(plan Planner, base Problem, admitted []Part, newcomer Part, b Budget) (Verdict, error) {
	v := Verdict{Kind: Admitted}
	alone, err := v.alone(plan, base, newcomer, b)
	if err != nil {
		return v, err
	}
	before, err := planned(plan, base, admitted, b)
	if err != nil {
		return v, err
	}
	own := *newcomer.Problem
	own.Incumbent = alone
	newcomer.Problem = &own
	a, err := newAgreeing(plan, base, append(slices.Clone(admitted), newcomer), b)
	if err != nil {
		return v, err
	}
	hopeless := -1
	if !alone.Predicted.DeadlineMet {
		hopeless = len(admitted)
	}
	if v.Agreement, err = a.agree(hopeless); err != nil {
		return v, err
	}
	if len(v.Late) > 0 && v.Kind == Admitted {
		v.Kind = AdmittedLate
	}
	plans, err := v.Joint.Split(&v.Plan)
	if err != nil {
		return v, err
	}
	v.Cost, v.Extra = plans[len(admitted)].Predicted.Cost, v.Plan.Predicted.Cost-before
	return v, nil
}

// alone plans the new workflow as if it had the platform to itself, and sees
// whether its deadline is possible at all.
func (v *Verdict) alone(plan Planner, base Problem, newcomer Part, b Budget) (*Plan, error) {
	base.Reserved = nil
	j, err := Join(base, []Part{newcomer})
	if err != nil {
		return nil, err
	}
	p, err := plan(*j.Problem, b)
	if err != nil {
		return nil, err
	}
	if p.LowerBound.Infeasible {
		v.Kind, v.Why = Impossible, p.LowerBound.Why
	}
	plans, err := j.Split(&p)
	if err != nil {
		return nil, err
	}
	return &plans[0], nil
}

// planned is what the admitted workflows cost by the plans in force.
func planned(plan Planner, base Problem, parts []Part, b Budget) (pricing.Money, error) {
	a, err := newAgreeing(plan, base, parts, b)
	if err != nil || len(parts) == 0 {
		return 0, err
	}
	if a.joint.Incumbent == nil {
		err = a.try()
		return a.best.Predicted.Cost, err
	}
	o, err := Simulate(a.joint.Problem, a.joint.Incumbent, SimOptions{})
	return o.Cost, err
}

// agreeing is the search for deadlines that can be kept.
type agreeing struct {
	planner Planner
	budget  Budget
	joint   *Joint
	best    Plan // the last one tried
}

func newAgreeing(plan Planner, base Problem, parts []Part, b Budget) (*agreeing, error) {
	j, err := Join(base, parts)
	return &agreeing{planner: plan, budget: b, joint: j}, err
}

// try plans with the deadlines as they are now, and keeps the incumbent where
// the planner finds nothing better. What it finds in time is the next incumbent.
func (a *agreeing) try() error {
	p := a.joint.Problem
	found, err := a.planner(*p, a.budget)
	if err != nil {
		return err
	}
	if p.Incumbent != nil {
		o, err := Simulate(p, p.Incumbent, SimOptions{})
		if err != nil {
			return err
		}
		if o.DeadlineMet && (!found.Predicted.DeadlineMet || o.Cost <= found.Predicted.Cost) {
			found = p.Incumbent.expecting(o, found.LowerBound)
		}
	}
	if a.best = found; found.Predicted.DeadlineMet {
		p.Incumbent = &found
	}
	return nil
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

// agree plans, and lets deadlines give way where it must: first that of the
// workflow known to be hopeless, if there is one.
func (a *agreeing) agree(hopeless int) (Agreement, error) {
	if err := a.try(); err != nil {
		return Agreement{}, err
	}
	flows := a.joint.Workflows
	ends := a.best.Predicted.Ends // of the least late plan
	var late []Late
	for _, w := range a.givingWay(hopeless) {
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
	late = slices.DeleteFunc(late, func(l Late) bool { return l.KeepUs <= l.DeadlineUs })
	return Agreement{a.joint, a.best, late}, nil
}

// givingWay lists the workflows with a deadline in the order in which it is
// given up.
func (a *agreeing) givingWay(hopeless int) []int {
	flows := a.joint.Workflows
	var order []int
	for w := range slices.Backward(flows) {
		if flows[w].DeadlineUs != 0 {
			order = append(order, w)
		}
	}
	first := func(w int) int { // what is late already cannot be helped
		if w == hopeless || flows[w].DeadlineUs <= a.joint.NowUs {
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
