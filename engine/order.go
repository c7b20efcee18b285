package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/pricing"
)

// order gathers what a site needs to execute an attempt. It is made after the commit, anew for each
// attempt, from references only.
func (s *State) order(id string) (Order, error) {
	a := s.attempts[id]
	i := a.rec.Task
	cmd, err := s.Graph.Command(i, s)
	if err != nil {
		return Order{}, err
	}
	o := Order{Run: s.run, Attempt: a.rec, TaskID: s.tasks[i].rec.ID, Command: cmd}
	if s.taskOf(i).Resources.Has("memory") {
		o.MemoryBytes = s.taskOf(i).Resources.Memory
	}
	for _, f := range s.Graph.Instances[i].In {
		if s.neverMade(f) {
			continue
		}
		if !s.files[f].exists {
			return Order{}, fmt.Errorf("input %s does not exist", s.Graph.Files[f].Name)
		}
		o.Inputs = append(o.Inputs, OrderInput{Path: s.Graph.InputPath(int(f)),
			Executable: s.Graph.Files[f].Producer < 0, File: s.files[f].rec})
	}
	for _, f := range s.Graph.Instances[i].Out {
		o.Outputs = append(o.Outputs, s.outputOf(i, int(f)))
	}
	return o, nil
}

func (s *State) outputOf(i, f int) OrderOutput {
	file := &s.Graph.Files[f]
	out := OrderOutput{Path: file.Path, Size: file.Size}
	if outs := s.taskOf(i).Outputs; file.Output >= 0 && file.Output < len(outs) {
		out.Name, out.Value = outs[file.Output].Name, outs[file.Output].Value != ""
	}
	return out
}

func (s *State) move(c Transfer) Move {
	return Move{Run: s.run.ID, File: s.files[c.File].rec, From: c.From, To: c.To}
}

// dirty tells whether anything waits for a commit.
func (s *State) dirty() bool {
	p := &s.pending
	return p.run || len(p.tasks)+len(p.attempts)+len(p.files)+len(p.transfers)+len(p.items)+len(p.events)+
		len(p.outbox)+len(p.done) > 0
}

// micros is an instant on the run's own axis, which begins with its start.
func (s *State) micros(t time.Time) int64 { return t.Sub(s.run.StartedAt).Microseconds() }

// instant turns a time of the run's own axis back; Never has none.
func (s *State) instant(us int64) time.Time {
	if us == offload.Never {
		return time.Time{}
	}
	return s.run.StartedAt.Add(time.Duration(us) * time.Microsecond)
}

func (s *State) costOf(i int) pricing.Money {
	var sum pricing.Money
	for n := 1; n <= s.tasks[i].rec.Attempts; n++ {
		if a := s.attempts[attemptID(s.run.ID, i, n)]; a != nil {
			sum += a.rec.Cost
		}
	}
	return sum
}

func sortPresent(p []offload.FilePresence) {
	slices.SortFunc(p, func(a, b offload.FilePresence) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Target, b.Target))
	})
}

// attemptID names an attempt; it is its idempotency key at every site and in every store.
func attemptID(run string, task, number int) string {
	return fmt.Sprintf("%s.%d.%d", run, task, number)
}
