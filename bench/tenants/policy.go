package main

import (
	"fmt"
	"slices"

	"github.com/spillway/spillway/offload"
)

// policy decides at each arrival.
type policy struct {
	name, doc string
	arrive    func(r *run, f *flight) error
}

// horizonUs is how far ahead scheduled runs are planned for.
const horizonUs = 2 * hour

// policies are compared; planner is what those use that are not named for one.
func policies(planner string) []*policy {
	return []*policy{
		{name: "joint", doc: "all planned together at each arrival, scheduled runs foreseen",
			arrive: together(planner, true)},
		{name: "joint-blind", doc: "the same without foreseeing scheduled runs",
			arrive: together(planner, false)},
		{name: "alone", doc: "each planned alone when it comes, as if it had the cluster to itself",
			arrive: alone(planner, false)},
		{name: "dato", doc: "all planned again at each arrival, by dato",
			arrive: again("dato")},
		{name: "private-fifo", doc: "everything at home, first come, first served",
			arrive: alone("private", true)},
		{name: "public", doc: "everything bought in its fastest configuration",
			arrive: alone("public", false)},
	}
}

// together admits the newcomer beside what runs and what is known to come.
func together(planner string, foresee bool) func(*run, *flight) error {
	return func(r *run, f *flight) error {
		plan, ok := offload.Lookup(planner)
		if !ok {
			return fmt.Errorf("no planner %q", planner)
		}
		r.promise(f)
		parts := r.parts()
		if foresee {
			parts = append(parts, r.phantoms()...)
		}
		v, err := offload.Admit(plan, r.base(), parts, f.part, r.budget)
		if err != nil {
			return err
		}
		f.verdict = v.Kind
		flights := slices.Clone(r.active)
		for range len(parts) - len(r.active) {
			flights = append(flights, nil)
		}
		for _, l := range v.Late {
			if late := append(flights, f)[l.Part]; late != nil {
				late.giveWay(l.KeepUs)
			}
		}
		if err := r.foresee(v.Joint, &v.Plan, len(r.active), parts); err != nil {
			return err
		}
		if err := r.adopt(f, v.Joint, &v.Plan); err != nil {
			return err
		}
		r.charge(f)
		return nil
	}
}

// promise gives a workflow without a deadline one of its own: when its project
// has earned it, which orders it among the others but buys it nothing.
func (r *run) promise(f *flight) {
	if f.deadlineUs != 0 {
		return
	}
	earned := r.buckets[f.project].Take(r.nowUs, f.workUs, r.rate(f.project))
	f.bestUntil = max(earned, f.atUs+2*f.criticalUs)
	f.part.DeadlineUs, f.part.Unpaid, f.part.Weight = f.bestUntil, true, 0.1
}

// rate is the private cores that are a project's share.
func (r *run) rate(project int) float64 {
	cores, sum := 0, 0.0
	for k := range r.pf.Nodes {
		cores += r.pf.Nodes[k].Cores
	}
	for _, p := range projects {
		sum += p.weight
	}
	return float64(cores) * projects[project].weight / sum
}

// giveWay takes a later deadline, with a hundredth to spare so that it does not
// give way to trifles. Who gave way weighs more from then on: a workflow can be
// put off only so often.
func (f *flight) giveWay(until int64) {
	if until == offload.Never {
		until = 0
	}
	f.part.DeadlineUs = until + max(0, until-f.atUs)/100
	f.part.Weight = 2 * max(f.part.Weight, 0.1)
}

// phantoms are the scheduled runs of the next hours, as far as they are known.
func (r *run) phantoms() (parts []offload.Part) {
	for _, a := range r.coming {
		if a.guess == nil || a.atUs > r.nowUs+horizonUs {
			continue
		}
		p := *a.guess
		p.Incumbent = r.foreseen[a.name]
		parts = append(parts, offload.Part{Phantom: true, Problem: &p, Workflow: offload.Workflow{
			Name: a.name, Project: projects[a.project].name, ReleaseUs: a.atUs, DeadlineUs: a.deadlineUs}})
	}
	return parts
}

// foresee keeps what is planned for the phantoms, which follow the first parts.
func (r *run) foresee(j *offload.Joint, plan *offload.Plan, first int, parts []offload.Part) error {
	plans, err := j.Split(plan)
	if err != nil {
		return err
	}
	r.foreseen = map[string]*offload.Plan{}
	for k := first; k < len(parts); k++ {
		r.foreseen[parts[k].Name] = &plans[k]
	}
	return nil
}

// adopt makes a joint plan the one in force.
func (r *run) adopt(f *flight, j *offload.Joint, plan *offload.Plan) error {
	real, kept, err := j.Real(plan)
	if err != nil {
		return err
	}
	plans, err := real.Split(kept)
	if err != nil {
		return err
	}
	r.active, r.plan = append(r.active, f), kept
	for k, x := range r.active {
		own := *x.part.Problem
		own.Incumbent = &plans[k]
		x.part.Problem = &own
	}
	return nil
}

// charge takes what a workflow with a deadline will use at home out of its
// project's share.
func (r *run) charge(f *flight) {
	if f.deadlineUs == 0 {
		return // by its promise
	}
	var us int64
	for i, pl := range f.part.Problem.Incumbent.Placements {
		if pl.Target == offload.Private && pl.FinishUs != offload.Never {
			us += (pl.FinishUs - pl.StartUs) * int64(f.problem.Tasks[i].Cores)
		}
	}
	r.buckets[f.project].Take(r.nowUs, us, r.rate(f.project))
}

// again plans all that run with a planner that knows every deadline, and takes
// what comes out.
func again(planner string) func(*run, *flight) error {
	return func(r *run, f *flight) error {
		plan, ok := offload.Lookup(planner)
		if !ok {
			return fmt.Errorf("no planner %q", planner)
		}
		j, err := offload.Join(r.base(), append(r.parts(), f.part))
		if err != nil {
			return err
		}
		made, err := plan(*j.Problem, r.budget)
		if err != nil {
			return err
		}
		return r.adopt(f, j, &made)
	}
}

// alone plans the newcomer as if nobody else were there, and never again. Who
// comes to a core first is decided by the planned starts, or by arrival.
func alone(planner string, fifo bool) func(*run, *flight) error {
	return func(r *run, f *flight) error {
		plan, ok := offload.Lookup(planner)
		if !ok {
			return fmt.Errorf("no planner %q", planner)
		}
		j, err := offload.Join(r.base(), []offload.Part{f.part})
		if err != nil {
			return err
		}
		made, err := plan(*j.Problem, r.budget)
		if err != nil {
			return err
		}
		plans, err := j.Split(&made)
		if err != nil {
			return err
		}
		own := *f.part.Problem
		own.Incumbent = &plans[0]
		f.part.Problem = &own
		r.active = append(r.active, f)
		all, err := offload.Join(r.base(), r.parts())
		if err != nil {
			return err
		}
		if r.plan = all.Incumbent; fifo {
			slices.SortStableFunc(r.plan.Order, func(a, b int32) int {
				return int(all.Tasks[a].Workflow) - int(all.Tasks[b].Workflow)
			})
		}
		return nil
	}
}
