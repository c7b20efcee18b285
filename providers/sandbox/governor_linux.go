package sandbox

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	governorTick  = 25 * time.Millisecond
	clockTick     = 10 * time.Millisecond  // USER_HZ is 100 on every Linux that Go runs on
	governorBurst = 100 * time.Millisecond // unused share that an instance may save up
)

// governor holds instances to their limits where no cgroup does: it stops the processes of an instance that
// has used up its CPU share until the share has grown again, and kills one that uses more memory than it has.
type governor struct {
	cpu, memory bool // what it has to hold
	stop        chan struct{}
	stopped     sync.WaitGroup

	mu  sync.Mutex
	all map[*watched]struct{}
}

// watched is one instance under the governor; nil where cgroups hold everything.
type watched struct {
	proc     *process
	share    float64 // of one CPU
	limit    int64   // bytes
	used     uint64  // clock ticks seen
	balance  time.Duration
	halted   bool
	peak     atomic.Int64
	overrun  atomic.Bool
	lastTick time.Time
}

func newGovernor(g *cgroups) *governor {
	gov := &governor{cpu: !g.has("cpu"), memory: !g.has("memory"),
		all: make(map[*watched]struct{}), stop: make(chan struct{})}
	if gov.cpu || gov.memory {
		gov.stopped.Go(gov.loop)
	}
	return gov
}

func (g *governor) watch(p *process, memoryMiB int) *watched {
	if !g.cpu && !g.memory {
		return nil
	}
	w := &watched{proc: p, share: VCPU(memoryMiB), limit: int64(memoryMiB) << 20,
		balance: governorBurst, lastTick: time.Now()}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all[w] = struct{}{}
	return w
}

func (g *governor) forget(w *watched) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.all, w)
}

func (g *governor) close() {
	close(g.stop)
	g.stopped.Wait()
}

func (g *governor) loop() {
	ticker := time.NewTicker(governorTick)
	defer ticker.Stop()
	for {
		select {
		case <-g.stop:
			return
		case now := <-ticker.C:
			g.tick(now)
		}
	}
}

func (g *governor) tick(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.all) == 0 {
		return
	}
	sessions := sessionMembers()
	for w := range g.all {
		members := sessions[w.proc.cmd.Process.Pid]
		if g.memory {
			w.checkMemory(members)
		}
		if g.cpu {
			w.checkCPU(members, now)
		}
	}
}

func (w *watched) checkMemory(members []stat) {
	var sum int64
	for _, m := range members {
		sum += m.rss
	}
	w.peak.Store(max(w.peak.Load(), sum))
	if sum > w.limit {
		w.overrun.Store(true)
		w.proc.kill()
	}
}

func (w *watched) checkCPU(members []stat, now time.Time) {
	var ticks uint64
	for _, m := range members {
		ticks += m.ticks
	}
	w.balance += time.Duration(w.share * float64(now.Sub(w.lastTick)))
	w.balance = min(w.balance, governorBurst)
	w.lastTick = now
	if ticks > w.used {
		w.balance -= time.Duration(ticks-w.used) * clockTick
	}
	w.used = ticks
	halt := w.balance < 0
	if !halt && !w.halted {
		return
	}
	w.halted = halt
	signal := unix.SIGCONT
	if halt {
		signal = unix.SIGSTOP
	}
	for _, m := range members {
		_ = unix.Kill(m.pid, signal) // it may have ended meanwhile
	}
}

// exceeded tells whether the governor killed the instance for its memory.
func (w *watched) exceeded() bool { return w != nil && w.overrun.Load() }

func (w *watched) peakBytes() int64 {
	if w == nil {
		return 0
	}
	return w.peak.Load()
}
