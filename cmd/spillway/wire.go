//go:build linux || darwin

package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spillway/spillway/artifact"
	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/engine/dispatch"
	"github.com/spillway/spillway/estimate"
	"github.com/spillway/spillway/internal/clock"
	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/privatecloud/local"
	"github.com/spillway/spillway/workflow"
)

// options are what the submitter of a run chose besides its definition. They
// are kept with the run.
type options struct {
	Sites sites  `json:"sites"`
	Work  string `json:"work,omitempty"` // how tasks of a trace spend their time: busy or sleep

	Margin float64 `json:"margin,omitempty"` // as estimate.Model.MarginFraction
}

// marginFraction is a margin in percent, negative for the default, as the
// model takes it.
func marginFraction(percent float64) float64 {
	switch {
	case percent < 0:
		return 0
	case percent == 0:
		return -1
	}
	return percent / 100
}

// embedded is an engine inside this program: everything that executes runs.
type embedded struct {
	*app
	dir     string
	store   engine.Store
	home    *artifact.FS // the private side's files
	owner   string
	lock    *os.File // held while this engine lives
	private *local.Site
	public  *publicSite // nil until a run needs it
}

// openEmbedded opens the store and the private side's files.
func (a *app) openEmbedded(ctx context.Context) (*embedded, error) {
	dir, err := a.state()
	if err != nil {
		return nil, err
	}
	e := &embedded{app: a, dir: dir}
	if err = e.claimName(); err == nil {
		e.store, err = a.openStore(ctx)
	}
	if err == nil {
		e.home, err = artifact.NewFS(filepath.Join(dir, "artifacts"))
	}
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

func (e *embedded) close() error {
	var errs []error
	if e.public != nil {
		e.public.close()
	}
	if e.store != nil {
		errs = append(errs, e.store.Close())
	}
	if e.home != nil {
		errs = append(errs, e.home.Close())
	}
	if e.lock != nil {
		errs = append(errs, os.Remove(e.lock.Name()), e.lock.Close())
	}
	return errors.Join(errs...)
}

// claimName gives this engine a name and locks the file of that name for as
// long as the process lives, so that others can tell whether a lease's owner
// still does.
func (e *embedded) claimName() error {
	dir := filepath.Join(e.dir, "engines")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	e.owner = strconv.Itoa(os.Getpid()) + "-" + rand.Text()[:8]
	f, err := os.OpenFile(filepath.Join(dir, e.owner), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	e.lock = f
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// takeOver ends the lease of an engine that has died, and refuses while it lives. An engine of another machine or state
// directory that shares the store has no file here, so nobody can say before its lease runs out.
func (e *embedded) takeOver(ctx context.Context, r *workflow.RunRecord) error {
	if r.LeaseOwner == "" || !r.LeaseUntil.After(time.Now()) {
		return nil
	}
	died, err := engineDied(e.dir, r.LeaseOwner)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("run %s is being run elsewhere (%s); if that has died, try again after %s", r.ID, r.LeaseOwner,
			r.LeaseUntil.Format(time.RFC3339))
	}
	if err != nil {
		return err
	}
	if !died {
		return fmt.Errorf("run %s is being run by another process (%s)", r.ID, r.LeaseOwner)
	}
	_ = os.Remove(engineFile(e.dir, r.LeaseOwner))
	if err := e.store.Release(ctx, r.ID, r.Epoch); err != nil && !errors.Is(err, engine.ErrStale) {
		return err
	}
	return nil
}

func engineFile(dir, owner string) string { return filepath.Join(dir, "engines", filepath.Base(owner)) }

// engineDied tells whether the engine of that name has died, by the lock that
// it held; fs.ErrNotExist when its file is not in this state directory.
func engineDied(dir, owner string) (bool, error) {
	f, err := os.Open(engineFile(dir, owner))
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil, nil
}

// runner joins store, planner and sites for one run.
func (e *embedded) runner(ctx context.Context, r *workflow.RunRecord, watch func(*engine.State)) (*engine.Runner, error) {
	var opt options
	if err := json.Unmarshal(r.Options, &opt); err != nil {
		return nil, fmt.Errorf("options of run %s: %w", r.ID, err)
	}
	planner, ok := offload.Lookup(r.Planner)
	if !ok {
		return nil, fmt.Errorf("run %s: unknown planner %q", r.ID, r.Planner)
	}
	model, err := e.model(ctx, r.Workflow, &opt.Sites)
	if err != nil {
		return nil, err
	}
	model.TimeScale, model.MarginFraction = r.TimeScale, opt.Margin
	d, err := e.dispatcher(ctx, &opt, r)
	if err != nil {
		return nil, err
	}
	planning := &engine.Planning{Model: model, Planner: planner}
	return &engine.Runner{
		Store: e.store, Dispatcher: d, Catalogue: opt.Sites.catalogue(), Plan: planning.Plan, Clock: clock.Real{},
		Owner: e.owner, Log: slog.New(slog.NewTextHandler(e.errs, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Observe: watch,
		Adopt: func(_ context.Context, run string) error {
			_, err := e.private.Reap(run)
			return err
		},
	}, nil
}

// historyLimit is how many samples a task the estimates are made of.
const historyLimit = 50

// model is what is known of the sites and of earlier runs of the workflow.
func (e *embedded) model(ctx context.Context, name string, s *sites) (*estimate.Model, error) {
	history, err := e.store.History(ctx, name, historyLimit)
	if err != nil {
		return nil, err
	}
	return &estimate.Model{Platform: s.platform(), History: history, Spreads: true}, nil
}

// dispatcher opens the sites that a run may use.
func (e *embedded) dispatcher(ctx context.Context, opt *options, r *workflow.RunRecord) (*dispatch.Dispatcher, error) {
	private, err := e.openPrivate(opt.Sites.Private)
	if err != nil {
		return nil, err
	}
	e.private = private
	d := &dispatch.Dispatcher{
		Sites:  map[string]dispatch.Site{engine.PrivateSite: {Executor: private, Objects: e.home, Manifest: private.Manifest}},
		Secret: e.secret,
		Work:   traceWork(opt.Work, r.TimeScale),
	}
	stores := map[string]artifact.Store{engine.PrivateSite: e.home}
	if opt.Sites.Sandbox != nil {
		e.public = newPublicSite(e, opt.Sites.Sandbox)
		if r.Planner != "private" && (r.DeadlineIn > 0 || !r.DeadlineAt.IsZero()) {
			e.public.ready(ctx)
		}
		d.Sites[sandboxSite] = dispatch.Site{Executor: e.public, Objects: e.public, Fate: e.public.fate}
		stores[sandboxSite] = e.public
	}
	d.Copy = copier(stores, opt.Sites.Link, r.TimeScale)
	return d, nil
}

func (e *embedded) openPrivate(p privateSite) (*local.Site, error) {
	c := local.Config{Dir: filepath.Join(e.dir, "private"), Objects: artifact.Client{}}
	for _, n := range p.Nodes {
		c.Nodes = append(c.Nodes, local.Node{Name: n.Name, Cores: n.Cores, MemoryMiB: n.MemoryMiB})
	}
	self, err := runnerCommand()
	if err != nil {
		return nil, err
	}
	c.Self = self
	return local.Open(c)
}

// runnerCommand starts this program as the runner.
func runnerCommand() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return []string{self, "runner"}, nil
}

// secret finds a named secret in the environment: NAME is SPILLWAY_SECRET_NAME,
// or the content of the file that SPILLWAY_SECRET_NAME_FILE names.
func (e *embedded) secret(name string) (string, error) {
	key := envName("secret-" + name)
	if v := e.getenv(key); v != "" {
		return v, nil
	}
	if path := e.getenv(key + "_FILE"); path != "" {
		_, text, err := e.readFile(path, 64<<10)
		return strings.TrimRight(string(text), "\r\n"), err
	}
	return "", fmt.Errorf("set %s, or %s_FILE to a file that holds it", key, key)
}

// copier moves files between the stores of two sites over the link's two
// directions.
func copier(stores map[string]artifact.Store, l link, scale float64) func(ctx context.Context, from, to string, f workflow.FileRecord) (int64, error) {
	latency := time.Duration(l.LatencyMs / cmp.Or(scale, 1) * float64(time.Millisecond))
	up, down := artifact.NewLink(l.UpMBps*1e6, latency), artifact.NewLink(l.DownMBps*1e6, latency)
	return func(ctx context.Context, from, to string, f workflow.FileRecord) (int64, error) {
		way := up
		if to == engine.PrivateSite {
			way = down
		}
		var sent int64
		info, err := artifact.Copy(ctx, stores[to], stores[from], f.Key, way, func(n int64) { sent = n })
		if err == nil && f.SHA256 != "" && info.SHA256 != f.SHA256 {
			err = fmt.Errorf("%s has digest %s at %s, not %s as when it was made", f.Key, info.SHA256, from, f.SHA256)
		}
		return sent, err
	}
}

// traceWork is what a task of a trace executes: it spends the traced time,
// divided by the scale, and leaves files of the traced sizes. Work that sleeps
// does not slow down on a share of a core by itself, so that is added.
func traceWork(mode string, scale float64) func(engine.Order) []string {
	mode = cmp.Or(mode, "busy")
	return func(o engine.Order) []string {
		w := o.Command.Work
		seconds := w.RuntimeS / scale
		if o.Attempt.MemoryMiB > 0 {
			cores := float64(max(w.Cores, 1))
			speed := min(cores, float64(o.Attempt.MemoryMiB)/sandboxVCPUMiB)
			if mode == "busy" { // a share of a core slows it down by itself
				speed = max(speed, 1)
			}
			seconds *= cores / speed
		}
		args := []string{"spillway-runner", "work", "--mode", mode, "--seconds", strconv.FormatFloat(seconds, 'f', 6, 64)}
		for _, out := range o.Outputs {
			args = append(args, "--output", out.Path+"="+strconv.FormatInt(int64(float64(out.Size)/scale), 10))
		}
		return args
	}
}
