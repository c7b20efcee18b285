//go:build linux || darwin

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spillway/spillway/bench/figures"
	"github.com/spillway/spillway/bench/gen"
	"github.com/spillway/spillway/bench/planners"
	"github.com/spillway/spillway/internal/cores"
	"github.com/spillway/spillway/offload"
)

// quality compares all planners on generated workflows and on traces.
func (b *bench) quality(ctx context.Context) error {
	c := planners.Config{Books: []string{"aws", "both"}, Factors: []float64{1.25, 2, 4}}
	c.Budget.Parallel = cores.Each
	for _, s := range offload.Planners() {
		c.Planners = append(c.Planners, s.Name)
	}
	instances, err := generated()
	if err != nil {
		return err
	}
	if err := b.compare(&c, "generated", instances, nil); err != nil {
		return err
	}
	paths := b.traces()
	if len(paths) == 0 {
		b.notef("no traces in %s: their figures are left out", b.shared)
		return nil
	}
	if instances, err = read(paths); err != nil {
		return err
	}
	if b.full {
		c.Books, c.Factors = planners.Books(), []float64{1.05, 1.25, 1.5, 2, 4, 8}
	}
	theirs, err := b.reference(ctx, &c, paths)
	if err != nil {
		return err
	}
	return b.compare(&c, "traces", instances, theirs)
}

// generated is two sizes of every family.
func generated() (instances []planners.Instance, err error) {
	for _, family := range gen.Families() {
		for _, tasks := range []int{60, 250} {
			in, err := gen.Generate(family, tasks, 1)
			if err != nil {
				return nil, err
			}
			instances = append(instances, planners.Instance{Set: "generated", Name: in.Name, On: func(pf offload.Platform) (*offload.Problem, error) {
				return problem(in, pf), nil
			}})
		}
	}
	return instances, nil
}

// smallTrace bounds the traces of a short run: the reference evaluator is slow.
const smallTrace = 400_000

func (b *bench) traces() (paths []string) {
	all, _ := filepath.Glob(filepath.Join(b.shared, "traces", "public", "*.json"))
	for _, path := range all {
		info, err := os.Stat(path)
		if err == nil && (b.full || info.Size() <= smallTrace) {
			paths = append(paths, path)
		}
	}
	return paths
}

func read(paths []string) (instances []planners.Instance, err error) {
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		in, err := planners.Parse(path, text)
		if err != nil {
			return nil, err
		}
		in.Set, in.Name = filepath.Base(filepath.Dir(path)), strings.TrimSuffix(filepath.Base(path), ".json")
		instances = append(instances, in)
	}
	return instances, nil
}

// theirPlanners of the reference evaluator are the strongest one and its DATO.
var theirPlanners = []string{"improve", "dato"}

// reference has the reference evaluator plan the same cases.
func (b *bench) reference(ctx context.Context, c *planners.Config, paths []string) ([]planners.Row, error) {
	program := filepath.Join(b.shared, "refeval", "refeval.py")
	python, err := exec.LookPath("python3")
	if _, missing := os.Stat(program); missing != nil || err != nil {
		b.notef("no reference evaluator (%s, run by python3): its figures are left out", program)
		return nil, nil
	}
	b.notef("the reference evaluator plans %d traces", len(paths))
	dir, err := os.MkdirTemp("", "spillway-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	out := filepath.Join(dir, "refeval.csv")
	var factors []string
	for _, f := range c.Factors {
		factors = append(factors, strconv.FormatFloat(f, 'g', -1, 64))
	}
	args := []string{
		program, "bench", "-o", out, "--books", strings.Join(c.Books, ","), "--factors", strings.Join(factors, ","),
		"--planners", strings.Join(theirPlanners, ","), "--noise-runs", "0",
	}
	cmd := exec.CommandContext(ctx, python, append(args, paths...)...)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("the reference evaluator: %w\n%s", err, text)
	}
	file, err := os.Open(out)
	if err != nil {
		return nil, err
	}
	rows, err := planners.ReadCSV(file)
	for k := range rows {
		rows[k].Planner = "refeval:" + rows[k].Planner
	}
	return rows, errors.Join(err, file.Close())
}

// compare measures and prints one set, and keeps its figures.
func (b *bench) compare(c *planners.Config, set string, instances []planners.Instance, theirs []planners.Row) error {
	b.notef("%s: %d workflows", set, len(instances))
	rows := slices.Clone(theirs)
	if err := c.Run(instances, func(more []planners.Row) error {
		rows = append(rows, more...)
		return nil
	}); err != nil {
		return err
	}
	fmt.Fprintf(b.out, "\n== %s ==\n", set)
	if err := planners.Text(b.out, rows, leader); err != nil {
		return err
	}
	b.add(qualityRows(set, rows)...)
	return nil
}

// qualityRows are the leader's figures beside others' of the same run.
func qualityRows(set string, rows []planners.Row) (out []figures.Row) {
	of := map[string]planners.Figures{}
	for _, f := range planners.Summarise(rows).Planners {
		of[f.Planner] = f
	}
	us, dato := of[leader], of["dato"]
	out = append(out,
		figures.Beside(set, "deadlines met, of those not proved impossible", us.OfPossible, "share", dato.OfPossible),
		figures.Beside(set, "cost over bound", us.CostToBound, "times", dato.CostToBound),
		figures.Beside(set, "plans for nothing found", us.FreeFound, "share", dato.FreeFound),
	)
	for name := range of {
		if name == leader {
			continue
		}
		c := planners.Compare(rows, leader, name)
		out = append(out,
			figures.Row{Case: set, Metric: "cases that only " + name + " solves", Value: float64(c.OnlyB), Unit: "cases"},
			figures.Row{Case: set, Metric: "cases that " + name + " alone solves for nothing", Value: float64(c.FreeB), Unit: "cases"})
		if !math.IsNaN(c.Ratio) {
			out = append(out,
				figures.Beside(set, "cost over "+name, c.Ratio, "times", 1),
				figures.Beside(set, "dearest case over "+name, c.Most, "times", 1))
		}
		if strings.HasPrefix(name, "refeval:") {
			out = append(out, figures.Row{Case: set, Metric: "cases that " + name + " misses", Value: float64(c.OnlyA), Unit: "cases"})
		}
	}
	slices.SortStableFunc(out, func(a, b figures.Row) int { return strings.Compare(a.Metric, b.Metric) })
	return out
}
