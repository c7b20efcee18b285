package main

import (
	"fmt"
	"time"

	"github.com/spillway/spillway/bench/noise"
	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/pricing"
)

// flight is a workflow from its arrival to its end.
type flight struct {
	*arrival
	part      offload.Part // as it stands now
	mult      []float64    // true over planned run times
	verdict   string
	bestUntil int64 // no deadline: when its project has earned it
	endUs     int64 // 0: it runs
}

// run is one day under one policy, in virtual time.
type run struct {
	pf       offload.Platform
	policy   *policy
	budget   offload.Budget
	sigma    float64
	seed     int64
	nowUs    int64
	flights  []*flight // all so far
	active   []*flight // those that run, or have left warm containers
	coming   []*arrival
	plan     *offload.Plan            // joint, of active
	foreseen map[string]*offload.Plan // what is planned for runs to come
	buckets  []offload.Bucket
	planning time.Duration
	longest  time.Duration
}

// warmUs is the longest time that any container stays warm.
func warmUs(pf *offload.Platform) (us int64) {
	for k := range pf.Providers {
		us = max(us, pf.Providers[k].KeepWarmUs)
	}
	return us
}

// execute lets the day pass: at each arrival the policy plans from the state at
// that instant, and its plan is executed until the next.
func (r *run) execute(day []*arrival) error {
	r.buckets = make([]offload.Bucket, len(projects))
	for k, a := range day {
		if err := r.pass(a.atUs); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		r.coming = day[k+1:]
		if err := r.arrive(a); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
	}
	return r.pass(offload.Never)
}

// arrive lets the policy plan what has come.
func (r *run) arrive(a *arrival) error {
	f := &flight{arrival: a}
	f.part = offload.Part{Problem: a.problem, Workflow: offload.Workflow{
		Name: a.name, Project: projects[a.project].name, ReleaseUs: a.atUs, DeadlineUs: a.deadlineUs}}
	f.mult = noise.Multipliers(len(a.problem.Tasks), r.sigma, r.seed+int64(len(r.flights)))
	r.flights = append(r.flights, f)
	began := time.Now()
	err := r.policy.arrive(r, f)
	took := time.Since(began)
	r.planning += took
	r.longest = max(r.longest, took)
	return err
}

// base is the state that all workflows share.
func (r *run) base() offload.Problem {
	return offload.Problem{Platform: r.pf, NowUs: r.nowUs, Seed: r.seed}
}

func (r *run) parts() (parts []offload.Part) {
	for _, f := range r.active {
		parts = append(parts, f.part)
	}
	return parts
}

// pass executes the plan until an instant; Never: to the end.
func (r *run) pass(until int64) error {
	if len(r.active) == 0 {
		r.nowUs = until
		return nil
	}
	j, err := offload.Join(r.base(), r.parts())
	if err != nil {
		return err
	}
	var mult []float64
	for _, f := range r.active {
		mult = append(mult, f.mult...)
	}
	parts, o, err := j.Pass(r.plan, mult, until)
	if err != nil {
		return err
	}
	r.nowUs = until
	var stay []*flight
	for k, f := range r.active {
		f.part = parts[k]
		if f.endUs == 0 && o.Ends[k] < until {
			f.endUs = o.Ends[k]
			f.part.DeadlineUs = 0 // kept or missed: nothing can change it
		}
		if f.endUs == 0 || f.endUs+warmUs(&r.pf) >= until {
			stay = append(stay, f)
		}
	}
	r.active = stay
	return nil
}

// cost is what a workflow that has ended came to.
func (f *flight) cost() (sum pricing.Money) {
	for _, x := range f.part.Problem.Fixed {
		sum += x.Cost
	}
	for _, c := range f.part.Problem.Present {
		sum += c.Cost
	}
	return sum
}

// waitUs is how long nothing of it ran after its arrival.
func (f *flight) waitUs() int64 {
	first := f.endUs - f.atUs
	for _, x := range f.part.Problem.Fixed {
		first = min(first, x.StartUs)
	}
	return first
}

func (f *flight) slowdown() float64 { return float64(f.endUs-f.atUs) / float64(max(1, f.criticalUs)) }
