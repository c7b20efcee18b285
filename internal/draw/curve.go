package draw

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Curve is a picture of cost against deadline.
type Curve struct {
	Title, Subtitle string
	Points          []Point       // by rising deadline, at least one
	Knee            int           // index, or -1
	Proved          time.Duration // no plan meets a deadline up to here
	Money           func(usd float64) string
}

// Point is the cheapest plan for a deadline, and a cost in USD that none is below.
type Point struct {
	Deadline    time.Duration
	Cost, Bound float64
	Note        string
}

const (
	plotLeft = 92
	plotTall = 360
)

// plot is a Curve with its scales.
type plot struct {
	*Curve
	*canvas
	scale       scale
	top, bottom float64
	most        float64 // USD at the top
}

// WriteSVG draws the curve.
func (c *Curve) WriteSVG(w io.Writer) error {
	p := &plot{Curve: c, scale: c.scale(), top: headEnd + 8, bottom: headEnd + 8 + plotTall, most: 1}
	highest := 0.0
	for _, point := range c.Points {
		highest = max(highest, point.Cost)
	}
	if highest > 0 {
		p.most = 1.05 * highest
	}
	p.canvas = open(w, headEnd+8+plotTall+axisTall, c.Title)
	p.head(c.Title, c.Subtitle, []key{{"cost", "cost"}, {"bound", "bound"}, {"proved", "proved impossible"}, {"unknown", "no plan found"}})
	p.impossible()
	p.axis(p.scale, int(p.top), int(p.bottom))
	p.costs()
	p.curves()
	p.dots()
	return p.close()
}

// scale shows what is impossible too, but not at the expense of the rest.
func (c *Curve) scale() scale {
	first, last := c.Points[0].Deadline, c.Points[len(c.Points)-1].Deadline
	s := scale{until: last + (last-first)/40 + time.Microsecond, left: plotLeft, right: width - side}
	if air := (last - first) / 3; first > air {
		s.from = first - max(air, first/10)
	}
	return s
}

func (p *plot) y(usd float64) float64 { return p.bottom - usd/p.most*plotTall }

func (p *plot) impossible() {
	proved, first := p.scale.x(max(p.Proved, p.scale.from)), p.scale.x(p.Points[0].Deadline)
	p.rect(plotLeft, p.top, max(proved-plotLeft, 0), plotTall, "proved")
	p.rect(proved, p.top, max(first-proved, 0), plotTall, "unknown")
}

// costs writes the amounts and their grid.
func (p *plot) costs() {
	step := roundUp(p.most / 5)
	for k := 0; float64(k)*step <= p.most; k++ {
		usd := float64(k) * step
		p.line(plotLeft, p.y(usd), width-side, p.y(usd), "grid")
		p.text(plotLeft-8, int(p.y(usd))+4, "faint end", p.Money(usd))
	}
}

// curves draws steps: a plan is good until the next one, a bound back to the
// one before.
func (p *plot) curves() {
	var cost, bound, back strings.Builder
	for k, point := range p.Points {
		x, y := px(p.scale.x(point.Deadline)), px(p.y(point.Cost))
		low := px(p.y(point.Bound))
		if k == 0 {
			fmt.Fprintf(&cost, "M%s %s", x, y)
			fmt.Fprintf(&bound, "M%s %s", x, low)
			continue
		}
		fmt.Fprintf(&cost, "H%sV%s", x, y)
		fmt.Fprintf(&bound, "V%sH%s", low, x)
	}
	for k := len(p.Points) - 1; k > 0; k-- {
		fmt.Fprintf(&back, "V%sH%s", px(p.y(p.Points[k].Bound)), px(p.scale.x(p.Points[k-1].Deadline)))
	}
	fmt.Fprintf(&cost, "H%s", px(p.scale.right))
	p.printf(`<path d="%s%sz" class="gap"/>`+"\n", strings.TrimSuffix(cost.String(), "H"+px(p.scale.right)), back.String())
	p.printf(`<path d="%s" class="bound"/>`+"\n", bound.String())
	p.printf(`<path d="%s" class="cost"/>`+"\n", cost.String())
}

func (p *plot) dots() {
	for k, point := range p.Points {
		x, y := p.scale.x(point.Deadline), p.y(point.Cost)
		p.printf(`<circle cx="%s" cy="%s" r="4" class="dot"><title>%s</title></circle>`+"\n", px(x), px(y), escape(point.Note))
		if k != p.Knee {
			continue
		}
		p.printf(`<circle cx="%s" cy="%s" r="9" class="knee"/>`+"\n", px(x), px(y))
		label := fmt.Sprintf("knee: %s for %s", Span(point.Deadline), p.Money(point.Cost))
		if x < width*0.6 {
			p.text(x+14, int(y)-14, "duetext", label)
		} else {
			p.text(x-14, int(y)-14, "duetext end", label)
		}
	}
}
