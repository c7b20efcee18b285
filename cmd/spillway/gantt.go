//go:build linux || darwin

package main

import (
	"bufio"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spillway/spillway/offload"
)

// Sizes of the drawing, in pixels.
const (
	drawingWidth = 1000
	laneHeight   = 14
	laneLabel    = 130
	drawingTop   = 40
)

// bar is one task in a lane.
type bar struct {
	task          int
	lane          int
	start, finish int64
	lanes         int // it covers: one a core at home
}

// site is one group of lanes: a private node or a provider.
type siteLanes struct {
	name  string
	bars  []bar
	lanes int
}

// drawPlan writes a plan as SVG: a lane for every private core in use and every
// function running at once, a bar for every task, a line at the deadline.
func drawPlan(w io.Writer, p *offload.Problem, plan *offload.Plan) error {
	sites, height := layOut(p, plan), drawingTop
	end := max(p.DeadlineUs, 1)
	if plan.Predicted.MakespanUs != offload.Never {
		end = max(end, plan.Predicted.MakespanUs)
	}
	for _, s := range sites {
		height += s.lanes*laneHeight + 10
	}
	out := bufio.NewWriter(w)
	x := func(us int64) float64 { return laneLabel + float64(us)/float64(end)*(drawingWidth-laneLabel-20) }
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n",
		drawingWidth, height+10, drawingWidth, height+10)
	fmt.Fprintf(out, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	fmt.Fprintf(out, `<text x="8" y="18" font-size="13">%s: %s, %s</text>`+"\n", escape(plan.Planner), span(plan.Predicted.MakespanUs), escape(dollars(plan.Predicted.Cost)))
	y := drawingTop
	for _, s := range sites {
		fmt.Fprintf(out, `<text x="8" y="%d">%s</text>`+"\n", y+11, escape(shorten(s.name, 20)))
		for _, b := range s.bars {
			drawBar(out, p, plan, b, x(b.start), max(0.5, x(b.finish)-x(b.start)), y+b.lane*laneHeight)
		}
		y += s.lanes*laneHeight + 10
	}
	if p.DeadlineUs > 0 {
		fmt.Fprintf(out, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#b00020" stroke-dasharray="4 3"/>`+"\n", x(p.DeadlineUs), drawingTop-6, x(p.DeadlineUs), height)
		fmt.Fprintf(out, `<text x="%.1f" y="%d" fill="#b00020" text-anchor="end">deadline %s</text>`+"\n", x(p.DeadlineUs), drawingTop-10, span(p.DeadlineUs))
	}
	fmt.Fprintln(out, "</svg>")
	return out.Flush()
}

func drawBar(out io.Writer, p *offload.Problem, plan *offload.Plan, b bar, x, width float64, y int) {
	colour := "#4878a8"
	if plan.Placements[b.task].Target != offload.Private {
		colour = "#d98032"
	}
	fmt.Fprintf(out, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s" stroke="white" stroke-width="0.5"><title>%s %s-%s %s</title></rect>`+"\n",
		x, y, width, b.lanes*laneHeight-2, colour, escape(p.Tasks[b.task].ID), span(b.start), span(b.finish), escape(dollars(plan.Predicted.Tasks[b.task].Cost)))
}

// layOut groups tasks by site and gives each the first lanes that are free.
func layOut(p *offload.Problem, plan *offload.Plan) []siteLanes {
	sites := make([]siteLanes, len(p.Platform.Nodes)+len(p.Platform.Providers))
	for k := range p.Platform.Nodes {
		sites[k].name = strings.TrimSpace("private " + p.Platform.Nodes[k].Name)
	}
	for k := range p.Platform.Providers {
		sites[len(p.Platform.Nodes)+k].name = p.Platform.Providers[k].Name
	}
	for i := range plan.Placements {
		pl, t := &plan.Placements[i], &plan.Predicted.Tasks[i]
		if t.FinishUs == offload.Never {
			continue
		}
		at, lanes := t.Node, p.Tasks[i].Cores
		if pl.Target != offload.Private {
			at, lanes = len(p.Platform.Nodes)+pl.Target, 1
		}
		sites[at].bars = append(sites[at].bars, bar{task: i, start: t.StartUs, finish: t.FinishUs, lanes: lanes})
	}
	sites = slices.DeleteFunc(sites, func(s siteLanes) bool { return len(s.bars) == 0 })
	for k := range sites {
		sites[k].stack()
	}
	return sites
}

// stack gives each bar the lowest run of lanes that is free when it starts.
func (s *siteLanes) stack() {
	slices.SortStableFunc(s.bars, func(x, y bar) int { return cmp.Compare(x.start, y.start) })
	var free []int64 // by lane: when its last bar ends
	for k := range s.bars {
		b := &s.bars[k]
		for {
			for len(free) < b.lane+b.lanes {
				free = append(free, 0)
			}
			if slices.Max(free[b.lane:b.lane+b.lanes]) <= b.start {
				break
			}
			b.lane++
		}
		for l := b.lane; l < b.lane+b.lanes; l++ {
			free[l] = b.finish
		}
	}
	s.lanes = len(free)
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}
