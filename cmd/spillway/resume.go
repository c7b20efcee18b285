//go:build linux || darwin

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/workflow"
)

func (a *app) resumeCommand() *cobra.Command {
	var budget string
	var quiet bool
	cmd := &cobra.Command{
		Use:   "resume RUN",
		Short: "Go on with a run whose engine was killed, or that is held for money",
		Long: "Goes on with a run that was left in the middle. What had ended stays; what was under\n" +
			"way at the private site is begun anew; a function that was invoked is waited for,\n" +
			"not invoked again. A run that has ended has its report printed again.",
		Args: exactly("RUN"),
	}
	cmd.Flags().StringVar(&budget, "budget", "", "most `USD` to spend from now on, the spent included")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "no progress")
	output := outputFlag(cmd, "table", "json", "name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withEngine(cmd.Context(), func(e *embedded) error {
			return e.resume(cmd.Context(), args[0], budget, output.value, quiet)
		})
	}
	return cmd
}

func (e *embedded) resume(ctx context.Context, typed, budget, format string, quiet bool) error {
	rec, err := loadRun(ctx, e.store, typed)
	if err != nil {
		return err
	}
	run := rec.Run
	if run.State.Terminal() {
		e.notef("run %s has already %s", run.ID, run.State)
		if err := e.conclude(ctx, run.ID, format); err != nil {
			return err
		}
		return e.verdict(&run)
	}
	if budget != "" {
		limit, err := pricing.ParseUSD(budget)
		if err != nil || limit <= 0 {
			return usageErrorf("--budget %q: want an amount of USD, as in 1.50", budget)
		}
		if err := e.store.Signal(ctx, run.ID, engine.Signals{BudgetMax: int64(limit)}); err != nil {
			return err
		}
	}
	if err := e.takeOver(ctx, &run); err != nil {
		return err
	}
	return e.execute(ctx, run, format, quiet)
}

func (a *app) rerunCommand() *cobra.Command {
	var failed, all, quiet bool
	cmd := &cobra.Command{
		Use:   "rerun RUN",
		Short: "Run a workflow again as it was submitted, or what of it did not succeed",
		Long: "Makes a new run of the same definition, parameters and sites. With --from-failed it\n" +
			"takes over every task that succeeded, with its files, and does the others.",
		Args: exactly("RUN"),
	}
	cmd.Flags().BoolVar(&failed, "from-failed", false, "keep what succeeded")
	cmd.Flags().BoolVar(&all, "all", false, "keep nothing")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "no progress")
	output := outputFlag(cmd, "table", "json", "name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if failed == all {
			return usageErrorf("say either --from-failed or --all")
		}
		return a.withEngine(cmd.Context(), func(e *embedded) error {
			run, err := e.resubmit(cmd.Context(), args[0], all)
			if err != nil {
				return err
			}
			return e.execute(cmd.Context(), run, output.value, quiet)
		})
	}
	return cmd
}

// resubmit makes a new run from an earlier one.
func (e *embedded) resubmit(ctx context.Context, typed string, all bool) (workflow.RunRecord, error) {
	rec, err := loadRun(ctx, e.store, typed)
	if err != nil {
		return workflow.RunRecord{}, err
	}
	old := &rec.Run
	if !old.State.Terminal() {
		return *old, errors.New("the run has not ended: `spillway resume " + old.ID + "` goes on with it")
	}
	if all {
		rec = fromScratch(rec)
	}
	g, err := workflow.Rebuild(&rec)
	if err != nil {
		return *old, err
	}
	if err := e.forgetLost(ctx, &rec, g); err != nil {
		return *old, err
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	run := workflow.RunRecord{ID: newRunID(now), Project: old.Project, Workflow: old.Workflow, SubmittedAt: now,
		Planner: old.Planner, Seed: old.Seed, TimeScale: old.TimeScale, Params: old.Params, Options: old.Options,
		BudgetMax: old.BudgetMax, DeadlineRaw: old.DeadlineRaw}
	if !old.DeadlineAt.IsZero() && !old.StartedAt.IsZero() {
		run.DeadlineIn = old.DeadlineAt.Sub(old.StartedAt)
	}
	return run, engine.Resubmit(ctx, e.store, run, rec, g)
}

// forgetLost takes tasks whose files are gone from the private side for failed, so that they are done again.
func (e *embedded) forgetLost(ctx context.Context, rec *workflow.Record, g *workflow.Graph) error {
	for _, f := range rec.Files {
		if f.Site != engine.PrivateSite {
			continue
		}
		file := &g.Files[f.Index]
		switch _, err := e.home.Stat(ctx, f.Key); {
		case err == nil:
		case !errors.Is(err, fs.ErrNotExist):
			return err
		case file.Producer < 0:
			return fmt.Errorf("input %s of run %s is no longer kept: `spillway run` the workflow again", file.Name, rec.Run.ID)
		default:
			rec.Tasks[file.Producer].State = workflow.TaskFailed
		}
	}
	return nil
}

// fromScratch is a kept run without anything that happened in it.
func fromScratch(rec workflow.Record) workflow.Record {
	rec.Run.Resolved, rec.Tasks, rec.Transfers = "", nil, nil
	var initial []workflow.FileRecord
	for _, f := range rec.Files {
		if f.Attempt == "" {
			initial = append(initial, f)
		}
	}
	rec.Files = initial
	return rec
}
