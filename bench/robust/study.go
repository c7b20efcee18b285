package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/spillway/spillway/bench/figures"
	"github.com/spillway/spillway/bench/gen"
	"github.com/spillway/spillway/bench/planners"
	"github.com/spillway/spillway/offload"
)

// instances are the traces and, where asked for, generated workflows.
func (b *bench) instances(paths []string) (all []planners.Instance, err error) {
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		in, err := planners.Parse(path, text)
		if err != nil {
			return nil, err
		}
		in.Name = filepath.Base(path)
		all = append(all, in)
	}
	for _, family := range gen.Families() {
		if !b.generated {
			break
		}
		drawn, err := gen.Generate(family, 60, 1)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(drawn)
		if err != nil {
			return nil, err
		}
		in, err := planners.Parse(family+".json", text)
		if err != nil {
			return nil, err
		}
		in.Name = family + "-60"
		all = append(all, in)
	}
	return all, nil
}

// way is one way to plan and execute a problem whose true run times are mult
// times the planned ones.
type way struct {
	name string
	run  func(p *offload.Problem, mult []float64) (offload.Outcome, error)
}

const withCopies = "planner, planned again, copies"

func (b *bench) ways() []way {
	dato, _ := offload.Lookup("dato")
	ways := []way{
		{"dato, static", b.static(dato, 0)},
		{"planner, static", b.static(b.planner, 0)},
		{"planner, static, margin 10 %", b.static(b.planner, 0.1)},
		{"planner, static, for the spread", b.static(offload.Horizon(b.planner), 0)},
		{"planner, planned again", func(p *offload.Problem, mult []float64) (offload.Outcome, error) {
			x, err := offload.Loop(*p, offload.Horizon(b.planner), offload.LoopOptions{Multipliers: mult, Budget: b.budget})
			return x.Outcome, err
		}},
	}
	if b.copies {
		ways = append(ways, way{withCopies, b.speculating})
	}
	return ways
}

// speculating may run stragglers twice. A copy's luck is drawn anew.
func (b *bench) speculating(p *offload.Problem, mult []float64) (offload.Outcome, error) {
	q := *p
	q.Tasks = append([]offload.Task(nil), p.Tasks...)
	for i := range q.Tasks {
		q.Tasks[i].Idempotent = true
	}
	again := families[b.family](len(q.Tasks), q.Tasks[0].Spread, 2_000_000+p.Seed)
	opts := offload.LoopOptions{Multipliers: mult, Copies: again, Budget: b.budget}
	x, err := offload.Loop(q, offload.Horizon(b.planner), opts)
	return x.Outcome, err
}

func (b *bench) static(planner offload.Planner, margin float64) func(*offload.Problem, []float64) (offload.Outcome, error) {
	return func(p *offload.Problem, mult []float64) (offload.Outcome, error) {
		q := *p
		q.MarginUs = int64(margin * float64(p.DeadlineUs))
		plan, err := planner(q, b.budget)
		if err != nil {
			return offload.Outcome{}, err
		}
		return offload.Simulate(p, &plan, offload.SimOptions{Multipliers: mult})
	}
}

// study is everything at one spread.
type study struct {
	*bench
	sigma  float64
	ways   []way
	tally  []tally
	cases  int
	kept   int // by the clairvoyant
	levels [3]promise
}

// tally is what one way did on the cases that the clairvoyant keeps.
type tally struct {
	kept              int
	cost, clairvoyant float64 // USD, summed
	logs, ratios      float64 // of cost over the clairvoyant's, where both pay
	both, free        int     // cases where both pay; where only this way does
	copies, first     int     // started; first to finish
	copiesUSD         float64
}

// promise compares probabilities of being on time with executions.
type promise struct {
	plans          int
	promised, kept float64
}

func newStudy(b *bench, sigma float64) *study {
	ways := b.ways()
	return &study{bench: b, sigma: sigma, ways: ways, tally: make([]tally, len(ways))}
}

func (s *study) instance(in *planners.Instance) error {
	set, err := planners.Reference(in, s.book, false)
	if err != nil {
		return err
	}
	for _, factor := range s.factors {
		p, err := in.On(set.Platform)
		if err != nil || len(p.Tasks) > s.most {
			return err
		}
		p.DeadlineUs = int64(set.CriticalS * factor * 1e6)
		for i := range p.Tasks {
			p.Tasks[i].Spread = s.sigma
		}
		if err := s.promises(*p); err != nil {
			return err
		}
		for seed := range int64(s.seeds) {
			p.Seed = s.first + seed
			if err := s.execute(fmt.Sprintf("%s x%g #%d", in.Name, factor, p.Seed), p); err != nil {
				return err
			}
		}
	}
	return nil
}

// execute runs one case in all ways, if the clairvoyant keeps its deadline.
func (s *study) execute(name string, p *offload.Problem) error {
	mult := families[s.family](len(p.Tasks), s.sigma, 1000+p.Seed)
	known, err := s.planner(truth(p, mult), s.budget)
	if err != nil {
		return err
	}
	s.cases++
	if !known.Predicted.DeadlineMet {
		return nil
	}
	s.kept++
	line := fmt.Sprintf("%-44s %.6f", name, known.Predicted.Cost.USD())
	for k := range s.ways {
		o, err := s.ways[k].run(p, mult)
		if err != nil {
			return err
		}
		s.tally[k].add(o.DeadlineMet, o.Cost.USD(), known.Predicted.Cost.USD())
		s.tally[k].addCopies(o.Copies)
		line += fmt.Sprintf("  %v %.6f", o.DeadlineMet, o.Cost.USD())
	}
	if s.verbose {
		fmt.Fprintln(s.out, line)
	}
	return nil
}

// truth is the problem as one would state it who knew the run times.
func truth(p *offload.Problem, mult []float64) offload.Problem {
	q := offload.Problem{Platform: p.Platform, Files: p.Files, DeadlineUs: p.DeadlineUs, Seed: p.Seed}
	q.Tasks = append([]offload.Task(nil), p.Tasks...)
	for i := range q.Tasks {
		q.Tasks[i].RuntimeS *= mult[i]
		q.Tasks[i].Spread = 0
	}
	return q
}

func (t *tally) add(met bool, cost, clairvoyant float64) {
	if met {
		t.kept++
	}
	t.cost, t.clairvoyant = t.cost+cost, t.clairvoyant+clairvoyant
	switch {
	case cost > 0 && clairvoyant > 0:
		t.both++
		t.logs += math.Log(cost / clairvoyant)
		t.ratios += cost / clairvoyant
	case cost > 0:
		t.free++
	}
}

func (t *tally) addCopies(copies []offload.CopyRun) {
	for _, c := range copies {
		t.copies++
		t.copiesUSD += c.Cost.USD()
		if c.Won {
			t.first++
		}
	}
}

// promises compares what plans say of being on time with fresh executions.
func (s *study) promises(p offload.Problem) error {
	if s.executions == 0 {
		return nil
	}
	plan, err := offload.Horizon(s.planner)(p, s.budget)
	if err != nil {
		return err
	}
	said, err := offload.OnTime(p, &plan, 1000)
	if err != nil {
		return err
	}
	met := 0.0
	for k := range int64(s.executions) {
		mult := families[s.family](len(p.Tasks), s.sigma, 1_000_000+k)
		o, err := offload.Simulate(&p, &plan, offload.SimOptions{Multipliers: mult})
		if err != nil {
			return err
		}
		if o.DeadlineMet {
			met += 1 / float64(s.executions)
		}
	}
	level := &s.levels[0]
	switch {
	case said >= 0.93 && said <= 0.97:
		level = &s.levels[1]
	case said > 0.97:
		level = &s.levels[2]
	}
	level.plans++
	level.promised += said
	level.kept += met
	return nil
}

func (s *study) report() {
	fmt.Fprintf(s.out, "run times spread by %g (%s): the clairvoyant keeps %d deadlines of %d\n\n", s.sigma, s.family, s.kept, s.cases)
	if s.kept > 0 {
		s.reportWays()
	}
	for k, says := range []string{"less than 93 %", "93 to 97 %", "more than 97 %"} {
		if l := &s.levels[k]; l.plans > 0 {
			n := float64(l.plans)
			fmt.Fprintf(s.out, "  %3d plans say %-15s promised %5.1f %%, kept %5.1f %%\n", l.plans, says, 100*l.promised/n, 100*l.kept/n)
			s.rows = append(s.rows, figures.Row{Case: fmt.Sprintf("plans that say %s, spread %g, %s", says, s.sigma, s.family),
				Metric: "executions on time", Value: l.kept / n, Unit: "1", Baseline: l.promised / n, Ratio: l.kept / max(l.promised, 1e-9)})
		}
	}
	fmt.Fprintln(s.out)
}

func (s *study) reportWays() {
	fmt.Fprintf(s.out, "  %-32s %8s %10s %10s %10s %10s\n", "", "KEPT", "ALL COST", "GEO. MEAN", "MEAN", "NOT FREE")
	for k := range s.ways {
		t, name := &s.tally[k], fmt.Sprintf("%s, spread %g, %s", s.ways[k].name, s.sigma, s.family)
		both := float64(max(1, t.both))
		fmt.Fprintf(s.out, "  %-32s %6.1f %% %10.3f %10.3f %10.3f %10d\n", s.ways[k].name, 100*share(t.kept, s.kept),
			t.cost/t.clairvoyant, math.Exp(t.logs/both), t.ratios/both, t.free)
		if s.ways[k].name == withCopies {
			fmt.Fprintf(s.out, "  %32s %d copies, %d of them first, for %.6f USD of %.6f\n", "", t.copies, t.first, t.copiesUSD, t.cost)
			s.rows = append(s.rows, figures.Row{Case: name, Metric: "copies", Value: float64(t.copies), Unit: "1", Baseline: float64(t.first)},
				figures.Row{Case: name, Metric: "cost of copies", Value: t.copiesUSD, Unit: "USD"})
		}
		s.rows = append(s.rows,
			figures.Beside(name, "deadlines kept, of the clairvoyant's", float64(t.kept), "cases", float64(s.kept)),
			figures.Row{Case: name, Metric: "cost of all", Value: t.cost, Unit: "USD", Baseline: t.clairvoyant, Ratio: t.cost / max(t.clairvoyant, 1e-12)},
			figures.Row{Case: name, Metric: "cost over the clairvoyant's, geometric mean", Value: math.Exp(t.logs / both), Unit: "1"},
			figures.Row{Case: name, Metric: "cost over the clairvoyant's, mean", Value: t.ratios / both, Unit: "1"},
			figures.Row{Case: name, Metric: "paid where the clairvoyant pays nothing", Value: float64(t.free), Unit: "cases"})
	}
	fmt.Fprintln(s.out)
}

func share(part, all int) float64 { return float64(part) / float64(max(1, all)) }
