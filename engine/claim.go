package engine

import (
	"container/heap"
	"fmt"
	"time"

	"github.com/spillway/spillway/workflow"
)

const (
	// lookAhead bounds how many tasks that do not fit, or that the budget does not allow, are passed over in one
	// look at a site's queue.
	lookAhead = 64
	// aheadWork is how much private work is dispatched before a slot is free, so that slots do not wait for
	// commits while tasks are short.
	aheadWork = 20 * time.Millisecond
	// maxAheadPerCore bounds the same in attempts.
	maxAheadPerCore = 64
)

// dispatch claims room for tasks in the plan's order and starts them.
func (s *State) dispatch() []Command {
	out := s.dispatchPrivate()
	for k := 1; k < len(s.sites); k++ {
		out = append(out, s.dispatchPublic(k)...)
	}
	return out
}

// dispatchPrivate starts the most urgent tasks that fit a node; one that does not fit is passed over.
func (s *State) dispatchPrivate() []Command {
	var out []Command
	var passed []readyEntry
	st := &s.sites[0]
	ahead := s.aheadRoom()
	for len(st.ready) > 0 && len(passed) < lookAhead && (s.anyCoreFree() || ahead > 0) {
		e := heap.Pop(&st.ready).(readyEntry)
		if !s.startable(e, 0) {
			continue
		}
		node := -1
		if len(st.ahead) == 0 {
			node = s.nodeFor(e.task, s.cores(e.task))
		}
		if node < 0 && (ahead == 0 || !s.fitsEmpty(e.task)) {
			passed = append(passed, e)
			continue
		}
		if node < 0 {
			ahead--
		}
		out = append(out, s.start(e.task, node))
	}
	for _, e := range passed {
		heap.Push(&st.ready, e)
	}
	return out
}

func (s *State) anyCoreFree() bool {
	for _, c := range s.sites[0].freeCores {
		if c > 0 {
			return true
		}
	}
	return false
}

// aheadRoom is how many more attempts may wait in the private site's own queue.
func (s *State) aheadRoom() int {
	st := &s.sites[0]
	if st.pace == 0 {
		return 0
	}
	cores := 0
	for _, n := range s.Catalogue.Sites[0].Nodes {
		cores += n.Cores
	}
	n := min(int(aheadWork/st.pace), maxAheadPerCore) * cores
	return max(0, n-len(st.ahead))
}

// startable tells whether a queue entry still holds.
func (s *State) startable(e readyEntry, site int) bool {
	t := &s.tasks[e.task]
	return t.site == site && t.rec.Order == e.order && t.attempt == "" && t.missing == 0 &&
		(t.rec.State == workflow.TaskReady || t.rec.State == workflow.TaskRetrying) &&
		!latest(t.rec.NotBefore, t.hold).After(s.now)
}

// nodeFor finds the first private node with room, fastest first as the catalogue lists them; -1 if none.
func (s *State) nodeFor(i, cores int) int {
	st := &s.sites[0]
	for k := range st.freeCores {
		if st.freeCores[k] >= cores && st.freeMiB[k] >= s.memoryMiB(i) {
			return k
		}
	}
	return -1
}

func (s *State) fitsEmpty(i int) bool {
	for _, n := range s.Catalogue.Sites[0].Nodes {
		if n.Cores >= s.cores(i) && n.MemoryMiB >= s.memoryMiB(i) {
			return true
		}
	}
	return false
}

// dispatchPublic starts tasks at a public site while its quota and the budget allow.
func (s *State) dispatchPublic(site int) []Command {
	st := &s.sites[site]
	if st.down != "" || st.paused.After(s.now) {
		return nil
	}
	var out []Command
	var kept []readyEntry
	for len(st.ready) > 0 && len(kept) < lookAhead && st.running < st.quota && s.run.State == workflow.RunRunning {
		e := heap.Pop(&st.ready).(readyEntry)
		if !s.startable(e, site) {
			continue
		}
		if !s.permits(e.task, site) {
			s.refuse(e.task, site)
			continue
		}
		if !s.affordable(s.tasks[e.task].cost) {
			if s.overBudget(e.task) {
				kept = append(kept, e)
			}
			continue
		}
		out = append(out, s.start(e.task, -1))
	}
	for _, e := range kept {
		heap.Push(&st.ready, e)
	}
	return out
}

// refuse keeps a task from a site that its data must not reach or that cannot take it, whatever a plan says.
func (s *State) refuse(i, site int) {
	s.deny(i, site)
	s.record("placement_refused", i, "", map[string]string{"site": s.Catalogue.Sites[site].Name,
		"why": fmt.Sprintf("its data is %s, its placement does not allow the site, or the site refused it or has no room",
			s.Graph.Label(i))})
	s.wantPlan("a placement was refused", s.now)
}

// overBudget holds the task until the budget is raised, or ends it, as the definition asks. It tells
// whether the task stays queued.
func (s *State) overBudget(i int) bool {
	why := fmt.Sprintf("budget: %s spent and %s in flight of %s leave no room for %s",
		s.spent, s.reserved, s.run.BudgetMax, s.tasks[i].cost)
	if b := s.Graph.Spec.Budget; b != nil && b.OnExceed == workflow.OnExceedFail {
		s.run.BudgetRefused = true
		s.touchRun()
		s.fail(i, why)
		return false
	}
	if s.heldFor < 0 {
		s.record("budget_hold", i, "", map[string]string{"why": why})
	}
	s.heldFor = i
	return true
}

// start claims room and writes down an attempt; the command goes out after the commit.
func (s *State) start(i, node int) Command {
	t := &s.tasks[i]
	t.rec.Attempts++
	site := &s.Catalogue.Sites[t.site]
	a := &attemptState{site: t.site, rec: workflow.AttemptRecord{
		ID: attemptID(s.run.ID, i, t.rec.Attempts), Task: i, Number: t.rec.Attempts,
		State: workflow.AttemptDispatched, Site: site.Name, MemoryMiB: t.rec.MemoryMiB, Node: node,
		Cores: s.cores(i), Timeout: s.taskOf(i).Timeout, DispatchedAt: s.now}}
	if t.site > 0 {
		a.rec.Reserved = t.cost
		o := site.offering(t.rec.MemoryMiB)
		if o != nil && o.MaxDuration > 0 && (a.rec.Timeout == 0 || a.rec.Timeout > o.MaxDuration) {
			a.rec.Timeout = o.MaxDuration
		}
	}
	s.attempts[a.rec.ID] = a
	t.attempt = a.rec.ID
	s.live++
	s.reserved += a.rec.Reserved
	s.claim(a)
	s.setTask(i, workflow.TaskRunning)
	s.touchTask(i)
	s.touchAttempt(a.rec.ID)
	s.addOutbox(workflow.OutboxRecord{Kind: "start", Attempt: a.rec.ID})
	s.record("attempt_dispatched", i, a.rec.ID, map[string]any{"site": site.Name})
	s.watchLateness(i)
	return Start{a.rec.ID}
}

// watchLateness sets an alarm for when the attempt should have ended.
func (s *State) watchLateness(i int) {
	t := &s.tasks[i]
	if s.replannable() && !t.rec.PlannedFinish.IsZero() {
		heap.Push(&s.due, alarm{at: latest(t.rec.PlannedFinish, s.now).Add(s.tolerance()), task: i})
	}
}

func (s *State) cores(i int) int {
	if w := s.taskOf(i).Work; w != nil {
		return w.Cores
	}
	return max(1, s.taskOf(i).Resources.CPU)
}

func (s *State) memoryMiB(i int) int {
	if w := s.taskOf(i).Work; w != nil {
		return int(w.Memory / (1 << 20))
	}
	return int(s.taskOf(i).Resources.Memory >> 20)
}

func outboxKey(o workflow.OutboxRecord) string {
	if o.Kind == "transfer" {
		return fmt.Sprintf("t%d>%s", o.File, o.To)
	}
	return o.Kind + o.Attempt
}

func (s *State) addOutbox(o workflow.OutboxRecord) {
	s.outboxSeq++
	o.ID = s.outboxSeq
	s.outbox[outboxKey(o)] = o.ID
	s.pending.outbox = append(s.pending.outbox, o)
}

func (s *State) settleOutbox(o workflow.OutboxRecord) {
	k := outboxKey(o)
	if id, ok := s.outbox[k]; ok {
		delete(s.outbox, k)
		s.pending.done = append(s.pending.done, id)
		s.urgent = true
	}
}
