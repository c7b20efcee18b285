//go:build linux || darwin

package local

import (
	"context"
	"math"

	"github.com/spillway/spillway/providers"
)

// The engine claims a node's cores before it hands an attempt over, or hands over a few ahead of free
// cores (node -1). Here they wait their turn, so that a node never does more than it has room for.

// room is an amount of cores and memory.
type room struct{ cores, memoryMiB int }

func (n Node) room() room {
	if n.MemoryMiB == 0 {
		return room{n.Cores, math.MaxInt}
	}
	return room{n.Cores, n.MemoryMiB}
}

func (r room) holds(d room) bool { return r.cores >= d.cores && r.memoryMiB >= d.memoryMiB }

// demand is the room that an attempt needs, at one node or at any (-1).
type demand struct {
	room
	node int
}

func demandOf(inv providers.Invocation) demand {
	const mib = 1 << 20
	return demand{room{max(inv.Cores, 1), int((inv.Envelope.MemoryBytes + mib - 1) / mib)}, inv.Node}
}

// holding is the room that an attempt has.
type holding struct {
	room
	node int
	slot int // of the site, no other attempt has it: names the working directory
}

// waiter is an attempt that waits for room.
type waiter struct {
	demand
	ready chan holding // takes one value, without blocking the giver
}

// acquire waits for room.
func (s *Site) acquire(ctx context.Context, d demand) (holding, *providers.Error) {
	if !s.everFits(d) {
		return holding{}, failure(providers.Refused,
			"%d cores and %d MiB at node %d: the private site has no such node", d.cores, d.memoryMiB, d.node)
	}
	if ctx.Err() != nil {
		return holding{}, canceled()
	}
	w := s.enqueue(d)
	select {
	case h := <-w.ready:
		return h, nil
	case <-ctx.Done():
	}
	s.abandon(w)
	return holding{}, canceled()
}

func (s *Site) enqueue(d demand) *waiter {
	w := &waiter{demand: d, ready: make(chan holding, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, w)
	s.grant()
	return w
}

func canceled() *providers.Error {
	return failure(providers.Canceled, "the attempt was withdrawn before it began")
}

// abandon takes w out of the queue, or gives back what it was granted at the same moment.
func (s *Site) abandon(w *waiter) {
	s.mu.Lock()
	for i := range s.queue {
		if s.queue[i] == w {
			s.queue = append(s.queue[:i], s.queue[i+1:]...)
			break
		}
	}
	s.grant() // others may have waited behind it
	s.mu.Unlock()
	select {
	case h := <-w.ready:
		s.release(h)
	default:
	}
}

func (s *Site) release(h holding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free[h.node].cores += h.cores
	s.free[h.node].memoryMiB += h.memoryMiB
	s.slots = append(s.slots, h.slot)
	s.grant()
}

// grant gives room to waiters in their order. One that must wait on keeps the nodes it could use from
// those behind it, which have no right to be first there.
func (s *Site) grant() {
	kept := s.queue[:0]
	taken := make([]bool, len(s.free))
	for _, w := range s.queue {
		node := s.nodeFor(w.demand, taken)
		if node < 0 {
			kept = append(kept, w)
			s.reserve(w.demand, taken)
			continue
		}
		s.free[node].cores -= w.cores
		s.free[node].memoryMiB -= w.memoryMiB
		last := len(s.slots) - 1
		w.ready <- holding{w.room, node, s.slots[last]}
		s.slots = s.slots[:last]
	}
	clear(s.queue[len(kept):])
	s.queue = kept
}

// nodeFor is the first node with room that nobody longer waiting could use; -1 for none.
func (s *Site) nodeFor(d demand, taken []bool) int {
	for i := range s.free {
		if d.allows(i) && !taken[i] && s.free[i].holds(d.room) {
			return i
		}
	}
	return -1
}

func (s *Site) reserve(d demand, taken []bool) {
	for i := range s.free {
		taken[i] = taken[i] || s.fitsEmpty(d, i)
	}
}

func (s *Site) everFits(d demand) bool {
	for i := range s.cfg.Nodes {
		if s.fitsEmpty(d, i) {
			return true
		}
	}
	return false
}

func (s *Site) fitsEmpty(d demand, node int) bool {
	return d.allows(node) && s.cfg.Nodes[node].room().holds(d.room)
}

func (d demand) allows(node int) bool { return d.node < 0 || d.node == node }
