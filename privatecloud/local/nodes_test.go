//go:build linux || darwin

package local

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/spillway/spillway/artifact"
	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/providers"
)

// queueModel drives a site's queue and watches what it hands out.
type queueModel struct {
	site    *Site
	waiting []*waiter // in the order of asking
	held    []holding
}

// TestQueue: nodes are never over-committed, room is used in the order of asking, and all of it comes back.
func TestQueue(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		nodes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Node {
			return Node{Cores: rapid.IntRange(1, 4).Draw(t, "cores"), MemoryMiB: rapid.IntRange(0, 4).Draw(t, "memory")}
		}), 1, 3).Draw(t, "nodes")
		site, err := Open(Config{Dir: dir, Nodes: nodes, Objects: artifact.Client{}})
		require.NoError(t, err)
		m := &queueModel{site: site}
		t.Repeat(map[string]func(*rapid.T){"": m.check, "ask": m.ask, "release": m.release, "abandon": m.abandon})
		m.drain(t)
	})
}

func (m *queueModel) ask(t *rapid.T) {
	d := demand{room{rapid.IntRange(1, 4).Draw(t, "cores"), rapid.IntRange(0, 4).Draw(t, "memory")},
		rapid.IntRange(-1, len(m.site.cfg.Nodes)-1).Draw(t, "node")}
	if m.site.everFits(d) {
		m.waiting = append(m.waiting, m.site.enqueue(d))
		m.collect(t)
	}
}

func (m *queueModel) release(t *rapid.T) {
	if len(m.held) == 0 {
		t.Skip("nothing is held")
	}
	i := rapid.IntRange(0, len(m.held)-1).Draw(t, "held")
	m.site.release(m.held[i])
	m.held = slices.Delete(m.held, i, i+1)
	m.collect(t)
}

func (m *queueModel) abandon(t *rapid.T) {
	if len(m.waiting) == 0 {
		t.Skip("nobody waits")
	}
	i := rapid.IntRange(0, len(m.waiting)-1).Draw(t, "waiter")
	m.site.abandon(m.waiting[i])
	m.waiting = slices.Delete(m.waiting, i, i+1)
	m.collect(t)
}

// collect takes what was granted: never to one while an earlier one waits that could use the same node.
func (m *queueModel) collect(t *rapid.T) {
	var still []*waiter
	for _, w := range m.waiting {
		select {
		case h := <-w.ready:
			require.Equal(t, w.room, h.room)
			require.True(t, w.allows(h.node))
			for _, earlier := range still {
				require.False(t, m.site.fitsEmpty(earlier.demand, h.node), "it passed one that waits longer")
			}
			m.held = append(m.held, h)
		default:
			still = append(still, w)
		}
	}
	m.waiting = still
}

func (m *queueModel) check(t *rapid.T) {
	used := make([]room, len(m.site.cfg.Nodes))
	slots := map[int]bool{}
	for _, h := range m.held {
		used[h.node].cores += h.cores
		used[h.node].memoryMiB += h.memoryMiB
		require.False(t, slots[h.slot], "a slot was given twice")
		slots[h.slot] = true
	}
	for i, n := range m.site.cfg.Nodes {
		require.True(t, n.room().holds(used[i]), "node %d is over-committed: %v", i, used[i])
		free := m.site.free[i]
		require.Equal(t, n.room(), room{free.cores + used[i].cores, free.memoryMiB + used[i].memoryMiB})
	}
	if len(m.waiting) > 0 {
		require.Negative(t, m.site.nodeFor(m.waiting[0].demand, make([]bool, len(used))), "the first waits without need")
	}
}

// drain: whoever waits is served in the end.
func (m *queueModel) drain(t *rapid.T) {
	for len(m.held) > 0 {
		m.release(t)
		m.check(t)
	}
	require.Empty(t, m.waiting)
	require.Empty(t, m.site.queue)
}

// The attempts that execute at any moment never hold more cores than there are.
func TestExecuteWaitsForRoom(t *testing.T) {
	b := newBed(t, Node{"n0", 2, 0}, Node{"n1", 1, 64})
	manifests := make([]*envelope.Manifest, 30)
	cores := func(i int) int { return 1 + i%2 }
	var group errgroup.Group
	for i := range manifests {
		inv := b.invocation("true")
		inv.Cores = cores(i)
		group.Go(func() error {
			manifests[i] = b.run(inv)
			return nil
		})
	}
	require.NoError(t, group.Wait())
	type edge struct {
		at    int64
		cores int
	}
	var edges []edge
	for i, m := range manifests {
		edges = append(edges, edge{m.StartedAt, cores(i)}, edge{m.FinishedAt, -cores(i)})
	}
	slices.SortFunc(edges, func(x, y edge) int {
		return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.cores, y.cores))
	})
	busy, most := 0, 0
	for _, e := range edges {
		busy += e.cores
		most = max(most, busy)
	}
	require.LessOrEqual(t, most, 3)
	require.Equal(t, []room{b.cfg.Nodes[0].room(), b.cfg.Nodes[1].room()}, b.free)
	require.Zero(t, b.users("r1"))
}

func TestWithdrawnWhileWaiting(t *testing.T) {
	b := newBed(t, Node{"n0", 1, 0})
	first, stop := context.WithCancel(context.Background())
	began := make(chan struct{})
	inv := b.invocation("sleep 60")
	inv.Started = func(time.Time) { close(began) }
	end := make(chan providers.Result, 1)
	go func() { end <- b.Execute(first, inv) }()
	<-began

	second, giveUp := context.WithCancel(context.Background())
	waiting := b.invocation("true")
	waiting.Started = func(time.Time) { t.Error("it began") }
	go func() {
		for !b.isWaited() {
			runtime.Gosched()
		}
		giveUp()
	}()
	r := b.Execute(second, waiting)
	require.Equal(t, providers.Canceled, r.Err.Class)
	require.Nil(t, r.Manifest)
	require.False(t, b.isWaited())
	stop()
	require.Equal(t, envelope.FailCanceled, (<-end).Manifest.Failure.Class)
	require.Nil(t, b.run(b.invocation("true")).Failure, "the room came back")
}

func (s *Site) isWaited() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) > 0
}

// Whoever leaves at the moment when room was granted gives it back.
func TestAbandonGivesBackWhatWasGranted(t *testing.T) {
	b := newBed(t, Node{"n0", 2, 8})
	w := b.enqueue(demand{room{2, 8}, -1})
	require.Len(t, w.ready, 1)
	b.abandon(w)
	require.Equal(t, []room{{2, 8}}, b.free)
	require.Len(t, b.slots, 2)
}

func TestDemand(t *testing.T) {
	for bytes, want := range map[int64]int{0: 0, 1: 1, 1 << 20: 1, 1<<20 + 1: 2} {
		inv := providers.Invocation{Node: -1, Envelope: envelope.Invocation{MemoryBytes: bytes}}
		require.Equal(t, demand{room{1, want}, -1}, demandOf(inv))
	}
}
