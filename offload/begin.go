package offload

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/spillway/spillway/pricing"
)

// takePresent removes the stagings that copies in place, or on their way, make
// unnecessary. What is on its way occupies its link until it is sent.
func (s *simulator) takePresent() {
	for _, c := range s.p.Present {
		s.charge(&s.egress, c.Cost, nil)
		s.occupyLink(&c)
		k := int(c.File)*s.domains + c.Target + 1
		if s.stage[k] < 0 {
			continue
		}
		s.stage[k] = -1
		if c.AtUs > s.now {
			s.push(c.AtUs, arrived, int32(k))
			continue
		}
		if w := s.p.Files[c.File].Producer; w >= 0 {
			s.end(w, c.AtUs)
		}
		for _, j := range s.p.readers.of(int(c.File)) {
			if s.fixed[j] == 0 && int(s.d.target[j]) == c.Target {
				s.need[j]--
			}
		}
		s.bringToCopies(c.File, c.Target)
	}
}

func (s *simulator) occupyLink(c *FilePresence) {
	wan := &s.p.Platform.WAN
	from, sent := s.home(c.File), c.AtUs-wan.LatencyUs
	if wan.Independent || sent <= s.now || from == c.Target {
		return
	}
	l := s.link(from, c.Target)
	s.links[l].busyUs = max(s.links[l].busyUs, sent)
}

// step is the start or the finish of a task that has started.
type step struct {
	atUs   int64
	starts int   // 1, or 0 for a finish
	fixed  int32 // index in Fixed
}

// steps are what has happened to Fixed tasks, in order: at an instant first
// tasks finish, then others start. What only runs has no finish here.
func (p *Problem) steps() []step {
	var all []step
	for k := range p.Fixed {
		f := &p.Fixed[k]
		if all = append(all, step{f.StartUs, 1, int32(k)}); f.Done {
			all = append(all, step{f.FinishUs, 0, int32(k)})
		}
	}
	slices.SortStableFunc(all, func(a, b step) int {
		return cmp.Or(cmp.Compare(a.atUs, b.atUs), cmp.Compare(a.starts, b.starts))
	})
	return all
}

// takeFixed replays what has started, so that the containers which are idle now
// are those that tasks have left and no later task has taken.
func (s *simulator) takeFixed() {
	for _, e := range s.steps {
		f := s.p.Fixed[e.fixed]
		switch {
		case e.starts == 0:
			s.takeDone(f)
		case f.Target != Private && !f.Cold:
			if c := s.pool(f.Task); len(c.released) > 0 {
				c.released = c.released[:len(c.released)-1]
			}
		}
	}
	for _, f := range s.p.Fixed {
		if !f.Done {
			s.takeRunning(f)
		}
	}
}

func (s *simulator) takeDone(f FixedPlacement) {
	t := &s.task[f.Task]
	*t = TaskOutcome{StartUs: f.StartUs, FinishUs: f.FinishUs, Node: f.Node, Cold: f.Cold, Cost: f.Cost}
	s.left--
	s.end(f.Task, f.FinishUs)
	if f.Target == Private {
		s.coreUs += (f.FinishUs - f.StartUs) * int64(s.p.Tasks[f.Task].Cores)
		s.charge(&s.private, f.Cost, nil)
	} else {
		s.charge(&s.faas, f.Cost, nil)
		s.pool(f.Task).released = append(s.pool(f.Task).released, f.FinishUs)
	}
	for _, file := range s.p.out.of(int(f.Task)) {
		s.request(file)
	}
	for _, c := range s.p.graph.Succ(int(f.Task)) {
		s.need[c]--
	}
}

func (s *simulator) takeRunning(f FixedPlacement) {
	t, i := &s.task[f.Task], int(f.Task)
	*t = TaskOutcome{StartUs: f.StartUs, FinishUs: Never, Node: -1, Cold: f.Cold}
	if f.Target == Private {
		t.Node = s.nodeOf(f)
		s.hold(t.Node, s.p.Tasks[i].Cores, s.p.Tasks[i].MemBytes)
		finish := s.p.runsUntil(&f, s.p.Platform.Nodes[t.Node].Speed, s.multiplier(f.Task))
		if s.copyOf(f.Task) == nil {
			s.billPrivate(f.Task, finish-f.StartUs)
		}
		s.push(finish, finished, f.Task)
		return
	}
	q := &s.p.Platform.Providers[f.Target]
	s.running[f.Target]++
	finish := s.p.runsUntil(&f, 0, s.multiplier(f.Task))
	t.HandlerUs = max(0, finish-f.StartUs-q.wallUs(0, f.Cold))
	amount, err := f.Cost, error(nil)
	if amount == 0 {
		amount, err = q.Rates.Total(q.invocation(f.Config, t.HandlerUs, f.Cold))
	}
	t.Cost = amount
	s.charge(&s.faas, amount, err)
	s.push(finish, finished, f.Task)
}

// runsUntil is when a running task ends: as given, else as the model says; not
// before now. speed is that of its private node.
func (p *Problem) runsUntil(f *FixedPlacement, speed, mult float64) int64 {
	finish := f.FinishUs
	switch {
	case finish != 0:
	case f.Target == Private:
		finish = f.StartUs + p.privateUs(int(f.Task), speed, mult)
	default:
		q := &p.Platform.Providers[f.Target]
		finish = f.StartUs + q.wallUs(p.handlerUs(int(f.Task), f.Target, f.Config, mult), f.Cold)
	}
	return max(finish, p.NowUs)
}

// nodeOf is the node a running task holds: the one it names, else the fastest
// with room, else the fastest.
func (s *simulator) nodeOf(f FixedPlacement) int {
	if f.Node >= 0 {
		return f.Node
	}
	t := &s.p.Tasks[f.Task]
	for _, k := range s.bySpeed {
		if s.cores[k] >= t.Cores && s.mem[k] >= t.MemBytes {
			return int(k)
		}
	}
	return int(s.bySpeed[0])
}

func (s *simulator) takeReserved() {
	for k, r := range s.p.Reserved {
		if r.UntilUs <= s.now {
			continue
		}
		s.occupy(&s.p.Reserved[k], 1)
		s.push(r.UntilUs, returned, int32(k))
	}
}

func (s *simulator) giveBack(k int32) { s.occupy(&s.p.Reserved[k], -1) }

func (s *simulator) occupy(r *Reservation, sign int) {
	if r.Target == Private {
		s.hold(r.Node, sign*r.Cores, float64(sign)*r.MemBytes)
		return
	}
	s.running[r.Target] += sign * r.Cores
}

// settle closes the books of a run.
func (s *simulator) settle() {
	if s.left == 0 {
		return
	}
	for i := range s.task {
		if s.task[i].FinishUs != Never {
			continue
		}
		if s.ends < Never {
			s.violate("never-ran", int32(i), fmt.Sprint(s.left))
		}
		s.end(int32(i), Never)
	}
}

// cost is the whole bill of a run.
func (s *simulator) cost() pricing.Money {
	sum, err := pricing.Add(s.faas, s.egress, s.storage, s.private)
	s.charge(new(pricing.Money), 0, err)
	return sum
}

// inTime says whether a run kept every deadline, that much early, without
// violation.
func (s *simulator) inTime(marginUs int64) bool {
	worst, _ := s.lateness(marginUs)
	return s.violated == 0 && s.ends < Never && worst <= 0
}
