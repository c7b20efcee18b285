//go:build linux || darwin

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/store/sqlite"
	"github.com/spillway/spillway/workflow"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time {
	return noon.Add(time.Duration(seconds * float64(time.Second)))
}

// stateWithRuns is a state directory with a run that succeeded in time, one
// that failed, and one that waits.
func stateWithRuns(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "spillway.db"))
	require.NoError(t, err)
	for _, r := range []workflow.Record{succeededRun(), failedRun(), waitingRun()} {
		require.NoError(t, store.Submit(t.Context(), r, nil))
	}
	require.NoError(t, store.Close())
	return dir
}

func succeededRun() workflow.Record {
	const reason = `{"chosen_because": "buying it frees 40 s at home for the least money", "considered": [
		{"target": "private", "mem_mib": null, "finish_s": 80, "cost_usd": 0, "ruled_out": ""},
		{"target": "sandbox:aws", "mem_mib": 1769, "finish_s": 41, "cost_usd": 0.001, "ruled_out": ""},
		{"target": "sandbox:gcp", "mem_mib": null, "finish_s": null, "cost_usd": 0, "ruled_out": "denied"}]}`
	return workflow.Record{
		Run: workflow.RunRecord{
			ID: "01aaa-mosaic", Workflow: "mosaic", State: workflow.RunSucceeded, Planner: "density", TimeScale: 1,
			SubmittedAt: noon, StartedAt: at(1), FinishedAt: at(44), DeadlineAt: at(46), LowerBound: pricing.USD / 2000, PlannedCost: pricing.USD / 1000,
		},
		Source: []byte("apiVersion: spillway/v1"), Filename: "mosaic.yaml",
		Items: []workflow.ItemRecord{
			{Seq: 1, At: at(2.5), Task: 1, Attempt: "a1", File: -1, Site: "sandbox:aws", Category: string(pricing.Compute), Quantity: 4, Unit: "GiB-s", Amount: pricing.USD / 10000},
			{Seq: 2, At: at(42), Task: 1, Attempt: "a2", File: -1, Site: "sandbox:aws", Category: string(pricing.Compute), Quantity: 40, Unit: "GiB-s", Amount: pricing.USD / 1000},
		},
		Tasks: []workflow.TaskRecord{
			{Index: 0, ID: "project[0]", Task: "project", State: workflow.TaskSucceeded, Attempts: 1, Site: "private", StartedAt: at(1), FinishedAt: at(41)},
			{Index: 1, ID: "project[1]", Task: "project", State: workflow.TaskSucceeded, Attempts: 2, Site: "sandbox:aws", MemoryMiB: 1769, StartedAt: at(3), FinishedAt: at(42), Reason: json.RawMessage(reason)},
		},
		Attempts: []workflow.AttemptRecord{
			{ID: "a0", Task: 0, Number: 1, State: workflow.AttemptSucceeded, Site: "private", StartedAt: at(1), FinishedAt: at(41), Command: 40 * time.Second, LogTail: "projected a\n"},
			{ID: "a1", Task: 1, Number: 1, State: workflow.AttemptFailed, Site: "sandbox:aws", MemoryMiB: 1769, StartedAt: at(1), FinishedAt: at(2.5), ExitCode: 7, Class: "task", Message: "no tile", LogTail: "no tile", Cost: pricing.USD / 10000, Cold: true},
			{ID: "a2", Task: 1, Number: 2, State: workflow.AttemptSucceeded, Site: "sandbox:aws", MemoryMiB: 1769, StartedAt: at(3), FinishedAt: at(42), Command: 39 * time.Second, LogTail: "projected b\n", Cost: pricing.USD / 1000},
		},
	}
}

func failedRun() workflow.Record {
	return workflow.Record{
		Run: workflow.RunRecord{
			ID: "01bbb-index", Workflow: "index", State: workflow.RunFailed, Reason: "task fit failed", TimeScale: 1,
			SubmittedAt: at(100), StartedAt: at(101), FinishedAt: at(130), DeadlineAt: at(160),
		},
		Source: []byte("{}"), Filename: "index.yaml",
		Tasks: []workflow.TaskRecord{{Index: 0, ID: "fit", Task: "fit", State: workflow.TaskFailed, Attempts: 1, Site: "private", StartedAt: at(101), FinishedAt: at(130), Message: "exit code 1"}},
	}
}

func waitingRun() workflow.Record {
	return workflow.Record{
		Run:    workflow.RunRecord{ID: "01bcc-index", Workflow: "index", State: workflow.RunPending, SubmittedAt: at(200), TimeScale: 1},
		Source: []byte("{}"), Filename: "index.yaml",
		Tasks: []workflow.TaskRecord{{Index: 0, ID: "fit", Task: "fit", State: workflow.TaskWaiting}},
	}
}

func TestCancelLeavesItsWish(t *testing.T) {
	dir := stateWithRuns(t)
	require.Contains(t, replay(t, "spillway cancel 01bc --state-dir "+dir, nil), "run 01bcc-index is asked to end; no engine runs it now")
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "spillway.db"))
	require.NoError(t, err)
	defer store.Close()
	wishes, err := store.Signals(t.Context(), "01bcc-index")
	require.NoError(t, err)
	require.Equal(t, engine.Signals{Cancel: true}, wishes)
}

// TestFollowPrintsUntilTheRunEnds lets an attempt end between two looks.
func TestFollowPrintsUntilTheRunEnds(t *testing.T) {
	done := succeededRun()
	running := succeededRun()
	running.Run.State, running.Attempts = workflow.RunRunning, running.Attempts[:1]
	store := &scriptedStore{answers: []workflow.Record{running, done}}
	var out, errs bytes.Buffer
	l := logPrinter{app: &app{out: &out, errs: &errs}, task: -1, seen: map[string]bool{}}
	require.NoError(t, l.follow(t.Context(), store, running))
	require.Equal(t, "projected a\nno tile\nprojected b\n", out.String())
	require.Contains(t, errs.String(), "== project[1], attempt 1 at sandbox:aws: failed (exit code 7): no tile")
}

// scriptedStore answers Load from a list, the last one for ever.
type scriptedStore struct {
	engine.Store
	answers []workflow.Record
}

func (s *scriptedStore) Load(context.Context, string) (workflow.Record, error) {
	r := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	return r, nil
}
