//go:build linux || darwin

package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spillway/spillway/internal/draw"
	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/pricing"
)

// manyNodes are drawn as one.
const manyNodes = 8

// drawPlan writes a plan as SVG: a lane for every private core and for every
// function running at once, by provider and size, what the links carry, and a
// line at the deadline.
func drawPlan(w io.Writer, p *planned) error {
	o, err := offload.Simulate(p.problem, &p.plan, offload.SimOptions{Trace: true})
	if err != nil {
		return err
	}
	g := gantt{planned: p, outcome: &o}
	picture := draw.Gantt{
		Title:    p.graph.Spec.Name + ": planned by " + p.plan.Planner,
		Subtitle: g.subtitle(), Deadline: micros(p.problem.DeadlineUs),
		Panels: []draw.Panel{{Groups: slices.Concat(g.private(), g.bought(), g.links())}},
	}
	return picture.WriteSVG(w)
}

func micros(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

// gantt is a plan on its way to a picture.
type gantt struct {
	*planned
	outcome *offload.Outcome
}

func (g *gantt) subtitle() string {
	took := "never ends"
	if g.outcome.MakespanUs != offload.Never {
		took = draw.Span(micros(g.outcome.MakespanUs))
	}
	parts := []string{took, dollars(g.outcome.Cost), fmt.Sprintf("%d of %s offloaded", g.outcome.Offloaded, count(len(g.problem.Tasks), "task"))}
	if b := &g.plan.LowerBound; g.problem.DeadlineUs > 0 && !b.Infeasible {
		parts = slices.Insert(parts, 2, "no plan in time below "+dollars(b.Cost))
	}
	return strings.Join(parts, ", ")
}

// bars are those of the tasks that run somewhere.
func (g *gantt) bars(at func(i int) bool, width func(i int) int) (bars []draw.Bar) {
	for i := range g.outcome.Tasks {
		t := &g.outcome.Tasks[i]
		if t.FinishUs == offload.Never || !at(i) {
			continue
		}
		note := fmt.Sprintf("%s: %s to %s", g.problem.Tasks[i].ID, draw.Span(micros(t.StartUs)), draw.Span(micros(t.FinishUs)))
		if t.Cost > 0 {
			note += ", " + dollars(t.Cost)
		}
		if t.Cold {
			note += ", cold start"
		}
		bars = append(bars, draw.Bar{
			From: micros(t.StartUs), To: micros(t.FinishUs), Task: i, Label: g.problem.Tasks[i].ID, Note: note, Width: width(i),
		})
	}
	return bars
}

// private is a group a node, or one of all where there are many.
func (g *gantt) private() (groups []draw.Group) {
	nodes := g.problem.Platform.Nodes
	home := func(name string, cores int, at func(node int) bool) {
		bars := g.bars(func(i int) bool { return g.plan.Placements[i].Target == offload.Private && at(g.outcome.Tasks[i].Node) },
			func(i int) int { return g.problem.Tasks[i].Cores })
		groups = append(groups, draw.Group{
			Name: name, Kind: draw.Home, Legend: "private", Lanes: cores, Bars: bars,
			Note: count(cores, "core") + ", " + count(len(bars), "task"),
		})
	}
	if len(nodes) > manyNodes {
		cores := 0
		for k := range nodes {
			cores += nodes[k].Cores
		}
		home("private, "+count(len(nodes), "node"), cores, func(int) bool { return true })
		return groups
	}
	for k := range nodes {
		name := "private"
		if len(nodes) > 1 {
			name += " " + cmp.Or(nodes[k].Name, fmt.Sprint(k))
		}
		home(name, nodes[k].Cores, func(node int) bool { return node == k })
	}
	return groups
}

// bought is a group for every size of function in use.
func (g *gantt) bought() (groups []draw.Group) {
	for q := range g.problem.Platform.Providers {
		provider := &g.problem.Platform.Providers[q]
		for c := range provider.Configs {
			bars := g.bars(func(i int) bool {
				pl := &g.plan.Placements[i]
				return pl.Target == q && pl.Config == c
			}, func(int) int { return 1 })
			if len(bars) == 0 {
				continue
			}
			cold, cost := 0, pricing.Money(0)
			for k := range bars {
				t := &g.outcome.Tasks[bars[k].Task]
				cost += t.Cost
				if t.Cold {
					cold++
				}
			}
			groups = append(groups, draw.Group{
				Name: fmt.Sprintf("%s %d MiB", provider.Name, provider.Configs[c].MemMiB), Kind: draw.Away, Provider: q,
				Legend: provider.Name, Bars: bars,
				Note: fmt.Sprintf("%s, %s, %s", count(len(bars), "task"), count(cold, "cold start"), dollars(cost)),
			})
		}
	}
	return groups
}

// links is one group for what is on its way up, down and across.
func (g *gantt) links() []draw.Group {
	var bars []draw.Bar
	for _, t := range g.outcome.Transfers {
		bars = append(bars, draw.Bar{From: micros(t.StartUs), To: micros(t.ArriveUs), Lane: lane(&t)})
	}
	if len(bars) == 0 {
		return nil
	}
	o := g.outcome
	return []draw.Group{{
		Name: "transfers: up, down, across", Kind: draw.Wires, Bars: bars,
		Note: fmt.Sprintf("%s up, %s down, %s across", megabytes(o.UpBytes), megabytes(o.DownBytes), megabytes(o.CrossBytes)),
	}}
}

func lane(t *offload.Transfer) int {
	switch {
	case t.From == offload.Private:
		return 0
	case t.To == offload.Private:
		return 1
	}
	return 2
}

func megabytes(n int64) string { return fmt.Sprintf("%.4g MB", float64(n)/1e6) }
