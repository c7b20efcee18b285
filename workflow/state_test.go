package workflow

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStates: every move leads to a known state, nothing leaves a terminal state, and every state is reached.
func TestStates(t *testing.T) {
	checkMoves(t, runMoves, RunPending, RunState.CanBecome, RunState.Terminal, ParseRunState)
	checkMoves(t, taskMoves, TaskWaiting, TaskState.CanBecome, TaskState.Terminal, ParseTaskState)
	checkMoves(t, attemptMoves, AttemptDispatched, AttemptState.CanBecome, AttemptState.Terminal, ParseAttemptState)
}

func checkMoves[S ~string](t *testing.T, moves map[S][]S, first S, can func(S, S) bool, terminal func(S) bool, parse func(string) (S, error)) {
	t.Helper()
	reached, queue := map[S]bool{first: true}, []S{first}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		for _, next := range moves[s] {
			require.Contains(t, moves, next)
			require.NotEqual(t, s, next)
			if !reached[next] {
				reached[next] = true
				queue = append(queue, next)
			}
		}
	}
	for s := range moves {
		require.True(t, reached[s], "nothing leads to %s", s)
		got, err := parse(string(s))
		require.NoError(t, err)
		require.Equal(t, s, got)
		require.Equal(t, len(moves[s]) == 0, terminal(s), s)
		for next := range moves {
			require.False(t, terminal(s) && can(s, next), "%s -> %s", s, next)
		}
	}
	_, err := parse("done")
	require.Error(t, err)
	require.False(t, terminal("done"))
}

func TestMoves(t *testing.T) {
	require.True(t, RunHeld.CanBecome(RunRunning))
	require.False(t, RunSucceeded.CanBecome(RunRunning))
	require.False(t, RunPending.CanBecome(RunSucceeded))
	require.True(t, TaskRunning.CanBecome(TaskRetrying))
	require.True(t, TaskReady.CanBecome(TaskFailed), "its command cannot be evaluated")
	require.False(t, TaskWaiting.CanBecome(TaskRunning))
	require.False(t, TaskSkipped.CanBecome(TaskReady))
	require.False(t, TaskRunning.CanBecome(TaskWaiting))
	require.True(t, AttemptUnknown.CanBecome(AttemptSucceeded), "the manifest was found")
	require.False(t, AttemptUnknown.CanBecome(AttemptRunning))
	require.False(t, AttemptRunning.CanBecome(AttemptDispatched))
	require.Equal(t, "timed_out", AttemptTimedOut.String())
	require.Equal(t, "held", RunHeld.String())
	require.Equal(t, "skipped", TaskSkipped.String())
}
