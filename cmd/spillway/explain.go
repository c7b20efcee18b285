//go:build linux || darwin

package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/workflow"
)

func (a *app) explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain RUN [TASK]",
		Short: "Say why tasks ran where they did",
		Long: "With a task: every site that was considered for it, when it could have finished\n" +
			"there at best and what it would have cost, and what decided. Without: the reasons\n" +
			"of the run, and how many tasks each of them placed.",
		Args: between(1, "RUN", "TASK"),
	}
	output := outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withRun(cmd.Context(), args[0], func(_ engine.Store, r workflow.Record) error {
			if len(args) == 1 {
				return a.explainRun(&r, output.value)
			}
			t, err := findTask(&r, args[1])
			if err != nil {
				return err
			}
			return a.explainTask(&r.Run, t, output.value)
		})
	}
	return cmd
}

func reasonOf(t *workflow.TaskRecord) (offload.ReasonDoc, error) {
	reason := offload.ReasonDoc{Considered: []offload.ConsideredDoc{}}
	if len(t.Reason) == 0 {
		return reason, nil
	}
	if err := json.Unmarshal(t.Reason, &reason); err != nil {
		return reason, fmt.Errorf("reason of task %s: %w", t.ID, err)
	}
	return reason, nil
}

func (a *app) explainTask(run *workflow.RunRecord, t *workflow.TaskRecord, format string) error {
	reason, err := reasonOf(t)
	if err != nil {
		return err
	}
	if format == "json" {
		return a.printJSON(map[string]any{"run_id": run.ID, "task": t.ID, "site": t.Site, "mem_mib": t.MemoryMiB, "reason": reason})
	}
	if t.Site == "" {
		fmt.Fprintf(a.out, "%s has no site yet\n", t.ID)
		return nil
	}
	fmt.Fprintf(a.out, "%s: %s\n", t.ID, siteText(t.Site, t.MemoryMiB))
	if reason.ChosenBecause != "" {
		fmt.Fprintf(a.out, "because %s\n", reason.ChosenBecause)
	}
	if len(reason.Considered) == 0 {
		return nil
	}
	fmt.Fprintln(a.out)
	tab := table{columns: []column{
		{head: ""}, {head: "SITE", width: 20}, {head: "MIB", right: true}, {head: "AT BEST", right: true}, {head: "COST", right: true}, {head: "RULED OUT", width: 36},
	}}
	for _, c := range reason.Considered {
		mark, mem, size := "", "", 0
		if c.MemMiB != nil {
			mem, size = strconv.Itoa(*c.MemMiB), *c.MemMiB
		}
		if c.Target == t.Site && size == t.MemoryMiB {
			mark = "*"
		}
		finish, cost := "never", ""
		if c.FinishS != nil {
			finish = duration(time.Duration(*c.FinishS * float64(time.Second)))
			cost = usdText(c.CostUSD)
		}
		tab.add(mark, c.Target, mem, finish, cost, c.RuledOut)
	}
	return tab.print(a.out)
}

func siteText(site string, memMiB int) string {
	if memMiB == 0 {
		return site
	}
	return fmt.Sprintf("%s, %d MiB", site, memMiB)
}

// placedBy is how many tasks one reason put at one site.
type placedBy struct {
	Site  string   `json:"site"`
	Why   string   `json:"chosen_because"`
	Tasks []string `json:"tasks"`
}

func (a *app) explainRun(r *workflow.Record, format string) error {
	groups, err := groupReasons(r.Tasks)
	if err != nil {
		return err
	}
	if format == "json" {
		return a.printJSON(map[string]any{"run_id": r.Run.ID, "planner": r.Run.Planner, "placements": groups})
	}
	fmt.Fprintf(a.out, "run %s, planned by %s\n", r.Run.ID, r.Run.Planner)
	for _, g := range groups {
		because := ""
		if g.Why != "" {
			because = " because " + g.Why
		}
		fmt.Fprintf(a.out, "\n%s at %s%s\n", count(len(g.Tasks), "task"), g.Site, because)
		fmt.Fprintf(a.out, "  %s\n", someOf(g.Tasks, 4))
	}
	return nil
}

// groupReasons groups tasks by site and reason, the largest group first.
func groupReasons(tasks []workflow.TaskRecord) ([]placedBy, error) {
	groups := []placedBy{}
	at := map[[2]string]int{}
	for i := range tasks {
		reason, err := reasonOf(&tasks[i])
		if err != nil {
			return nil, err
		}
		key := [2]string{tasks[i].Site, reason.ChosenBecause}
		if key[0] == "" {
			key = [2]string{"no site", "it was never planned"}
		}
		k, ok := at[key]
		if !ok {
			k = len(groups)
			at[key] = k
			groups = append(groups, placedBy{Site: key[0], Why: key[1]})
		}
		groups[k].Tasks = append(groups[k].Tasks, tasks[i].ID)
	}
	slices.SortStableFunc(groups, func(x, y placedBy) int { return len(y.Tasks) - len(x.Tasks) })
	return groups, nil
}

// someOf names a few of many.
func someOf(names []string, few int) string {
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}
