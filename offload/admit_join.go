package offload

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spillway/spillway/pricing"
)

// Part is one workflow of a joint problem.
type Part struct {
	Workflow // its instants are on the joint axis; its name is unique

	// Phantom: a run that is known to come, from a schedule say. It is planned
	// like the others, so that capacity is not promised twice; what is planned
	// for it is neither started nor billed.
	Phantom bool
	// Unpaid: nothing is bought for it that can run at home. A workflow without
	// a deadline has no reason to pay.
	Unpaid bool
	// Problem gives Tasks, Files, Fixed, Present and Incumbent, on the axis that
	// begins with the release. Its other fields do not count.
	Problem *Problem
}

// Joint is several workflows as one problem.
type Joint struct {
	*Problem
	parts []Part
	task  []int32 // part -> its first task
	file  []int32 // part -> its first file

	started []int32 // task -> 1 + index in Fixed; 0: it has not
}

// Join makes one prepared problem of several workflows. The base gives the
// Platform, NowUs, MarginUs, Reserved and Seed, all on the joint axis. Task ids
// get the workflow's name and a slash in front. The joint problem has an
// Incumbent when all parts have one. The error names the part at fault.
func Join(base Problem, parts []Part) (*Joint, error) {
	p := &Problem{Platform: base.Platform, NowUs: base.NowUs, MarginUs: base.MarginUs}
	p.Reserved, p.Seed = base.Reserved, base.Seed
	j := &Joint{Problem: p, parts: parts}
	names := map[string]bool{}
	for k := range parts {
		part := &parts[k]
		switch {
		case part.Problem == nil || len(part.Problem.Workflows) > 0:
			return nil, fmt.Errorf("workflow %q: want a problem with a single workflow", part.Name)
		case names[part.Name]:
			return nil, fmt.Errorf("workflow %q is there twice", part.Name)
		}
		names[part.Name] = true
		j.add(part)
	}
	j.started = make([]int32, len(p.Tasks))
	for k, f := range p.Fixed {
		if int(f.Task) < len(j.started) && f.Task >= 0 { // else Prepare says so
			j.started[f.Task] = int32(k + 1)
		}
	}
	j.mergeIncumbents()
	if err := p.Prepare(); err != nil {
		return nil, err
	}
	return j, p.checkState()
}

func (j *Joint) add(part *Part) {
	p, own := j.Problem, part.Problem
	task, file := int32(len(p.Tasks)), int32(len(p.Files))
	j.task, j.file = append(j.task, task), append(j.file, file)
	for i := range own.Tasks {
		t := own.Tasks[i]
		t.ID, t.Workflow = part.Name+"/"+t.ID, int32(len(p.Workflows))
		t.Parents, t.In, t.Out = shifted(t.Parents, task), shifted(t.In, file), shifted(t.Out, file)
		if part.Unpaid && p.Platform.runsAtHome(&t) {
			t.PrivateOnly = true
			t.WhyNot = unpaid(t.WhyNot, len(p.Platform.Providers))
		}
		p.Tasks = append(p.Tasks, t)
	}
	p.Files = append(p.Files, own.Files...)
	for _, f := range own.Fixed {
		p.Fixed = append(p.Fixed, f.shift(task, part.ReleaseUs))
	}
	for _, c := range own.Present {
		c.File += file
		c.AtUs += part.ReleaseUs
		p.Present = append(p.Present, c)
	}
	p.Workflows = append(p.Workflows, part.Workflow)
}

// runsAtHome says whether a task may run on some private node.
func (p *Platform) runsAtHome(t *Task) bool {
	return t.denied(Private) == "" && slices.ContainsFunc(p.Nodes, func(n Node) bool { return n.fits(t) })
}

func shifted(list []int32, by int32) []int32 {
	if len(list) == 0 {
		return nil
	}
	out := make([]int32, len(list))
	for k, x := range list {
		out[k] = x + by
	}
	return out
}

// unpaid says at every provider why a task is not bought.
func unpaid(why []string, providers int) []string {
	out := make([]string, 1+providers)
	copy(out, why)
	for k := 1; k < len(out); k++ {
		if out[k] == "" {
			out[k] = "its workflow buys nothing"
		}
	}
	return out
}

// mergeIncumbents interleaves the plans in force by their planned starts.
func (j *Joint) mergeIncumbents() {
	if slices.ContainsFunc(j.parts, func(p Part) bool { return p.Problem.Incumbent == nil }) {
		return
	}
	plan := &Plan{Placements: make([]Placement, 0, len(j.Tasks))}
	for k := range j.parts {
		release, own := j.parts[k].ReleaseUs, j.parts[k].Problem.Incumbent
		for _, pl := range own.Placements {
			plan.Placements = append(plan.Placements, pl.shift(release))
		}
		plan.Order = append(plan.Order, shifted(own.Order, j.task[k])...)
	}
	slices.SortStableFunc(plan.Order, func(a, b int32) int {
		return cmp.Compare(plan.Placements[a].StartUs, plan.Placements[b].StartUs)
	})
	j.Incumbent = plan
}

// shift renames the task and moves the placement along the time axis. A finish
// of 0 that is not known stays so.
func (f FixedPlacement) shift(task int32, by int64) FixedPlacement {
	f.Task += task
	f.StartUs += by
	if f.FinishUs != 0 || f.Done {
		f.FinishUs += by
	}
	return f
}

// shift moves a placement along the time axis.
func (pl Placement) shift(by int64) Placement {
	pl.StartUs, pl.FinishUs = later(pl.StartUs, by), later(pl.FinishUs, by)
	if pl.NotBeforeUs != 0 {
		pl.NotBeforeUs += by
	}
	pl.Reason.Considered = slices.Clone(pl.Reason.Considered)
	for k := range pl.Reason.Considered {
		c := &pl.Reason.Considered[k]
		c.FinishUs = later(c.FinishUs, by)
	}
	return pl
}

func later(at, by int64) int64 {
	if at == Never {
		return Never
	}
	return at + by
}

// Split takes a joint plan apart: one plan for each part, on the part's own
// axis, with its share of the outcome. Costs of the parts add up to the whole.
// What belongs to no single workflow (QuotaWaitUs, PrivateUtil, LowerBound) is
// left zero.
func (j *Joint) Split(plan *Plan) ([]Plan, error) {
	o, err := Simulate(j.Problem, plan, SimOptions{Trace: true})
	if err != nil {
		return nil, err
	}
	out := make([]Plan, len(j.parts))
	for k := range out {
		first, n := int(j.task[k]), len(j.parts[k].Problem.Tasks)
		own := &out[k]
		own.Planner = plan.Planner
		for _, pl := range plan.Placements[first : first+n] {
			own.Placements = append(own.Placements, pl.shift(-j.parts[k].ReleaseUs))
		}
		own.Predicted = j.outcome(&o, k)
	}
	for _, i := range plan.Order {
		k := j.Tasks[i].Workflow
		out[k].Order = append(out[k].Order, i-j.task[k])
	}
	return out, j.bill(&o, out)
}

// outcome is the part of an outcome that is one workflow's, without what files
// cost.
func (j *Joint) outcome(o *Outcome, k int) Outcome {
	part, first := &j.parts[k], j.task[k]
	own := Outcome{MakespanUs: later(o.Ends[k], -part.ReleaseUs), Tasks: make([]TaskOutcome, len(part.Problem.Tasks))}
	for i := range own.Tasks {
		t := o.Tasks[int(first)+i]
		t.StartUs, t.FinishUs = later(t.StartUs, -part.ReleaseUs), later(t.FinishUs, -part.ReleaseUs)
		own.Tasks[i] = t
		if t.Cold && j.started[int(first)+i] == 0 {
			own.ColdStarts++
		}
	}
	for _, v := range o.Violations {
		if id, ok := strings.CutPrefix(v.Task, part.Name+"/"); ok {
			own.Violations = append(own.Violations, Violation{v.Kind, id, v.Detail})
		}
	}
	inTime := part.DeadlineUs == 0 || o.Ends[k] <= part.DeadlineUs
	own.DeadlineMet = inTime && o.Ends[k] < Never && len(own.Violations) == 0
	return own
}

// bill gives every workflow what its tasks, transfers and copies cost.
func (j *Joint) bill(o *Outcome, out []Plan) error {
	var b biller
	for i := range j.Tasks {
		k := j.Tasks[i].Workflow
		own := &out[k].Predicted
		target := out[k].Placements[int32(i)-j.task[k]].Target
		if f := j.started[i]; f != 0 { // it is where it is, whatever the plan says
			target = j.Fixed[f-1].Target
		}
		if target == Private {
			b.add(&own.Private, o.Tasks[i].Cost)
			continue
		}
		own.Offloaded++
		b.add(&own.FaaS, o.Tasks[i].Cost)
	}
	for _, c := range j.Present {
		b.add(&out[j.owner(c.File)].Predicted.Egress, c.Cost)
	}
	for _, t := range o.Transfers {
		k := j.owner(t.File)
		j.travelled(&out[k].Predicted, t, k)
		egress, storage := j.transferBill(&t)
		b.add(&out[k].Predicted.Egress, egress)
		b.add(&out[k].Predicted.Storage, storage)
	}
	for k := range out {
		own := &out[k].Predicted
		for _, x := range []pricing.Money{own.FaaS, own.Egress, own.Storage, own.Private} {
			b.add(&own.Cost, x)
		}
	}
	return b.err
}

// owner is the part that a file belongs to.
func (j *Joint) owner(file int32) int {
	k, exact := slices.BinarySearch(j.file, file)
	for exact && k+1 < len(j.file) && j.file[k+1] == file { // parts without files
		k++
	}
	if exact {
		return k
	}
	return k - 1
}

// biller adds up money and keeps the first error.
type biller struct{ err error }

func (b *biller) add(sum *pricing.Money, amount pricing.Money) {
	total, err := sum.Add(amount)
	if err != nil && b.err == nil {
		b.err = err
	}
	*sum = total
}

// travelled enters a transfer into the outcome of its workflow.
func (j *Joint) travelled(own *Outcome, t Transfer, k int) {
	own.moved(&t, j.Files[t.File].Size)
	t.File -= j.file[k]
	t.StartUs, t.ArriveUs = t.StartUs-j.parts[k].ReleaseUs, t.ArriveUs-j.parts[k].ReleaseUs
	own.Transfers = append(own.Transfers, t)
}

// Pass executes a joint plan, with run times that differ from the estimates by
// the multipliers (nil: none does), and returns the parts as they stand at a
// later instant: what has started is Fixed, what has been sent is Present, and
// the plan is each one's Incumbent. The outcome is the whole execution's.
func (j *Joint) Pass(plan *Plan, multipliers []float64, atUs int64) ([]Part, Outcome, error) {
	plans, err := j.Split(plan)
	if err != nil {
		return nil, Outcome{}, err
	}
	o, err := Simulate(j.Problem, plan, SimOptions{Multipliers: multipliers, Trace: true})
	if err != nil {
		return nil, o, err
	}
	then := *j.Problem
	then.NowUs = atUs
	fixed, present := then.happened(plan, &o)
	parts := slices.Clone(j.parts)
	for k := range parts {
		own := *parts[k].Problem
		own.Fixed, own.Incumbent = nil, &plans[k]
		own.Present = slices.Clip(own.Present)
		parts[k].Problem = &own
	}
	for _, f := range fixed {
		k := j.Tasks[f.Task].Workflow
		parts[k].Problem.Fixed = append(parts[k].Problem.Fixed, f.shift(-j.task[k], -parts[k].ReleaseUs))
	}
	for _, c := range present {
		k := j.owner(c.File)
		c.File, c.AtUs = c.File-j.file[k], c.AtUs-parts[k].ReleaseUs
		parts[k].Problem.Present = append(parts[k].Problem.Present, c)
	}
	return parts, o, nil
}

// Real leaves the phantoms out of a joint plan: what is to be started, and the
// problem it belongs to.
func (j *Joint) Real(plan *Plan) (*Joint, *Plan, error) {
	var parts []Part
	first := make([]int32, len(j.parts)) // part -> its first task without the phantoms
	n := int32(0)
	for k, part := range j.parts {
		if first[k] = n - j.task[k]; !part.Phantom {
			parts = append(parts, part)
			n += int32(len(part.Problem.Tasks))
		}
	}
	real, err := Join(*j.Problem, parts)
	if err != nil {
		return nil, nil, err
	}
	out := &Plan{Planner: plan.Planner, Placements: make([]Placement, n)}
	for _, i := range plan.Order {
		if k := j.Tasks[i].Workflow; !j.parts[k].Phantom {
			out.Order = append(out.Order, i+first[k])
			out.Placements[i+first[k]] = plan.Placements[i]
		}
	}
	out.Predicted, err = Simulate(real.Problem, out, SimOptions{})
	return real, out, err
}
