// Package providertest is the conformance suite of cloud adapters: what the engine relies on, tried on a real
// service through the adapter, with a proxy between them that loses answers.
package providertest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/providers"
)

// Target is an adapter with the service behind it, where spillway-runner is deployed with memory size MemoryMiB
// and no other.
type Target struct {
	Address  string                                                // host:port of the service
	Connect  func(t *testing.T, address string) providers.Executor // the adapter on the service at an address
	Intruder func(t *testing.T) providers.Executor                 // with credentials that are not valid
	Store    Store                                                 // the site's objects, as functions reach them
	Ledger   func(ctx context.Context, run string) ([]Bill, error) // the service's own bill; nil: it shows none

	MemoryMiB int
	Limit     time.Duration // the functions' time limit: a few seconds
	Quota     int           // concurrent invocations
}

// Store is the site's object store.
type Store interface {
	Put(ctx context.Context, key string, data []byte) error
	Get(ctx context.Context, key string) ([]byte, error)
	Sign(ctx context.Context, method, key string, ttl time.Duration) (string, error)
}

// Bill is one accepted invocation in the service's own books.
type Bill struct {
	Attempt   string
	RequestID string
	Billed    time.Duration
	Running   bool
}

// Run runs the suite.
func Run(t *testing.T, target Target) {
	for _, c := range []struct {
		name string
		test func(*suite)
	}{
		{"Offerings", (*suite).offerings},
		{"Succeeds", (*suite).succeeds},
		{"CommandFails", (*suite).commandFails},
		{"ColdThenWarm", (*suite).coldThenWarm},
		{"Parallel", (*suite).parallel},
		{"LostAnswer", (*suite).lostAnswer},
		{"Refused", (*suite).refused},
		{"ThrottleBurst", (*suite).throttleBurst},
		{"TimeLimit", (*suite).timeLimit},
		{"Crash", (*suite).crash},
		{"TooLarge", (*suite).tooLarge},
		{"NotDeployed", (*suite).notDeployed},
		{"Denied", (*suite).denied},
		{"CanceledWhileRunning", (*suite).canceledWhileRunning},
		{"DeliveredAgain", (*suite).deliveredAgain},
		{"DeliveredTwiceAtOnce", (*suite).deliveredTwiceAtOnce},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &suite{T: t, Target: target, run: fmt.Sprintf("conformance-%s-%d", c.name, time.Now().UnixNano())}
			s.exec = s.Connect(t, s.Address)
			c.test(s)
			s.checkLedger()
		})
	}
}

// suite is one test on the target, as a run of its own.
type suite struct {
	*testing.T
	Target
	exec providers.Executor
	run  string

	mu       sync.Mutex
	attempts int
	results  []providers.Result
}

// attempt is an invocation of a command line, as the dispatcher seals it.
func (s *suite) attempt(line string, outputs ...string) providers.Invocation {
	s.Helper()
	s.mu.Lock()
	s.attempts++
	id := fmt.Sprintf("%s-%d", s.run, s.attempts)
	s.mu.Unlock()
	inv := envelope.Invocation{Protocol: envelope.Protocol, Run: s.run, Task: "task", Attempt: id,
		Command: envelope.Command{Shell: line}, Manifest: s.object(manifestKey(id), true)}
	for _, path := range outputs {
		inv.Outputs = append(inv.Outputs, envelope.Output{Path: path, Object: s.object(id+"/"+path, true)})
	}
	return providers.Invocation{Envelope: inv, MemoryMiB: s.MemoryMiB, Node: -1}
}

func manifestKey(attempt string) string { return attempt + "/manifest.json" }

func (s *suite) object(key string, put bool) envelope.Object {
	s.Helper()
	o := envelope.Object{Key: key}
	var err error
	o.Get, err = s.Store.Sign(s.Context(), "GET", key, time.Hour)
	require.NoError(s, err)
	if put {
		o.Put, err = s.Store.Sign(s.Context(), "PUT", key, time.Hour)
		require.NoError(s, err)
	}
	return o
}

// do executes an attempt and keeps its result for the comparison of the books.
func (s *suite) do(ctx context.Context, exec providers.Executor, inv providers.Invocation) providers.Result {
	r := exec.Execute(ctx, inv)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results = append(s.results, r)
	return r
}

// must is do for an attempt that has to succeed.
func (s *suite) must(inv providers.Invocation) providers.Result {
	s.Helper()
	r := s.do(s.Context(), s.exec, inv)
	require.Nil(s, r.Err)
	require.NotNil(s, r.Manifest)
	require.Nil(s, r.Manifest.Failure, "%+v", r.Manifest)
	return r
}

func (s *suite) wantClass(r providers.Result, class providers.Class, executed bool) {
	s.Helper()
	require.NotNil(s, r.Err, "%+v", r.Manifest)
	require.Equal(s, class, r.Err.Class, r.Err.Message)
	require.Equal(s, executed, r.Usage.Executed, r.Err.Message)
	require.Nil(s, r.Manifest)
	require.NotEmpty(s, r.Err.Message)
}

// stored waits for the manifest that an attempt leaves.
func (s *suite) stored(inv providers.Invocation) envelope.Manifest {
	s.Helper()
	var m envelope.Manifest
	require.Eventually(s, func() bool {
		data, err := s.Store.Get(s.Context(), manifestKey(inv.Envelope.Attempt))
		return err == nil && json.Unmarshal(data, &m) == nil
	}, 2*s.Limit+10*time.Second, 10*time.Millisecond, "no manifest in the store")
	return m
}

// checkLedger compares the service's books with what the adapter said: each attempt that it says was accepted is
// there once, no other is, and where it told a billed duration, it is the same.
func (s *suite) checkLedger() {
	s.Helper()
	if s.Ledger == nil || s.Failed() {
		return
	}
	accepted := 0
	billed := make(map[string]time.Duration)
	for _, r := range s.results {
		if r.Usage.Executed {
			accepted++
		}
		if r.Usage.Billed > 0 {
			billed[r.Usage.RequestID] = r.Usage.Billed
		}
	}
	bills := s.settled()
	require.Len(s, bills, accepted, "invocations on the ledger")
	for _, b := range bills {
		require.Positive(s, b.Billed, "%+v", b)
		if told, ok := billed[b.RequestID]; ok {
			require.Equal(s, told, b.Billed, "%+v", b)
			delete(billed, b.RequestID)
		}
	}
	require.Empty(s, billed, "billed by the adapter's account, not on the ledger")
}

// settled waits until nothing of the run is running.
func (s *suite) settled() (bills []Bill) {
	s.Helper()
	require.Eventually(s, func() bool {
		var err error
		bills, err = s.Ledger(context.WithoutCancel(s.Context()), s.run)
		require.NoError(s, err)
		for _, b := range bills {
			if b.Running {
				return false
			}
		}
		return true
	}, 2*s.Limit+10*time.Second, 10*time.Millisecond)
	return bills
}

// counter counts calls of Invocation.Started.
func counter(inv *providers.Invocation) *atomic.Int64 {
	n := new(atomic.Int64)
	inv.Started = func(time.Time) { n.Add(1) }
	return n
}
