package workflow

import (
	"fmt"
	"slices"
)

// RunState is where a run stands.
type RunState string

// States of a run.
const (
	RunPending   RunState = "pending"
	RunRunning   RunState = "running"
	RunHeld      RunState = "held" // nothing new is dispatched until its budget is raised
	RunSucceeded RunState = "succeeded"
	RunFailed    RunState = "failed"
	RunCancelled RunState = "cancelled"
)

// TaskState is where a task of a run stands.
type TaskState string

// States of a task.
const (
	TaskWaiting   TaskState = "waiting"
	TaskReady     TaskState = "ready" // everything it needs has ended
	TaskRunning   TaskState = "running"
	TaskRetrying  TaskState = "retrying" // its last attempt failed, the next one waits for its backoff
	TaskSucceeded TaskState = "succeeded"
	TaskFailed    TaskState = "failed"
	TaskSkipped   TaskState = "skipped"
	TaskCancelled TaskState = "cancelled"
)

// AttemptState is where one execution of a task stands.
type AttemptState string

// States of an attempt.
const (
	AttemptDispatched AttemptState = "dispatched"
	AttemptRunning    AttemptState = "running"
	AttemptSucceeded  AttemptState = "succeeded"
	AttemptFailed     AttemptState = "failed"
	AttemptTimedOut   AttemptState = "timed_out"
	AttemptThrottled  AttemptState = "throttled"
	AttemptLost       AttemptState = "lost"       // its site says that it does not know it any more
	AttemptUnknown    AttemptState = "unknown"    // the answer was lost; the manifest or the timeout will decide
	AttemptCancelled  AttemptState = "cancelled"  //
	AttemptSuperseded AttemptState = "superseded" // another attempt of the task was accepted first
)

// The legal transitions. A state without a row is unknown, one with an empty row is terminal.
var (
	runMoves = map[RunState][]RunState{
		RunPending:   {RunRunning, RunHeld, RunFailed, RunCancelled},
		RunRunning:   {RunHeld, RunSucceeded, RunFailed, RunCancelled},
		RunHeld:      {RunRunning, RunFailed, RunCancelled},
		RunSucceeded: {},
		RunFailed:    {},
		RunCancelled: {},
	}
	taskMoves = map[TaskState][]TaskState{
		TaskWaiting: {TaskReady, TaskFailed, TaskSkipped, TaskCancelled},
		// A ready task fails without an attempt when its command cannot be evaluated.
		TaskReady:     {TaskRunning, TaskFailed, TaskSkipped, TaskCancelled},
		TaskRunning:   {TaskRetrying, TaskSucceeded, TaskFailed, TaskCancelled},
		TaskRetrying:  {TaskReady, TaskRunning, TaskSucceeded, TaskFailed, TaskCancelled},
		TaskSucceeded: {},
		TaskFailed:    {},
		TaskSkipped:   {},
		TaskCancelled: {},
	}
	attemptMoves = map[AttemptState][]AttemptState{
		AttemptDispatched: {
			AttemptRunning, AttemptSucceeded, AttemptFailed, AttemptTimedOut, AttemptThrottled,
			AttemptLost, AttemptUnknown, AttemptCancelled, AttemptSuperseded,
		},
		AttemptRunning: {
			AttemptSucceeded, AttemptFailed, AttemptTimedOut, AttemptThrottled,
			AttemptLost, AttemptUnknown, AttemptCancelled, AttemptSuperseded,
		},
		AttemptUnknown: {
			AttemptSucceeded, AttemptFailed, AttemptTimedOut, AttemptLost, AttemptCancelled, AttemptSuperseded,
		},
		AttemptSucceeded:  {},
		AttemptFailed:     {},
		AttemptTimedOut:   {},
		AttemptThrottled:  {},
		AttemptLost:       {},
		AttemptCancelled:  {},
		AttemptSuperseded: {},
	}
)

// CanBecome says whether a run may go from s to next.
func (s RunState) CanBecome(next RunState) bool { return slices.Contains(runMoves[s], next) }

// CanBecome says whether a task may go from s to next.
func (s TaskState) CanBecome(next TaskState) bool { return slices.Contains(taskMoves[s], next) }

// CanBecome says whether an attempt may go from s to next.
func (s AttemptState) CanBecome(next AttemptState) bool {
	return slices.Contains(attemptMoves[s], next)
}

// Terminal says whether nothing follows s.
func (s RunState) Terminal() bool { return terminal(runMoves, s) }

// Terminal says whether nothing follows s.
func (s TaskState) Terminal() bool { return terminal(taskMoves, s) }

// Terminal says whether nothing follows s.
func (s AttemptState) Terminal() bool { return terminal(attemptMoves, s) }

func (s RunState) String() string     { return string(s) }
func (s TaskState) String() string    { return string(s) }
func (s AttemptState) String() string { return string(s) }

// ParseRunState reads a state as written by String.
func ParseRunState(text string) (RunState, error) { return parseState(runMoves, text, "run") }

// ParseTaskState reads a state as written by String.
func ParseTaskState(text string) (TaskState, error) { return parseState(taskMoves, text, "task") }

// ParseAttemptState reads a state as written by String.
func ParseAttemptState(text string) (AttemptState, error) {
	return parseState(attemptMoves, text, "attempt")
}

func terminal[S comparable](moves map[S][]S, s S) bool {
	next, known := moves[s]
	return known && len(next) == 0
}

func parseState[S ~string](moves map[S][]S, text, kind string) (S, error) {
	if _, known := moves[S(text)]; !known {
		return "", fmt.Errorf("%q is not a state of a %s", text, kind)
	}
	return S(text), nil
}
