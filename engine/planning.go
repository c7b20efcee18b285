package engine

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/workflow"
)

// applyPlan takes over the placements of everything that has not started; what has started is not moved.
func (s *State) applyPlan(p Plan) []Command {
	first := !s.planned
	s.planned, s.replanWhy, s.lastPlan = true, "", s.now
	s.expected, s.plannedFor = p.Finish, p.Why
	s.heldFor, s.bought = -1, 0
	if s.run.PlannedFinish.IsZero() {
		s.run.PlannedFinish, s.run.PlannedCost = p.Finish, pricing.Money(p.Cost)
		s.run.LowerBound, s.run.PrivateFinish = pricing.Money(p.LowerBound), p.Private
		s.run.Planner = p.Planner
		s.touchRun()
	}
	changed := 0
	for i := range s.tasks {
		if s.place(i, p.Placements[i]) {
			changed++
		}
	}
	s.record("planned", -1, "", map[string]any{"why": p.Why, "planner": p.Planner, "finish": p.Finish,
		"cost": pricing.Money(p.Cost).String(), "on_time": p.OnTime, "changed": changed})
	var out []Command
	for f := range s.files {
		if first || changed > 0 {
			out = append(out, s.spread(f)...)
		}
	}
	return out
}

// place gives task i its placement and tells whether its site or size changed.
func (s *State) place(i int, p Placement) bool {
	t := &s.tasks[i]
	if t.rec.State.Terminal() || t.attempt != "" {
		return false
	}
	if p.Site < 0 {
		s.fail(i, "no site can run it: "+s.nowhere(i))
		return true
	}
	if s.Denied(i, p.Site) || p.Site == 0 && !s.fitsEmpty(i) {
		s.refuse(i, p.Site) // its files must not be sent there either
		return false
	}
	name := s.Catalogue.Sites[p.Site].Name
	moved := t.site != p.Site || t.rec.MemoryMiB != p.MemoryMiB
	if moved || t.rec.Order != p.Order || !t.rec.PlannedStart.Equal(p.Start) || !t.rec.PlannedFinish.Equal(p.Finish) ||
		!bytes.Equal(t.rec.Reason, p.Reason) {
		s.touchTask(i)
	}
	t.site, t.rec.Site, t.rec.MemoryMiB, t.rec.Order = p.Site, name, p.MemoryMiB, p.Order
	t.rec.PlannedStart, t.rec.PlannedFinish, t.rec.Reason = p.Start, p.Finish, p.Reason
	t.cost, t.hold = pricing.Money(p.Cost), p.NotBefore
	s.countMissing(i)
	s.enqueue(i)
	return moved
}

// nowhere tells for each site what keeps task i from it.
func (s *State) nowhere(i int) string {
	why := make([]string, len(s.Catalogue.Sites))
	for k, site := range s.Catalogue.Sites {
		reason := "the task is too large"
		switch {
		case !s.taskOf(i).Allows(site.Name):
			reason = "placement.allow does not list it"
		case !s.permits(i, k):
			reason = fmt.Sprintf("%s data does not go there", s.Graph.Label(i))
		case s.sites[k].down != "":
			reason = s.sites[k].down
		case s.Denied(i, k):
			reason = "it refused the task or has no room"
		}
		why[k] = site.Name + ": " + reason
	}
	return strings.Join(why, "; ")
}

// wantPlan asks for a new plan, not before at, and not too soon after the last one.
func (s *State) wantPlan(why string, at time.Time) {
	if s.run.State.Terminal() || s.cancelling {
		return
	}
	if s.replanWhy == "" {
		s.replanWhy = why
	}
	if gap := s.lastPlan.Add(s.planGap()); s.planned && at.Before(gap) {
		at = gap
	}
	s.replanAfter = at
	s.wake(at)
}

// planGap keeps plans apart: a twentieth of the time to the deadline, at most a second.
func (s *State) planGap() time.Duration {
	gap := time.Second
	if !s.run.DeadlineAt.IsZero() {
		gap = min(gap, s.run.DeadlineAt.Sub(s.run.StartedAt)/20)
	}
	return max(gap, 20*time.Millisecond)
}

// tolerance is how late a task may be before the plan counts as out of date.
func (s *State) tolerance() time.Duration {
	d := 2 * time.Second
	if !s.run.DeadlineAt.IsZero() {
		d = min(d, s.run.DeadlineAt.Sub(s.run.StartedAt)/50)
	}
	return max(d, 50*time.Millisecond)
}

// replannable tells whether another plan could differ: there is a deadline, and a choice of sites.
func (s *State) replannable() bool {
	return len(s.Catalogue.Sites) > 1 && !s.run.DeadlineAt.IsZero() && s.open > s.live
}

// noticeLate asks for a new plan, once, when an attempt is later than its plan allows for.
func (s *State) noticeLate(i int) {
	t := &s.tasks[i]
	a := s.attempts[t.attempt]
	if a == nil || a.late || !s.replannable() || s.now.Before(t.rec.PlannedFinish.Add(s.tolerance())) {
		return
	}
	a.late = true
	s.wantPlan(fmt.Sprintf("task %s is late", t.rec.ID), s.now)
}

// noticeDrift compares a finished task with its plan. Early counts too: what was to be bought may now
// stay at home.
func (s *State) noticeDrift(i int) {
	t := &s.tasks[i]
	if s.replanWhy != "" || !s.replannable() || t.rec.PlannedFinish.IsZero() {
		return
	}
	drift := s.now.Sub(t.rec.PlannedFinish)
	if drift > s.tolerance() || -drift > s.tolerance() && s.unstartedPublic() {
		s.wantPlan(fmt.Sprintf("task %s ended %s off its plan", t.rec.ID, drift.Round(time.Millisecond)), s.now)
	}
}

// unstartedPublic tells whether something is still to be bought. It remembers where it looked last: only a
// plan and a retry put such a task before that place.
func (s *State) unstartedPublic() bool {
	for ; s.bought < len(s.tasks); s.bought++ {
		t := &s.tasks[s.bought]
		if t.site > 0 && t.attempt == "" && !t.rec.State.Terminal() {
			return true
		}
	}
	return false
}

// deny rules a site out for a task, for the rest of the run.
func (s *State) deny(i, site int) {
	t := &s.tasks[i]
	if t.denied == nil {
		t.denied = make([]bool, len(s.sites))
	}
	t.denied[site] = true
}

// Denied tells whether site is ruled out for task i: by an answer of the site, or for every task.
func (s *State) Denied(i, site int) bool {
	d := s.tasks[i].denied
	return s.sites[site].down != "" || d != nil && d[site] || !s.permits(i, site)
}

// permits holds the trust rules: the definition's placement, and labels of all data that a task touches.
func (s *State) permits(i, site int) bool {
	if !s.taskOf(i).Allows(s.Catalogue.Sites[site].Name) {
		return false
	}
	return site == 0 || s.Graph.Label(i) <= s.Catalogue.Sites[site].Takes
}

// Task is the record of instance i as of the last event.
func (s *State) Task(i int) workflow.TaskRecord { return s.tasks[i].rec }
