package engine

import (
	"container/heap"
	"fmt"
	"math/bits"
	"time"

	"github.com/spillway/spillway/providers"
	"github.com/spillway/spillway/workflow"
)

// maxExcused bounds the attempts that a task is granted beyond its own retries because sites throttled
// them or lost them.
const maxExcused = 50

// attemptStarted notes that an attempt left its site's queue. It is not worth a commit of its own.
func (s *State) attemptStarted(e Started) {
	a := s.attempts[e.Attempt]
	if a == nil || a.rec.State != workflow.AttemptDispatched {
		return
	}
	a.rec.State, a.rec.StartedAt = workflow.AttemptRunning, e.At
	t := &s.tasks[a.rec.Task]
	t.rec.StartedAt = e.At
	s.touchAttempt(a.rec.ID)
	s.touchTask(a.rec.Task)
}

// attemptEnded settles an attempt: its bill first, then what it means for its task.
func (s *State) attemptEnded(e Ended) []Command {
	a := s.attempts[e.Attempt]
	if a == nil {
		s.record("stray_answer", -1, e.Attempt, nil)
		return nil
	}
	r := e.Result
	if a.rec.State.Terminal() {
		s.lateAnswer(a, r)
		return nil
	}
	if r.Err != nil && r.Err.Class == providers.UnknownOutcome {
		s.outcomeUnknown(a, r)
		return nil
	}
	s.describe(a, r)
	s.billAttempt(a, r)
	s.close(a, endState(r))
	return s.conclude(a, r)
}

// outcomeUnknown keeps the attempt in flight: its manifest, or the end of its time, decides.
func (s *State) outcomeUnknown(a *attemptState, r providers.Result) {
	if a.rec.State == workflow.AttemptUnknown {
		return
	}
	a.rec.State, a.rec.Class, a.rec.Message = workflow.AttemptUnknown, string(r.Err.Class), r.Err.Message
	s.touchAttempt(a.rec.ID)
	s.record("attempt_unknown", a.rec.Task, a.rec.ID, map[string]string{"error": r.Err.Message})
}

// lateAnswer records and bills the answer of an attempt that was settled before; its task goes on
// without it.
func (s *State) lateAnswer(a *attemptState, r providers.Result) {
	if r.Err != nil && r.Err.Class == providers.UnknownOutcome {
		return
	}
	s.record("late_answer", a.rec.Task, a.rec.ID, map[string]any{"state": a.rec.State, "success": succeeded(r)})
	if a.rec.Cost != 0 && !a.rec.Estimated {
		return
	}
	s.correct(a)
	s.billAttempt(a, r)
	s.touchAttempt(a.rec.ID)
}

func succeeded(r providers.Result) bool {
	return r.Err == nil && r.Manifest != nil && r.Manifest.Failure == nil
}

// endState is the attempt's last state by what its site and its runner said.
func endState(r providers.Result) workflow.AttemptState {
	if succeeded(r) {
		return workflow.AttemptSucceeded
	}
	switch failureClass(r) {
	case "timeout", string(providers.TimedOut):
		return workflow.AttemptTimedOut
	case string(providers.Throttled):
		return workflow.AttemptThrottled
	case string(providers.Lost), string(providers.Transient):
		return workflow.AttemptLost
	case string(providers.Canceled):
		return workflow.AttemptCancelled
	}
	return workflow.AttemptFailed
}

func failureClass(r providers.Result) string {
	switch {
	case r.Err != nil:
		return string(r.Err.Class)
	case r.Manifest != nil && r.Manifest.Failure != nil:
		return string(r.Manifest.Failure.Class)
	}
	return ""
}

func failureMessage(r providers.Result) string {
	switch {
	case r.Err != nil:
		return r.Err.Message
	case r.Manifest != nil && r.Manifest.Failure != nil:
		return r.Manifest.Failure.Message
	}
	return ""
}

// describe copies what the site and the runner told into the attempt's record.
func (s *State) describe(a *attemptState, r providers.Result) {
	rec := &a.rec
	rec.Class, rec.Message = failureClass(r), failureMessage(r)
	rec.Cold = r.Usage.Cold
	rec.RequestID = r.Usage.RequestID
	rec.FinishedAt = s.now
	m := r.Manifest
	if m == nil {
		return
	}
	rec.ExitCode, rec.PeakMemory, rec.LogTail = m.ExitCode, m.PeakMemoryBytes, m.LogTail
	rec.Command = time.Duration(m.CommandUs) * time.Microsecond
	rec.Cold = rec.Cold || m.Cold
	for _, o := range m.Outputs {
		rec.OutputBytes += o.Size
	}
	if rec.StartedAt.IsZero() {
		rec.StartedAt = latest(rec.DispatchedAt, earliest(time.UnixMicro(m.StartedAt).UTC(), s.now))
	}
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// close ends an attempt: its claims go back, its command is settled.
func (s *State) close(a *attemptState, st workflow.AttemptState) {
	a.rec.State = st
	s.live--
	s.reserved -= a.rec.Reserved
	s.release(a)
	s.touchAttempt(a.rec.ID)
	s.settleOutbox(workflow.OutboxRecord{Kind: "start", Attempt: a.rec.ID})
	t := &s.tasks[a.rec.Task]
	if t.attempt == a.rec.ID {
		t.attempt = ""
	}
	if excused(st) {
		t.infra++
	}
	s.record("attempt_"+string(st), a.rec.Task, a.rec.ID, nonEmpty("error", a.rec.Message))
}

// conclude decides what an attempt's end means for its task.
func (s *State) conclude(a *attemptState, r providers.Result) []Command {
	i := a.rec.Task
	t := &s.tasks[i]
	if t.rec.State.Terminal() {
		return nil
	}
	if a.rec.State == workflow.AttemptSucceeded {
		return s.succeed(a, r)
	}
	t.rec.Message = a.rec.Message
	if s.cancelling {
		s.end(i, workflow.TaskCancelled)
		return nil
	}
	s.learnFromFailure(a, r)
	if s.mayRetry(i, r) {
		s.retry(i, a)
		return nil
	}
	s.fail(i, fmt.Sprintf("%s (attempt %d, %s)", a.rec.Message, a.rec.Number, a.rec.Site))
	return nil
}

func (s *State) succeed(a *attemptState, r providers.Result) []Command {
	i := a.rec.Task
	files, err := s.accept(i, r.Manifest)
	if err != nil {
		s.fail(i, err.Error())
		return nil
	}
	st := &s.sites[a.site]
	st.throttles = 0
	st.quota = min(st.quota+1, s.Catalogue.Sites[a.site].Quota)
	s.keepPace(st, a.rec.FinishedAt.Sub(a.rec.StartedAt))
	t := &s.tasks[i]
	t.rec.StartedAt, t.rec.Message = a.rec.StartedAt, ""
	t.rec.Site, t.rec.MemoryMiB = a.rec.Site, a.rec.MemoryMiB
	var out []Command
	for _, f := range s.Graph.Instances[i].Out {
		out = append(out, s.fileMade(int(f), a.site, files[int(f)], a.rec.ID)...)
	}
	s.end(i, workflow.TaskSucceeded)
	s.noticeDrift(i)
	return out
}

// keepPace follows how quickly attempts pass through a site.
func (s *State) keepPace(st *siteState, d time.Duration) {
	if d <= 0 {
		d = time.Microsecond
	}
	if st.pace == 0 {
		st.pace = d
		return
	}
	st.pace += (d - st.pace) / 8
}

// learnFromFailure draws what a failure says about the site, beyond the task.
func (s *State) learnFromFailure(a *attemptState, r providers.Result) {
	if r.Err == nil || a.site == 0 {
		return
	}
	st := &s.sites[a.site]
	name := s.Catalogue.Sites[a.site].Name
	switch r.Err.Class {
	case providers.Throttled:
		if !st.paused.After(s.now) { // the answers of one burst count once
			st.throttles++
		}
		st.quota = max(1, min(st.quota, st.running))
		pause := max(r.Err.RetryAfter, backoff(100*time.Millisecond, 10*time.Second, st.throttles))
		st.paused = latest(st.paused, s.now.Add(pause))
		s.wake(st.paused)
		s.wantPlan(name+" throttles", s.now)
	case providers.Denied, providers.NotFound:
		st.down = r.Err.Message
		s.record("site_down", -1, "", map[string]string{"site": name, "error": r.Err.Message})
		s.wantPlan(name+" refuses: "+r.Err.Message, s.now)
	case providers.PayloadTooLarge:
		s.deny(a.rec.Task, a.site)
		s.wantPlan("a task does not fit "+name, s.now)
	default:
		s.wantPlan("an attempt failed at "+name, s.now)
	}
}

// mayRetry tells whether the task gets another attempt. Attempts count from their dispatch on; those that a
// site refused or lost are excused, within a bound of their own.
func (s *State) mayRetry(i int, r providers.Result) bool {
	t := &s.tasks[i]
	if r.Err != nil {
		switch r.Err.Class {
		case providers.Refused:
			return false
		case providers.Denied, providers.NotFound, providers.PayloadTooLarge:
			return t.rec.Attempts-t.infra <= s.taskOf(i).Retry.Max+len(s.sites)
		}
	}
	if t.infra > maxExcused {
		return false
	}
	if r.Manifest != nil && !retryCovers(&s.taskOf(i).Retry, r.Manifest.ExitCode) {
		return false
	}
	return t.rec.Attempts-t.infra <= s.taskOf(i).Retry.Max
}

// retry puts the task back with the wait that its policy asks for; a refusal by a site waits for the site.
func (s *State) retry(i int, a *attemptState) {
	t := &s.tasks[i]
	wait := time.Duration(0)
	if !excused(a.rec.State) {
		p := &s.taskOf(i).Retry
		wait = jittered(retryWait(p, t.rec.Attempts-t.infra), p.Jitter, s.run.Seed, a.rec.ID)
	} else if a.site == 0 || a.rec.State != workflow.AttemptThrottled {
		wait = backoff(50*time.Millisecond, 5*time.Second, t.infra)
	}
	t.rec.NotBefore = s.now.Add(wait)
	s.bought = min(s.bought, i)
	s.setTask(i, workflow.TaskRetrying)
	s.record("task_retrying", i, a.rec.ID, map[string]any{"not_before": t.rec.NotBefore})
	s.countMissing(i)
	s.enqueue(i)
}

// jittered draws the wait between zero and its full value, from the run's seed and the attempt's name so
// that a replay draws the same.
func jittered(wait time.Duration, j workflow.Jitter, seed int64, id string) time.Duration {
	if j == workflow.JitterNone || wait <= 0 {
		return wait
	}
	h := uint64(seed) ^ 14695981039346656037
	for k := 0; k < len(id); k++ {
		h = (h ^ uint64(id[k])) * 1099511628211
	}
	h ^= h >> 29
	hi, _ := bits.Mul64(h*0x9E3779B97F4A7C15, uint64(wait)+1)
	return time.Duration(hi).Truncate(time.Microsecond) // the precision of stores
}

// backoff doubles from base up to limit.
func backoff(base, limit time.Duration, n int) time.Duration {
	for ; n > 1 && base < limit; n-- {
		base *= 2
	}
	return min(base, limit)
}

func (s *State) fail(i int, why string) {
	if s.tasks[i].rec.State.Terminal() {
		return
	}
	s.tasks[i].rec.Message = why
	s.failed = true
	s.end(i, workflow.TaskFailed)
}

// end settles a task and everything that waited for nothing else.
func (s *State) end(i int, st workflow.TaskState) {
	type settled struct {
		task  int
		state workflow.TaskState
	}
	queue := []settled{{i, st}}
	for len(queue) > 0 {
		q := queue[0]
		queue = queue[1:]
		if s.tasks[q.task].rec.State.Terminal() {
			continue
		}
		s.setTask(q.task, q.state)
		if q.state != workflow.TaskSucceeded {
			s.record("task_"+string(q.state), q.task, "", nonEmpty("why", s.tasks[q.task].rec.Message))
		}
		for _, c := range s.children(q.task) {
			t := &s.tasks[c]
			t.parents--
			t.badNeed = t.badNeed || q.state != workflow.TaskSucceeded
			if t.parents == 0 {
				if next := s.needsMet(int(c)); next != "" {
					queue = append(queue, settled{int(c), next})
				}
			}
		}
	}
	s.resolveForeach()
}

// needsMet decides about a task whose needs have all ended: it is made ready, or the state it ends in is
// returned. A condition alone decides where there is one.
func (s *State) needsMet(i int) workflow.TaskState {
	t := &s.tasks[i]
	if t.rec.State != workflow.TaskWaiting {
		return ""
	}
	if s.cancelling {
		return workflow.TaskCancelled
	}
	if s.taskOf(i).If == "" && t.badNeed {
		t.rec.Message = "a task that it needs did not succeed"
		return workflow.TaskSkipped
	}
	if s.Graph.Instances[i].Provisional {
		s.wantElements(s.Graph.Instances[i].Task)
		return ""
	}
	if s.taskOf(i).If == "" {
		return s.makeReady(i)
	}
	run, err := s.Graph.Condition(i, s)
	switch {
	case err != nil:
		t.rec.Message, s.failed = "condition: "+err.Error(), true
		return workflow.TaskFailed
	case !run:
		t.rec.Message = "its condition is false"
		return workflow.TaskSkipped
	}
	return s.makeReady(i)
}

func (s *State) makeReady(i int) workflow.TaskState {
	t := &s.tasks[i]
	if name := s.notSubmitted(i); name != "" {
		t.rec.Message, s.failed = "input "+name+" was not submitted with the run", true
		return workflow.TaskFailed
	}
	s.setTask(i, workflow.TaskReady)
	t.rec.ReadyAt = s.now
	s.countMissing(i)
	s.enqueue(i)
	return ""
}

// waiting tells whether nothing but time, room or money keeps the task from starting.
func (t *taskState) waiting() bool {
	return t.attempt == "" && t.missing == 0 && (t.rec.State == workflow.TaskReady || t.rec.State == workflow.TaskRetrying)
}

// enqueue offers a task to its site once nothing but room keeps it from starting.
func (s *State) enqueue(i int) {
	t := &s.tasks[i]
	if t.site < 0 || !t.waiting() {
		return
	}
	if at := latest(t.rec.NotBefore, t.hold); at.After(s.now) {
		heap.Push(&s.due, alarm{at: at, task: i})
		return
	}
	heap.Push(&s.sites[t.site].ready, readyEntry{t.rec.Order, i})
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
