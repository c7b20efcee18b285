// Tenants lets days pass on which workflows of several projects come to one
// private cluster, each with its own deadline: scheduled ones and others, at
// several loads, planned by several policies. Time is virtual; the same seed
// gives the same day and the same figures, planning times apart. It prints a
// table and writes one JSON object a line.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spillway/spillway/bench/figures"
	"github.com/spillway/spillway/bench/planners"
	"github.com/spillway/spillway/offload"
)

func main() {
	var b bench
	loads := flag.String("loads", "0.6,0.9,1.2", "work of the day over what the private cores can do in it")
	only := flag.String("policies", "", "names of policies, separated by commas; empty: all")
	flag.StringVar(&b.planner, "planner", "density", "of the policies joint, joint-blind and alone")
	flag.StringVar(&b.book, "book", "aws", "price book: "+strings.Join(planners.Books(), ", "))
	flag.IntVar(&b.cores, "cores", 16, "private cores")
	flag.Int64Var(&b.hours, "hours", 24, "length of the day")
	flag.Int64Var(&b.seed, "seed", 1, "of the day")
	flag.IntVar(&b.decodes, "decodes", 60, "simulations that one call of a planner may run")
	flag.Float64Var(&b.sigma, "noise", 0, "standard deviation of the logarithm of run times")
	flag.StringVar(&b.out, "out", "build/bench/tenants.jsonl", "file of the figures")
	flag.Parse()
	b.table = os.Stdout
	if err := b.run(*loads, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench tenants:", err)
		os.Exit(1)
	}
}

// bench is one measurement.
type bench struct {
	table          io.Writer
	planner        string
	book, out      string
	cores, decodes int
	seed, hours    int64
	sigma          float64
}

func (b *bench) run(loads, only string) error {
	var rows []figures.Row
	for _, text := range strings.Split(loads, ",") {
		load, err := strconv.ParseFloat(text, 64)
		if err != nil || load <= 0 || load > 10 {
			return fmt.Errorf("load %q: want numbers from 0 to 10", text)
		}
		of, err := b.day(load, strings.FieldsFunc(only, func(r rune) bool { return r == ',' }))
		if err != nil {
			return err
		}
		rows = append(rows, of...)
	}
	b.legend()
	return figures.Write(b.out, rows)
}

// day measures all policies on one day.
func (b *bench) day(load float64, only []string) (rows []figures.Row, err error) {
	pf, err := planners.Platform(b.book, b.cores, false)
	if err != nil {
		return nil, err
	}
	day, err := makeDay(config{b.seed, b.cores, b.hours, load}, pf)
	if err != nil {
		return nil, err
	}
	bounds, err := clairvoyant(pf, day)
	if err != nil {
		return nil, err
	}
	b.head(load, day, bounds)
	for _, p := range policies(b.planner) {
		if len(only) > 0 && !slices.Contains(only, p.name) {
			continue
		}
		r := run{pf: pf, policy: p, budget: offload.Budget{Decodes: b.decodes}, sigma: b.sigma, seed: b.seed}
		if err := r.execute(day); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		f := r.result(bounds)
		b.line(f)
		rows = append(rows, f.rows(fmt.Sprintf("load %.0f %%", 100*load))...)
	}
	return rows, nil
}

func (b *bench) head(load float64, day []*arrival, x *bounds) {
	tasks := 0
	for _, a := range day {
		tasks += len(a.problem.Tasks)
	}
	fmt.Fprintf(b.table, "\nload %.0f %%: %d workflows of %d tasks on %d cores, %d with a deadline, %d of them possible\n",
		100*load, len(day), tasks, b.cores, x.deadlines, x.feasible())
	fmt.Fprintf(b.table, "lower bounds: %.4f USD with all arrivals known, %.4f USD with each workflow alone\n",
		x.joint.USD(), x.single.USD())
	fmt.Fprintf(b.table, "%-13s %9s %9s %8s %8s %6s %6s %8s %8s %5s %9s %8s   %s\n", "policy", "kept", "USD",
		"/joint", "/single", "share", "slow", "wait", "slowest", "left", "planning", "longest", "bought/pays")
}

func (b *bench) line(f *result) {
	usd := f.cost.USD()
	fmt.Fprintf(b.table, "%-13s %4d/%-4d %9.4f %8.2f %8.2f %6.3f %6.3f %7.0fs %7.1fx %5d %8.2fs %6.0fms  ",
		f.policy, f.kept, f.possible, usd, over(usd, f.bounds.joint.USD()), over(usd, f.bounds.single.USD()),
		f.jainShare, f.jainSlowdown, float64(f.waitUs)/float64(second), f.slowest, f.unfinished,
		f.planning.Seconds(), f.longest.Seconds()*1000)
	for _, t := range f.tenants {
		fmt.Fprintf(b.table, " %s %.2f/%.2f", t.name, t.bought.USD(), t.pays.USD())
	}
	fmt.Fprintln(b.table)
}

// legend explains the policies and the columns.
func (b *bench) legend() {
	fmt.Fprintln(b.table)
	for _, p := range policies(b.planner) {
		fmt.Fprintf(b.table, "%-13s %s\n", p.name, p.doc)
	}
	fmt.Fprint(b.table, `
kept      deadlines kept, of those that no bound proves impossible for the workflow alone
/joint    cost over the bound with all arrivals known; /single over the sum of the workflows' own bounds
share     Jain's index of what projects got of the private cores over what they are entitled to; slow: of mean slowdown
wait      longest from an arrival to its first start; slowest: worst slowdown of a workflow without a deadline
bought    for a project's own tasks; pays: its part of the bill, by how far it exceeded its share hour by hour
`)
}

func over(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
