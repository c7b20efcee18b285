// Package storetest holds the one suite that every engine.Store passes. What it does not test, no engine may
// rely on.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/engine"
)

// Open gives a new, empty store. It registers the store's end with Cleanup.
type Open func(t testing.TB) engine.Store

// Run tests a store.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*testing.T, engine.Store)
	}{
		{"submit and load give back every field", testSubmit},
		{"submit again changes nothing", testSubmitTwice},
		{"a submit with a bad row keeps nothing", testSubmitAtomic},
		{"an unknown run is not found", testNotFound},
		{"a commit replaces by key", testCommitReplaces},
		{"the later of two rows with one key stays", testCommitSameKey},
		{"a commit appends and never replaces", testCommitAppends},
		{"a command settled is gone", testOutbox},
		{"a commit with a bad row writes nothing", testCommitAtomic},
		{"an empty commit counts", testCommitEmpty},
		{"a stale revision writes nothing", testStaleRevision},
		{"a stale epoch writes nothing", testStaleEpoch},
		{"a change cannot touch what is the store's", testStoreOwned},
		{"one of two racing commits wins", testCommitRace},
		{"commits of different runs do not disturb each other", testCommitParallel},
		{"a lease keeps others out until it ends", testLease},
		{"a lease is renewed and released", testRenew},
		{"one of many owners gets the lease", testLeaseRace},
		{"a signal is kept and leaves the revision alone", testSignal},
		{"runs are listed newest first and filtered", testRuns},
		{"events are read in pages", testEvents},
		{"history holds the newest samples", testHistory},
		{"any text is kept", testText},
		{"instants keep their microseconds", testInstants},
		{"definitions are kept as submitted", testSource},
		{"10,000 tasks", testLarge},
		{"a context that has ended writes nothing", testContext},
		{"random changes act as a model in memory", testModel},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// Reopen tests that what a store kept is there for the next one that opens the same data.
func Reopen(t *testing.T, open func(testing.TB) engine.Store) {
	s := open(t)
	r := record("r1", 3)
	epoch := submit(t, s, r)
	_, err := s.Commit(t.Context(), engine.Change{RunID: "r1", Epoch: epoch, Tasks: r.Tasks[:1]})
	require.NoError(t, err)
	want := load(t, s, "r1")
	require.NoError(t, s.Close())
	require.Equal(t, want, load(t, open(t), "r1"))
}

func testNotFound(t *testing.T, s engine.Store) {
	ctx := t.Context()
	calls := map[string]func() error{
		"load":    func() error { _, err := s.Load(ctx, "none"); return err },
		"commit":  func() error { _, err := s.Commit(ctx, engine.Change{RunID: "none"}); return err },
		"lease":   func() error { _, err := s.Lease(ctx, "none", "a", noon, noon.Add(time.Minute)); return err },
		"renew":   func() error { return s.Renew(ctx, "none", 1, noon) },
		"release": func() error { return s.Release(ctx, "none", 1) },
		"signal":  func() error { return s.Signal(ctx, "none", engine.Signals{Cancel: true}) },
		"signals": func() error { _, err := s.Signals(ctx, "none"); return err },
		"events":  func() error { _, err := s.Events(ctx, "none", 0, 10); return err },
	}
	for name, call := range calls {
		require.ErrorIs(t, call(), engine.ErrNotFound, name)
	}
	runs, err := s.Runs(ctx, engine.RunFilter{})
	require.NoError(t, err)
	require.Empty(t, runs)
	samples, err := s.History(ctx, "none", 10)
	require.NoError(t, err)
	require.Empty(t, samples)
}

func testContext(t *testing.T, s engine.Store) {
	epoch := submit(t, s, record("r1", 2))
	before := load(t, s, "r1")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Commit(ended, engine.Change{RunID: "r1", Epoch: epoch, Events: events(2, 1)})
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Load(ended, "r1")
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, before, load(t, s, "r1"))
	_, err = s.Commit(t.Context(), engine.Change{RunID: "r1", Epoch: epoch, Events: events(2, 1)})
	require.NoError(t, err, "the store goes on")
}
