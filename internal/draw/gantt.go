package draw

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// Gantt is a picture of what runs where and when.
type Gantt struct {
	Title, Subtitle string
	Panels          []Panel
	Deadline        time.Duration // 0: none
}

// Panel is one timeline; all of a picture share the axis.
type Panel struct {
	Name   string
	Groups []Group
}

// Kind is what a group's bars are.
type Kind int

// The kinds of groups, in the order of the legend.
const (
	Home  Kind = iota // private
	Away              // bought
	Wires             // transfers: a lane up, one down, one across
)

// Group is the lanes of one node, offering, or of the links.
type Group struct {
	Name, Note string
	Kind       Kind
	Provider   int    // of what is bought: tells its colour
	Legend     string // what its colour means
	Lanes      int    // it has at least so many, such as cores
	Bars       []Bar
}

const (
	laneTallest  = 16
	laneShortest = 4
	panelTall    = 560 // lanes shrink, and groups are folded, to stay below
	foldTall     = 56  // a group that is drawn as how many run at once
	wireTall     = 6
	groupHead    = 24
	groupFoot    = 8
	panelHead    = 30
	dueTall      = 24 // room for the deadline's text
	manyBars     = 4000
	mostLanes    = 64 // idle ones are drawn
)

// layout is a Gantt with its places.
type layout struct {
	*Gantt
	*canvas
	scale scale
	tall  int // of a lane
	rows  [][]row
}

// row is a group with its lanes.
type row struct {
	*Group
	pieces []piece
	lanes  int
	folded bool
}

// WriteSVG draws the picture.
func (g *Gantt) WriteSVG(w io.Writer) error {
	l := &layout{Gantt: g, scale: scale{until: g.until(), left: side, right: width - side}}
	l.arrange()
	top := headEnd
	if g.due() {
		top += dueTall
	}
	bottom := top + l.height()
	l.canvas = open(w, bottom+axisTall, g.Title)
	l.head(g.Title, g.Subtitle, g.legend())
	l.axis(l.scale, top, bottom)
	y := top
	for p := range g.Panels {
		y = l.panel(p, y)
	}
	l.deadline(top, bottom)
	return l.close()
}

// until is the end of the axis, with some air so that the last line is seen.
func (g *Gantt) until() time.Duration {
	end := time.Microsecond
	for _, p := range g.Panels {
		for k := range p.Groups {
			for i := range p.Groups[k].Bars {
				end = max(end, p.Groups[k].Bars[i].To)
			}
		}
	}
	if g.Deadline < 3*end { // else it would flatten all the rest
		end = max(end, g.Deadline)
	}
	return end + end/60
}

func (g *Gantt) due() bool { return g.Deadline > 0 && g.Deadline <= g.until() }

func (g *Gantt) legend() (legend []key) {
	for kind := Home; kind <= Away; kind++ {
		for _, p := range g.Panels {
			for k := range p.Groups {
				s := &p.Groups[k]
				if entry := (key{s.class(), s.Legend}); s.Kind == kind && s.Legend != "" && !slices.Contains(legend, entry) {
					legend = append(legend, entry)
				}
			}
		}
	}
	if g.due() {
		legend = append(legend, key{"due", "deadline"})
	}
	return legend
}

func (s *Group) class() string {
	if s.Kind == Home {
		return "home"
	}
	return fmt.Sprintf("away%d", s.Provider%4)
}

// arrange finds lanes, and folds the largest groups until the rest can be told
// apart.
func (l *layout) arrange() {
	bars := 0
	l.rows = make([][]row, len(l.Panels))
	var all []*row
	for p := range l.Panels {
		l.rows[p] = make([]row, len(l.Panels[p].Groups))
		for k := range l.rows[p] {
			r := &l.rows[p][k]
			r.Group = &l.Panels[p].Groups[k]
			if r.Kind == Wires {
				r.lanes = 3
				continue
			}
			SortBars(r.Bars)
			r.pieces, r.lanes = pack(r.Bars, r.Lanes)
			if r.Lanes <= mostLanes {
				r.lanes = max(r.lanes, r.Lanes)
			}
			bars += len(r.Bars)
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b *row) int { return b.lanes - a.lanes })
	lanes := 0
	for _, r := range all {
		lanes += r.lanes
	}
	for _, r := range all {
		if bars > manyBars || lanes*laneShortest > panelTall {
			r.folded = true
			lanes -= r.lanes
		}
	}
	l.tall = min(max(panelTall/max(lanes, 1), laneShortest), laneTallest)
}

func (r *row) height(tall int) int {
	switch {
	case r.Kind == Wires:
		return r.lanes*(wireTall+1) + groupHead + groupFoot
	case r.folded:
		return foldTall + groupHead + groupFoot
	}
	return r.lanes*tall + groupHead + groupFoot
}

func (l *layout) height() (sum int) {
	for p := range l.Panels {
		sum += l.panelTop(p)
		for k := range l.rows[p] {
			sum += l.rows[p][k].height(l.tall)
		}
	}
	return sum
}

func (l *layout) panelTop(p int) int {
	if l.Panels[p].Name == "" {
		return 0
	}
	return panelHead
}

// panel draws one timeline and returns where the next begins.
func (l *layout) panel(p, y int) int {
	if l.Panels[p].Name != "" {
		l.text(side, y+20, "panel", l.Panels[p].Name)
		y += panelHead
	}
	for k := range l.rows[p] {
		r := &l.rows[p][k]
		l.printf(`<text x="%d" y="%d" class="name">%s<tspan class="note" dx="12">%s</tspan></text>`+"\n", side, y+17, escape(r.Name), escape(r.Note))
		top := y + groupHead
		switch {
		case r.Kind == Wires:
			l.wires(r, top)
		case r.folded:
			l.fold(r, top)
		default:
			l.lanes(r, top)
		}
		y += r.height(l.tall)
	}
	return y
}

// lanes draws every bar of a group.
func (l *layout) lanes(r *row, top int) {
	gap := 0.0
	if l.tall > 3 {
		gap = 1
	}
	for k := range r.lanes {
		l.rect(side, float64(top+k*l.tall), width-2*side, float64(l.tall)-gap, "track")
	}
	for _, p := range r.pieces {
		l.bar(r, p, float64(top+p.lane*l.tall), float64(p.lanes*l.tall)-gap)
	}
}

func (l *layout) bar(r *row, p piece, y, tall float64) {
	b := &r.Bars[p.bar]
	class := r.class()
	if b.Failed {
		class = "failed"
	}
	if b.Going {
		class += " going"
	}
	x := l.scale.x(b.From)
	w := max(l.scale.x(b.To)-x, 0.8)
	l.printf(`<rect x="%s" y="%s" width="%s" height="%s" rx="%s" class="%s"><title>%s</title></rect>`+"\n",
		px(x), px(y), px(max(w-0.3, 0.6)), px(tall), px(min(tall/6, 3)), class, escape(b.Note))
	if tall >= 11 && b.Label != "" && w > 10+6.4*float64(len([]rune(b.Label))) {
		l.printf(`<text x="%s" y="%s" class="in">%s</text>`+"\n", px(x+4), px(y+tall/2+4), escape(b.Label))
	}
}

// fold draws how many of a group run at once.
func (l *layout) fold(r *row, top int) {
	const parts = (width - 2*side) / 2
	use := Usage(r.Bars, l.scale.until, parts)
	most := max(slices.Max(use), 1)
	bottom := float64(top + foldTall)
	l.rect(side, float64(top), width-2*side, foldTall, "track")
	var path strings.Builder
	fmt.Fprintf(&path, "M%s %s", px(side), px(bottom))
	for k, n := range use {
		y := bottom - n/most*foldTall
		fmt.Fprintf(&path, "V%sH%s", px(y), px(side+float64(2*(k+1))))
	}
	l.printf(`<path d="%sV%sz" class="%s"/>`+"\n", path.String(), px(bottom), r.class())
	l.text(side+6, top+16, "faint extra", fmt.Sprintf("height: how many at once, at most %d", int(math.Ceil(most))))
}

// wires draws when each link is busy.
func (l *layout) wires(r *row, top int) {
	near := (l.scale.until - l.scale.from) / width / 2
	for lane, class := range []string{"up", "down", "across"} {
		y := float64(top + lane*(wireTall+1))
		l.rect(side, y, width-2*side, wireTall, "track")
		var bars []Bar
		for i := range r.Bars {
			if r.Bars[i].Lane == lane {
				bars = append(bars, r.Bars[i])
			}
		}
		SortBars(bars)
		for _, b := range merge(bars, near) {
			x := l.scale.x(b.From)
			l.rect(x, y, max(l.scale.x(b.To)-x, 0.6), wireTall, class)
		}
	}
}

func (l *layout) deadline(top, bottom int) {
	if !l.due() {
		return
	}
	x := l.scale.x(l.Deadline)
	l.line(x, float64(top-8), x, float64(bottom), "due")
	class := "duetext end"
	if x < width/2 {
		class = "duetext"
	}
	l.text(x, top-12, class, "deadline "+Span(l.Deadline))
}
