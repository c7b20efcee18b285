package procgroup

import (
	"sync"
	"time"
)

// Memory is watched by one look at /proc for all groups together. A look costs some 10 us a process of
// the machine: it is repeated every fast while a limit is to be held, every slow where only peaks are
// wanted, and never so often that it takes more than a twentieth of a core.
const (
	fast     = 20 * time.Millisecond
	slow     = 250 * time.Millisecond
	maxShare = 20
)

var watched struct {
	sync.Mutex
	groups  map[*group]struct{}
	looking bool
	wake    chan struct{} // a group with a limit came, or the last group went
}

// watch measures g until the returned function is called.
func watch(g *group) (unwatch func()) {
	watched.Lock()
	defer watched.Unlock()
	if watched.groups == nil {
		watched.groups = map[*group]struct{}{}
		watched.wake = make(chan struct{}, 1)
	}
	watched.groups[g] = struct{}{}
	if !watched.looking {
		watched.looking = true
		go lookOut()
	}
	if g.limited() {
		wakeUp()
	}
	return func() {
		watched.Lock()
		defer watched.Unlock()
		delete(watched.groups, g)
		if len(watched.groups) == 0 {
			wakeUp()
		}
	}
}

func wakeUp() {
	select {
	case watched.wake <- struct{}{}:
	default:
	}
}

// limited tells whether g's limit is held by looking.
func (g *group) limited() bool { return g.limit > 0 && g.cage == nil }

// lookOut looks at all groups until there are none. Being woken never puts a look off: groups that come and
// go quickly do not hide one that grows.
func lookOut() {
	last, cost := time.Now(), time.Duration(0)
	for {
		pause, ok := nextLook(cost)
		if !ok {
			return
		}
		t := time.NewTimer(time.Until(last.Add(pause)))
		select {
		case <-watched.wake:
			t.Stop()
			continue
		case <-t.C:
		}
		last = time.Now()
		look(Processes())
		cost = time.Since(last)
	}
}

// nextLook tells how long to wait after a look that took cost; false ends looking.
func nextLook(cost time.Duration) (time.Duration, bool) {
	watched.Lock()
	defer watched.Unlock()
	watched.looking = len(watched.groups) > 0
	for g := range watched.groups {
		if g.limited() {
			return max(fast, maxShare*cost), true
		}
	}
	return max(slow, maxShare*cost), watched.looking
}

// look adds up each group's memory: its session's, and that of processes descending from it.
func look(all []Process) {
	parents := make(map[int]*Process, len(all))
	for i := range all {
		parents[all[i].PID] = &all[i]
	}
	watched.Lock()
	defer watched.Unlock()
	leaders := make(map[int]*group, len(watched.groups))
	for g := range watched.groups {
		leaders[g.pid] = g
	}
	sums := make(map[*group]int64, len(leaders))
	for i := range all {
		if g := owner(&all[i], parents, leaders); g != nil {
			sums[g] += all[i].ResidentBytes
		}
	}
	for g, sum := range sums {
		g.measured(sum)
	}
}

// owner finds the group that a process belongs to, by its session or an ancestor's.
func owner(p *Process, parents map[int]*Process, leaders map[int]*group) *group {
	for range 64 { // deeper chains are not followed; a stale snapshot may even hold a ring
		if p == nil {
			return nil
		}
		if g := leaders[p.Session]; g != nil {
			return g
		}
		p = parents[p.Parent]
	}
	return nil
}

// measured notes a group's memory and ends the group when it is above the limit.
func (g *group) measured(sum int64) {
	g.mu.Lock()
	g.peak = max(g.peak, sum)
	over := g.limited() && sum > g.limit && !g.reaped
	g.exceeded = g.exceeded || over
	g.mu.Unlock()
	if over {
		g.kill()
	}
}
