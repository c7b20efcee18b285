//go:build linux || darwin

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/report"
	"github.com/spillway/spillway/workflow"
)

type runFlags struct {
	params   *[]string
	deadline deadline
	budget   string
	planner  string
	seed     int64
	scale    float64
	margin   float64 // percent of the deadline; negative: by default
	sites    string
	cores    int
	project  string
	work     *choice
	output   *choice
	quiet    bool
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "Run a workflow here, to its end",
		Long: "Runs a Spillway YAML or a WfFormat trace on this machine: tasks run as processes\n" +
			"on private cores, and what the deadline needs is offloaded to the sandbox, a small\n" +
			"function service on this machine that bills like a cloud and costs nothing.\n" +
			"It ends with the cost and deadline report. Ctrl-C cancels the run; a run whose\n" +
			"engine was killed goes on with `spillway resume`.",
		Example: "  spillway run nightly.yaml -p degrees=0.5 --deadline 45m\n" +
			"  spillway run montage.json --time-scale 60 --deadline 80%",
		Args: exactly("FILE"),
	}
	f.params = paramFlag(cmd)
	cmd.Flags().Var(&f.deadline, "deadline", "time from the start of the run (default: the definition's)")
	cmd.Flags().StringVar(&f.budget, "budget", "", "most `USD` to spend (default: the definition's)")
	cmd.Flags().StringVar(&f.planner, "planner", offload.DefaultPlanner, "planner; spillway plan --help lists them")
	cmd.Flags().Int64Var(&f.seed, "seed", 0, "seed of all random numbers")
	cmd.Flags().Float64Var(&f.scale, "time-scale", 1, "of a trace: divide run times, bytes, latencies and start-ups by this")
	cmd.Flags().Float64Var(&f.margin, "margin", -1, "`percent` of the deadline to keep free")
	cmd.Flags().Lookup("margin").DefValue = "7, less where history tells run times"
	cmd.Flags().StringVar(&f.sites, "sites", "", "`FILE` (YAML) that describes the sites (default: this machine)")
	cmd.Flags().IntVar(&f.cores, "cores", 0, "cores of this machine for private tasks, the sandbox has the rest (default: half)")
	cmd.Flags().StringVar(&f.project, "project", "", "project that the run counts for")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "no progress")
	f.work = choiceFlag(cmd, "work", "", "of a trace: how its tasks spend their time", "busy", "sleep")
	f.output = outputFlag(cmd, "table", "json", "name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withEngine(cmd.Context(), func(e *embedded) error {
			run, err := e.submit(cmd.Context(), args[0], &f)
			if err != nil {
				return err
			}
			return e.execute(cmd.Context(), run, f.output.value, f.quiet)
		})
	}
	return cmd
}

// withEngine opens the embedded engine for the time of do.
func (a *app) withEngine(ctx context.Context, do func(*embedded) error) (err error) {
	e, err := a.openEmbedded(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := e.close(); err == nil {
			err = cerr
		}
	}()
	return do(e)
}

// submit reads and checks the definition, keeps its files, and makes the run.
func (e *embedded) submit(ctx context.Context, path string, f *runFlags) (workflow.RunRecord, error) {
	var none workflow.RunRecord
	if _, ok := offload.Lookup(f.planner); !ok {
		return none, usageErrorf("unknown planner %q; the planners are\n%s", f.planner, strings.TrimRight(plannerList(), "\n"))
	}
	if !(f.margin < 100) {
		return none, usageErrorf("--margin %g: want 0 to 99", f.margin)
	}
	sites, err := e.readSites(f.sites, f.cores)
	if err != nil {
		return none, err
	}
	name, source, err := e.readFile(path, workflow.MaxTraceBytes)
	if err != nil {
		return none, err
	}
	g, given, err := e.expand(name, source, *f.params)
	if err != nil {
		return none, err
	}
	if !(f.scale > 0) || math.IsInf(f.scale, 1) || f.scale != 1 && !g.Spec.IsTrace() {
		return none, usageErrorf("--time-scale %g: it divides the times of a trace, and must be more than 0", f.scale)
	}
	if err := e.checkSecrets(g.Spec); err != nil {
		return none, err
	}
	run, err := e.newRun(ctx, g, &sites, f)
	if err != nil {
		return none, err
	}
	if run.Params, err = json.Marshal(given); err != nil {
		return none, err
	}
	files, err := e.keepFiles(ctx, g, path, f.scale)
	if err != nil {
		return none, err
	}
	sub := engine.Submission{Run: run, Source: source, Filename: name, Graph: g, Files: files}
	return run, engine.Submit(ctx, e.store, sub)
}

// checkSecrets looks for all secrets before anything runs, and names all that
// are missing.
func (e *embedded) checkSecrets(spec *workflow.Spec) error {
	var missing []error
	for _, name := range spec.Secrets() {
		if _, err := e.secret(name); err != nil {
			missing = append(missing, fmt.Errorf("secret %s: %w", name, err))
		}
	}
	return errors.Join(missing...)
}

// expand parses a definition and binds its parameters.
func (a *app) expand(name string, source []byte, pairs []string) (*workflow.Graph, map[string]any, error) {
	given, err := parseParams(pairs)
	if err != nil {
		return nil, nil, err
	}
	spec, err := workflow.ParseAny(name, source)
	if err != nil {
		return nil, nil, err
	}
	if len(spec.On.Schedule) > 0 {
		a.notef("%s has a schedule: this run starts now", spec.Name)
	}
	params, err := workflow.Bind(spec, given)
	if err != nil {
		return nil, nil, err
	}
	g, err := workflow.Expand(spec, params)
	return g, given, err
}

func (e *embedded) newRun(ctx context.Context, g *workflow.Graph, s *sites, f *runFlags) (workflow.RunRecord, error) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	run := workflow.RunRecord{ID: newRunID(now), Project: f.project, Workflow: g.Spec.Name, SubmittedAt: now,
		Planner: f.planner, Seed: f.seed, TimeScale: f.scale, DeadlineRaw: f.deadline.text}
	if b := g.Spec.Budget; b != nil {
		run.BudgetMax = pricing.Money(b.MaxPicoUSD)
	}
	if f.budget != "" {
		limit, err := pricing.ParseUSD(f.budget)
		if err != nil || limit <= 0 {
			return run, usageErrorf("--budget %q: want an amount of USD, as in 1.50", f.budget)
		}
		run.BudgetMax = limit
	}
	opt := options{Sites: *s, Margin: marginFraction(f.margin)}
	if g.Spec.IsTrace() {
		opt.Work = f.work.value
	}
	var err error
	if run.Options, err = json.Marshal(opt); err != nil {
		return run, err
	}
	return run, e.setDeadline(ctx, &run, g, s, f)
}

// setDeadline takes the flag's deadline, else a time of day of the definition.
// One within a time of the start is left to the start.
func (e *embedded) setDeadline(ctx context.Context, run *workflow.RunRecord, g *workflow.Graph, s *sites, f *runFlags) (err error) {
	us := f.deadline.us
	switch own := g.Spec.Deadline; {
	case f.deadline.percent > 0:
		us, err = e.shareOfPrivate(ctx, g, s, f)
	case us == 0 && own != nil && own.By != "":
		run.DeadlineAt, err = own.At(run.SubmittedAt)
	case us == 0 && own != nil:
		us = own.Within.Microseconds()
	}
	run.DeadlineIn = time.Duration(us) * time.Microsecond
	return err
}

// shareOfPrivate is a percentage of what the all-private plan takes.
func (e *embedded) shareOfPrivate(ctx context.Context, g *workflow.Graph, s *sites, f *runFlags) (int64, error) {
	model, err := e.model(ctx, g.Spec.Name, s)
	if err != nil {
		return 0, err
	}
	model.TimeScale = f.scale
	in := instance{graph: g, model: *model}
	makespan, err := in.privateMakespan(nil)
	if err != nil {
		return 0, err
	}
	if makespan == offload.Never {
		return 0, usageErrorf("--deadline %s: the private nodes alone cannot run this workflow; give a time", f.deadline.text)
	}
	return int64(math.Floor(float64(float64(makespan)*f.deadline.percent/100) + 0.5)), nil
}

// newRunID sorts by time of submission.
func newRunID(now time.Time) string {
	return now.Format("20060102-150405-") + fmt.Sprintf("%03d", now.Nanosecond()/1e6) + strings.ToLower(rand.Text()[:3])
}

// execute runs a kept run to its end, shows progress and prints the report.
func (e *embedded) execute(ctx context.Context, run workflow.RunRecord, format string, quiet bool) error {
	show := e.newProgress(quiet)
	runner, err := e.runner(ctx, &run, show.watch)
	if err != nil {
		return err
	}
	// The first interrupt cancels the run, it does not stop the engine, unless nobody could be told.
	work, leave := context.WithCancelCause(context.WithoutCancel(ctx))
	defer leave(nil)
	stop := context.AfterFunc(ctx, func() {
		if err := e.askToCancel(work, run.ID); err != nil {
			leave(fmt.Errorf("cancelling: %w", err))
		}
	})
	defer stop()
	e.notef("run %s of %s", run.ID, run.Workflow)
	last, err := runner.Run(work, run.ID)
	show.finish()
	if errors.Is(err, engine.ErrLeased) {
		return fmt.Errorf("run %s is being run by another process", run.ID)
	}
	if err != nil {
		return fmt.Errorf("%w\nthe run is kept: `spillway resume %s` goes on with it", err, run.ID)
	}
	if last.State.Terminal() {
		if _, err := e.private.Reap(run.ID); err != nil {
			e.notef("%v", err)
		}
	}
	if err := e.conclude(work, run.ID, format); err != nil {
		return err
	}
	return e.verdict(&last)
}

func (e *embedded) askToCancel(ctx context.Context, run string) error {
	e.notef("cancelling; interrupt again to leave at once (`spillway resume %s` would go on)", run)
	return e.store.Signal(ctx, run, engine.Signals{Cancel: true})
}

// conclude prints what the run came to.
func (e *embedded) conclude(ctx context.Context, id, format string) error {
	if format == "name" {
		fmt.Fprintln(e.out, id)
		return nil
	}
	rec, err := e.store.Load(ctx, id)
	if err != nil {
		return err
	}
	g := graphOf(&rec)
	if err := e.printReport(report.Build(rec, g), format, false); err != nil {
		return err
	}
	if format == "table" {
		e.listResults(&rec, g)
		e.showFailures(&rec)
	}
	return nil
}

// maxFailures bounds how many failed tasks have the end of their output shown,
// and failureLines how much of it.
const maxFailures, failureLines = 3, 8

// showFailures prints what failed tasks wrote last.
func (e *embedded) showFailures(rec *workflow.Record) {
	tails := map[int]string{}
	for i := range rec.Attempts {
		tails[rec.Attempts[i].Task] = rec.Attempts[i].LogTail // of the last attempt: they are in order
	}
	shown := 0
	for i := range rec.Tasks {
		t := &rec.Tasks[i]
		tail := strings.TrimRight(tails[i], "\n")
		if t.State != workflow.TaskFailed || tail == "" || shown == maxFailures {
			continue
		}
		shown++
		lines := strings.Split(tail, "\n")
		lines = lines[max(0, len(lines)-failureLines):]
		e.notef("%s wrote last (`spillway logs %s '%s'` has more):\n  %s", t.ID, rec.Run.ID, t.ID, strings.Join(lines, "\n  "))
	}
}

// maxResults bounds the list of result files.
const maxResults = 10

// listResults says where the files are that no task reads.
func (e *embedded) listResults(rec *workflow.Record, g *workflow.Graph) {
	if g == nil || rec.Run.State != workflow.RunSucceeded || g.Spec.IsTrace() {
		return
	}
	n := 0
	for i := range rec.Files {
		f := &g.Files[rec.Files[i].Index]
		if f.Producer < 0 || f.Retired || len(f.Readers) > 0 {
			continue
		}
		if n++; n > maxResults {
			continue
		}
		if url, err := e.home.Sign(context.Background(), "GET", rec.Files[i].Key, 0); err == nil {
			e.notef("result %s: %s", f.Name, strings.TrimPrefix(url, "file://"))
		}
	}
	if n > maxResults {
		e.notef("and %d more results", n-maxResults)
	}
}

// verdict is the exit code of a run.
func (e *embedded) verdict(r *workflow.RunRecord) error {
	switch {
	case r.State == workflow.RunHeld:
		return &exitError{exitBudget, fmt.Errorf("run %s is held: %s\n`spillway resume %s --budget USD` goes on with it", r.ID, r.Reason, r.ID)}
	case r.State == workflow.RunCancelled:
		return &exitError{exitCancelled, fmt.Errorf("run %s was cancelled", r.ID)}
	case r.BudgetRefused:
		return &exitError{exitBudget, fmt.Errorf("run %s failed: %s", r.ID, r.Reason)}
	case r.State == workflow.RunFailed:
		return &exitError{exitRunFailed, fmt.Errorf("run %s failed: %s\n`spillway rerun %s --from-failed` does what is missing", r.ID, r.Reason, r.ID)}
	case !r.DeadlineAt.IsZero() && r.FinishedAt.After(r.DeadlineAt):
		return &exitError{exitLate, fmt.Errorf("run %s missed its deadline by %s", r.ID, duration(r.FinishedAt.Sub(r.DeadlineAt)))}
	}
	return nil
}
