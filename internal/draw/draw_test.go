package draw

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// elements parses a picture, so that it must be well-formed, and counts its
// elements by class.
func elements(t require.TestingT, svg []byte) map[string]int {
	counts := map[string]int{}
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return counts
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok {
			counts[e.Name.Local]++
			for _, a := range e.Attr {
				if a.Name.Local == "class" {
					counts["."+a.Value]++
				}
				require.NotContains(t, a.Value, "NaN")
				require.NotContains(t, a.Value, "Inf")
			}
		}
	}
}

func drawn(t require.TestingT, g *Gantt) (map[string]int, string) {
	var b bytes.Buffer
	require.NoError(t, g.WriteSVG(&b))
	return elements(t, b.Bytes()), b.String()
}

func s(x float64) time.Duration { return time.Duration(x * float64(time.Second)) }

func small() *Gantt {
	return &Gantt{
		Title: "two & <three>", Subtitle: "sub", Deadline: s(9),
		Panels: []Panel{{Groups: []Group{
			{Name: "private", Kind: Home, Legend: "private", Lanes: 4, Bars: []Bar{
				{From: 0, To: s(4), Width: 2, Label: "wide", Note: "wide \x00 0-4"}, {From: s(1), To: s(3), Label: "q<x", Note: "b"},
				{From: s(4), To: s(5), Failed: true}, {From: s(5), To: s(8), Going: true},
			}},
			{Name: "aws 1769", Kind: Away, Legend: "aws", Bars: []Bar{{From: s(1), To: s(2), Note: "c"}}},
			{Name: "gcp 2048", Kind: Away, Provider: 1, Legend: "gcp"},
			{Name: "transfers", Kind: Wires, Bars: []Bar{{From: 0, To: s(1)}, {From: s(1), To: s(2)}, {From: s(5), To: s(6)}, {From: 0, To: s(6), Lane: 1}}},
		}}},
	}
}

func TestGantt(t *testing.T) {
	counts, svg := drawn(t, small())
	require.Equal(t, 2+1, counts[".home"], "two bars and the legend")
	require.Equal(t, 1+1, counts[".away0"])
	require.Equal(t, []int{1, 1}, []int{counts[".failed"], counts[".home going"]})
	require.Equal(t, 4+1+3, counts[".track"], "idle cores are lanes too, and so are the links")
	require.Equal(t, []int{2, 1, 0}, []int{counts[".up"], counts[".down"], counts[".across"]}, "adjacent transfers are one")
	require.Equal(t, 2, counts[".due"], "the line and the legend")
	require.Contains(t, svg, ">deadline 9 s</text>")
	require.Contains(t, svg, "two &amp; &lt;three&gt;")
	require.NotContains(t, svg, "q<x")
}

func TestGanttLeavesOutAFarDeadline(t *testing.T) {
	g := small()
	g.Deadline = s(1000)
	counts, svg := drawn(t, g)
	require.Zero(t, counts[".due"])
	require.NotContains(t, svg, "deadline 1")
}

func TestGanttOfNothing(t *testing.T) {
	counts, _ := drawn(t, &Gantt{Title: "empty"})
	require.Equal(t, 1, counts["svg"])
}

// TestGanttStaysSmall: with many tasks, or more lanes than there are pixels,
// groups are drawn as how many run at once.
func TestGanttStaysSmall(t *testing.T) {
	for _, n := range []int{2_000, 100_000} {
		g := &Gantt{Title: "many", Panels: []Panel{{Groups: []Group{{Name: "private", Lanes: 16}, {Name: "aws", Kind: Away}}}}}
		for i := range n {
			at := time.Duration(i) * time.Second
			g.Panels[0].Groups[0].Bars = append(g.Panels[0].Groups[0].Bars, Bar{From: at, To: at + 10*time.Second, Label: "task", Note: fmt.Sprint("task ", i)})
			g.Panels[0].Groups[1].Bars = append(g.Panels[0].Groups[1].Bars, Bar{From: at / 2, To: at/2 + 400*time.Second, Note: fmt.Sprint("task ", i)})
		}
		counts, svg := drawn(t, g)
		require.Less(t, len(svg), 600_000, "%d tasks", n)
		require.Equal(t, n == 2_000, counts[".home"] == n, "each of %d tasks at home is a bar", n)
		require.Equal(t, 1, counts[".away0"], "800 functions at once are one shape")
		var height int
		_, text, _ := strings.Cut(svg, ` height="`)
		_, err := fmt.Sscanf(text, `%d"`, &height)
		require.NoError(t, err)
		require.Less(t, height, 900)
	}
}

// TestPackKeepsBarsApart on random bars that fit a number of cores: no two in
// one lane at a time, each as wide as it is, and no lane beyond the cores.
func TestPackKeepsBarsApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const cores = 6
		var bars []Bar
		for range rapid.IntRange(0, 25).Draw(t, "bars") {
			from := s(float64(rapid.IntRange(0, 20).Draw(t, "from")))
			b := Bar{From: from, To: from + s(float64(rapid.IntRange(0, 9).Draw(t, "took"))), Width: rapid.IntRange(0, 4).Draw(t, "width")}
			SortBars(bars)
			if fitsIn(append(bars, b), cores) {
				bars = append(bars, b)
			}
		}
		SortBars(bars)
		for _, limit := range []int{0, cores} {
			pieces, lanes := pack(bars, limit)
			got := make([]int, len(bars))
			for k, p := range pieces {
				got[p.bar] += p.lanes
				require.LessOrEqual(t, p.lane+p.lanes, lanes)
				for _, q := range pieces[:k] {
					a, b := &bars[p.bar], &bars[q.bar]
					apart := p.lane+p.lanes <= q.lane || q.lane+q.lanes <= p.lane || a.To <= b.From || b.To <= a.From
					require.True(t, apart, "%+v and %+v", p, q)
				}
			}
			for i := range bars {
				require.Equal(t, bars[i].lanes(), got[i])
			}
			if limit > 0 {
				require.LessOrEqual(t, lanes, cores)
			} else {
				require.Len(t, pieces, len(bars), "without a limit bars are whole")
			}
		}
	})
}

// fitsIn says whether bars never need more than so many lanes.
func fitsIn(bars []Bar, cores int) bool {
	for i := range bars {
		sum := 0
		for j := range bars {
			if bars[j].From <= bars[i].From && (bars[i].From < bars[j].To || i == j) {
				sum += bars[j].lanes()
			}
		}
		if sum > cores {
			return false
		}
	}
	return true
}

func TestUsageAddsUp(t *testing.T) {
	bars := []Bar{{From: 0, To: s(10), Width: 3}, {From: s(2.5), To: s(5)}}
	use := Usage(bars, s(10), 4)
	require.InDeltaSlice(t, []float64{3, 4, 3, 3}, use, 1e-9)
	require.Equal(t, 4, AtOnce(bars))
	require.Equal(t, 1, AtOnce([]Bar{{From: 0, To: s(5)}, {From: s(5), To: s(6)}}), "one begins as the other ends")
}

func bend() *Curve {
	return &Curve{
		Title: "cost of <montage>", Points: []Point{{s(60), 10, 8, "a"}, {s(90), 4, 3, "b"}, {s(240), 0, 0, "c"}},
		Knee: 1, Proved: s(50), Money: func(usd float64) string { return fmt.Sprintf("$%.2f", usd) },
	}
}

func TestCurve(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, bend().WriteSVG(&b))
	counts := elements(t, b.Bytes())
	require.Equal(t, 3, counts[".dot"])
	require.Equal(t, 1, counts[".knee"])
	require.Equal(t, 2, counts[".proved"], "the region and the legend")
	require.Contains(t, b.String(), ">knee: 1 m 30 s for $4.00</text>")
	require.Contains(t, b.String(), ">$5.00</text>")
}

func TestCurvesOfAllShapes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := bend()
		c.Points, c.Knee = nil, -1
		at := time.Duration(0)
		cost := rapid.SampledFrom([]float64{0, 1e-9, 3.7, 1e6}).Draw(t, "cost")
		for range rapid.IntRange(1, 20).Draw(t, "points") {
			at += time.Duration(rapid.Int64Range(1, 1e15).Draw(t, "later"))
			c.Points = append(c.Points, Point{at, cost, cost / 2, "\x1b"})
			cost *= rapid.Float64Range(0, 1).Draw(t, "cheaper")
		}
		c.Proved = time.Duration(rapid.Int64Range(0, int64(c.Points[0].Deadline)).Draw(t, "proved"))
		var b bytes.Buffer
		require.NoError(t, c.WriteSVG(&b))
		require.Equal(t, len(c.Points), elements(t, b.Bytes())[".dot"])
		require.Less(t, b.Len(), 20_000)
	})
}

func TestTicksAreFewAndRound(t *testing.T) {
	for total := time.Microsecond; total < 10_000*time.Hour; total = total*3/2 + 1 {
		step := tick(total)
		require.LessOrEqual(t, int(total/step), 6, "%s", total)
		require.GreaterOrEqual(t, int(total/step), 1, "%s", total)
	}
	require.Equal(t, time.Minute, tick(5*time.Minute))
	require.Equal(t, 2*time.Hour, tick(11*time.Hour))
	require.Equal(t, 5*24*time.Hour, tick(20*24*time.Hour))
	for x, want := range map[float64]float64{0.0011: 0.002, 3: 5, 5: 5, 70: 100, 1e-7: 1e-7} {
		require.InEpsilon(t, want, roundUp(x), 1e-9)
	}
	require.False(t, math.IsNaN(roundUp(1e-300)))
}
