package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/internal/clock"
	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/providers"
	"github.com/spillway/spillway/store/sqlite"
	"github.com/spillway/spillway/workflow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeSites executes attempts by sleeping: a second each, unless a test says otherwise. Like real sites it
// leaves a manifest behind, and what runs at the cloud runs on when nobody listens any more.
type fakeSites struct {
	execute func(ctx context.Context, o engine.Order) (providers.Result, bool) // false: as usual

	mu        sync.Mutex
	manifests map[string]*envelope.Manifest
	begun     map[string]int
	bad       error // what Manifest answers
}

func (f *fakeSites) Execute(ctx context.Context, o engine.Order, started func(time.Time)) providers.Result {
	f.mu.Lock()
	f.begun[o.Attempt.ID]++
	f.mu.Unlock()
	started(clock.Real{}.Now())
	if f.execute != nil {
		if r, ok := f.execute(ctx, o); ok {
			return r
		}
	}
	from := clock.Real{}.Now()
	public := o.Attempt.Site != engine.PrivateSite
	if public {
		ctx = context.WithoutCancel(ctx)
	}
	if !pause(ctx, time.Second) {
		return providers.Result{Err: &providers.Error{Class: providers.Canceled, Message: "stopped"}}
	}
	m := &envelope.Manifest{Attempt: o.Attempt.ID, StartedAt: from.UnixMicro(),
		FinishedAt: from.Add(time.Second).UnixMicro()}
	for _, out := range o.Outputs {
		m.Outputs = append(m.Outputs, envelope.Stored{Path: out.Path, Key: o.Attempt.ID, SHA256: "ab", Size: 1,
			Value: []byte("[1,2]")})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.manifests[o.Attempt.ID] = m
	return providers.Result{Manifest: m, Usage: providers.Usage{Executed: public, MemoryMiB: o.Attempt.MemoryMiB}}
}

func (f *fakeSites) Transfer(context.Context, engine.Move) (int64, error) { return 100, nil }

func (f *fakeSites) Manifest(_ context.Context, _ string, a workflow.AttemptRecord) (*envelope.Manifest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.manifests[a.ID], f.bad
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// house is a store with one run in it, and what runners of it share.
type house struct {
	t     *testing.T
	store engine.Store
	sites *fakeSites
	cat   engine.Catalogue
}

// inHouse runs a test under a clock that jumps to the next alarm when every goroutine waits.
func inHouse(t *testing.T, definition string, test func(h *house)) {
	path := filepath.Join(t.TempDir(), "runs.db")
	synctest.Test(t, func(t *testing.T) {
		store, err := sqlite.Open(t.Context(), path)
		require.NoError(t, err)
		defer func() { require.NoError(t, store.Close()) }()
		sites := &fakeSites{manifests: map[string]*envelope.Manifest{}, begun: map[string]int{}}
		h := &house{t: t, store: store, sites: sites}
		h.cat = engine.Catalogue{Sites: []engine.Site{
			{Name: engine.PrivateSite, Takes: workflow.LabelPrivate, Nodes: []engine.Node{{Cores: 2, MemoryMiB: 4096}}},
			{Name: "cloud", Quota: 8, Takes: workflow.LabelInternal, Rates: pricing.Rates{PerRequest: 0.001, PerGiBSecond: 0.01},
				Offerings: []engine.Offering{{MemoryMiB: 1024, MaxDuration: time.Minute}}},
		}}
		h.submit(definition)
		test(h)
	})
}

func (h *house) submit(definition string) {
	source := []byte("apiVersion: spillway/v1\nname: w\n" + definition)
	spec, err := workflow.Parse("w.yaml", source)
	require.NoError(h.t, err)
	g, err := workflow.Expand(spec, nil)
	require.NoError(h.t, err)
	run := workflow.RunRecord{ID: "r", Workflow: "w", SubmittedAt: clock.Real{}.Now(), TimeScale: 1}
	if spec.Budget != nil {
		run.BudgetMax = pricing.Money(spec.Budget.MaxPicoUSD)
	}
	require.NoError(h.t, engine.Submit(h.t.Context(), h.store,
		engine.Submission{Run: run, Source: source, Filename: "w.yaml", Graph: g}))
}

// runner puts tasks whose id begins with c at the cloud.
func (h *house) runner(owner string) *engine.Runner {
	return &engine.Runner{Store: h.store, Dispatcher: h.sites, Catalogue: h.cat, Clock: clock.Real{}, Owner: owner,
		Log: slog.New(slog.DiscardHandler), Plan: func(s *engine.State, why string, now time.Time) (engine.Plan, error) {
			p := engine.Plan{Planner: "test", Why: why, Finish: now.Add(time.Minute),
				Placements: make([]engine.Placement, len(s.Graph.Instances))}
			for i := range p.Placements {
				p.Placements[i].Order = i
				if strings.HasPrefix(s.Task(i).Task, "c") {
					p.Placements[i].Site, p.Placements[i].MemoryMiB = 1, 1024
					p.Placements[i].Cost = int64(pricing.USD) / 100
				}
			}
			return p, nil
		}}
}

func (h *house) record() workflow.Record {
	rec, err := h.store.Load(h.t.Context(), "r")
	require.NoError(h.t, err)
	return rec
}

// requireDone demands a run that succeeded, each task once, with nothing left over.
func (h *house) requireDone(run workflow.RunRecord, err error) workflow.Record {
	h.t.Helper()
	require.NoError(h.t, err)
	require.Equal(h.t, workflow.RunSucceeded, run.State, run.Reason)
	rec := h.record()
	require.Equal(h.t, workflow.RunSucceeded, rec.Run.State)
	require.Empty(h.t, rec.Outbox)
	require.Empty(h.t, rec.Run.LeaseOwner)
	succeeded := map[int]int{}
	var items, costs pricing.Money
	for _, a := range rec.Attempts {
		require.True(h.t, a.State.Terminal(), a.ID)
		if a.State == workflow.AttemptSucceeded {
			succeeded[a.Task]++
		}
		costs += a.Cost
	}
	for _, it := range rec.Items {
		items += it.Amount
	}
	for _, tr := range rec.Transfers {
		costs += tr.Cost
	}
	require.Equal(h.t, costs, items)
	for _, task := range rec.Tasks {
		require.Equal(h.t, workflow.TaskSucceeded, task.State, task.ID)
		require.Equal(h.t, 1, succeeded[task.Index], task.ID)
	}
	return rec
}

const mixed = `
tasks:
  a: {run: "true", outputs: [{path: out, name: out, value: json}], retry: {max: 3, base: 1s}}
  b: {run: "true", inputs: [{from: a}], foreach: [1, 2, 3], retry: {max: 3, base: 1s}}
  c: {run: "true", inputs: [{from: a}], foreach: "${{ tasks.a.outputs.out }}", estimate: {count: 1},
      outputs: [{path: out}], timeout: 20s}
`

func TestRunnerRunsToTheEnd(t *testing.T) {
	inHouse(t, mixed, func(h *house) {
		rec := h.requireDone(h.runner("one").Run(h.t.Context(), "r"))
		require.Len(h.t, rec.Attempts, 6)
		require.Len(h.t, rec.Transfers, 3) // a's file to the cloud once, two results home
		for id, n := range h.sites.begun {
			require.Equal(h.t, 1, n, id)
		}
		again, err := h.runner("one").Run(h.t.Context(), "r")
		require.NoError(h.t, err, "a run that has ended is left alone")
		require.Equal(h.t, rec.Run.FinishedAt, again.FinishedAt)
		require.Equal(h.t, rec.Run.Revision, h.record().Run.Revision)
	})
}

// start lets a runner go on its own; what comes back waits for its end.
func start(ctx context.Context, r *engine.Runner) (end func() (workflow.RunRecord, error)) {
	type result struct {
		run workflow.RunRecord
		err error
	}
	done := make(chan result, 1)
	go func() {
		run, err := r.Run(ctx, "r")
		done <- result{run, err}
	}()
	return func() (workflow.RunRecord, error) {
		d := <-done
		return d.run, d.err
	}
}

// badStore answers commits wrongly, as a test says.
type badStore struct {
	engine.Store
	commits int
	commit  func(n int, c engine.Change, commit func() (int64, error)) (int64, error)
	renew   func() error
}

func (s *badStore) Commit(ctx context.Context, c engine.Change) (int64, error) {
	s.commits++
	if s.commit == nil {
		return s.Store.Commit(ctx, c)
	}
	return s.commit(s.commits, c, func() (int64, error) { return s.Store.Commit(ctx, c) })
}

func (s *badStore) Renew(ctx context.Context, run string, epoch int64, until time.Time) error {
	if s.renew != nil {
		if err := s.renew(); err != nil {
			return err
		}
	}
	return s.Store.Renew(ctx, run, epoch, until)
}

var errAway = errors.New("the store is away")

func TestRunnerTriesACommitAgain(t *testing.T) {
	for n := 1; n <= 6; n++ {
		t.Run(fmt.Sprint("commit ", n), func(t *testing.T) {
			inHouse(t, mixed, func(h *house) {
				bad := &badStore{Store: h.store, commit: func(k int, _ engine.Change, commit func() (int64, error)) (int64, error) {
					if k >= n && k < n+3 {
						return 0, errAway
					}
					return commit()
				}}
				h.store = bad
				h.requireDone(h.runner("one").Run(h.t.Context(), "r"))
				for id, begun := range h.sites.begun {
					require.Equal(h.t, 1, begun, id)
				}
			})
		})
	}
}

func TestRunnerKnowsItsOwnCommitAfterALostAnswer(t *testing.T) {
	for n := 1; n <= 6; n++ {
		t.Run(fmt.Sprint("commit ", n), func(t *testing.T) {
			inHouse(t, mixed, func(h *house) {
				bad := &badStore{Store: h.store, commit: func(k int, _ engine.Change, commit func() (int64, error)) (int64, error) {
					rev, err := commit()
					if k == n {
						return 0, errAway
					}
					return rev, err
				}}
				h.store = bad
				rec := h.requireDone(h.runner("one").Run(h.t.Context(), "r"))
				require.EqualValues(h.t, 1, rec.Run.Epoch, "it did not have to load the run again")
				for id, begun := range h.sites.begun {
					require.Equal(h.t, 1, begun, id)
				}
			})
		})
	}
}

func TestRunnerLoadsARunAgainThatChangedUnderIt(t *testing.T) {
	for n := 1; n <= 6; n++ {
		t.Run(fmt.Sprint("commit ", n), func(t *testing.T) {
			inHouse(t, mixed, func(h *house) {
				real := h.store
				h.store = &badStore{Store: real, commit: func(k int, _ engine.Change, commit func() (int64, error)) (int64, error) {
					if k == n {
						now := clock.Real{}.Now()
						_, err := real.Lease(h.t.Context(), "r", "one", now, now.Add(time.Second))
						require.NoError(h.t, err)
					}
					return commit()
				}}
				rec := h.requireDone(h.runner("one").Run(h.t.Context(), "r"))
				require.EqualValues(h.t, 3, rec.Run.Epoch)
			})
		})
	}
}

func TestRunnerThatLosesItsLeaseStops(t *testing.T) {
	inHouse(t, mixed, func(h *house) {
		frozen := make(chan struct{})
		h.store = &badStore{Store: h.store, renew: func() error { <-frozen; return nil }}
		first, second := h.runner("one"), h.runner("two")
		first.LeaseFor = 900 * time.Millisecond
		second.Store = h.store.(*badStore).Store
		lost := start(h.t.Context(), first)
		require.True(h.t, pause(h.t.Context(), 500*time.Millisecond))
		_, err := second.Run(h.t.Context(), "r")
		require.ErrorIs(h.t, err, engine.ErrLeased)
		require.True(h.t, pause(h.t.Context(), 500*time.Millisecond))
		end := start(h.t.Context(), second)
		require.True(h.t, pause(h.t.Context(), 100*time.Millisecond))
		close(frozen)
		_, err = lost()
		require.ErrorIs(h.t, err, engine.ErrLeased, "the other engine holds it now")
		h.requireDone(end())
	})
}

// An engine that has lost its lease ends its attempts when it wants to renew it, not only when one of them has
// ended by itself.
func TestRunnerThatCannotRenewStops(t *testing.T) {
	inHouse(t, "tasks:\n  a: {run: \"true\"}\n", func(h *house) {
		stopped := false
		h.sites.execute = func(ctx context.Context, _ engine.Order) (providers.Result, bool) {
			stopped = !pause(ctx, time.Hour)
			return providers.Result{}, true
		}
		end := start(h.t.Context(), h.runner("one"))
		require.True(h.t, pause(h.t.Context(), time.Second))
		require.NoError(h.t, h.store.Release(h.t.Context(), "r", 1))
		now := clock.Real{}.Now()
		_, err := h.store.Lease(h.t.Context(), "r", "two", now, now.Add(time.Hour))
		require.NoError(h.t, err)
		_, err = end()
		require.ErrorIs(h.t, err, engine.ErrLeased)
		require.True(h.t, stopped)
		require.Less(h.t, time.Since(now), 15*time.Second)
	})
}

func TestRunnerHearsACancel(t *testing.T) {
	inHouse(t, mixed, func(h *house) {
		time.AfterFunc(300*time.Millisecond, func() {
			_ = h.store.Signal(h.t.Context(), "r", engine.Signals{Cancel: true})
		})
		began := time.Now()
		run, err := h.runner("one").Run(h.t.Context(), "r")
		require.NoError(h.t, err)
		require.Equal(h.t, workflow.RunCancelled, run.State)
		require.Less(h.t, time.Since(began), time.Second, "the attempt was stopped, not waited for")
		require.Len(h.t, h.sites.begun, 1)
	})
}

func TestRunnerStoppedAtAnyTimeIsFollowedByAnother(t *testing.T) {
	for ms := 50; ms < 3000; ms += 250 {
		t.Run(fmt.Sprint(ms, " ms"), func(t *testing.T) {
			inHouse(t, mixed, func(h *house) {
				ctx, stop := context.WithTimeout(h.t.Context(), time.Duration(ms)*time.Millisecond)
				defer stop()
				_, err := h.runner("one").Run(ctx, "r")
				require.ErrorIs(h.t, err, context.DeadlineExceeded)
				run, err := h.runner("two").Run(h.t.Context(), "r") // at once: the lease was handed back
				rec := h.requireDone(run, err)
				for _, a := range rec.Attempts {
					if a.Site == "cloud" {
						require.Equal(h.t, workflow.AttemptSucceeded, a.State, "a function runs on, and its manifest is found")
					}
				}
			})
		})
	}
}

func TestRunnerWritesBeginningsTogether(t *testing.T) {
	inHouse(t, "tasks:\n  c: {run: \"true\", foreach: [1, 2, 3, 4, 5, 6]}\n", func(h *house) {
		bad := &badStore{Store: h.store}
		h.store = bad
		h.sites.execute = func(ctx context.Context, _ engine.Order) (providers.Result, bool) {
			return providers.Result{}, !pause(ctx, 10*time.Second)
		}
		end := start(h.t.Context(), h.runner("one"))
		require.True(h.t, pause(h.t.Context(), time.Second))
		synctest.Wait()
		require.LessOrEqual(h.t, bad.commits, 3, "six beginnings share a commit")
		for _, a := range h.record().Attempts {
			require.Equal(h.t, workflow.AttemptRunning, a.State)
		}
		h.requireDone(end())
	})
}

func TestRunnerGoesOnWithAHeldRun(t *testing.T) {
	inHouse(t, "budget: {max: 0.005 USD}\ntasks:\n  a: {run: \"true\"}\n  c: {run: \"true\"}\n", func(h *house) {
		run, err := h.runner("one").Run(h.t.Context(), "r")
		require.NoError(h.t, err)
		require.Equal(h.t, workflow.RunHeld, run.State)
		require.Contains(h.t, run.Reason, "task c would exceed $0.005")
		run, err = h.runner("one").Run(h.t.Context(), "r")
		require.NoError(h.t, err)
		require.Equal(h.t, workflow.RunHeld, run.State, "nobody has given it money")
		require.NoError(h.t, h.store.Signal(h.t.Context(), "r", engine.Signals{BudgetMax: int64(pricing.USD)}))
		h.requireDone(h.runner("two").Run(h.t.Context(), "r"))
	})
}

func noAnswer() providers.Result {
	return providers.Result{Err: &providers.Error{Class: providers.UnknownOutcome, Message: "cut"}}
}

// The answer of a function is lost and it leaves nothing behind: when its time is over it is billed in full, as
// an estimate, and tried again.
func TestRunnerGivesAFunctionUpAfterItsTime(t *testing.T) {
	inHouse(t, "tasks:\n  c: {run: \"true\", timeout: 20s, retry: {max: 0}}\n", func(h *house) {
		h.sites.execute = func(_ context.Context, o engine.Order) (providers.Result, bool) {
			return noAnswer(), o.Attempt.Number == 1
		}
		began := time.Now()
		rec := h.requireDone(h.runner("one").Run(h.t.Context(), "r"))
		require.Greater(h.t, time.Since(began), 22*time.Second)
		require.Len(h.t, rec.Attempts, 2)
		require.True(h.t, rec.Attempts[0].Estimated)
		require.Equal(h.t, 20*time.Second, rec.Attempts[0].Billed)
	})
}

func TestRunnerDoesNotWaitForAManifestThatIsBad(t *testing.T) {
	inHouse(t, "tasks:\n  c: {run: \"true\", retry: {max: 1, base: 1s}}\n", func(h *house) {
		h.sites.execute = func(context.Context, engine.Order) (providers.Result, bool) {
			return noAnswer(), true
		}
		h.sites.bad = &providers.Error{Class: providers.FunctionError, Message: "names another attempt"}
		run, err := h.runner("one").Run(h.t.Context(), "r")
		require.NoError(h.t, err)
		require.Equal(h.t, workflow.RunFailed, run.State)
		require.Contains(h.t, run.Reason, "names another attempt")
		require.True(h.t, h.record().Attempts[0].Estimated, "it may have run for as long as it could")
	})
}

// A store of objects that is away is no answer: the engine asks until it is back.
func TestRunnerWaitsForAManifestWhileTheStoreIsAway(t *testing.T) {
	inHouse(t, "tasks:\n  c: {run: \"true\", timeout: 5s}\n", func(h *house) {
		h.sites.bad = errAway
		h.sites.execute = func(_ context.Context, o engine.Order) (providers.Result, bool) {
			h.sites.mu.Lock()
			defer h.sites.mu.Unlock()
			h.sites.manifests[o.Attempt.ID] = &envelope.Manifest{Attempt: o.Attempt.ID, FinishedAt: 2_000_000}
			return noAnswer(), true
		}
		time.AfterFunc(time.Hour, func() {
			h.sites.mu.Lock()
			defer h.sites.mu.Unlock()
			h.sites.bad = nil
		})
		rec := h.requireDone(h.runner("one").Run(h.t.Context(), "r"))
		require.Len(h.t, rec.Attempts, 1)
		require.Equal(h.t, 2*time.Second, rec.Attempts[0].Billed)
	})
}

func TestRunnerRefusesARunOfOtherSites(t *testing.T) {
	inHouse(t, mixed, func(h *house) {
		ctx, stop := context.WithTimeout(h.t.Context(), 1500*time.Millisecond)
		defer stop()
		_, err := h.runner("one").Run(ctx, "r")
		require.Error(h.t, err)
		other := h.runner("two")
		other.Catalogue = engine.Catalogue{Sites: h.cat.Sites[:1]}
		_, err = other.Run(h.t.Context(), "r")
		require.ErrorContains(h.t, err, "cloud")
		require.ErrorContains(h.t, err, "is not configured")
		require.Empty(h.t, h.record().Run.LeaseOwner, "the lease was handed back")
		h.requireDone(h.runner("one").Run(h.t.Context(), "r"))
	})
}
