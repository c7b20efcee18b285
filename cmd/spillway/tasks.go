//go:build linux || darwin

package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/workflow"
)

func (a *app) tasksCommand() *cobra.Command {
	var states []string
	cmd := &cobra.Command{
		Use:     "tasks RUN",
		Short:   "List the tasks of a run",
		Long:    "Lists the tasks of a run: its id, the start of its id, or \"last\".",
		Example: "  spillway tasks last --state failed",
		Args:    exactly("RUN"),
	}
	cmd.Flags().StringSliceVar(&states, "state", nil, "only tasks in these states")
	output := outputFlag(cmd, "table", "json", "name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		for _, s := range states {
			if _, err := workflow.ParseTaskState(s); err != nil {
				return usageErrorf("--state: %w", err)
			}
		}
		return a.withRun(cmd.Context(), args[0], func(_ engine.Store, r workflow.Record) error {
			tasks := slices.DeleteFunc(r.Tasks, func(t workflow.TaskRecord) bool {
				return len(states) > 0 && !slices.Contains(states, string(t.State))
			})
			return a.printTasks(&r, tasks, output.value)
		})
	}
	return cmd
}

// taskDoc is one task of a run in a list.
type taskDoc struct {
	ID       string       `json:"id"`
	State    string       `json:"state"`
	Site     string       `json:"site,omitempty"`
	MemMiB   int          `json:"mem_mib,omitempty"`
	Started  *time.Time   `json:"started_at"`
	Finished *time.Time   `json:"finished_at"`
	CostUSD  float64      `json:"cost_usd"`
	Message  string       `json:"message,omitempty"`
	Attempts []attemptDoc `json:"attempts"`
}

type attemptDoc struct {
	ID       string     `json:"id"`
	Number   int        `json:"number"`
	State    string     `json:"state"`
	Site     string     `json:"site"`
	MemMiB   int        `json:"mem_mib,omitempty"`
	Started  *time.Time `json:"started_at"`
	Finished *time.Time `json:"finished_at"`
	ExitCode int        `json:"exit_code"`
	Class    string     `json:"class,omitempty"`
	Message  string     `json:"message,omitempty"`
	Cold     bool       `json:"cold_start"`
	CostUSD  float64    `json:"cost_usd"`
}

// attemptsOf groups a run's attempts by task, oldest first.
func attemptsOf(r *workflow.Record) map[int][]workflow.AttemptRecord {
	of := map[int][]workflow.AttemptRecord{}
	for _, at := range r.Attempts {
		of[at.Task] = append(of[at.Task], at)
	}
	for _, list := range of {
		slices.SortFunc(list, func(x, y workflow.AttemptRecord) int { return cmp.Compare(x.Number, y.Number) })
	}
	return of
}

// costOf is what a task's attempts cost together.
func costOf(attempts []workflow.AttemptRecord) (sum pricing.Money) {
	for i := range attempts {
		sum += attempts[i].Cost
	}
	return sum
}

func (a *app) printTasks(r *workflow.Record, tasks []workflow.TaskRecord, format string) error {
	attempts := attemptsOf(r)
	switch format {
	case "json":
		docs := make([]taskDoc, len(tasks))
		for i := range tasks {
			docs[i] = newTaskDoc(&tasks[i], attempts[tasks[i].Index])
		}
		return a.printJSON(docs)
	case "name":
		for i := range tasks {
			fmt.Fprintln(a.out, tasks[i].ID)
		}
		return nil
	}
	t := table{columns: []column{
		{head: "TASK", width: 24}, {head: "STATE", style: a.paintState}, {head: "SITE", width: 14},
		{head: "TRIES", right: true}, {head: "START", right: true}, {head: "TOOK", right: true}, {head: "COST", right: true},
	}}
	for i := range tasks {
		k := &tasks[i]
		start := "-"
		if !k.StartedAt.IsZero() && !r.Run.StartedAt.IsZero() {
			start = duration(k.StartedAt.Sub(r.Run.StartedAt))
		}
		t.add(k.ID, string(k.State), cmp.Or(k.Site, "-"), fmt.Sprint(k.Attempts), start, took(k.StartedAt, k.FinishedAt), dollars(costOf(attempts[k.Index])))
	}
	return t.print(a.out)
}

func newTaskDoc(t *workflow.TaskRecord, attempts []workflow.AttemptRecord) taskDoc {
	d := taskDoc{
		ID: t.ID, State: string(t.State), Site: t.Site, MemMiB: t.MemoryMiB, Message: t.Message, CostUSD: costOf(attempts).USD(),
		Started: instantOrNil(t.StartedAt), Finished: instantOrNil(t.FinishedAt), Attempts: make([]attemptDoc, len(attempts)),
	}
	for i := range attempts {
		at := &attempts[i]
		d.Attempts[i] = attemptDoc{
			ID: at.ID, Number: at.Number, State: string(at.State), Site: at.Site, MemMiB: at.MemoryMiB,
			Started: instantOrNil(at.StartedAt), Finished: instantOrNil(at.FinishedAt), ExitCode: at.ExitCode,
			Class: at.Class, Message: at.Message, Cold: at.Cold, CostUSD: at.Cost.USD(),
		}
	}
	return d
}

// findTask is a task of a run by its id.
func findTask(r *workflow.Record, id string) (*workflow.TaskRecord, error) {
	for i := range r.Tasks {
		if r.Tasks[i].ID == id {
			return &r.Tasks[i], nil
		}
	}
	return nil, fmt.Errorf("run %s has no task %s: `spillway tasks %s` lists them", r.Run.ID, id, r.Run.ID)
}
