// Package estimate turns a workflow's graph into the planner's problem: it
// says how long each task will take on each offering, how large its files will
// be and where it may run, and on what each figure rests. What was measured
// goes before what the author said, and that before what is merely assumed.
//
// It computes values from values: the caller brings history and catalogue.
package estimate

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/workflow"
)

const (
	// DefaultQuantile of measured run times is planned with: a plan made of
	// medians has no slack left half of the time.
	DefaultQuantile = 0.75
	// unknownMargin is the part of the deadline kept free where nothing tells how
	// far estimates are off, knownMargin where quantiles of history do.
	unknownMargin, knownMargin = 0.07, 0.05
	// spreadMargin is kept free for what run times do not contain (dispatch,
	// queues of others) by policies that keep their own margin for the rest.
	spreadMargin = 0.02
	// priorSeconds and priorBytes stand in where neither author nor history says
	// anything; priorBytes is per output file.
	priorSeconds = 10.0
	priorBytes   = 64 << 10
)

// Sample is what one successful attempt took.
type Sample struct {
	Task       string // id in the definition
	Site       string
	MemoryMiB  int           // of the offering; 0 at the private site
	Command    time.Duration // of the command alone, without staging
	Cold       bool
	OutputSize int64 // bytes, all outputs together
	At         time.Time
}

// Model is what is known of sites and of the past. The zero value of each field
// but Platform is a good default. A Model is not changed by its methods.
type Model struct {
	Platform offload.Platform // provider names are site names, as in "sandbox:local"
	Takes    []workflow.Label // by provider: the most confidential data it may see; unset: internal
	History  []Sample         // of this workflow; traces do not use it

	Spreads        bool    // state measured run times as means with a spread, for policies that expect one; false: as quantiles
	Quantile       float64 // of measured run times; 0: DefaultQuantile
	MarginFraction float64 // of the deadline to keep free; 0: 7 % at most, less where history tells the spread; negative: none
	TimeScale      float64 // divides stated run times, bytes, latencies and start-ups; 0: 1. History is as measured
	Seed           int64
}

// Problem is the planner's problem for a whole run, and for each instance what
// its run time rests on. Indexes of tasks and files are those of the graph;
// retired instances stay in place as tasks without time, memory or files.
// deadlineUs counts from the start of the run, 0 is none. Without history, at
// time scale 1, the problem of a trace is the reference evaluator's, bit for
// bit. The error is for a Model or deadline that makes no sense.
func (m *Model) Problem(g *workflow.Graph, deadlineUs int64) (*offload.Problem, []Basis, error) {
	if err := m.check(deadlineUs); err != nil {
		return nil, nil, err
	}
	p := &offload.Problem{
		Tasks: make([]offload.Task, len(g.Instances)), Files: make([]offload.File, len(g.Files)),
		Platform: m.platform(), DeadlineUs: deadlineUs, Seed: m.Seed,
	}
	of := m.learn(g)
	bases := make([]Basis, len(g.Instances))
	for i := range g.Instances {
		inst := &g.Instances[i]
		e := &of[inst.Task]
		if inst.Retired {
			p.Tasks[i] = offload.Task{ID: inst.ID, Cores: 1, PrivateOnly: len(p.Platform.Nodes) > 0}
			bases[i] = Basis{Source: Retired}
			continue
		}
		p.Tasks[i] = e.task
		t := &p.Tasks[i]
		t.ID, t.Parents, t.In, t.Out = inst.ID, inst.Parents, inst.In, inst.Out
		m.trust(g, i, t)
		bases[i] = e.basis
		bases[i].Provisional = inst.Provisional
	}
	for f := range g.Files {
		p.Files[f] = offload.File{Name: g.Files[f].Name, Size: m.fileSize(g, f, of)}
	}
	p.MarginUs = m.margin(deadlineUs, bases)
	return p, bases, nil
}

func (m *Model) check(deadlineUs int64) error {
	switch {
	case deadlineUs < 0:
		return errors.New("estimate: the deadline is before the start of the run")
	case !(m.Quantile >= 0 && m.Quantile < 1):
		return fmt.Errorf("estimate: quantile %g: want more than 0 and less than 1", m.Quantile)
	case !(m.MarginFraction < 1):
		return fmt.Errorf("estimate: margin of %g of the deadline: want less than 1", m.MarginFraction)
	case !(m.TimeScale >= 0) || math.IsInf(m.TimeScale, 0):
		return fmt.Errorf("estimate: time scale %g: want more than 0", m.TimeScale)
	case len(m.Takes) > len(m.Platform.Providers):
		return fmt.Errorf("estimate: labels for %d providers of %d", len(m.Takes), len(m.Platform.Providers))
	}
	return nil
}

func (m *Model) quantile() float64 {
	if m.Quantile == 0 {
		return DefaultQuantile
	}
	return m.Quantile
}

func (m *Model) scale() float64 {
	if m.TimeScale == 0 {
		return 1
	}
	return m.TimeScale
}

// platform is the platform at the model's time scale. Bandwidths and prices
// stay: bytes are divided, so that transfers shrink with everything else.
func (m *Model) platform() offload.Platform {
	pf, k := m.Platform, m.scale()
	if k == 1 {
		return pf
	}
	pf.WAN.LatencyUs = scaled(pf.WAN.LatencyUs, k)
	pf.Providers = append([]offload.Provider(nil), pf.Providers...)
	for q := range pf.Providers {
		pr := &pf.Providers[q]
		pr.InvokeUs, pr.ColdStartUs = scaled(pr.InvokeUs, k), scaled(pr.ColdStartUs, k)
	}
	return pf
}

func scaled(us int64, k float64) int64 { return int64(math.Floor(float64(us)/k + 0.5)) }

// margin is what planners leave free before the deadline. Unless the caller
// chose it, it falls from unknownMargin to knownMargin with the part of the
// run time whose spread history tells.
func (m *Model) margin(deadlineUs int64, bases []Basis) int64 {
	fraction := m.MarginFraction
	if fraction == 0 {
		known, all := 0.0, 0.0
		for i := range bases {
			all += bases[i].Seconds
			if bases[i].Measured() {
				known += bases[i].Seconds
			}
		}
		share := 0.0
		if all > 0 {
			share = known / all
		}
		least := knownMargin
		if m.Spreads {
			least = spreadMargin
		}
		fraction = unknownMargin - share*(unknownMargin-least)
	}
	return int64(max(0, fraction) * float64(deadlineUs))
}

// fileSize is how many bytes file f will have: what the graph says, unless
// history or its absence says better.
func (m *Model) fileSize(g *workflow.Graph, f int, of []estimate) int64 {
	file := &g.Files[f]
	if file.Retired {
		return 0
	}
	size := file.Size
	if file.Producer >= 0 {
		e := &of[g.Instances[file.Producer].Task]
		if e.bytes != nil {
			return e.bytes[file.Output] // as measured: it is at the run's scale already
		}
	}
	if k := m.scale(); k != 1 {
		size = int64(float64(size) / k)
	}
	return size
}
