//go:build linux || darwin

package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/report"
	"github.com/spillway/spillway/workflow"
)

func (a *app) reportCommand() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:     "report RUN",
		Short:   "Print a run's cost and deadline report, or sums over many runs",
		Example: "  spillway report last\n  spillway report cost --since 7d --group-by site -o csv",
		Args:    exactly("RUN"),
	}
	cmd.Flags().BoolVar(&verbose, "verbose", false, "every task and line item, and exact amounts")
	output := outputFlag(cmd, "table", "json", "csv", "items", "svg")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withRun(cmd.Context(), args[0], func(_ engine.Store, r workflow.Record) error {
			return a.printReport(report.Build(r, graphOf(&r)), output.value, verbose)
		})
	}
	cmd.AddCommand(a.sumsCommand("cost", "Sum what runs cost", report.CostTable, report.ByWorkflow, report.BySite, report.ByDay, report.ByProject),
		a.sumsCommand("deadline", "Count which runs were in time", report.DeadlineTable, report.ByWorkflow, report.ByDay, report.ByProject))
	return cmd
}

// graphOf is the graph of a kept run, or nil when it cannot be made again, as
// by a version that reads definitions otherwise. The report then lacks
// dependencies and file names, and no sum.
func graphOf(r *workflow.Record) *workflow.Graph {
	g, err := workflow.Rebuild(r)
	if err != nil || len(g.Instances) != len(r.Tasks) {
		return nil
	}
	return g
}

func (a *app) printReport(r report.Report, format string, verbose bool) error {
	switch format {
	case "json":
		return report.JSON(a.out, r)
	case "csv":
		return report.CSV(a.out, r)
	case "items":
		return report.ItemsCSV(a.out, r)
	case "svg":
		return report.SVG(a.out, r)
	}
	return report.Text(a.out, r, a.textOptions(verbose))
}

// textOptions fits reports to the terminal.
func (a *app) textOptions(verbose bool) report.Options {
	o := report.Options{Color: a.coloured(), Verbose: verbose}
	if f, ok := a.out.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			o.Width = width
		}
	}
	return o
}

type sumRuns func(report.Query, ...report.Bill) (report.Table, error)

// sumsCommand prints a table over many runs.
func (a *app) sumsCommand(name, short string, sum sumRuns, groupings ...report.Grouping) *cobra.Command {
	var since, until moment
	cmd := &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs}
	names := make([]string, len(groupings))
	for i, g := range groupings {
		names[i] = string(g)
	}
	cmd.Flags().Var(&since, "since", "only runs submitted at or after this: a date, a time, or how long ago, as in 7d")
	cmd.Flags().Var(&until, "until", "only runs submitted before this")
	group := choiceFlag(cmd, "group-by", "", "what a row stands for", names...)
	output := outputFlag(cmd, "table", "json", "csv", "html")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		now := time.Now()
		q := report.Query{Since: since.at(now), Until: until.at(now), GroupBy: report.Grouping(group.value)}
		return a.withStore(cmd.Context(), func(store engine.Store) error {
			bills, err := bills(cmd.Context(), store, q.Since)
			if err != nil {
				return err
			}
			t, err := sum(q, bills...)
			if err != nil {
				return err
			}
			return a.printSums(&t, output.value)
		})
	}
	return cmd
}

func (a *app) printSums(t *report.Table, format string) error {
	switch format {
	case "json":
		return t.JSON(a.out)
	case "csv":
		return t.CSV(a.out)
	case "html":
		return t.HTML(a.out)
	}
	return t.Text(a.out, a.textOptions(false))
}

// bills reads the runs submitted since, page by page, newest first.
func bills(ctx context.Context, store engine.Store, since time.Time) ([]report.Bill, error) {
	var out []report.Bill
	for before := ""; ; {
		runs, err := store.Runs(ctx, engine.RunFilter{Limit: 200, Before: before})
		if err != nil || len(runs) == 0 {
			return out, err
		}
		for i := range runs {
			if runs[i].SubmittedAt.Before(since) {
				return out, nil
			}
			record, err := store.Load(ctx, runs[i].ID)
			if err != nil {
				return nil, err
			}
			out = append(out, report.Bill{Run: record.Run, Items: record.Items})
		}
		before = runs[len(runs)-1].ID
	}
}

// moment is an instant, or a time before now.
type moment struct {
	instant time.Time
	ago     time.Duration
	text    string
}

func (m *moment) String() string { return m.text }
func (m *moment) Type() string   { return "date|time|ago" }

func (m *moment) Set(text string) error {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			*m = moment{instant: t, text: text}
			return nil
		}
	}
	ago, err := time.ParseDuration(text)
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		var n int
		n, err = strconv.Atoi(days)
		if err == nil && n > 100_000 {
			return fmt.Errorf("more than 100000 days ago")
		}
		ago = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || ago < 0 {
		return fmt.Errorf("want a date as in 2026-03-01, a time as in 2026-03-01T12:00:00Z, or how long ago, as in 36h or 7d")
	}
	*m = moment{ago: ago, text: text}
	return nil
}

func (m *moment) at(now time.Time) time.Time {
	if m.text == "" || !m.instant.IsZero() {
		return m.instant
	}
	return now.Add(-m.ago)
}
