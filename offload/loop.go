package offload

import (
	"fmt"
	"slices"

	"github.com/spillway/spillway/pricing"
)

// LoopOptions say how an execution in virtual time goes.
type LoopOptions struct {
	Multipliers []float64 // by task: true over planned run time; nil: all 1
	Copies      []float64 // the same of a task's copy; nil: as the task itself
	Budget      Budget    // of each call of the policy
	EveryUs     int64     // time between two calls while the run is young; 0: a twentieth of the time to the deadline, if there is one
}

// Execution is a run that was planned again on the way.
type Execution struct {
	Plan    Plan    // every task where, and on the node on which, it ran
	Outcome Outcome // clock and bill, transfers that turned out useless included
	Plans   int     // made by the policy
}

// Loop executes a problem in virtual time, from its NowUs on, with run times
// that the policy does not know. The policy is asked at the start, after each
// EveryUs, and when a task ends, or fails to end, that far from its plan that
// the rest may be wrong; it sees what an engine would see: what has finished,
// what is running since when, and which files are where. Between two calls the
// plan is executed by Simulate's rules, so that a policy that never changes its
// plan has the clock and bill of that plan's simulation.
func Loop(problem Problem, policy Planner, opts LoopOptions) (Execution, error) {
	if err := problem.Prepare(); err != nil {
		return Execution{}, err
	}
	l := &loop{p: problem, beganUs: problem.NowUs, everyUs: opts.EveryUs, told: make([]bool, len(problem.Tasks))}
	if last := problem.lastDeadlineUs(); l.everyUs <= 0 && last > 0 {
		l.everyUs = max(second, last-problem.NowUs) / 20
	} else if l.everyUs <= 0 {
		l.everyUs = Never >> 10
	}
	for {
		if err := l.replan(policy, opts.Budget); err != nil {
			return Execution{}, err
		}
		o, err := Simulate(&l.p, &l.plan, SimOptions{Multipliers: opts.Multipliers, Copies: opts.Copies, Trace: true})
		if err != nil {
			return Execution{}, err
		}
		next := l.nextCall(&o)
		if next >= l.decided(&o) {
			return l.end(&o)
		}
		l.advance(next, &o)
	}
}

type loop struct {
	p       Problem
	beganUs int64
	everyUs int64
	plan    Plan
	plans   int
	told    []bool      // by task: the policy was asked because it is off its plan
	sent    []Transfer  // all that have begun
	broken  []Violation // by tasks that have started
}

func (p *Problem) lastDeadlineUs() int64 {
	last := p.DeadlineUs
	for k := range p.Workflows {
		last = max(last, p.Workflows[k].DeadlineUs)
	}
	return last
}

// replan asks the policy, and holds it to what has started.
func (l *loop) replan(policy Planner, b Budget) error {
	plan, err := policy(l.p, b)
	if err != nil {
		return err
	}
	if len(plan.Placements) != len(l.p.Tasks) {
		return fmt.Errorf("the policy placed %d tasks of %d", len(plan.Placements), len(l.p.Tasks))
	}
	plan.moveWon(l.p.Copies)
	for _, f := range l.p.Fixed {
		if pl := &plan.Placements[f.Task]; pl.Target != f.Target || pl.Config != f.Config {
			return fmt.Errorf("the policy moves task %q, which has started", l.p.Tasks[f.Task].ID)
		}
	}
	l.p.Copies = l.p.withCopies(plan.Copies).Copies
	plan.Copies = nil
	l.plan, l.plans = plan, l.plans+1
	l.p.Incumbent = &plan
	return nil
}

// decided is when the last task starts and the last that may have a copy ends:
// from then on no plan changes anything.
func (l *loop) decided(o *Outcome) int64 {
	last := l.p.NowUs
	for i := range o.Tasks {
		at := o.Tasks[i].StartUs
		if l.p.Tasks[i].Idempotent && l.plan.Placements[i].Target == Private {
			at = o.Tasks[i].FinishUs
		}
		if at != Never {
			last = max(last, at)
		}
	}
	return last
}

// nextCall is when the policy is asked again: in time, or earlier when a task
// has ended, or should have, a fifth of a period off its plan. A task counts
// once, and at most ten calls fall into a period. Runs far beyond their deadline
// are asked about less often, since there is ever less to gain.
func (l *loop) nextCall(o *Outcome) int64 {
	next, off := l.p.NowUs+max(l.everyUs, (l.p.NowUs-l.beganUs)/20), int32(-1)
	for i := range o.Tasks {
		expected, actual := l.plan.Placements[i].FinishUs, o.Tasks[i].FinishUs
		if l.told[i] || expected == Never || o.Tasks[i].StartUs == Never {
			continue
		}
		at := actual
		switch late := expected + l.everyUs/5; {
		case actual > late:
			at = late
		case actual >= expected-l.everyUs/5:
			continue
		}
		if at = max(at, l.p.NowUs+l.everyUs/10); at < next && o.Tasks[i].StartUs < at {
			next, off = at, int32(i)
		}
	}
	if off >= 0 {
		l.told[off] = true
	}
	return max(next, l.p.NowUs+1)
}

// advance lets the time until at pass.
func (l *loop) advance(at int64, o *Outcome) {
	l.p.NowUs = at
	for _, v := range o.Violations {
		i := slices.IndexFunc(l.p.Tasks, func(t Task) bool { return t.ID == v.Task })
		if i >= 0 && o.Tasks[i].StartUs < at {
			l.broken = append(l.broken, v)
		}
	}
	fixed, present := l.p.happened(&l.plan, o)
	l.p.Fixed, l.p.Copies = fixed, l.p.copied(o)
	l.p.Present = append(l.p.Present[:len(l.p.Present):len(l.p.Present)], present...)
	for _, t := range o.Transfers {
		if t.StartUs < at {
			l.sent = append(l.sent, t)
		}
	}
}

// happened is what an outcome says of the time up to NowUs. What begins at
// that very instant has not happened yet.
func (p *Problem) happened(plan *Plan, o *Outcome) (fixed []FixedPlacement, present []FilePresence) {
	was := make([]*FixedPlacement, len(p.Tasks))
	for k := range p.Fixed {
		was[p.Fixed[k].Task] = &p.Fixed[k]
	}
	for i := range o.Tasks {
		x, pl := &o.Tasks[i], &plan.Placements[i]
		if x.StartUs >= p.NowUs && was[i] == nil {
			continue
		}
		f := FixedPlacement{Task: int32(i), Target: pl.Target, Config: pl.Config, Node: x.Node, StartUs: x.StartUs, Cold: x.Cold}
		if was[i] != nil {
			f = *was[i]
		}
		if x.FinishUs < p.NowUs {
			f.Done, f.FinishUs, f.Cost = true, x.FinishUs, x.Cost
		}
		if c := wonBy(o.Copies, int32(i)); c != nil && f.Done {
			f.Target, f.Config, f.Node, f.StartUs, f.Cold = c.Target, c.Config, -1, c.StartUs, true
		}
		fixed = append(fixed, f)
	}
	for _, x := range o.Transfers {
		if x.StartUs < p.NowUs {
			egress, storage := p.transferBill(&x)
			present = append(present, FilePresence{x.File, x.To, x.ArriveUs, egress + storage})
		}
	}
	return fixed, present
}

// transferBill is what a transfer costs: as the simulator meters it, within
// which amounts beyond Money have failed already.
func (p *Problem) transferBill(t *Transfer) (egress, storage pricing.Money) {
	if t.From != Private {
		r := &p.Platform.Providers[t.From].Rates
		egress, _ = r.Total(pricing.Usage{EgressBytes: p.Files[t.File].Size})
		if r.PerGet != 0 {
			storage, _ = r.Total(pricing.Usage{Gets: 1})
		}
	}
	if t.To != Private && p.Platform.Providers[t.To].Rates.PerPut != 0 {
		put, _ := p.Platform.Providers[t.To].Rates.Total(pricing.Usage{Puts: 1})
		storage += put
	}
	return egress, storage
}

// end completes the last outcome with what the simulations before it counted.
func (l *loop) end(o *Outcome) (Execution, error) {
	for _, t := range l.sent {
		_, storage := l.p.transferBill(&t)
		o.Storage += storage
		o.Egress -= storage
		o.moved(&t, l.p.Files[t.File].Size)
	}
	o.Transfers = append(l.sent, o.Transfers...)
	o.Violations = append(l.broken, o.Violations...)
	o.DeadlineMet = o.DeadlineMet && len(o.Violations) == 0
	o.ColdStarts, o.Copies = 0, slices.DeleteFunc(o.Copies, func(c CopyRun) bool { return c.StartUs == Never })
	l.plan.moveWon(o.Copies)
	for _, c := range o.Copies {
		if !c.Won {
			o.ColdStarts++
		}
	}
	for i := range o.Tasks {
		pl := &l.plan.Placements[i]
		pl.Node, pl.StartUs, pl.FinishUs, pl.Cold = o.Tasks[i].Node, o.Tasks[i].StartUs, o.Tasks[i].FinishUs, o.Tasks[i].Cold
		if o.Tasks[i].Cold {
			o.ColdStarts++
		}
	}
	l.plan.Predicted = *o
	return Execution{Plan: l.plan, Outcome: *o, Plans: l.plans}, nil
}
