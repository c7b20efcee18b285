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
// the earliest deadline that a search finds beside the others. The incumbents
// are kept unless something better is found. The planner is called at most 4
// times, twice more for each part without an incumbent, and 8 times more for
// each deadline that gives way; the budget is for one call.
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
// planner is called as often as by Together, and once more where some admitted
// part has no incumbent.
func Admit(plan Planner, base Problem, admitted []Part, newcomer Part, b Budget) (Verdict, error) {
	v := Verdict{Kind: Admitted}
	others, before, err := inForce(plan, base, admitted, b)
	if err != nil {
		return v, err
	}
	newcomer, err = newcomer.alone(plan, base, b)
	if err != nil {
		return v, err
	}
	alone := newcomer.Problem.Incumbent
	if alone.LowerBound.Infeasible {
		v.Kind, v.Why = Impossible, alone.LowerBound.Why
	}
	a, err := newAgreeing(plan, base, append(others, newcomer), b)
	if err != nil {
		return v, err
	}
	a.fresh = []int{len(admitted)}
	if !alone.Predicted.DeadlineMet {
		a.hopeless = len(admitted)
	}
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

// inForce is the admitted parts, all with a plan, and what they cost by it.
func inForce(plan Planner, base Problem, parts []Part, b Budget) ([]Part, pricing.Money, error) {
	if len(parts) == 0 {
		return nil, 0, nil
	}
	a, err := newAgreeing(plan, base, parts, b)
	if err != nil {
		return nil, 0, err
	}
	if err = a.insert(); err == nil && len(a.fresh) > 0 {
		err = a.try()
	}
	return slices.Clip(a.joint.parts), a.best.Predicted.Cost, err
}
