//go:build linux || darwin

// Package local is the private cluster on this machine: nodes with cores and memory, on which each attempt
// is a session of processes in a working directory of its own. The runner works inside this process, so a
// task costs one process and no more.
//
// Several engines may share a site's folder: which of them executes a run is settled by the run's lease, and
// each core is used by one attempt at a time, whosever it is.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/providers"
	"github.com/spillway/spillway/runner"
)

// siteName is what the engine calls the private cluster.
const siteName = "private"

// class is what its nodes offer: whatever this machine has.
const class = "base"

// Config describes a site.
type Config struct {
	Dir      string         // working directories and logs are kept below it
	Nodes    []Node         // in the engine's order
	Objects  runner.Objects // how attempts reach their files
	Self     []string       // what an Args[0] of "spillway-runner" stands for; nil: this executable
	LogBytes int64          // bound of one attempt's log; 0: 10 MiB
}

// Node is a share of this machine.
type Node struct {
	Name      string
	Cores     int
	MemoryMiB int // 0: memory is not counted
}

// Site executes attempts on this machine. It implements providers.Executor.
type Site struct {
	cfg   Config
	cores *cores

	mu      sync.Mutex
	free    []room    // of each node
	slots   []int     // free ones, as many as there are cores; the last used is used next
	queue   []*waiter // attempts that wait for room, longest first
	results map[string]*results
}

// Open checks the configuration and makes the site's folders.
func Open(cfg Config) (*Site, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("private site: %w", err)
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("private site: %w", err)
	}
	cfg.Dir = dir
	s := &Site{cfg: cfg, results: map[string]*results{}}
	for _, n := range cfg.Nodes {
		s.free = append(s.free, n.room())
		for range n.Cores {
			s.slots = append(s.slots, len(s.slots))
		}
	}
	for _, name := range []string{workDir, logDir, resultDir} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return nil, fmt.Errorf("private site: %w", err)
		}
	}
	if s.cores, err = openCores(filepath.Join(dir, coreDir), cfg.Nodes); err != nil {
		return nil, fmt.Errorf("private site: %w", err)
	}
	return s, nil
}

func (c *Config) check() error {
	switch {
	case c.Dir == "":
		return errors.New("no folder is given")
	case c.Objects == nil:
		return errors.New("no object store is given")
	case len(c.Nodes) == 0:
		return errors.New("at least one node is needed")
	case c.LogBytes < 0:
		return fmt.Errorf("a log of %d bytes: give 0 for the default, or more", c.LogBytes)
	}
	for i, n := range c.Nodes {
		if n.Cores < 1 || n.MemoryMiB < 0 {
			return fmt.Errorf("node %d (%s) has %d cores and %d MiB: it needs at least one core, and memory or 0",
				i, n.Name, n.Cores, n.MemoryMiB)
		}
	}
	return nil
}

// Offerings lists the nodes, one offering each, without limits of time or payload.
func (s *Site) Offerings(context.Context) ([]providers.Offering, error) {
	list := make([]providers.Offering, len(s.cfg.Nodes))
	for i, n := range s.cfg.Nodes {
		list[i] = providers.Offering{Site: siteName, Name: n.Name, Class: class, MemoryMiB: n.MemoryMiB,
			VCPU: float64(n.Cores)}
	}
	return list, nil
}

// Execute waits until the attempt's node has room, then runs it to its end. A manifest comes back for
// every attempt that began, also for one that ctx ended; Err says that it did not begin.
func (s *Site) Execute(ctx context.Context, inv providers.Invocation) providers.Result {
	run, attempt := inv.Envelope.Run, inv.Envelope.Attempt
	if !isName(run) || !isName(attempt) {
		return failed(providers.Refused, "run %q, attempt %q: not names of files", run, attempt)
	}
	results, err := s.use(run)
	if err != nil {
		return failed(providers.Transient, "%v", err)
	}
	defer s.done(results)
	held, refusal := s.acquire(ctx, demandOf(inv))
	if refusal != nil {
		return providers.Result{Err: refusal}
	}
	defer s.release(held)
	taken, err := s.cores.take(ctx, held.node, held.cores)
	if err != nil && ctx.Err() != nil {
		return providers.Result{Err: canceled()}
	}
	if err != nil {
		return failed(providers.Transient, "%v", err)
	}
	defer s.cores.give(held.node, taken)
	if inv.Started != nil {
		inv.Started(time.Now())
	}
	if inv.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, inv.Timeout)
		defer cancel()
	}
	m := runner.Run(ctx, inv.Envelope, s.options(inv.Envelope, results, held.slot))
	return providers.Result{Manifest: &m, Usage: providers.Usage{Executed: true}}
}

func failed(class providers.Class, format string, args ...any) providers.Result {
	return providers.Result{Err: failure(class, format, args...)}
}

func failure(class providers.Class, format string, args ...any) *providers.Error {
	return &providers.Error{Class: class, Message: fmt.Sprintf(format, args...)}
}

// options place the attempt in the site's folders. Working directories belong to slots, so that the next
// attempt can use an empty one again, and to this process, so that engines never meet in one.
func (s *Site) options(inv envelope.Invocation, r *results, slot int) runner.Options {
	return runner.Options{
		Objects:     objects{s.cfg.Objects, r, inv.Attempt, inv.Manifest.Key},
		WorkDir:     filepath.Join(s.workDir(inv.Run), fmt.Sprintf("%d-%d", os.Getpid(), slot)),
		KeepWorkDir: true,
		Log:         func() (io.WriteCloser, error) { return createLog(LogPath(s.cfg.Dir, inv.Run, inv.Attempt)) },
		LogBytes:    s.cfg.LogBytes,
		Path:        os.Getenv("PATH"),
		Env:         []string{s.mark(inv.Run)},
		Self:        s.cfg.Self,
	}
}
