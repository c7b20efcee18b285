//go:build linux || darwin

package main

import (
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
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

		table := ask("")
		require.Contains(t, table, "  all private  ")
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
	if doc.AllPrivate != nil {
		require.InDelta(t, *doc.AllPrivate, last.DeadlineS, 1e-6)
		require.Zero(t, last.CostUSD, "home is free")
	}
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

// TestPlanPicture wants lanes for home, functions and links.
func TestPlanPicture(t *testing.T) {
	dirs := map[string]string{"TMP": t.TempDir()}
	text := wellFormed(t, replay(t, "spillway plan testdata/good.yaml --platform testdata/aws.json --planner public -o svg", dirs))
	for _, want := range []string{"mosaic: planned by public", "private", "aws 1769 MiB", "transfers: up, down, across", "deadline 45 s"} {
		require.Contains(t, text, want)
	}
}

func TestShortDollars(t *testing.T) {
	for usd, want := range map[float64]string{0: "$0", 0.0053790: "$0.00538", 0.5: "$0.5", 1.849: "$1.85", 20: "$20", 1234.6: "$1235", 2e-7: "$0.0000002"} {
		require.Equal(t, want, shortDollars(usd))
	}
}

func TestGap(t *testing.T) {
	require.Equal(t, []string{"0 %", "-", "4.0 %", "150 %"}, []string{gap(5, 5), gap(5, 0), gap(104, 100), gap(250, 100)})
}
