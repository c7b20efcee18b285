package report

import (
	"fmt"
	"io"

	"github.com/spillway/spillway/internal/draw"
)

// SVG draws what was planned and what ran, each site's tasks in lanes, with the
// deadline through both.
func SVG(w io.Writer, r Report) error {
	g := draw.Gantt{Title: clean(r.Run.Workflow), Subtitle: r.headline()}
	for _, p := range []struct {
		name  string
		sites []site
	}{{"as planned when each task started", r.plan()}, {"run", r.actual()}} {
		if len(p.sites) > 0 {
			g.Panels = append(g.Panels, draw.Panel{Name: p.name, Groups: r.groups(p.sites)})
		}
	}
	g.Deadline, _ = r.since(r.Deadline.At)
	return g.WriteSVG(w)
}

// headline says how the run went.
func (r *Report) headline() string {
	line := r.Run.State.String()
	if r.Makespan > 0 {
		line += " in " + span(r.Makespan)
	}
	if r.scale() != 1 {
		line += fmt.Sprintf(" at 1/%g of time and bytes", r.scale())
	}
	if planned, ok := r.Planned(); ok {
		line += ", planned " + span(planned)
	}
	line += ", " + money(r.Cost.Total)
	if r.UsesSandbox() {
		line += " (sandbox)"
	}
	return line
}

// groups are sites with what is written at their bars.
func (r *Report) groups(sites []site) []draw.Group {
	out := make([]draw.Group, len(sites))
	bought := 0
	for k := range sites {
		s := &sites[k]
		out[k] = draw.Group{Name: clean(s.name), Kind: draw.Away, Legend: clean(s.name), Note: plural(len(s.bars), "task"), Bars: s.bars}
		if s.private() {
			out[k].Kind = draw.Home
		} else {
			out[k].Provider = bought
			bought++
		}
		for i := range s.bars {
			b := &s.bars[i]
			id := clean(r.Tasks[b.Task].ID)
			b.Label, b.Note = id, fmt.Sprintf("%s %s to %s", id, span(b.From), span(b.To))
		}
	}
	return out
}
