package main

import (
	"fmt"

	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/pricing"
)

// bounds are what the day costs at least.
type bounds struct {
	single    pricing.Money // every workflow alone on the cluster, summed
	joint     pricing.Money // with all arrivals known
	possible  map[string]bool
	deadlines int
}

// feasible counts the deadlines that are possible alone.
func (b *bounds) feasible() (n int) {
	for _, possible := range b.possible {
		if possible {
			n++
		}
	}
	return n
}

// clairvoyant bounds a day from below. Bounds of disjoint sets of workflows add
// up, since each set costs at least that much whatever else runs; so the best of
// the bound of a stretch of arrivals and of the sum of its halves holds, down to
// single workflows. Deadlines that are impossible alone do not count.
func clairvoyant(pf offload.Platform, day []*arrival) (*bounds, error) {
	b := &bounds{possible: map[string]bool{}}
	var err error
	b.joint, err = b.stretch(pf, day)
	return b, err
}

func (b *bounds) stretch(pf offload.Platform, day []*arrival) (pricing.Money, error) {
	if len(day) == 0 {
		return 0, nil
	}
	if len(day) == 1 && day[0].deadlineUs == 0 {
		return 0, nil
	}
	var halves pricing.Money
	if n := len(day) / 2; n > 0 {
		for _, half := range [][]*arrival{day[:n], day[n:]} {
			cost, err := b.stretch(pf, half)
			if err != nil {
				return 0, err
			}
			halves += cost
		}
	}
	bound, err := b.of(pf, day)
	if err != nil {
		return 0, err
	}
	if len(day) == 1 {
		b.deadlines++
		b.possible[day[0].name] = !bound.Infeasible
		b.single += bound.Cost
	}
	return max(halves, bound.Cost), nil
}

// of is the bound of the workflows together, on their own.
func (b *bounds) of(pf offload.Platform, day []*arrival) (offload.Bound, error) {
	var parts []offload.Part
	for _, a := range day {
		flow := offload.Workflow{Name: a.name, ReleaseUs: a.atUs, DeadlineUs: a.deadlineUs}
		if possible, known := b.possible[a.name]; known && !possible {
			flow.DeadlineUs = 0
		}
		parts = append(parts, offload.Part{Workflow: flow, Problem: a.problem})
	}
	j, err := offload.Join(offload.Problem{Platform: pf}, parts)
	if err != nil {
		return offload.Bound{}, err
	}
	private, ok := offload.Lookup("private")
	if !ok {
		return offload.Bound{}, fmt.Errorf("no planner %q", "private")
	}
	plan, err := private(*j.Problem, offload.Budget{})
	return plan.LowerBound, err
}
