package offload

import (
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
// planner is called at most 4 times, and 8 times more for each deadline that
// gives way; the budget is for one call.
func Together(plan Planner, base Problem, parts []Part, b Budget) (Agreement, error) {
	a, err := newAgreeing(plan, base, parts, b)
	if err != nil {
		return Agreement{}, err
	}
	return a.agree()
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
// Impossible one gets a plan too, by the earliest deadline that can be kept. The
// planner is called 3 times more than by Together.
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
	a.newcomer, a.hopeless = len(admitted), !alone.Predicted.DeadlineMet
	if v.Agreement, err = a.agree(); err != nil {
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

// alone plans the new workflow as if nobody else were there, and sees whether its
// deadline is possible at all.
func (v *Verdict) alone(plan Planner, base Problem, newcomer Part, b Budget) (*Plan, error) {
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
