package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/workflow"
)

func testRuns(t *testing.T, s engine.Store) {
	states := []workflow.RunState{
		workflow.RunPending, workflow.RunRunning, workflow.RunHeld, workflow.RunSucceeded, workflow.RunFailed, workflow.RunCancelled,
	}
	// Upper case sorts before lower case: by bytes, whatever the locale of a database says.
	ids := []string{"A1", "A2", "Z3", "a4", "b5", "z6"}
	for i, id := range ids {
		r := record(id, 1)
		r.Run.State = states[i]
		r.Run.Project, r.Run.Workflow = fmt.Sprint("p", i%2), fmt.Sprint("w", i%3)
		require.NoError(t, s.Submit(t.Context(), r, nil))
	}
	list := func(f engine.RunFilter) (got []string) {
		t.Helper()
		runs, err := s.Runs(t.Context(), f)
		require.NoError(t, err)
		for _, r := range runs {
			got = append(got, r.ID)
		}
		return got
	}
	require.Equal(t, []string{"z6", "b5", "a4", "Z3", "A2", "A1"}, list(engine.RunFilter{}))
	require.Equal(t, []string{"z6", "b5"}, list(engine.RunFilter{Limit: 2}))
	require.Equal(t, []string{"a4", "Z3"}, list(engine.RunFilter{Limit: 2, Before: "b5"}))
	require.Equal(t, []string{"z6", "a4", "A2"}, list(engine.RunFilter{Project: "p1"}))
	require.Equal(t, []string{"a4", "A1"}, list(engine.RunFilter{Workflow: "w0"}))
	require.Equal(t, []string{"Z3", "A2", "A1"}, list(engine.RunFilter{Unfinished: true}))
	require.Equal(t, []string{"z6", "A2"}, list(engine.RunFilter{States: []workflow.RunState{workflow.RunRunning, workflow.RunCancelled}}))
	require.Equal(t, []string{"A2"}, list(engine.RunFilter{Unfinished: true, States: []workflow.RunState{workflow.RunRunning, workflow.RunCancelled}}))
	require.Empty(t, list(engine.RunFilter{Unfinished: true, States: []workflow.RunState{workflow.RunFailed}}))
	require.Equal(t, []string{"A1"}, list(engine.RunFilter{Project: "p0", Workflow: "w0", Before: "z", Unfinished: true}))
	require.Empty(t, list(engine.RunFilter{Before: "A1"}))

	for i := range 60 {
		require.NoError(t, s.Submit(t.Context(), record(fmt.Sprintf("many%02d", i), 0), nil))
	}
	require.Len(t, list(engine.RunFilter{}), 50)
}

func testEvents(t *testing.T, s engine.Store) {
	require.NoError(t, s.Submit(t.Context(), record("r1", 1), events(1, 10)))
	require.NoError(t, s.Submit(t.Context(), record("r2", 1), events(1, 3)))
	read := func(run string, after int64, limit int) []workflow.EventRecord {
		t.Helper()
		got, err := s.Events(t.Context(), run, after, limit)
		require.NoError(t, err)
		return got
	}
	require.Equal(t, events(1, 4), read("r1", 0, 4))
	require.Equal(t, events(5, 4), read("r1", 4, 4))
	require.Equal(t, events(9, 2), read("r1", 8, 4))
	require.Empty(t, read("r1", 10, 4))
	require.Empty(t, read("r1", 0, 0))
	require.Equal(t, events(1, 3), read("r2", 0, 100))
}

// testHistory has three runs of one workflow, in which only succeeded attempts tell how long a task takes.
func testHistory(t *testing.T, s engine.Store) {
	for i := range 3 {
		r := record(fmt.Sprint("r", i), 4)
		r.Run.SubmittedAt = noon.Add(time.Duration(i) * time.Hour)
		r.Tasks[3].Task = "other"
		for task := range 4 {
			a := attempt(task, workflow.AttemptSucceeded)
			a.FinishedAt = r.Run.SubmittedAt.Add(time.Duration(task) * time.Minute)
			a.Command, a.OutputBytes, a.Cold = time.Duration(10*i+task)*time.Second, int64(task), i == 1
			if task == 1 {
				a.Site, a.MemoryMiB = "lambda", 512*(1+i%2)
			}
			r.Attempts = append(r.Attempts, a)
			failed := a
			failed.ID, failed.State, failed.Number = fmt.Sprint("f", task), workflow.AttemptFailed, 2
			r.Attempts = append(r.Attempts, failed)
		}
		require.NoError(t, s.Submit(t.Context(), r, nil))
	}
	elsewhere := record("r9", 1)
	elsewhere.Run.Workflow = "elsewhere"
	elsewhere.Attempts = []workflow.AttemptRecord{attempt(0, workflow.AttemptSucceeded)}
	require.NoError(t, s.Submit(t.Context(), elsewhere, nil))

	sample := func(run, task int) engine.Sample {
		want := engine.Sample{
			Task: "work", Site: "local", Command: time.Duration(10*run+task) * time.Second, Cold: run == 1, OutputSize: int64(task),
			At: noon.Add(time.Duration(run)*time.Hour + time.Duration(task)*time.Minute),
		}
		switch task {
		case 1:
			want.Site, want.MemoryMiB = "lambda", 512*(1+run%2)
		case 3:
			want.Task = "other"
		}
		return want
	}
	got, err := s.History(t.Context(), "etl", 100)
	require.NoError(t, err)
	var all []engine.Sample
	for run := 2; run >= 0; run-- {
		for task := 3; task >= 0; task-- {
			all = append(all, sample(run, task))
		}
	}
	require.Equal(t, all, got)

	got, err = s.History(t.Context(), "etl", 1)
	require.NoError(t, err)
	require.Equal(t, []engine.Sample{sample(2, 3), sample(2, 2), sample(2, 1), sample(1, 1)}, got)
}
