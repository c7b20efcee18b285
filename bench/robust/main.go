// Robust measures planning under noise: how many of the deadlines that a
// clairvoyant keeps each way of planning keeps, and at what cost beside the
// clairvoyant's, and whether plans keep what they promise. The clairvoyant is
// the same planner, told the true run times. It prints tables and writes one
// JSON object a line.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spillway/spillway/bench/figures"
	"github.com/spillway/spillway/offload"
)

func main() {
	var b bench
	var planner string
	path := flag.String("out", "build/bench/robust.jsonl", "file of the figures")
	traces := flag.String("traces", "../shared/traces/public/*.json", "pattern of traces; left out where there are none")
	sigmas := flag.String("sigmas", "0.1,0.3", "spreads of run times: standard deviations of their logarithms")
	factors := flag.String("factors", "1.25,1.5,2,4", "deadlines, in critical paths")
	flag.StringVar(&planner, "planner", offload.DefaultPlanner, "planner of all ways but dato")
	flag.IntVar(&b.seeds, "seeds", 4, "executions of each case")
	flag.Int64Var(&b.first, "first", 0, "seed of the first execution")
	flag.IntVar(&b.most, "most", 200, "leave larger instances out")
	flag.StringVar(&b.book, "book", "aws", "prices: aws, gcp or both")
	flag.StringVar(&b.family, "family", "lognormal", "of the noise: lognormal, gamma or bimodal")
	flag.BoolVar(&b.copies, "copies", false, "planned again with copies of stragglers, too: all tasks are idempotent")
	flag.BoolVar(&b.generated, "generated", true, "generated instances, too")
	flag.IntVar(&b.executions, "executions", 200, "of each plan, to check its promise; 0: no check")
	flag.IntVar(&b.budget.Decodes, "decodes", 0, "budget of a plan in simulations; 0: the planner's default")
	flag.BoolVar(&b.verbose, "v", false, "every case")
	flag.Parse()
	b.out = os.Stdout
	err := b.prepare(planner, *sigmas, *factors)
	if err == nil {
		err = b.run(*traces)
	}
	if err == nil {
		err = figures.Write(*path, b.rows)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench robust:", err)
		os.Exit(1)
	}
}

// bench is one measurement.
type bench struct {
	out        io.Writer
	planner    offload.Planner
	budget     offload.Budget
	sigmas     []float64
	factors    []float64
	seeds      int
	most       int
	first      int64
	book       string
	family     string
	generated  bool
	copies     bool
	executions int
	verbose    bool
	rows       []figures.Row
}

func (b *bench) prepare(planner, sigmas, factors string) (err error) {
	var known bool
	if b.planner, known = offload.Lookup(planner); !known {
		return fmt.Errorf("unknown planner %q", planner)
	}
	if _, known = families[b.family]; !known {
		return fmt.Errorf("unknown family of noise %q", b.family)
	}
	if b.sigmas, err = numbers(sigmas); err == nil {
		b.factors, err = numbers(factors)
	}
	return err
}

func numbers(list string) (out []float64, err error) {
	for text := range strings.SplitSeq(list, ",") {
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || !(x > 0 && x < 100) {
			return nil, fmt.Errorf("%q: want numbers above 0 and below 100", list)
		}
		out = append(out, x)
	}
	return out, nil
}

func (b *bench) run(pattern string) error {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	all, err := b.instances(paths)
	if err != nil {
		return err
	}
	for _, sigma := range b.sigmas {
		s := newStudy(b, sigma)
		for k := range all {
			if err := s.instance(&all[k]); err != nil {
				return fmt.Errorf("%s: %w", all[k].Name, err)
			}
		}
		s.report()
	}
	return nil
}
