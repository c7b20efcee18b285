package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/spillway/spillway/internal/draw"
	"github.com/spillway/spillway/workflow"
)

// maxRows is how many tasks get a row each; more are folded into a row a site.
const maxRows = 30

// scaleBar maps times to the columns of a picture.
type scaleBar struct {
	total time.Duration
	cols  int
}

func (s scaleBar) col(d time.Duration) int {
	return min(max(int(float64(d)/float64(s.total)*float64(s.cols)+0.5), 0), s.cols)
}

// gantt draws what ran when, with the deadline as a line through all rows.
func (p *page) gantt() {
	sites := p.actual()
	if len(sites) == 0 {
		return
	}
	total := p.until()
	if due, ok := p.due(); ok && due < 3*total {
		total = max(total, due)
	}
	total = max(total, time.Microsecond)
	rows := 0
	for i := range sites {
		rows += len(sites[i].bars)
	}
	label := 24
	s := scaleBar{total: total, cols: p.width - label - 1}
	p.axis(s, label)
	for i := range sites {
		if rows > maxRows {
			p.folded(s, label, &sites[i])
		} else {
			p.unfolded(s, label, &sites[i])
		}
	}
	p.legend(total, rows > maxRows)
}

func (p *page) due() (time.Duration, bool) { return p.since(p.Deadline.At) }

// axis writes the times of the ends and the deadline above the rows.
func (p *page) axis(s scaleBar, label int) {
	line := []rune(strings.Repeat(" ", s.cols+1))
	put := func(at int, text string) {
		r := []rune(text)
		copy(line[max(0, min(at, len(line)-len(r))):], r)
	}
	put(0, "0")
	end := span(s.total)
	put(s.cols, end)
	if due, ok := p.due(); ok && due <= s.total {
		text := "deadline " + span(due)
		if at := s.col(due) - len([]rune(text)) + 1; s.col(due) == s.cols || at+len([]rune(text)) > len(line)-len(end)-1 {
			put(s.cols-len([]rune(text))+1, "  "+text)
		} else {
			put(at, text)
		}
	}
	p.printf("%s%s\n", strings.Repeat(" ", label), p.paint(faint, strings.TrimRight(string(line), " ")))
}

// unfolded draws a row a task.
func (p *page) unfolded(s scaleBar, label int, at *site) {
	for _, b := range at.bars {
		t := &p.Tasks[b.Task]
		cells := p.blank(s)
		if t.planned() {
			from, _ := p.since(t.PlannedStart)
			to, _ := p.since(t.PlannedFinish)
			for c := s.col(from); c < s.col(to); c++ {
				cells[c] = '·'
			}
		}
		from, to := s.col(b.From), s.col(b.To)
		if to == from {
			from = min(from, s.cols-1)
			to = from + 1
		}
		for c := from; c < to; c++ {
			cells[c] = p.ink(at, b)
		}
		p.line(fit(clean(t.ID), label-9)+" "+fit(short(at), 7), cells, at)
	}
}

func short(at *site) string {
	if at.private() {
		return "private"
	}
	name, _, _ := strings.Cut(at.name, ":")
	return clean(name)
}

func (p *page) ink(at *site, b draw.Bar) rune {
	switch {
	case b.Failed:
		return 'x'
	case at.private():
		return '█'
	}
	return '▒'
}

const steps = " ▁▂▃▄▅▆▇█"

// folded draws a site as one row: how many tasks it ran at once.
func (p *page) folded(s scaleBar, label int, at *site) {
	cells := p.blank(s)
	levels := []rune(steps)
	for c, n := range draw.Usage(at.bars, s.total, s.cols) {
		if n > 0 {
			level := int(n/float64(at.lanes)*float64(len(levels)-1) + 0.5)
			cells[c] = levels[max(level, 1)]
		}
	}
	p.line(fit(clean(at.name), label-10)+" "+fit(fmt.Sprintf("max %d", at.lanes), 8), cells, at)
}

func (p *page) blank(s scaleBar) []rune {
	cells := []rune(strings.Repeat(" ", s.cols+1))
	if due, ok := p.due(); ok && due <= s.total {
		cells[s.col(due)] = '┊'
	}
	return cells
}

func (p *page) line(label string, cells []rune, at *site) {
	color := away
	if at.name == workflow.SitePrivate {
		color = home
	}
	text := strings.TrimRight(string(cells), " ")
	if bars, due, ok := strings.Cut(text, "┊"); ok {
		text = p.paint(color, bars) + p.paint(bad, "┊") + p.paint(color, due)
	} else {
		text = p.paint(color, text)
	}
	p.printf("%s %s\n", label, text)
}

func (p *page) legend(total time.Duration, folded bool) {
	text := "█ private  ▒ bought  · planned"
	if folded {
		text = "height: tasks at once"
	}
	if due, ok := p.due(); ok && due <= total {
		text += "  ┊ deadline"
	}
	p.printf("%s\n", p.paint(faint, text))
}
