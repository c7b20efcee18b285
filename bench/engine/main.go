//go:build linux || darwin

// Engine measures what the durable path costs a task: `spillway run` of commands that do nothing, beside starting the
// same commands bare, in the same run and by turns, so that both see the same machine. It prints a table and writes
// one JSON object a line.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// row is one figure. Ratio is value over baseline.
type row struct {
	Case     string  `json:"case"`
	Metric   string  `json:"metric"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	Baseline float64 `json:"baseline"`
	Ratio    float64 `json:"ratio"`
}

// shape is a workflow of commands that do nothing.
type shape struct {
	name     string
	tasks    int
	parallel int // commands at once when they are started bare
	yaml     string
	metric   string
	unit     string
	figure   func(tasks int, took time.Duration) float64
}

func shapes(cores int) []shape {
	rate := func(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }
	link := func(n int, d time.Duration) float64 { return d.Seconds() * 1000 / float64(n) }
	return []shape{
		{"fan-out of 1,000", 1000, cores, fanOut(1000), "tasks", "1/s", rate},
		{"fan-out of 10,000", 10_000, cores, fanOut(10_000), "tasks", "1/s", rate},
		{"chain of 200", 200, 1, chain(200), "link", "ms", link},
	}
}

const head = "apiVersion: spillway/v1\nname: nothing\ntasks:\n"

func fanOut(n int) string {
	return head + fmt.Sprintf("  task:\n    foreach: ${{ range(%d) }}\n    run: \"true\"\n", n)
}

func chain(n int) string {
	var b strings.Builder
	b.WriteString(head + "  t0: {run: \"true\"}\n")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "  t%d: {needs: [t%d], run: \"true\"}\n", i, i-1)
	}
	return b.String()
}

func main() {
	spillway := flag.String("spillway", "bin/spillway", "the program")
	runs := flag.Int("runs", 5, "how often each is measured; the median counts")
	out := flag.String("out", "build/bench/engine.jsonl", "file of the figures")
	largest := flag.Int("largest", 10_000, "leave out shapes of more tasks")
	cores := flag.Int("cores", runtime.NumCPU(), "private cores")
	flag.Parse()
	b := bench{table: os.Stdout, spillway: *spillway, runs: *runs, largest: *largest, cores: *cores}
	if err := b.run(context.Background(), *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench engine:", err)
		os.Exit(1)
	}
}

// bench is one measurement.
type bench struct {
	table                io.Writer
	spillway             string // the program
	dir                  string // for everything it leaves
	runs, largest, cores int
}

func (b *bench) run(ctx context.Context, out string) (err error) {
	if b.dir, err = os.MkdirTemp("", "spillway-bench-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.dir) }()
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.table, "%-20s %-8s %12s %12s %8s  (medians of %d, %d cores)\n", "case", "metric", "spillway", "bare", "ratio", b.runs, b.cores)
	for _, s := range shapes(b.cores) {
		if s.tasks > b.largest {
			continue
		}
		r, err := b.measure(ctx, &s)
		if err != nil {
			return err
		}
		fmt.Fprintf(b.table, "%-20s %-8s %8.2f %-3s %8.2f %-3s %8.2f\n", r.Case, r.Metric, r.Value, r.Unit, r.Baseline, r.Unit, r.Ratio)
		if err := json.NewEncoder(file).Encode(r); err != nil {
			return err
		}
	}
	return file.Close()
}

// measure takes both by turns and returns the medians.
func (b *bench) measure(ctx context.Context, s *shape) (row, error) {
	path := filepath.Join(b.dir, "workflow.yaml")
	if err := os.WriteFile(path, []byte(s.yaml), 0o600); err != nil {
		return row{}, err
	}
	var bare, ours []time.Duration
	for range b.runs {
		took, err := startBare(ctx, s.tasks, s.parallel)
		if err != nil {
			return row{}, err
		}
		bare = append(bare, took)
		if took, err = b.runWorkflow(ctx, path); err != nil {
			return row{}, err
		}
		ours = append(ours, took)
	}
	r := row{Case: s.name, Metric: s.metric, Unit: s.unit, Value: s.figure(s.tasks, median(ours)), Baseline: s.figure(s.tasks, median(bare))}
	r.Ratio = r.Value / r.Baseline
	return r, nil
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// startBare starts n shells that do nothing, so many at once.
func startBare(ctx context.Context, n, parallel int) (time.Duration, error) {
	work := make(chan struct{}, n)
	for range n {
		work <- struct{}{}
	}
	close(work)
	var wg sync.WaitGroup
	failed := make(chan error, parallel)
	began := time.Now()
	for range parallel {
		wg.Go(func() {
			for range work {
				if err := exec.CommandContext(ctx, "/bin/sh", "-c", "true").Run(); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(failed)
	return time.Since(began), <-failed
}

// runWorkflow runs the workflow with a fresh durable store and returns the
// run's makespan.
func (b *bench) runWorkflow(ctx context.Context, path string) (time.Duration, error) {
	state, err := os.MkdirTemp(b.dir, "state-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(state) }()
	cmd := exec.CommandContext(ctx, b.spillway, "--state-dir", state, "run", path, "-q", "-o", "json", "--cores", strconv.Itoa(b.cores))
	var errs strings.Builder
	cmd.Stderr = &errs
	text, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, errs.String())
	}
	var report struct {
		State    string  `json:"state"`
		Makespan float64 `json:"makespan_s"`
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return 0, err
	}
	if report.State != "succeeded" {
		return 0, fmt.Errorf("the run %s", report.State)
	}
	return time.Duration(report.Makespan * float64(time.Second)), nil
}
