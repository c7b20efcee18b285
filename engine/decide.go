package engine

import (
	"container/heap"
	"fmt"
	"time"

	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/workflow"
)

// Decide applies one event to the state and returns what the shell must do once the change is committed.
// It is deterministic: the same state, event and now give the same change and the same commands.
func Decide(s *State, e Event, now time.Time) []Command {
	s.now = now
	s.watchDeadline()
	var out []Command
	switch e := e.(type) {
	case Opened:
		out = s.opened(e)
	case Planned:
		out = s.applyPlan(e.Plan)
	case Started:
		s.attemptStarted(e)
	case Ended:
		out = s.attemptEnded(e)
	case Moved:
		out = s.moved(e)
	case CancelAsked:
		out = s.cancel("cancelled by request")
	case BudgetSet:
		s.setBudget(e.Max)
	case Tick:
		out = s.tick()
	default:
		panic(fmt.Sprintf("engine: unknown event %T", e))
	}
	out = append(out, s.advance()...)
	return out
}

// advance starts what can start now, and ends the run when nothing is left.
func (s *State) advance() []Command {
	if s.run.State.Terminal() {
		return nil
	}
	var out []Command
	for before := -1; s.planned && !s.cancelling && before != s.ended; {
		before = s.ended // a task that the budget ends may let others go
		out = append(out, s.dispatch()...)
	}
	s.settleRun()
	return out
}

// opened begins a new run, or goes on with one that another engine left.
func (s *State) opened(e Opened) []Command {
	if s.run.State == workflow.RunPending || s.run.State == workflow.RunHeld {
		first := s.run.StartedAt.IsZero()
		s.setRun(workflow.RunRunning, "")
		if first {
			s.run.StartedAt = s.now
			s.setDeadline()
		}
	}
	s.record(e.kind(), -1, "", map[string]string{"owner": e.Owner})
	s.wake(s.run.DeadlineAt)
	s.wantPlan("start", s.now)
	out := s.resumeTransfers()
	if s.cancelling {
		return append(out, s.cancel("cancelled by request")...)
	}
	s.readyUp()
	return out
}

// setDeadline turns "within" into an instant the moment the run starts; a deadline "by" a time of day was
// fixed at submission.
func (s *State) setDeadline() {
	within := s.run.DeadlineIn
	if d := s.Graph.Spec.Deadline; d != nil && within == 0 && s.run.DeadlineAt.IsZero() {
		within = d.Within
	}
	if within > 0 {
		s.run.DeadlineAt = s.now.Add(within)
	}
}

// readyUp looks at every task that waits, after a load.
func (s *State) readyUp() {
	for i := range s.tasks {
		if s.tasks[i].rec.State == workflow.TaskWaiting && s.tasks[i].parents == 0 {
			if next := s.needsMet(i); next != "" {
				s.end(i, next)
			}
		}
	}
	s.resolveForeach()
}

func (s *State) setRun(st workflow.RunState, reason string) {
	if s.run.State == st {
		return
	}
	s.run.State, s.run.Reason = st, reason
	s.touchRun()
	s.record("run_"+string(st), -1, "", nonEmpty("reason", reason))
}

func (s *State) setTask(i int, st workflow.TaskState) {
	t := &s.tasks[i]
	if t.rec.State == st {
		return
	}
	was := t.rec.State
	t.rec.State = st
	s.touchTask(i)
	if st.Terminal() && !was.Terminal() {
		s.open--
		s.ended++
		t.rec.FinishedAt = s.now
	}
}

func nonEmpty(key, value string) any {
	if value == "" {
		return nil
	}
	return map[string]string{key: value}
}

// tick looks at what time alone brings: retries, pauses of throttled sites, late tasks.
func (s *State) tick() []Command {
	var out []Command
	for len(s.due) > 0 && !s.due[0].at.After(s.now) {
		a := heap.Pop(&s.due).(alarm)
		if a.task >= 0 {
			s.taskDue(a.task)
		}
		if a.move != nil {
			out = append(out, s.sendAgain(*a.move)...)
		}
	}
	return out
}

// taskDue looks at a task whose retry is due or whose attempt should have ended by now.
func (s *State) taskDue(i int) {
	t := &s.tasks[i]
	if t.attempt != "" {
		s.noticeLate(i)
		return
	}
	s.enqueue(i)
}

// watchDeadline acts once, when the deadline passes with work still open.
func (s *State) watchDeadline() {
	d := s.run.DeadlineAt
	if d.IsZero() || s.now.Before(d) || s.run.DeadlinePassed || s.run.State.Terminal() {
		return
	}
	s.run.DeadlinePassed = true
	s.touchRun()
	s.record("deadline_missed", -1, "", map[string]any{"deadline": d, "open": s.open})
}

// cancel ends what has not started and asks the sites to end what has.
func (s *State) cancel(reason string) []Command {
	if s.run.State.Terminal() {
		return nil
	}
	s.cancelling = true
	s.run.CancelRequested = true
	s.run.Reason = reason
	s.touchRun()
	s.record("cancelling", -1, "", map[string]string{"reason": reason})
	var out []Command
	for i := range s.tasks {
		t := &s.tasks[i]
		if t.rec.State.Terminal() {
			continue
		}
		if t.attempt != "" {
			out = append(out, Stop{t.attempt})
			continue
		}
		s.setTask(i, workflow.TaskCancelled)
	}
	return out
}

func (s *State) setBudget(limit int64) {
	s.run.BudgetMax = pricing.Money(limit)
	s.heldFor = -1
	s.touchRun()
	s.record("budget_set", -1, "", map[string]int64{"max_pico_usd": limit})
}

// settleRun ends the run when no task is open, nothing is in flight and the results are at home.
func (s *State) settleRun() {
	if s.live > 0 || s.moving > 0 || !s.planned && !s.cancelling {
		return // the first plan sends results home that a run has taken over
	}
	if s.open > 0 {
		s.settleStuck()
		return
	}
	s.run.FinishedAt = s.now
	s.touchRun()
	switch {
	case s.cancelling:
		s.setRun(workflow.RunCancelled, s.run.Reason)
	case s.failed:
		s.setRun(workflow.RunFailed, s.firstFailure())
	default:
		s.setRun(workflow.RunSucceeded, "")
	}
}

// settleStuck holds a run that only waits for money.
func (s *State) settleStuck() {
	if s.heldFor < 0 || s.cancelling || s.replanWhy != "" || s.anyDue() {
		return
	}
	s.setRun(workflow.RunHeld, fmt.Sprintf("budget: task %s would exceed %s", s.tasks[s.heldFor].rec.ID, s.run.BudgetMax))
}

// anyDue tells whether a retry, a task held back or a paused site will make progress by itself.
func (s *State) anyDue() bool {
	for _, a := range s.due {
		if a.task >= 0 && s.tasks[a.task].waiting() {
			return true
		}
	}
	for k := range s.sites {
		if s.sites[k].paused.After(s.now) {
			return true
		}
	}
	return false
}

func (s *State) firstFailure() string {
	for i := range s.tasks {
		if s.tasks[i].rec.State == workflow.TaskFailed {
			return fmt.Sprintf("task %s: %s", s.tasks[i].rec.ID, s.tasks[i].rec.Message)
		}
	}
	return s.stranded
}
