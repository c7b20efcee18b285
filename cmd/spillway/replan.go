//go:build linux || darwin

package main

import (
	"cmp"
	"slices"

	"github.com/spillway/spillway/bench/noise"
	"github.com/spillway/spillway/offload"
)

// unknownSpread is expected of run times where nobody says how they spread.
const unknownSpread = 0.3

// simulatePolicy has a planner plan, once or while the run goes on, from the
// instance's run times, and executes with the true ones.
func (a *app) simulatePolicy(in *instance, f *simulateFlags) (*simulation, error) {
	p := in.problem
	p.Seed = f.seed
	if in.graph.Spec.IsTrace() || f.replan && f.sigma > 0 {
		p.MarginUs = 0 // as plan does
	}
	truth, err := a.truth(in, f)
	if err != nil {
		return nil, err
	}
	budget := searchBudget(f.effort.value)
	run := offload.Execution{Plans: 1}
	var copies []float64 // run times of copies, over the planned ones
	if f.replan {
		spread := f.sigma
		if spread == 0 && f.runtimes != "" {
			spread = unknownSpread
		}
		in.expectSpread(spread)
		opts := offload.LoopOptions{Multipliers: truth.multipliers, Budget: budget}
		if f.speculate {
			copies = in.speculate(spread, f.seed)
			opts.Copies = copies
		}
		run, err = offload.Loop(*p, offload.Horizon(f.planner), opts)
	} else if run.Plan, err = f.planner(*p, budget); err == nil {
		run.Outcome, err = offload.Simulate(p, &run.Plan, offload.SimOptions{Multipliers: truth.multipliers})
	}
	if err != nil {
		return nil, err
	}
	s := newSimulation(in, &run.Plan, run.Outcome, truth.multipliers)
	s.Policy, s.Plans, s.Order, s.speculate = f.policy, run.Plans, in.ids(run.Plan.Order), f.speculate
	if f.replan {
		s.Order = in.ids(in.realised(s, &run))
	}
	for id, seconds := range truth.given {
		s.Runtimes[id] = seconds
	}
	for _, c := range run.Outcome.Copies {
		if task := &p.Tasks[c.Task]; c.Won {
			s.Runtimes[task.ID] = task.RuntimeS * copies[c.Task]
		}
	}
	return s, nil
}

// truth is the run times that tasks turn out to have.
type truth struct {
	multipliers []float64          // of the planned ones
	given       map[string]float64 // by task id, in seconds
}

// truth is drawn, or read from --runtimes. A task that the instance says takes
// no time is planned with what it takes, since no factor makes that of nothing.
func (a *app) truth(in *instance, f *simulateFlags) (truth, error) {
	n := len(in.problem.Tasks)
	if f.runtimes == "" {
		return truth{multipliers: noise.Multipliers(n, f.sigma, f.seed)}, nil
	}
	times, err := a.readRuntimes(f.runtimes)
	if err != nil {
		return truth{}, err
	}
	t, known := truth{make([]float64, n), times}, 0
	for i := range t.multipliers {
		task := &in.problem.Tasks[i]
		t.multipliers[i] = 1
		seconds, ok := times[task.ID]
		switch {
		case !ok:
			continue
		case seconds > 0 && task.RuntimeS > 0:
			t.multipliers[i] = seconds / task.RuntimeS
		default:
			task.RuntimeS = seconds
		}
		known++
	}
	if known < len(times) {
		return t, usageErrorf("--runtimes: %d of its tasks are not in the workflow", len(times)-known)
	}
	return t, nil
}

// expectSpread says how far run times are off.
func (in *instance) expectSpread(spread float64) {
	for i := range in.problem.Tasks {
		in.problem.Tasks[i].Spread = spread
	}
}

// copySeed keeps the noise of copies apart from that of their tasks.
const copySeed = 1 << 32

// speculate lets every task have a copy, and draws how far off those are.
func (in *instance) speculate(spread float64, seed int64) []float64 {
	for i := range in.problem.Tasks {
		in.problem.Tasks[i].Idempotent = true
	}
	return noise.Multipliers(len(in.problem.Tasks), spread, seed^copySeed)
}

// realised is the order in which a run started its tasks. With it and the
// starts as not-before times, executing the realised plan gives the same run,
// but for transfers that turned out useless and those that could begin earlier.
func (in *instance) realised(s *simulation, run *offload.Execution) []int32 {
	order := slices.Clone(run.Plan.Order)
	started := run.Outcome.Tasks
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(started[a].StartUs, started[b].StartUs) })
	for i := range started {
		if us := started[i].StartUs; us != offload.Never {
			d := s.Tasks[in.problem.Tasks[i].ID]
			d.NotBefore = float64(us) / 1e6
			s.Tasks[in.problem.Tasks[i].ID] = d
		}
	}
	return order
}

func (in *instance) ids(order []int32) []string {
	ids := make([]string, len(order))
	for k, i := range order {
		ids[k] = in.problem.Tasks[i].ID
	}
	return ids
}
