package offload

import (
	"fmt"
	"slices"

	"github.com/spillway/spillway/pricing"
)

// Copy is a second execution, at a provider, of an idempotent task that runs at
// home. It starts, in a new container, once its inputs are staged there and
// quota is free. The first of the two to finish is the task's finish, and its
// outputs are where that one ran. An execution at home that loses gives its
// cores back at once and is billed until then; a copy that loses runs on, holds
// its quota, and is billed in full; its container is not used again. A copy that has not started when the task
// ends never does. One that outruns its provider's limit is of no use.
type Copy struct {
	Task   int32
	Target int // provider
	Config int
}

// CopyRun is what has become of a Copy.
type CopyRun struct {
	Copy
	StartUs  int64         // Never: not yet
	FinishUs int64         // Never: not yet, or not known
	Won      bool          // it has finished first
	HomeUs   int64         // if so: how long the task had run at home
	Cost     pricing.Money // its bill, once it has finished
}

// checkCopies makes sure that each is one the simulator can run.
func (p *Problem) checkCopies() error {
	seen := make(map[int32]bool, len(p.Copies))
	for _, c := range p.Copies {
		if c.Task < 0 || int(c.Task) >= len(p.Tasks) {
			return fmt.Errorf("copy of task %d of %d", c.Task, len(p.Tasks))
		}
		id := p.Tasks[c.Task].ID
		if c.Target == Private {
			return fmt.Errorf("copy of task %q: copies run at providers", id)
		}
		if err := p.checkSite(c.Target, c.Config, -1); err != nil {
			return fmt.Errorf("copy of task %q: %w", id, err)
		}
		home := func(f FixedPlacement) bool { return f.Task == c.Task && (f.Target == Private || f.Done && c.Won) }
		switch limits := p.limits(int(c.Task), c.Target, c.Config, 0); {
		case !p.Tasks[c.Task].Idempotent:
			return fmt.Errorf("copy of task %q: it is not idempotent", id)
		case p.Tasks[c.Task].denied(c.Target) != "" || slices.Contains(limits[:], true):
			return fmt.Errorf("copy of task %q: it cannot run at %s", id, p.Platform.Providers[c.Target].Name)
		case seen[c.Task]:
			return fmt.Errorf("copy of task %q: there is one", id)
		case !slices.ContainsFunc(p.Fixed, home):
			return fmt.Errorf("copy of task %q: it does not run at home", id)
		}
		seen[c.Task] = true
	}
	return nil
}

// withCopies is the problem with a plan's copies asked for.
func (p *Problem) withCopies(copies []Copy) *Problem {
	if len(copies) == 0 {
		return p
	}
	q := *p
	q.Copies = slices.Clone(p.Copies)
	for _, c := range copies {
		q.Copies = append(q.Copies, CopyRun{Copy: c, StartUs: Never, FinishUs: Never})
	}
	return &q
}

// copying is a copy in a simulation.
type copying struct {
	CopyRun
	need    int32 // files on their way
	outruns bool  // its provider's limit
	run     TaskOutcome
}

func (c *copying) over() bool    { return c.FinishUs != Never }
func (c *copying) waiting() bool { return c.StartUs == Never }

// copyOf is the copy of a task, or nil.
func (s *simulator) copyOf(i int32) *copying {
	if s.fixed[i] == 0 {
		return nil
	}
	for k := range s.copies {
		if s.copies[k].Task == i {
			return &s.copies[k]
		}
	}
	return nil
}

func (s *simulator) copyMultiplier(i int32) float64 {
	if s.copyMult == nil {
		return s.multiplier(i)
	}
	return s.copyMult[i]
}

// stageCopies finds what each waiting copy still has to be brought.
func (s *simulator) stageCopies() {
	s.copies = s.copies[:0]
	for _, was := range s.p.Copies {
		c := copying{CopyRun: was}
		for _, f := range s.p.in.of(int(c.Task)) {
			if !c.waiting() || s.taken(c.Task) || s.home(f) == c.Target {
				continue
			}
			k := int(f)*s.domains + c.Target + 1
			if s.stage[k] < 0 || s.rank[c.Task] < s.stage[k] {
				s.stage[k] = s.rank[c.Task]
			}
			c.need++
		}
		s.copies = append(s.copies, c)
	}
}

// taken says whether a task has ended before the simulation begins.
func (s *simulator) taken(i int32) bool { return s.p.Fixed[s.fixed[i]-1].Done }

// billCopies counts what is over, but for a winner: that bill is its task's.
func (s *simulator) billCopies() {
	for k := range s.copies {
		switch c := &s.copies[k]; {
		case c.Won:
			s.billPrivate(c.Task, c.HomeUs)
		case c.over():
			s.charge(&s.faas, c.Cost, nil)
		}
	}
}

// beginCopies goes on with those that run, and lets those that have their
// inputs ask for quota.
func (s *simulator) beginCopies() {
	for k := range s.copies {
		c := &s.copies[k]
		if c.over() {
			continue
		}
		b, err := s.known.bill(s.p, c.Task, int32(c.Target), int32(c.Config), s.copyMultiplier(c.Task))
		s.charge(&s.faas, 0, err)
		c.outruns = slices.Contains(b.broken[:], true)
		c.run = TaskOutcome{StartUs: c.StartUs, HandlerUs: b.handlerUs, Node: -1, Cold: true, Cost: b.cold}
		switch {
		case !c.waiting():
			s.running[c.Target]++
			s.charge(&s.faas, b.cold, nil)
			s.push(max(s.now, c.StartUs+s.p.Platform.Providers[c.Target].wallUs(b.handlerUs, true)), copied, c.Task)
		case c.need == 0 && !s.taken(c.Task):
			s.enableCopy(c)
		}
	}
}

func (s *simulator) enableCopy(c *copying) {
	s.readyAt[c.Task] = s.now
	s.readyPub[c.Target].add(s.rank[c.Task])
}

// bringToCopies says that a file has arrived where copies may wait for it.
func (s *simulator) bringToCopies(f int32, at int) {
	for k := range s.copies {
		c := &s.copies[k]
		if c.Target != at || !c.waiting() || c.need == 0 || !slices.Contains(s.p.in.of(int(c.Task)), f) {
			continue
		}
		if c.need--; c.need == 0 && s.task[c.Task].FinishUs == Never && s.begun {
			s.enableCopy(c)
		}
	}
}

// finishHome ends the execution at home of a task that has a copy.
func (s *simulator) finishHome(c *copying) {
	s.billPrivate(c.Task, s.now-s.task[c.Task].StartUs)
	if c.waiting() && c.need == 0 {
		s.readyPub[c.Target].remove(s.rank[c.Task])
	}
}

// finishCopy ends a copy. If it is the first, the task is done, and the files
// it wrote are at the provider.
func (s *simulator) finishCopy(i int32) {
	c, t := s.copyOf(i), &s.task[i]
	s.running[c.Target]--
	c.FinishUs, c.Cost = s.now, c.run.Cost
	if t.FinishUs != Never || c.outruns {
		return
	}
	c.Won, c.HomeUs = true, s.now-t.StartUs
	s.hold(t.Node, -s.known.sizes[i].cores, -s.known.sizes[i].mem)
	s.billPrivate(i, c.HomeUs)
	*t = c.run
	t.FinishUs = s.now
	s.end(i, s.now)
	s.left--
	pool := &s.pools[s.firstPool[c.Target]+int32(c.Config)]
	pool.released = append(pool.released, s.now)
	for _, f := range s.p.out.of(int(i)) {
		s.stageFile(f, -1)
	}
	s.at[i] = int32(c.Target)
	for _, f := range s.p.out.of(int(i)) {
		s.stageFile(f, 1)
	}
	s.publish(i)
}

// copyRuns is what has become of the copies.
func (s *simulator) copyRuns() []CopyRun {
	var out []CopyRun
	for k := range s.copies {
		out = append(out, s.copies[k].CopyRun)
	}
	return out
}

// copied is what an outcome says of its copies up to NowUs. Those that have not
// started when their task ends are forgotten.
func (p *Problem) copied(o *Outcome) []CopyRun {
	var out []CopyRun
	for _, c := range o.Copies {
		switch {
		case c.FinishUs < p.NowUs:
		case c.StartUs < p.NowUs:
			c = CopyRun{Copy: c.Copy, StartUs: c.StartUs, FinishUs: Never}
		case o.Tasks[c.Task].FinishUs < p.NowUs:
			continue
		default:
			c = CopyRun{Copy: c.Copy, StartUs: Never, FinishUs: Never}
		}
		out = append(out, c)
	}
	return out
}

// moveWon puts tasks that a copy has finished where it ran.
func (plan *Plan) moveWon(copies []CopyRun) {
	for _, c := range copies {
		if pl := &plan.Placements[c.Task]; c.Won && pl.Target == Private {
			plan.Placements = slices.Clone(plan.Placements)
			pl = &plan.Placements[c.Task]
			pl.Target, pl.Config, pl.Node = c.Target, c.Config, -1
			pl.Reason = Reason{ChosenBecause: "a copy there finished before the task did at home"}
		}
	}
}

// wonBy is the copy that finished a task, or nil.
func wonBy(copies []CopyRun, task int32) *CopyRun {
	for k := range copies {
		if copies[k].Won && copies[k].Task == task {
			return &copies[k]
		}
	}
	return nil
}
