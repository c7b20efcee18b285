package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/workflow"
)

func testCommitReplaces(t *testing.T, s engine.Store) {
	r := record("r1", 3)
	epoch := submit(t, s, r)
	first := engine.Change{
		RunID: "r1", Epoch: epoch,
		Attempts:  []workflow.AttemptRecord{attempt(0, workflow.AttemptDispatched)},
		Transfers: []workflow.TransferRecord{{File: 0, From: "local", To: "lambda", State: workflow.TransferPending, StartedAt: noon}},
		Files:     []workflow.FileRecord{{Index: 2, Key: "k", Site: "local", Attempt: "a-0-1"}},
	}
	first.Tasks = []workflow.TaskRecord{r.Tasks[0]}
	first.Tasks[0].State = workflow.TaskRunning
	revision, err := s.Commit(t.Context(), first)
	require.NoError(t, err)
	require.EqualValues(t, 1, revision)

	second := engine.Change{
		RunID: "r1", Epoch: epoch, Revision: revision,
		Attempts:  []workflow.AttemptRecord{attempt(0, workflow.AttemptSucceeded), attempt(1, workflow.AttemptDispatched)},
		Transfers: []workflow.TransferRecord{{File: 0, From: "other", To: "lambda", State: workflow.TransferDone, Bytes: 5, FinishedAt: noon}},
		Files:     []workflow.FileRecord{{Index: 2, Key: "k2", Size: 9, Site: "lambda", Attempt: "a-0-1"}},
	}
	run := r.Run
	run.State, run.StartedAt, run.Params = workflow.RunRunning, noon, nil
	second.Run = &run
	second.Tasks = []workflow.TaskRecord{r.Tasks[1], first.Tasks[0]}
	second.Tasks[0].State, second.Tasks[1].State = workflow.TaskRunning, workflow.TaskSucceeded
	revision, err = s.Commit(t.Context(), second)
	require.NoError(t, err)
	require.EqualValues(t, 2, revision)

	got := load(t, s, "r1")
	require.Equal(t, workflow.RunRunning, got.Run.State)
	require.Equal(t, noon, got.Run.StartedAt)
	require.Nil(t, got.Run.Params)
	require.EqualValues(t, 2, got.Run.Revision)
	require.Equal(t, []workflow.TaskRecord{second.Tasks[1], second.Tasks[0], r.Tasks[2]}, got.Tasks)
	require.Equal(t, second.Attempts, got.Attempts)
	require.Equal(t, second.Transfers, got.Transfers)
	require.Equal(t, append(r.Files, second.Files...), got.Files)
}

func testCommitSameKey(t *testing.T, s engine.Store) {
	epoch := submit(t, s, record("r1", 1))
	_, err := s.Commit(t.Context(), engine.Change{
		RunID: "r1", Epoch: epoch,
		Attempts:  []workflow.AttemptRecord{attempt(0, workflow.AttemptDispatched), attempt(0, workflow.AttemptFailed)},
		Transfers: []workflow.TransferRecord{{File: 1, To: "x", Tries: 1}, {File: 1, To: "y", Tries: 2}, {File: 1, To: "x", Tries: 3}},
	})
	require.NoError(t, err)
	got := load(t, s, "r1")
	require.Equal(t, []workflow.AttemptRecord{attempt(0, workflow.AttemptFailed)}, got.Attempts)
	require.Equal(t, []workflow.TransferRecord{{File: 1, To: "x", Tries: 3}, {File: 1, To: "y", Tries: 2}}, got.Transfers)
}

func testCommitAppends(t *testing.T, s engine.Store) {
	epoch := submit(t, s, record("r1", 1))
	_, err := s.Commit(t.Context(), engine.Change{RunID: "r1", Epoch: epoch, Events: events(2, 3), Items: items(1, 2)})
	require.NoError(t, err)
	before, beforeEvents := load(t, s, "r1"), eventsOf(t, s)
	require.Equal(t, items(1, 2), before.Items)
	require.Equal(t, events(1, 4), beforeEvents)
	require.EqualValues(t, 4, before.EventSeq)

	for name, c := range map[string]engine.Change{
		"event": {Events: events(4, 1)},
		"item":  {Items: items(2, 1)},
		"twice": {Events: append(events(5, 1), events(5, 1)...)},
	} {
		c.RunID, c.Epoch, c.Revision = "r1", epoch, 1
		_, err := s.Commit(t.Context(), c)
		require.Error(t, err, name)
		require.NotErrorIs(t, err, engine.ErrStale, name)
	}
	require.Equal(t, before, load(t, s, "r1"))
	require.Equal(t, beforeEvents, eventsOf(t, s))
}

func testOutbox(t *testing.T, s engine.Store) {
	epoch := submit(t, s, record("r1", 1))
	commands := []workflow.OutboxRecord{
		{ID: 1, Kind: "start", Attempt: "a-0-1"}, {ID: 2, Kind: "transfer", File: 1, From: "local", To: "lambda"}, {ID: 3, Kind: "cancel", Attempt: "a-0-1"},
	}
	_, err := s.Commit(t.Context(), engine.Change{RunID: "r1", Epoch: epoch, Outbox: commands})
	require.NoError(t, err)
	require.Equal(t, commands, load(t, s, "r1").Outbox)
	added := workflow.OutboxRecord{ID: 4, Kind: "start", Attempt: "a-0-2"}
	_, err = s.Commit(t.Context(), engine.Change{
		RunID: "r1", Epoch: epoch, Revision: 1, Outbox: []workflow.OutboxRecord{added, {ID: 5, Kind: "cancel"}},
		OutboxDone: []int64{1, 3, 5, 99}, // 5 in the commit that adds it, 99 never was
	})
	require.NoError(t, err)
	require.Equal(t, []workflow.OutboxRecord{commands[1], added}, load(t, s, "r1").Outbox)
}

// testCommitAtomic breaks the last row of a commit that touches every table.
func testCommitAtomic(t *testing.T, s engine.Store) {
	r := record("r1", 2)
	epoch := submit(t, s, r)
	_, err := s.Commit(t.Context(), engine.Change{RunID: "r1", Epoch: epoch, Outbox: []workflow.OutboxRecord{{ID: 1, Kind: "start"}}})
	require.NoError(t, err)
	before, beforeEvents := load(t, s, "r1"), eventsOf(t, s)

	run := r.Run
	run.State = workflow.RunRunning
	c := engine.Change{
		RunID: "r1", Epoch: epoch, Revision: 1, Run: &run,
		Tasks:     []workflow.TaskRecord{{Index: 0, ID: "changed", State: workflow.TaskFailed}},
		Attempts:  []workflow.AttemptRecord{attempt(0, workflow.AttemptDispatched)},
		Files:     []workflow.FileRecord{{Index: 0, Key: "changed"}},
		Transfers: []workflow.TransferRecord{{File: 0, To: "x"}},
		Items:     items(1, 1), Events: append(events(2, 2), events(1, 1)...),
		Outbox: []workflow.OutboxRecord{{ID: 2, Kind: "start"}}, OutboxDone: []int64{1},
	}
	_, err = s.Commit(t.Context(), c)
	require.Error(t, err)
	require.Equal(t, before, load(t, s, "r1"))
	require.Equal(t, beforeEvents, eventsOf(t, s))

	c.Events = events(2, 2)
	_, err = s.Commit(t.Context(), c)
	require.NoError(t, err, "the same change without the bad row")
}

func testCommitEmpty(t *testing.T, s engine.Store) {
	epoch := submit(t, s, record("r1", 1))
	for want := int64(1); want <= 3; want++ {
		revision, err := s.Commit(t.Context(), engine.Change{RunID: "r1", Epoch: epoch, Revision: want - 1})
		require.NoError(t, err)
		require.Equal(t, want, revision)
	}
	require.EqualValues(t, 3, load(t, s, "r1").Run.Revision)
}

func testStaleRevision(t *testing.T, s engine.Store) {
	epoch := submit(t, s, record("r1", 1))
	_, err := s.Commit(t.Context(), engine.Change{RunID: "r1", Epoch: epoch})
	require.NoError(t, err)
	before := load(t, s, "r1")
	for _, revision := range []int64{-1, 0, 2} {
		_, err := s.Commit(t.Context(), engine.Change{
			RunID: "r1", Epoch: epoch, Revision: revision, Events: events(2, 1),
			Tasks: []workflow.TaskRecord{{Index: 0, ID: "changed"}},
		})
		require.ErrorIs(t, err, engine.ErrStale)
	}
	require.Equal(t, before, load(t, s, "r1"))
}

// testStaleEpoch is two engines: the second takes over when the lease of the first has ended.
func testStaleEpoch(t *testing.T, s engine.Store) {
	first := submit(t, s, record("r1", 1))
	later := noon.Add(2 * time.Hour)
	second, err := s.Lease(t.Context(), "r1", "second", later, later.Add(time.Minute))
	require.NoError(t, err)
	before := load(t, s, "r1")

	late := engine.Change{RunID: "r1", Epoch: first, Events: events(2, 1), Attempts: []workflow.AttemptRecord{attempt(0, workflow.AttemptDispatched)}}
	_, err = s.Commit(t.Context(), late)
	require.ErrorIs(t, err, engine.ErrStale)
	require.ErrorIs(t, s.Renew(t.Context(), "r1", first, later), engine.ErrStale)
	require.ErrorIs(t, s.Release(t.Context(), "r1", first), engine.ErrStale)
	require.Equal(t, before, load(t, s, "r1"))

	_, err = s.Commit(t.Context(), engine.Change{RunID: "r1", Epoch: second, Events: events(2, 1)})
	require.NoError(t, err)
}

func testStoreOwned(t *testing.T, s engine.Store) {
	r := record("r1", 1)
	r.Run.Revision, r.Run.Epoch, r.Run.LeaseOwner, r.Run.CancelRequested = 9, 9, "nobody", true
	epoch := submit(t, s, r)
	require.EqualValues(t, 1, epoch, "a new run has had no lease")
	require.NoError(t, s.Signal(t.Context(), "r1", engine.Signals{Cancel: true}))
	before := load(t, s, "r1").Run
	require.True(t, before.CancelRequested)
	require.Equal(t, "owner", before.LeaseOwner)
	require.Equal(t, noon.Add(time.Hour), before.LeaseUntil)

	run := before
	run.Revision, run.Epoch, run.CancelRequested, run.LeaseOwner, run.LeaseUntil = 40, 50, false, "thief", time.Time{}
	run.ID = "r2"
	_, err := s.Commit(t.Context(), engine.Change{RunID: "r1", Epoch: epoch, Run: &run})
	require.NoError(t, err)
	before.Revision = 1
	require.Equal(t, before, load(t, s, "r1").Run)
}

func testCommitRace(t *testing.T, s engine.Store) {
	const racers, rounds = 4, 10
	epoch := submit(t, s, record("r1", 1))
	for round := range int64(rounds) {
		errs := make([]error, racers)
		var wg sync.WaitGroup
		for i := range racers {
			wg.Go(func() {
				_, errs[i] = s.Commit(t.Context(), engine.Change{RunID: "r1", Epoch: epoch, Revision: round, Events: events(2+round, 1)})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			require.ErrorIs(t, err, engine.ErrStale)
		}
		require.Equal(t, 1, won)
	}
	require.Equal(t, events(1, rounds+1), eventsOf(t, s))
}

func testCommitParallel(t *testing.T, s engine.Store) {
	const runs, commits = 6, 15
	var wg sync.WaitGroup
	for i := range runs {
		wg.Go(func() {
			id := fmt.Sprintf("r%d", i)
			r := record(id, commits)
			r.Source = []byte("name: shared\n")
			if err := s.Submit(t.Context(), r, nil); err != nil {
				t.Errorf("%s: %v", id, err)
				return
			}
			for n := range int64(commits) {
				_, err := s.Commit(t.Context(), engine.Change{
					RunID: id, Revision: n, Events: events(n+1, 1), Items: items(n+1, 1),
					Tasks: []workflow.TaskRecord{{Index: int(n), ID: "t", Task: id, State: workflow.TaskSucceeded}},
				})
				if err != nil {
					t.Errorf("%s, commit %d: %v", id, n, err)
				}
			}
		})
	}
	wg.Wait()
	for i := range runs {
		got := load(t, s, fmt.Sprintf("r%d", i))
		require.EqualValues(t, commits, got.Run.Revision)
		require.Equal(t, items(1, commits), got.Items)
		for _, task := range got.Tasks {
			require.Equal(t, got.Run.ID, task.Task)
		}
	}
}
