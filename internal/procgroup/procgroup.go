//go:build linux || darwin

// Package procgroup runs a command together with everything it starts: a session of its own that ends as
// a whole, with a watched amount of memory, leaving nothing behind.
package procgroup

import (
	"context"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Command is what Run starts.
type Command struct {
	Path   string // of the executable
	Args   []string
	Dir    string
	Env    []string
	Output *os.File // stdout and stderr; the caller closes it. Descriptor 3, too: see start

	// Marker is an entry of Env that no other command has: processes that left the session are found by it.
	Marker string

	MemoryBytes int64 // limit of the resident memory of all processes together; 0: none
	Cage        Cage  // nil: the session alone confines
}

// Cage confines a command more tightly than a session does, as a cgroup can.
type Cage interface {
	// Start calls fork, which starts one process with attr, so that the process is born inside.
	Start(attr *syscall.SysProcAttr, fork func() error) error
	// Kill ends every process inside and reports whether there was any.
	Kill() (bool, error)
	// Memory tells the peak in bytes (0: unknown) and whether the limit ended a process.
	Memory() (peak int64, exceeded bool)
}

// Exit tells how a command ended.
type Exit struct {
	Code            int            // 128 + Signal where a signal ended it, as shells have it
	Signal          syscall.Signal // 0: it exited
	OutOfMemory     bool           // stopped at its memory limit
	PeakMemoryBytes int64          // 0: unknown
}

// Run starts c and returns when it has ended and nothing of its session is left. When ctx ends first, all
// of it is killed. An error means that it did not start.
func Run(ctx context.Context, c Command) (Exit, error) {
	own := ownPeak()
	g := &group{marker: c.Marker, cage: c.Cage, limit: c.MemoryBytes}
	if err := g.start(c); err != nil {
		return Exit{}, err
	}
	forget := context.AfterFunc(ctx, g.kill)
	unwatch := watch(g)
	waitExited(g.pid)
	forget()
	unwatch()
	status, usage := g.reap()
	if ctx.Err() != nil || g.exceeded {
		End(c.Marker, c.Dir)
	}
	return g.exit(status, usage, own), nil
}

// group is a running command.
type group struct {
	pid    int // of the session's leader
	marker string
	cage   Cage
	limit  int64

	mu       sync.Mutex
	reaped   bool // the pid may belong to others
	exceeded bool
	peak     int64
}

// devNull is what commands read. Before the first command, what this process itself inherited beyond its
// standard files is kept from those to come: a task has no business with descriptors of who started us.
var devNull = sync.OnceValues(func() (*os.File, error) {
	closeOnExec()
	return os.Open(os.DevNull)
})

// start forks. The command gets its output a third time, as descriptor 3: whoever reads it sees no end while
// a process lives that left the session with its stdout and stderr closed, as daemons do.
func (g *group) start(c Command) error {
	null, err := devNull()
	if err != nil {
		return err
	}
	out := c.Output.Fd()
	attr := &syscall.ProcAttr{Dir: c.Dir, Env: c.Env, Sys: &syscall.SysProcAttr{Setsid: true},
		Files: []uintptr{null.Fd(), out, out, out}}
	fork := func() (err error) {
		g.pid, err = syscall.ForkExec(c.Path, c.Args, attr)
		return err
	}
	if c.Cage != nil {
		err = c.Cage.Start(attr.Sys, fork)
	} else {
		err = fork()
	}
	if err != nil {
		return &os.PathError{Op: "start", Path: c.Path, Err: err}
	}
	return nil
}

// kill ends the session's first process group, which its leader cannot leave; reap sees to the rest.
func (g *group) kill() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.reaped {
		_ = syscall.Kill(-g.pid, syscall.SIGKILL)
	}
}

// reap ends what the leader left behind. The leader is a zombie until then, so that its pid, which names
// the group, belongs to nobody else.
func (g *group) reap() (syscall.WaitStatus, syscall.Rusage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = syscall.Kill(-g.pid, syscall.SIGKILL)
	if g.cage != nil {
		_, _ = g.cage.Kill()
	}
	var status syscall.WaitStatus
	var usage syscall.Rusage
	for {
		if _, err := syscall.Wait4(g.pid, &status, 0, &usage); err != syscall.EINTR {
			break
		}
	}
	g.reaped = true
	return status, usage
}

func (g *group) exit(status syscall.WaitStatus, usage syscall.Rusage, own int64) Exit {
	e := Exit{Code: status.ExitStatus(), OutOfMemory: g.exceeded, PeakMemoryBytes: g.peak}
	if status.Signaled() {
		e.Signal = status.Signal()
		e.Code = 128 + int(e.Signal)
	}
	// A child begins with its parent's peak (it shared its memory until exec): a figure that is not above
	// that says nothing of the child.
	if peak := maxRSS(&usage); peak > own {
		e.PeakMemoryBytes = max(e.PeakMemoryBytes, peak)
	}
	if g.cage != nil {
		peak, exceeded := g.cage.Memory()
		e.PeakMemoryBytes = max(e.PeakMemoryBytes, peak)
		e.OutOfMemory = e.OutOfMemory || exceeded
	}
	return e
}

// ownPeak is the most memory this process ever held, in bytes.
func ownPeak() int64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return maxRSS(&usage)
}

// End kills every process that marker, as "NAME=value", or dir gives away, as Marked has it. It returns
// how many it ended once none is left, and after some seconds those that cannot be killed. It finds no
// process that cleared its environment and went elsewhere, and none of another user.
func End(marker, dir string) (ended int, left []int) {
	if marker == "" {
		return 0, nil
	}
	killed := map[int]bool{}
	none := 0 // looks in a row; one is not enough, as a process has no environment while it executes another program
	for pause := time.Millisecond; pause < 2*time.Second; pause *= 2 {
		left = Marked(marker, dir)
		for _, pid := range left {
			if syscall.Kill(pid, syscall.SIGKILL) == nil {
				killed[pid] = true
			}
		}
		for pid := range killed {
			reapStray(pid)
			if alive(pid) && !slices.Contains(left, pid) { // what gave it away may be dead already
				left = append(left, pid)
			}
		}
		if none++; len(left) > 0 {
			none = 0
		} else if none == 2 {
			break
		}
		time.Sleep(pause)
	}
	return len(killed), left
}

// reapStray collects a process that became our child by losing its parent, where we are init.
func reapStray(pid int) {
	var status syscall.WaitStatus
	_, _ = syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
}
