// Package planners compares planners by the rules of the reference evaluator:
// the same platforms, deadlines, noise and columns, so that its summary reads
// what is measured here and rows of both can be put side by side.
package planners

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/spillway/spillway/bench/noise"
	"github.com/spillway/spillway/offload"
)

// Instance is a workflow to plan.
type Instance struct {
	Set, Name string
	On        func(offload.Platform) (*offload.Problem, error) // states it for a platform
}

// Config says what is compared.
type Config struct {
	Books       []string
	Factors     []float64 // deadlines as multiples of the critical path
	Planners    []string
	Independent bool // transfers do not share their link
	NoiseRuns   int  // executions with run times spread by noiseSigma; 0: none
	Budget      offload.Budget
}

const noiseSigma = 0.10

// Row is one plan of one case: an instance on a platform with a deadline.
// Times are in seconds, money in USD.
type Row struct {
	Set, Instance      string
	Tasks              int
	Book, WAN          string
	Cores              int
	CriticalS          float64
	PrivateRatio       float64 // all-private makespan over the critical path
	Factor, DeadlineS  float64
	Planner            string
	Met, Feasible      bool
	MakespanS          float64
	Cost, Exec, Egress float64
	LowerBound         float64 // infinite: certified impossible
	Offloaded          int
	QuotaWaitS         float64
	Cold               int
	UpBytes, DownBytes int64
	PlanS, SimS        float64 // planning alone; a bare simulation of the plan
	NoiseHits          int     // -1: not measured
	Violations         int
	FirstViolation     string
}

// Run plans every case with every planner. emit gets the rows of a case at
// once. The error is a planner's, or says that a bound or the simulator is wrong.
func (c *Config) Run(instances []Instance, emit func([]Row) error) error {
	for k := range instances {
		in := &instances[k]
		for _, book := range c.Books {
			if err := c.runOn(in, book, emit); err != nil {
				return fmt.Errorf("%s on %s: %w", in.Name, book, err)
			}
		}
	}
	return nil
}

func (c *Config) runOn(in *Instance, book string, emit func([]Row) error) error {
	s, err := Reference(in, book, c.Independent)
	if err != nil {
		return err
	}
	p, err := in.On(s.Platform)
	if err == nil {
		err = p.Prepare()
	}
	if err != nil {
		return err
	}
	noises := make([][]float64, c.NoiseRuns)
	for k := range noises {
		noises[k] = noise.Multipliers(len(p.Tasks), noiseSigma, int64(k+1))
	}
	for _, factor := range c.Factors {
		deadline := s.CriticalS * factor
		p.DeadlineUs = max(1, micros(deadline)) // 0 would be none
		same := Row{
			Set: in.Set, Instance: in.Name, Tasks: len(p.Tasks), Book: book, WAN: wan(c.Independent), Cores: s.Cores,
			CriticalS: s.CriticalS, Factor: factor, DeadlineS: deadline,
		}
		if s.CriticalS > 0 {
			same.PrivateRatio = s.PrivateS / s.CriticalS
		}
		rows, err := c.plan(p, &same, noises)
		if err == nil {
			err = emit(rows)
		}
		if err != nil {
			return fmt.Errorf("factor %g: %w", factor, err)
		}
	}
	return nil
}

func wan(independent bool) string {
	if independent {
		return "independent"
	}
	return "shared"
}

// plan is one case. The tightest bound that any plan came with holds for all.
func (c *Config) plan(p *offload.Problem, same *Row, noises [][]float64) ([]Row, error) {
	rows := make([]Row, len(c.Planners))
	bound := 0.0
	for k, name := range c.Planners {
		planner, ok := offload.Lookup(name)
		if !ok {
			return nil, fmt.Errorf("unknown planner %q", name)
		}
		began := time.Now()
		plan, err := planner(*p, c.Budget)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		rows[k] = *same
		rows[k].Planner, rows[k].PlanS = name, time.Since(began).Seconds()
		if err := rows[k].execute(p, &plan, noises); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		bound = max(bound, lower(&plan.LowerBound))
	}
	return rows, certify(rows, bound)
}

// certify enters a case's bound, and refuses one that a plan disproves.
func certify(rows []Row, bound float64) error {
	for k := range rows {
		r := &rows[k]
		if r.LowerBound = bound; r.Met && bound > r.Cost {
			return fmt.Errorf("%s: in time for $%.12f, but the bound says at least $%.12f", r.Planner, r.Cost, bound)
		}
	}
	return nil
}

func lower(b *offload.Bound) float64 {
	if b.Infeasible {
		return math.Inf(1)
	}
	return b.Cost.USD()
}

// execute simulates a plan, as stated and with noise.
func (r *Row) execute(p *offload.Problem, plan *offload.Plan, noises [][]float64) error {
	o, took, err := timed(p, plan)
	if err != nil {
		return err
	}
	r.SimS = took
	r.Met, r.Feasible, r.MakespanS = o.DeadlineMet, len(o.Violations) == 0, seconds(o.MakespanUs)
	r.Cost, r.Exec, r.Egress = o.Cost.USD(), o.FaaS.USD(), o.Egress.USD()
	r.Offloaded, r.QuotaWaitS, r.Cold = o.Offloaded, seconds(o.QuotaWaitUs), o.ColdStarts
	r.UpBytes, r.DownBytes = o.UpBytes, o.DownBytes
	if r.Violations = len(o.Violations); r.Violations > 0 {
		r.FirstViolation = o.Violations[0].Kind
	}
	if o.MakespanUs != plan.Predicted.MakespanUs || o.Cost != plan.Predicted.Cost {
		return fmt.Errorf("predicted %d us and %s, executed %d us and %s",
			plan.Predicted.MakespanUs, plan.Predicted.Cost, o.MakespanUs, o.Cost)
	}
	if len(noises) == 0 {
		r.NoiseHits = -1
		return nil
	}
	for _, multipliers := range noises {
		if !r.Met {
			break
		}
		noisy, err := offload.Simulate(p, plan, offload.SimOptions{Multipliers: multipliers})
		if err != nil {
			return err
		}
		if noisy.DeadlineMet {
			r.NoiseHits++
		}
	}
	return nil
}

// timed simulates a plan: the median of a few times, of one where it takes long.
func timed(p *offload.Problem, plan *offload.Plan) (o offload.Outcome, took float64, err error) {
	var times []float64
	for began := time.Now(); len(times) < 7 && (len(times) == 0 || time.Since(began) < 20*time.Millisecond); {
		once := time.Now()
		if o, err = offload.Simulate(p, plan, offload.SimOptions{}); err != nil {
			return o, 0, err
		}
		times = append(times, time.Since(once).Seconds())
	}
	return o, median(times), nil
}

func median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	x = slices.Sorted(slices.Values(x))
	return x[len(x)/2]
}
