// Package draw makes the SVG pictures of the command line and of reports: what
// runs where and when, and curves of cost. A picture is a value; it is drawn
// for the width of a page, holds on light and dark grounds, and enlarges its
// text where it is shown as narrow as on a phone. Its size is bounded, however
// many tasks there are.
package draw

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// Measures in pixels of the picture.
const (
	width    = 860
	side     = 16 // air left and right
	titleAt  = 28
	subAt    = 48
	legendAt = 72
	headEnd  = 88
	axisTall = 30
)

// style is of all pictures. Where the picture is narrow (a phone), text has to
// be larger to be read, and what is only nice to have goes.
const style = `<style>
text{font:13px ui-sans-serif,system-ui,sans-serif;fill:#24292f}
.title{font-size:18px;font-weight:600}.panel{font-size:15px;font-weight:600}.faint{fill:#6e7781}.name{font-weight:600}.note{font-weight:400;fill:#6e7781}.end{text-anchor:end}.mid{text-anchor:middle}
.in{font-size:11px;fill:#fff}.ground{fill:#fff}.track{fill:#eaeef2;fill-opacity:.6}
.home{fill:#3b7dd8}.away0{fill:#e08a2c}.away1{fill:#2a9d6f}.away2{fill:#9162d0}.away3{fill:#c0508f}.failed{fill:#cf222e}
.up{fill:#0a7ea4}.down{fill:#7a4fbf}.across{fill:#8c6d1f}.going{fill-opacity:.6}
.grid{stroke:#8c959f;stroke-opacity:.3}.due{stroke:#cf222e;stroke-width:2;stroke-dasharray:6 4}.duetext{fill:#cf222e}
.cost{fill:none;stroke:#3b7dd8;stroke-width:2.5}.bound{fill:none;stroke:#2a9d6f;stroke-width:2;stroke-dasharray:3 4}
.gap{fill:#3b7dd8;fill-opacity:.1}.proved{fill:#cf222e;fill-opacity:.16}.unknown{fill:#e08a2c;fill-opacity:.16}
.dot{fill:#3b7dd8}.knee{fill:none;stroke:#cf222e;stroke-width:2.5}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.faint,.note{fill:#9198a1}.ground{fill:#0d1117}.track{fill:#30363d}
.in{fill:#fff}.due,.knee{stroke:#ff7b72}.duetext{fill:#ff7b72}}
@media(max-width:560px){text{font-size:21px}.title{font-size:26px}.panel{font-size:23px}.faint.sub{font-size:18px}.in,.note,.extra{display:none}}
</style>`

// canvas is a picture being written.
type canvas struct{ w *bufio.Writer }

// open begins a picture. alt is what it is called where it cannot be seen.
func open(w io.Writer, height int, alt string) *canvas {
	c := &canvas{bufio.NewWriter(w)}
	c.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n", width, height, width, height)
	c.printf("<title>%s</title>\n%s\n", escape(alt), style)
	c.printf(`<rect width="%d" height="%d" rx="6" class="ground"/>`+"\n", width, height)
	return c
}

func (c *canvas) close() error {
	c.printf("</svg>\n")
	return c.w.Flush()
}

func (c *canvas) printf(format string, args ...any) { fmt.Fprintf(c.w, format, args...) }

func (c *canvas) text(x float64, y int, class, text string) {
	if text != "" {
		c.printf(`<text x="%s" y="%d" class="%s">%s</text>`+"\n", px(x), y, class, escape(text))
	}
}

func (c *canvas) rect(x, y, w, h float64, class string) {
	c.printf(`<rect x="%s" y="%s" width="%s" height="%s" class="%s"/>`+"\n", px(x), px(y), px(w), px(h), class)
}

func (c *canvas) line(x1, y1, x2, y2 float64, class string) {
	c.printf(`<line x1="%s" y1="%s" x2="%s" y2="%s" class="%s"/>`+"\n", px(x1), px(y1), px(x2), px(y2), class)
}

// px is a coordinate with a tenth of a pixel.
func px(x float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", x), ".0")
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}

// key is one entry of a legend.
type key struct{ class, name string }

// head writes what stands above a picture.
func (c *canvas) head(title, subtitle string, legend []key) {
	c.text(side, titleAt, "title", title)
	c.text(side, subAt, "faint sub", subtitle)
	each := min(200, (width-2*side)/max(1, len(legend)))
	for k, l := range legend {
		x := float64(side + k*each)
		if l.class == "due" || l.class == "cost" || l.class == "bound" {
			c.line(x, legendAt-4, x+16, legendAt-4, l.class)
		} else {
			c.printf(`<rect x="%s" y="%d" width="13" height="13" rx="2" class="%s"/>`+"\n", px(x), legendAt-11, l.class)
		}
		c.text(x+21, legendAt, "", l.name)
	}
}

// scale maps times to a picture's width.
type scale struct {
	from, until time.Duration
	left, right float64
}

func (s scale) x(d time.Duration) float64 {
	return s.left + float64(d-s.from)/float64(s.until-s.from)*(s.right-s.left)
}

// axis writes the times and their grid, labels below.
func (c *canvas) axis(s scale, top, bottom int) {
	step := tick(s.until - s.from)
	for t := (s.from + step - 1).Truncate(step); t <= s.until; t += step {
		x := s.x(t)
		c.line(x, float64(top), x, float64(bottom), "grid")
		class := "faint mid"
		if x > s.right-50 {
			x, class = s.right, "faint end"
		} else if x < s.left+10 {
			class = "faint"
		}
		c.text(x, bottom+20, class, Span(t))
	}
}

// clockSteps are the steps that people count seconds, minutes and hours in.
var clockSteps = []time.Duration{
	10 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute,
	15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
}

// tick is a round step that divides a span into at most six.
func tick(total time.Duration) time.Duration {
	const most = 6
	for unit := time.Microsecond; unit < 10*time.Second; unit *= 10 {
		for _, step := range []time.Duration{unit, 2 * unit, 5 * unit} {
			if total/step <= most {
				return step
			}
		}
	}
	for _, step := range clockSteps {
		if total/step <= most {
			return step
		}
	}
	const day = 24 * time.Hour
	return day * time.Duration(roundUp(max(1, float64(total)/float64(most*day))))
}

// Span says a duration to people in at most two units.
func Span(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	switch {
	case d == 0:
		return "0 s"
	case d < 999500*time.Microsecond:
		return fmt.Sprintf("%s%.3g ms", sign, d.Seconds()*1e3)
	case d < 59950*time.Millisecond:
		return fmt.Sprintf("%s%.3g s", sign, d.Seconds())
	case d < time.Hour-500*time.Millisecond:
		d = d.Round(time.Second)
		return fmt.Sprintf("%s%d m %02d s", sign, d/time.Minute, d%time.Minute/time.Second)
	case d < 100*time.Hour:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%s%d h %02d m", sign, d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%s%.0f d", sign, d.Hours()/24)
}

// roundUp is the least number of the form 1, 2 or 5 times a power of ten that
// is not below x, which is above 0.
func roundUp(x float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(x)))
	for _, k := range []float64{1, 2, 5} {
		if k*unit >= x*(1-1e-9) {
			return k * unit
		}
	}
	return 10 * unit
}
