//go:build linux || darwin

package main

import (
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPareto asks for the same curve in every format, of a YAML and of a trace.
func TestPareto(t *testing.T) {
	for _, file := range []string{"good.yaml", "chain.json"} {
		ask := func(args string) string {
			return replay(t, "spillway pareto testdata/"+file+" --platform testdata/aws.json --points 9 "+args, map[string]string{"TMP": t.TempDir()})
		}
		var doc curveDoc
		require.NoError(t, json.Unmarshal([]byte(ask("-o json")), &doc))
		requireFalling(t, &doc)

		rows, err := csv.NewReader(strings.NewReader(ask("-o csv"))).ReadAll()
		require.NoError(t, err)
		require.Len(t, rows, 1+len(doc.Points))
		require.Equal(t, []string{"deadline_s", "cost_usd", "lower_bound_usd", "makespan_s", "offloaded", "knee"}, rows[0])

		for k, row := range rows[1:] {
			isKnee := doc.Knee != nil && doc.Knee.DeadlineS == doc.Points[k].DeadlineS
			require.Equal(t, strconv.FormatBool(isKnee), row[5])
		}
		table := ask("")
		require.Contains(t, table, "  all private  ")
		require.NotContains(t, table, "all private  impossible")
		require.Equal(t, doc.Knee != nil, strings.Contains(table, "<- knee"))
		require.Contains(t, wellFormed(t, ask("-o svg")), "cost against deadline")
	}
}

// requireFalling: no point costs more than a tighter one, or less than its bound.
func requireFalling(t *testing.T, doc *curveDoc) {
	t.Helper()
	require.NotEmpty(t, doc.Points)
	require.Less(t, doc.Infeasible.ProvedUpTo, doc.Points[0].DeadlineS)
	require.InDelta(t, doc.Infeasible.FoundFrom, doc.Points[0].DeadlineS, 0)
	for k, p := range doc.Points {
		require.LessOrEqual(t, p.MakespanS, p.DeadlineS)
		require.LessOrEqual(t, p.LowerBound, p.CostUSD)
		if k > 0 {
			require.Greater(t, p.DeadlineS, doc.Points[k-1].DeadlineS)
			require.LessOrEqual(t, p.CostUSD, doc.Points[k-1].CostUSD)
		}
	}
	last := doc.Points[len(doc.Points)-1]
	require.NotNil(t, doc.AllPrivate)
	require.InDelta(t, *doc.AllPrivate, last.DeadlineS, 1e-6)
	require.Zero(t, last.CostUSD, "home is free")
}

// TestParetoWhereHomeCannotRunEverything says so, and ends at the cheapest plan.
func TestParetoWhereHomeCannotRunEverything(t *testing.T) {
	dirs := map[string]string{"TMP": t.TempDir()}
	platform := strings.Replace(readTestFile(t, "testdata/aws.json"), `"mem_mib": 8192`, `"mem_mib": 100`, 1)
	require.NoError(t, os.WriteFile(dirs["TMP"]+"/small.json", []byte(platform), 0o600))
	var doc curveDoc
	require.NoError(t, json.Unmarshal([]byte(replay(t, "spillway pareto testdata/chain.json --platform $TMP/small.json -o json", dirs)), &doc))
	require.Nil(t, doc.AllPrivate)
	require.Positive(t, doc.Points[len(doc.Points)-1].CostUSD)
}

func readTestFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// wellFormed returns the text of a picture.
func wellFormed(t *testing.T, svg string) string {
	t.Helper()
	var text strings.Builder
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return text.String()
		}
		require.NoError(t, err)
		if chars, ok := token.(xml.CharData); ok {
			text.Write(chars)
		}
	}
}

// TestPlanPicture wants lanes for home, for functions by size, and for links.
func TestPlanPicture(t *testing.T) {
	a := &app{getenv: func(string) string { return "" }}
	f := planFlags{planner: "public", margin: -1, effort: &choice{value: "default"}}
	f.platform, f.params, f.scale = "testdata/aws.json", &[]string{}, 1
	p, err := a.plan(t.Context(), "testdata/good.yaml", &f)
	require.NoError(t, err)
	p.plan.Placements[0].Config++
	var svg strings.Builder
	require.NoError(t, drawPlan(&svg, p))
	text := wellFormed(t, svg.String())
	for _, want := range []string{
		"mosaic: planned by public", "private2 cores, 1 task", "aws 1769 MiB2 tasks", "aws 2048 MiB1 task", "transfers: up, down, across", "deadline 45 s",
	} {
		require.Contains(t, text, want)
	}
	for class, n := range map[string]int{"home": 1, "away0": 3} {
		require.Equal(t, n+1, strings.Count(svg.String(), `class="`+class+`"`), "%s, and the legend", class)
	}
	require.Contains(t, svg.String(), `class="down"`)
}

func TestShortDollars(t *testing.T) {
	for usd, want := range map[float64]string{0: "$0", 0.0053790: "$0.00538", 0.5: "$0.5", 1.849: "$1.85", 20: "$20", 1234.6: "$1235", 2e-7: "$0.0000002"} {
		require.Equal(t, want, shortDollars(usd))
	}
}

func TestGap(t *testing.T) {
	require.Equal(t, []string{"0 %", "-", "4.0 %", "150 %"}, []string{gap(5, 5), gap(5, 0), gap(104, 100), gap(250, 100)})
}
