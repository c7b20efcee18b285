//go:build linux || darwin

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/workflow"
)

// newest is how many runs are looked through for a prefix of an id.
const newest = 1000

// findRun is the id of a run from what a person typed: the whole id, the start
// of exactly one of the newest ids, or "last".
func findRun(ctx context.Context, store engine.Store, typed string) (string, error) {
	if typed == "last" {
		runs, err := store.Runs(ctx, engine.RunFilter{Limit: 1})
		if err != nil || len(runs) > 0 {
			return firstID(runs), err
		}
		return "", errors.New("there are no runs")
	}
	runs, err := store.Runs(ctx, engine.RunFilter{Limit: newest})
	if err != nil {
		return "", err
	}
	var matching []string
	for i := range runs {
		if runs[i].ID == typed {
			return typed, nil
		}
		if strings.HasPrefix(runs[i].ID, typed) {
			matching = append(matching, runs[i].ID)
		}
	}
	switch len(matching) {
	case 0:
		return typed, nil // perhaps an older one: loading it will tell
	case 1:
		return matching[0], nil
	}
	return "", fmt.Errorf("%s could be any of %d runs, as %s and %s", typed, len(matching), matching[0], matching[1])
}

func firstID(runs []workflow.RunRecord) string {
	if len(runs) == 0 {
		return ""
	}
	return runs[0].ID
}

// loadRun reads all that is kept of the run that a person named.
func loadRun(ctx context.Context, store engine.Store, typed string) (workflow.Record, error) {
	id, err := findRun(ctx, store, typed)
	if err != nil {
		return workflow.Record{}, err
	}
	record, err := store.Load(ctx, id)
	if errors.Is(err, engine.ErrNotFound) {
		err = fmt.Errorf("there is no run %s: `spillway runs` lists them", typed)
	}
	return record, err
}

// withRun opens the store and loads one run for the time of do.
func (a *app) withRun(ctx context.Context, typed string, do func(engine.Store, workflow.Record) error) error {
	return a.withStore(ctx, func(store engine.Store) error {
		record, err := loadRun(ctx, store, typed)
		if err != nil {
			return err
		}
		return do(store, record)
	})
}

func (a *app) runsCommand() *cobra.Command {
	var filter engine.RunFilter
	var states []string
	cmd := &cobra.Command{
		Use:     "runs",
		Short:   "List runs, newest first",
		Example: "  spillway runs --state failed -o name",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().IntVar(&filter.Limit, "limit", 50, "most runs to list")
	cmd.Flags().StringVar(&filter.Workflow, "workflow", "", "only runs of this workflow")
	cmd.Flags().StringSliceVar(&states, "state", nil, "only runs in these states: pending, running, held, succeeded, failed, cancelled")
	output := outputFlag(cmd, "table", "json", "name")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if filter.Limit < 1 {
			return usageErrorf("--limit %d: want at least 1", filter.Limit)
		}
		for _, s := range states {
			state, err := workflow.ParseRunState(s)
			if err != nil {
				return usageErrorf("--state: %w", err)
			}
			filter.States = append(filter.States, state)
		}
		return a.withStore(cmd.Context(), func(store engine.Store) error {
			runs, err := store.Runs(cmd.Context(), filter)
			if err != nil {
				return err
			}
			return a.printRuns(runs, output.value)
		})
	}
	return cmd
}

// runDoc is one run in a list.
type runDoc struct {
	RunID      string     `json:"run_id"`
	Workflow   string     `json:"workflow"`
	State      string     `json:"state"`
	Reason     string     `json:"reason,omitempty"`
	Submitted  time.Time  `json:"submitted_at"`
	Started    *time.Time `json:"started_at"`
	Finished   *time.Time `json:"finished_at"`
	Deadline   *time.Time `json:"deadline_at"`
	PlannedUSD float64    `json:"planned_cost_usd"`
	BoundUSD   float64    `json:"lower_bound_usd"`
}

func newRunDoc(r *workflow.RunRecord) runDoc {
	return runDoc{
		RunID: r.ID, Workflow: r.Workflow, State: string(r.State), Reason: r.Reason,
		Submitted: r.SubmittedAt, Started: instantOrNil(r.StartedAt), Finished: instantOrNil(r.FinishedAt),
		Deadline: instantOrNil(r.DeadlineAt), PlannedUSD: r.PlannedCost.USD(), BoundUSD: r.LowerBound.USD(),
	}
}

// instantOrNil is nil for what has not happened, so that JSON says null.
func instantOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (a *app) printRuns(runs []workflow.RunRecord, format string) error {
	switch format {
	case "json":
		docs := make([]runDoc, len(runs))
		for i := range runs {
			docs[i] = newRunDoc(&runs[i])
		}
		return a.printJSON(docs)
	case "name":
		for i := range runs {
			fmt.Fprintln(a.out, runs[i].ID)
		}
		return nil
	}
	if len(runs) == 0 {
		a.notef("no runs")
		return nil
	}
	t := table{columns: []column{
		{head: "RUN"}, {head: "WORKFLOW", width: 16}, {head: "STATE", style: a.paintState},
		{head: "SUBMITTED"}, {head: "TOOK", right: true}, {head: "DEADLINE", style: a.paintVerdict},
	}}
	for i := range runs {
		r := &runs[i]
		t.add(r.ID, r.Workflow, a.stateOf(r, time.Now()), r.SubmittedAt.UTC().Format("01-02 15:04"), took(r.StartedAt, r.FinishedAt), deadlineVerdict(r))
	}
	return t.print(a.out)
}

// interrupted is shown for a run whose engine has died: nothing goes on until
// it is resumed.
const interrupted = "interrupted"

func (a *app) stateOf(r *workflow.RunRecord, now time.Time) string {
	if r.State != workflow.RunRunning {
		return string(r.State)
	}
	if !r.LeaseUntil.After(now) {
		return interrupted
	}
	if dir, err := a.state(); err == nil {
		if died, err := engineDied(dir, r.LeaseOwner); died && err == nil {
			return interrupted
		}
	}
	return string(r.State)
}

// took is the time between two instants, or nothing while one is missing.
func took(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return "-"
	}
	return duration(to.Sub(from))
}

// deadlineVerdict is met, missed, open, or nothing without a deadline.
func deadlineVerdict(r *workflow.RunRecord) string {
	switch {
	case r.DeadlineAt.IsZero(), r.State == workflow.RunCancelled:
		return "-"
	case r.State == workflow.RunSucceeded && !r.FinishedAt.After(r.DeadlineAt):
		return "met"
	case r.State.Terminal() || r.DeadlinePassed:
		return "missed"
	}
	return "open"
}

func (a *app) paintVerdict(cell string) string {
	return a.paint(map[string]string{"met": green, "missed": red}[strings.TrimSpace(cell)], cell)
}

// paintState colours the state of a run, a task or an attempt.
func (a *app) paintState(cell string) string {
	switch cell {
	case "succeeded":
		return a.paint(green, cell)
	case "failed", "timed_out", "lost":
		return a.paint(red, cell)
	case interrupted, "held", "cancelled", "retrying", "throttled", "unknown":
		return a.paint(yellow, cell)
	}
	return cell
}
