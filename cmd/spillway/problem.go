//go:build linux || darwin

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/estimate"
	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/workflow"
)

// maxSmallFile bounds platforms, plans and run time files, in bytes.
const maxSmallFile = 256 << 20

// problemFlags say what is to be planned, and on what.
type problemFlags struct {
	platform string
	deadline deadline
	params   *[]string
	runtimes string
	scale    float64
}

func (f *problemFlags) add(cmd *cobra.Command) {
	f.addInstance(cmd)
	cmd.Flags().Var(&f.deadline, "deadline", "time from the start of the run (default: the definition's)")
}

// addInstance is add for commands that choose deadlines themselves.
func (f *problemFlags) addInstance(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.platform, "platform", "", "platform `FILE` (JSON): private nodes, providers, prices, links (default: the sites that run uses)")
	cmd.Flags().StringVar(&f.runtimes, "runtimes", "", "`FILE` (JSON) with the true run time of each task in seconds, as simulate prints them")
	cmd.Flags().Float64Var(&f.scale, "time-scale", 1, "of a trace: divide run times, bytes, latencies and start-ups by this")
	f.params = paramFlag(cmd)
}

// instance is a problem with what it was made from.
type instance struct {
	graph   *workflow.Graph
	model   estimate.Model
	problem *offload.Problem
	bases   []estimate.Basis
}

// instance reads a definition and a platform and states the problem.
func (a *app) instance(ctx context.Context, path string, f *problemFlags) (*instance, error) {
	platform, err := a.readPlatform(f.platform)
	if err != nil {
		return nil, err
	}
	in := &instance{model: estimate.Model{Platform: platform, TimeScale: f.scale, Spreads: true}}
	if in.graph, err = a.readGraph(path, *f.params); err != nil {
		return nil, err
	}
	if !(f.scale > 0) || math.IsInf(f.scale, 1) || f.scale != 1 && !in.graph.Spec.IsTrace() {
		return nil, usageErrorf("--time-scale %g: it divides the times of a trace, and must be more than 0", f.scale)
	}
	times, err := a.readRuntimes(f.runtimes)
	if err != nil {
		return nil, err
	}
	if f.platform == "" && a.hasStore() { // only then are these the sites that history is of
		in.model.History, err = a.history(ctx, in.graph.Spec.Name)
		if err != nil {
			return nil, err
		}
	}
	us, err := f.deadlineUs(in, times)
	if err != nil {
		return nil, err
	}
	return in, in.state(us, times)
}

// history is what tasks of a workflow took in earlier runs.
func (a *app) history(ctx context.Context, workflow string) (samples []estimate.Sample, err error) {
	err = a.withStore(ctx, func(store engine.Store) (err error) {
		samples, err = store.History(ctx, workflow, historyLimit)
		return err
	})
	return samples, err
}

// state makes the problem for a deadline, with true run times where there are any.
func (in *instance) state(deadlineUs int64, times map[string]float64) (err error) {
	if in.problem, in.bases, err = in.model.Problem(in.graph, deadlineUs); err != nil {
		return err
	}
	known := 0
	for i := range in.problem.Tasks {
		t := &in.problem.Tasks[i]
		if s, ok := times[t.ID]; ok {
			t.RuntimeS = s
			known++
		}
	}
	if known < len(times) {
		return usageErrorf("--runtimes: %d of its tasks are not in the workflow", len(times)-known)
	}
	return nil
}

// deadlineUs is the deadline in microseconds: the flag's, a percentage of the
// all-private time, or the definition's own; 0 is none.
func (f *problemFlags) deadlineUs(in *instance, times map[string]float64) (int64, error) {
	switch own := in.graph.Spec.Deadline; {
	case f.deadline.us > 0:
		return f.deadline.us, nil
	case f.deadline.percent > 0:
		makespan, err := in.privateMakespan(times)
		if err != nil {
			return 0, err
		}
		if makespan == offload.Never {
			return 0, usageErrorf("--deadline %s: the private nodes alone cannot run this workflow; give a time", f.deadline.text)
		}
		return int64(math.Floor(float64(float64(makespan)*f.deadline.percent/100) + 0.5)), nil
	case own != nil:
		now := time.Now()
		at, err := own.At(now)
		if err != nil {
			return 0, err
		}
		return at.Sub(now).Microseconds(), nil
	}
	return 0, nil
}

// privateMakespan is what the all-private plan takes, or offload.Never.
func (in *instance) privateMakespan(times map[string]float64) (int64, error) {
	if err := in.state(0, times); err != nil {
		return 0, err
	}
	if len(in.problem.Platform.Nodes) == 0 {
		return offload.Never, nil
	}
	private, _ := offload.Lookup("private")
	plan, err := private(*in.problem, offload.Budget{})
	return plan.Predicted.MakespanUs, err
}

func (a *app) readPlatform(path string) (offload.Platform, error) {
	if path == "" {
		return a.defaultSites()
	}
	name, text, err := a.readFile(path, maxSmallFile)
	if err != nil {
		return offload.Platform{}, err
	}
	platform, err := offload.ParsePlatform(text)
	if err != nil {
		return platform, invalidFile(name, err)
	}
	return platform, nil
}

// readRuntimes reads seconds by task id, bare or as the runtimes of a simulation.
func (a *app) readRuntimes(path string) (map[string]float64, error) {
	if path == "" {
		return nil, nil
	}
	name, text, err := a.readFile(path, maxSmallFile)
	if err != nil {
		return nil, err
	}
	times, err := parseRuntimes(text)
	if err != nil {
		return nil, invalidFile(name, err)
	}
	return times, nil
}

// maxRuntime is the longest run time of a task in seconds, about three years.
const maxRuntime = 100_000_000

func parseRuntimes(text []byte) (map[string]float64, error) {
	var inside struct {
		Runtimes map[string]float64 `json:"runtimes"`
	}
	times := map[string]float64{}
	if json.Unmarshal(text, &inside) == nil && inside.Runtimes != nil {
		times = inside.Runtimes
	} else if err := json.Unmarshal(text, &times); err != nil {
		return nil, fmt.Errorf("want an object of seconds by task id: %w", err)
	}
	for _, id := range slices.Sorted(maps.Keys(times)) {
		if s := times[id]; !(s >= 0 && s <= maxRuntime) {
			return nil, fmt.Errorf("run time %g of task %s: want 0 to %d s", s, id, maxRuntime)
		}
	}
	return times, nil
}
