package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/engine"
)

func testLease(t *testing.T, s engine.Store) {
	ctx, until := t.Context(), noon.Add(time.Minute)
	require.NoError(t, s.Submit(ctx, record("r1", 1), nil))
	epoch, err := s.Lease(ctx, "r1", "a", noon, until)
	require.NoError(t, err)
	require.EqualValues(t, 1, epoch)

	_, err = s.Lease(ctx, "r1", "b", until.Add(-time.Microsecond), until.Add(time.Hour))
	require.ErrorIs(t, err, engine.ErrLeased)
	run := load(t, s, "r1").Run
	require.Equal(t, "a", run.LeaseOwner)
	require.Equal(t, until, run.LeaseUntil)
	require.EqualValues(t, 1, run.Epoch)

	epoch, err = s.Lease(ctx, "r1", "a", noon, until)
	require.NoError(t, err, "an owner that starts again gets its own run")
	require.EqualValues(t, 2, epoch, "and fences what it was before")

	epoch, err = s.Lease(ctx, "r1", "b", until, until.Add(time.Hour))
	require.NoError(t, err, "a lease that has ended keeps nobody out")
	require.EqualValues(t, 3, epoch)
	run = load(t, s, "r1").Run
	require.Equal(t, "b", run.LeaseOwner)
	require.Zero(t, run.Revision, "a lease is no commit")
}

func testRenew(t *testing.T, s engine.Store) {
	ctx, until := t.Context(), noon.Add(time.Minute)
	require.NoError(t, s.Submit(ctx, record("r1", 1), nil))
	require.ErrorIs(t, s.Renew(ctx, "r1", 0, until), engine.ErrStale, "nobody has leased it")
	epoch, err := s.Lease(ctx, "r1", "a", noon, until)
	require.NoError(t, err)
	require.NoError(t, s.Renew(ctx, "r1", epoch, until.Add(time.Minute)))
	require.Equal(t, until.Add(time.Minute), load(t, s, "r1").Run.LeaseUntil)
	_, err = s.Lease(ctx, "r1", "b", until, until.Add(time.Minute))
	require.ErrorIs(t, err, engine.ErrLeased)

	require.ErrorIs(t, s.Release(ctx, "r1", epoch+1), engine.ErrStale)
	require.NoError(t, s.Release(ctx, "r1", epoch))
	run := load(t, s, "r1").Run
	require.Empty(t, run.LeaseOwner)
	require.True(t, run.LeaseUntil.IsZero())
	require.ErrorIs(t, s.Renew(ctx, "r1", epoch, until), engine.ErrStale, "what was released is not renewed")
	next, err := s.Lease(ctx, "r1", "b", noon, until)
	require.NoError(t, err, "a released run can be had at once")
	require.Equal(t, epoch+1, next)
}

func testLeaseRace(t *testing.T, s engine.Store) {
	const owners = 6
	require.NoError(t, s.Submit(t.Context(), record("r1", 1), nil))
	errs := make([]error, owners)
	var wg sync.WaitGroup
	for i := range owners {
		wg.Go(func() {
			_, errs[i] = s.Lease(t.Context(), "r1", fmt.Sprint("owner", i), noon, noon.Add(time.Minute))
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		require.ErrorIs(t, err, engine.ErrLeased)
	}
	require.Equal(t, 1, won)
	require.EqualValues(t, 1, load(t, s, "r1").Run.Epoch)
}

func testSignal(t *testing.T, s engine.Store) {
	ctx := t.Context()
	r := record("r1", 1)
	r.Run.BudgetMax = 5
	epoch := submit(t, s, r)
	read := func() engine.Signals {
		t.Helper()
		wish, err := s.Signals(ctx, "r1")
		require.NoError(t, err)
		return wish
	}
	require.Zero(t, read())
	require.NoError(t, s.Signal(ctx, "r1", engine.Signals{BudgetMax: 900}))
	require.Equal(t, engine.Signals{BudgetMax: 900}, read())
	require.NoError(t, s.Signal(ctx, "r1", engine.Signals{Cancel: true}))
	require.Equal(t, engine.Signals{Cancel: true, BudgetMax: 900}, read(), "a wish is added to earlier ones")
	require.NoError(t, s.Signal(ctx, "r1", engine.Signals{BudgetMax: 901}))
	require.Equal(t, engine.Signals{Cancel: true, BudgetMax: 901}, read())
	run := load(t, s, "r1").Run
	require.True(t, run.CancelRequested)
	require.EqualValues(t, 5, run.BudgetMax, "the budget of the run is the engine's to change")
	_, err := s.Commit(ctx, engine.Change{RunID: "r1", Epoch: epoch, Run: &r.Run})
	require.NoError(t, err, "a signal makes no commit stale")
	require.Equal(t, engine.Signals{Cancel: true, BudgetMax: 901}, read())
}
