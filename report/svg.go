package report

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// The picture's measures in pixels.
const (
	svgWidth  = 960
	svgLeft   = 150 // names of the sites
	svgRight  = 20
	svgHead   = 58
	laneTall  = 18
	laneShort = 1
	panelTall = 420 // lanes shrink so that a panel is not taller
	gap       = 26
)

// The colours hold on white and on GitHub's dark ground; only the text's
// changes with the ground.
const svgStyle = `<style>
text{font:12px ui-sans-serif,system-ui,sans-serif;fill:#333}
.title{font-size:16px;font-weight:600}.faint{fill:#777}.name{text-anchor:end}
.in{font-size:11px;fill:#fff}
.home{fill:#3b7dd8}.away{fill:#d9822b}.failed{fill:#c8373a}.going{fill-opacity:.6}
.grid{stroke:#888;stroke-opacity:.3}.due{stroke:#c8373a;stroke-width:2;stroke-dasharray:5 4}.duetext{fill:#c8373a}
@media(prefers-color-scheme:dark){text{fill:#ddd}.faint{fill:#999}.in{fill:#fff}.duetext{fill:#f0676a}.due{stroke:#f0676a}}
</style>`

// picture is a report on its way to SVG.
type picture struct {
	*Report
	w     *bufio.Writer
	total time.Duration
	y     int
}

// SVG draws what was planned and what ran, each site's tasks in lanes, with the
// deadline through both.
func SVG(w io.Writer, r Report) error {
	plan, actual := r.plan(), r.actual()
	p := &picture{Report: &r, w: bufio.NewWriter(w), total: max(r.until(), time.Microsecond), y: svgHead}
	for _, sites := range [][]site{plan, actual} {
		for i := range sites {
			for _, b := range sites[i].bars {
				p.total = max(p.total, b.to)
			}
		}
	}
	if due, ok := r.since(r.Deadline.At); ok && due < 3*p.total {
		p.total = max(p.total, due)
	}
	p.total += p.total / 50 // air, so that the last line is seen
	height := svgHead + panelHeight(plan) + panelHeight(actual) + 30
	fmt.Fprintf(p.w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">`+"\n", svgWidth, height)
	fmt.Fprintf(p.w, "<title>%s</title>\n%s\n", escape(r.Run.Workflow+": plan and run"), svgStyle)
	p.head()
	p.axis(height - 30)
	p.panel("as planned when each task started", plan)
	p.panel("run", actual)
	p.deadline(height - 30)
	p.printf("</svg>\n")
	return p.w.Flush()
}

func (p *picture) printf(format string, args ...any) { fmt.Fprintf(p.w, format, args...) }

func (p *picture) text(x, y int, class, text string) {
	p.printf(`<text x="%d" y="%d" class="%s">%s</text>`+"\n", x, y, class, escape(text))
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(clean(text))) // a Builder never fails
	return b.String()
}

func (p *picture) x(d time.Duration) float64 {
	return svgLeft + float64(d)/float64(p.total)*(svgWidth-svgLeft-svgRight)
}

func (p *picture) head() {
	p.text(10, 24, "title", p.Run.Workflow)
	line := p.Run.State.String()
	if p.Makespan > 0 {
		line += " in " + span(p.Makespan)
	}
	if p.scale() != 1 {
		line += fmt.Sprintf(" at 1/%g of time and bytes", p.scale())
	}
	if planned, ok := p.Planned(); ok {
		line += ", planned " + span(planned)
	}
	line += ", " + money(p.Cost.Total)
	if p.UsesSandbox() {
		line += " (sandbox)"
	}
	p.text(10, 43, "faint", line)
	p.printf(`<rect x="%d" y="14" width="11" height="11" rx="2" class="home"/>`+"\n", svgWidth-200)
	p.text(svgWidth-184, 24, "", "private")
	p.printf(`<rect x="%d" y="14" width="11" height="11" rx="2" class="away"/>`+"\n", svgWidth-120)
	p.text(svgWidth-104, 24, "", "bought")
}

func (p *picture) axis(bottom int) {
	step := tick(p.total)
	for t := time.Duration(0); t <= p.total; t += step {
		x := p.x(t)
		p.printf(`<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" class="grid"/>`+"\n", x, svgHead-2, x, bottom)
		p.printf(`<text x="%.1f" y="%d" class="faint" text-anchor="middle">%s</text>`+"\n", x, bottom+18, span(t))
	}
}

// tick is a round step that divides a span into at most eight.
func tick(total time.Duration) time.Duration {
	for unit := time.Millisecond; ; unit *= 10 {
		for _, step := range []time.Duration{unit, 2 * unit, 5 * unit} {
			if total/step <= 8 {
				return roundStep(step)
			}
		}
	}
}

// roundStep prefers steps that people count minutes and hours in.
func roundStep(step time.Duration) time.Duration {
	for _, s := range []time.Duration{
		15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute,
		15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
	} {
		if step > 10*time.Second && step <= s {
			return s
		}
	}
	return step
}

func laneHeight(sites []site) int {
	lanes := 0
	for i := range sites {
		lanes += sites[i].lanes
	}
	return min(max(panelTall/max(lanes, 1), laneShort), laneTall)
}

func panelHeight(sites []site) int {
	if len(sites) == 0 {
		return 0
	}
	tall, lanes := laneHeight(sites), 0
	for i := range sites {
		lanes += sites[i].lanes
	}
	return lanes*tall + len(sites)*6 + gap
}

func (p *picture) panel(name string, sites []site) {
	if len(sites) == 0 {
		return
	}
	tall := laneHeight(sites)
	p.text(10, p.y+14, "title", name)
	p.y += gap - 6
	for i := range sites {
		s := &sites[i]
		p.text(svgLeft-8, p.y+min(tall, 14), "name", strings.TrimSpace(fit(s.name, 20)))
		for _, b := range s.bars {
			p.bar(s, b, p.y+b.lane*tall, tall)
		}
		p.y += s.lanes*tall + 6
	}
	p.y += 6
}

func (p *picture) bar(s *site, b bar, y, tall int) {
	class := "away"
	if s.private() {
		class = "home"
	}
	if b.failed {
		class = "failed"
	}
	if b.unfinished {
		class += " going"
	}
	t := &p.Tasks[b.task]
	x, width := p.x(b.from), max(p.x(b.to)-p.x(b.from), 1)
	p.printf(`<rect x="%.1f" y="%d" width="%.1f" height="%d" rx="%d" class="%s"><title>%s %s to %s</title></rect>`+"\n",
		x, y, width, max(tall-1, 1), min(tall/6, 3), class, escape(t.ID), span(b.from), span(b.to))
	if tall >= 14 && width > 9+6.5*float64(len([]rune(t.ID))) {
		p.printf(`<text x="%.1f" y="%d" class="in">%s</text>`+"\n", x+4, y+tall-6, escape(t.ID))
	}
}

func (p *picture) deadline(bottom int) {
	due, ok := p.since(p.Deadline.At)
	if !ok || due > p.total {
		return
	}
	x := p.x(due)
	p.printf(`<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" class="due"/>`+"\n", x, svgHead-10, x, bottom)
	p.printf(`<text x="%.1f" y="%d" class="duetext" text-anchor="end">deadline %s</text>`+"\n", x-5, svgHead-1, span(due))
}
