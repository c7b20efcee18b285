//go:build linux || darwin

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spillway/spillway/bench/planners"
	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/workflow"
)

func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure planners",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(a.benchPlannersCommand())
	return cmd
}

type benchFlags struct {
	planners.Config
	wan    *choice
	effort *choice
	beside []string
}

func (a *app) benchPlannersCommand() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "planners INSTANCE...",
		Short: "Compare planners on workflows, with several platforms and deadlines",
		Long: "Plans each instance with each planner on reference platforms, and executes the\n" +
			"plans in the simulator. A platform is the smallest private cluster whose\n" +
			"all-private makespan is at most four critical paths, and a price book; deadlines\n" +
			"are multiples of the critical path. The CSV has one row a plan.",
		Example: "  spillway bench planners traces/*.json --planners dato,density -o table\n" +
			"  spillway bench planners montage.json --platforms aws --factors 1.25,2 -o csv > montage.csv",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageErrorf("INSTANCE is missing")
			}
			return nil
		},
	}
	var all []string
	for _, s := range offload.Planners() {
		all = append(all, s.Name)
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.Books, "platforms", planners.Books(), "price books of the platforms")
	flags.Float64SliceVar(&f.Factors, "factors", []float64{1.05, 1.25, 1.5, 2, 4, 8}, "deadlines, in critical paths")
	flags.StringSliceVar(&f.Planners, "planners", all, "planners to compare")
	flags.IntVar(&f.NoiseRuns, "noise-runs", 5, "executions of each plan with run times spread by 10 %")
	flags.StringArrayVar(&f.beside, "beside", nil, "add the rows of this CSV `FILE` to the table, from here or from the reference evaluator; may be repeated")
	f.wan = choiceFlag(cmd, "wan", "", "whether transfers share their link", "shared", "independent")
	f.effort = choiceFlag(cmd, "effort", "", "how long to search", "default", "low", "max")
	output := outputFlag(cmd, "table", "csv")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.check(output.value); err != nil {
			return err
		}
		return a.benchPlanners(cmd.Context(), args, &f, output.value)
	}
	return cmd
}

func (f *benchFlags) check(output string) error {
	for _, name := range f.Planners {
		if _, ok := offload.Lookup(name); !ok {
			return usageErrorf("unknown planner %q; the planners are\n%s", name, strings.TrimRight(plannerList(), "\n"))
		}
	}
	for _, book := range f.Books {
		if !slices.Contains(planners.Books(), book) {
			return usageErrorf("--platforms %s: want %s", book, strings.Join(planners.Books(), ", "))
		}
	}
	for _, factor := range f.Factors {
		if !(factor > 0 && factor <= 1000) {
			return usageErrorf("--factors %g: want more than 0, at most 1000", factor)
		}
	}
	switch {
	case f.NoiseRuns < 0 || f.NoiseRuns > 1000:
		return usageErrorf("--noise-runs %d: want 0 to 1000", f.NoiseRuns)
	case len(f.beside) > 0 && output == "csv":
		return usageErrorf("--beside adds to the table: give -o table")
	}
	f.Independent, f.Budget = f.wan.value == "independent", searchBudget(f.effort.value)
	return nil
}

func (a *app) benchPlanners(ctx context.Context, paths []string, f *benchFlags, output string) error {
	instances, err := a.readInstances(paths)
	if err != nil {
		return err
	}
	rows, err := a.readRows(f.beside)
	if err != nil {
		return err
	}
	stream := io.Discard
	if output == "csv" {
		stream = a.out
	}
	csv, err := planners.NewCSV(stream)
	if err != nil {
		return err
	}
	done, all := 0, len(instances)*len(f.Books)*len(f.Factors)
	err = f.Run(instances, func(more []planners.Row) error {
		done++
		if r := &more[0]; r.Factor == f.Factors[len(f.Factors)-1] {
			a.notef("%d of %d cases: %s, %s, %s at home", done, all, r.Instance, r.Book, count(r.Cores, "core"))
		}
		rows = append(rows, more...)
		if err := csv.Write(more); err != nil {
			return err
		}
		return ctx.Err()
	})
	if err != nil || output == "csv" {
		return err
	}
	return planners.Text(a.out, rows, offload.DefaultPlanner)
}

// readInstances reads every workflow before the first is planned: a mistake in
// the last one shows at once.
func (a *app) readInstances(paths []string) ([]planners.Instance, error) {
	instances := make([]planners.Instance, len(paths))
	for k, path := range paths {
		name, text, err := a.readFile(path, workflow.MaxTraceBytes)
		if err != nil {
			return nil, err
		}
		if instances[k], err = planners.Parse(name, text); err != nil {
			return nil, err
		}
		full, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		instances[k].Set = filepath.Base(filepath.Dir(full))
		instances[k].Name = strings.ReplaceAll(filepath.Base(name), ".json", "")
	}
	return instances, nil
}

// readRows reads earlier results; their planners are named after the file.
func (a *app) readRows(paths []string) (rows []planners.Row, err error) {
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		more, err := planners.ReadCSV(file)
		_ = file.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		label := strings.TrimSuffix(filepath.Base(path), ".csv")
		for k := range more {
			more[k].Planner = label + ":" + more[k].Planner
		}
		rows = append(rows, more...)
	}
	return rows, nil
}
