package storetest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/workflow"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

// record is a run of tasks and two files, nothing of which has begun.
func record(id string, tasks int) workflow.Record {
	r := workflow.Record{
		Run: workflow.RunRecord{
			ID: id, Project: "default", Workflow: "etl", State: workflow.RunPending,
			SubmittedAt: noon, Planner: "dato", Seed: 7, TimeScale: 1, Params: json.RawMessage(`{"n": 1}`),
		},
		Source: []byte("name: etl\n"), Filename: "etl.yaml",
		Files: []workflow.FileRecord{
			{Index: 0, Key: "ab/cd", SHA256: "abcd", Size: 10, Site: "local"},
			{Index: 1, Key: "ab/ce", SHA256: "abce", Size: 11, Site: "local", Value: json.RawMessage(`[1, 2]`)},
		},
	}
	for i := range tasks {
		r.Tasks = append(r.Tasks, workflow.TaskRecord{
			Index: i, ID: fmt.Sprintf("work[%d]", i), Task: "work", State: workflow.TaskWaiting, Order: i,
			Reason: json.RawMessage(`{"site": "local"}`),
		})
	}
	return r
}

// attempt is a first attempt of a task.
func attempt(task int, state workflow.AttemptState) workflow.AttemptRecord {
	return workflow.AttemptRecord{
		ID: fmt.Sprintf("a-%d-1", task), Task: task, Number: 1, State: state, Site: "local", Node: task % 4, Cores: 1,
		Timeout: time.Minute, DispatchedAt: noon, StartedAt: noon.Add(time.Second),
	}
}

// events are n events from seq on.
func events(seq int64, n int) []workflow.EventRecord {
	all := make([]workflow.EventRecord, n)
	for i := range all {
		all[i] = workflow.EventRecord{Seq: seq + int64(i), At: noon, Kind: "tick", Task: -1, Data: json.RawMessage(`{"a":"b"}`)}
	}
	return all
}

func items(seq int64, n int) []workflow.ItemRecord {
	all := make([]workflow.ItemRecord, n)
	for i := range all {
		all[i] = workflow.ItemRecord{
			Seq: seq + int64(i), At: noon, Task: 0, Attempt: "a-0-1", File: -1, Site: "lambda", Category: "compute",
			Quantity: 0.1 + float64(seq) + float64(i), Unit: "GB-s", UnitPrice: 16_666_667, Amount: 1_666_667,
		}
	}
	return all
}

// submit keeps a run with one event and leases it for an hour.
func submit(t testing.TB, s engine.Store, r workflow.Record) (epoch int64) {
	t.Helper()
	require.NoError(t, s.Submit(t.Context(), r, events(1, 1)))
	epoch, err := s.Lease(t.Context(), r.Run.ID, "owner", noon, noon.Add(time.Hour))
	require.NoError(t, err)
	return epoch
}

func load(t testing.TB, s engine.Store, run string) workflow.Record {
	t.Helper()
	r, err := s.Load(t.Context(), run)
	require.NoError(t, err)
	return r
}

// eventsOf is the whole history of run r1.
func eventsOf(t testing.TB, s engine.Store) []workflow.EventRecord {
	t.Helper()
	all, err := s.Events(t.Context(), "r1", 0, 1_000_000)
	require.NoError(t, err)
	return all
}

// same compares long lists without drawing the difference, which takes minutes for thousands of rows.
func same[T any](t testing.TB, want, got []T) {
	t.Helper()
	require.Equal(t, len(want), len(got))
	for i := range want {
		if !reflect.DeepEqual(want[i], got[i]) {
			require.Equal(t, want[i], got[i], "row %d", i)
		}
	}
}
