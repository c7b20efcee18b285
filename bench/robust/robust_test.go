package main

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFamiliesShareMeanAndVariance, so that only the shape differs.
func TestFamiliesShareMeanAndVariance(t *testing.T) {
	for name, draw := range families {
		for _, sigma := range []float64{0.1, 0.3} {
			const n = 400_000
			sum, squares := 0.0, 0.0
			for _, m := range draw(n, sigma, 5) {
				require.Positive(t, m, name)
				sum += m
				squares += (m - 1) * (m - 1)
			}
			require.InDelta(t, 1, sum/n, 0.003, name)
			require.InEpsilon(t, math.Expm1(sigma*sigma), squares/n, 0.03, name)
		}
	}
}

// TestStudy runs the smallest study there is, twice: it is counted, so it is the
// same both times, and no way does better than the clairvoyant's deadlines.
func TestStudy(t *testing.T) {
	run := func() (string, *bench) {
		var out bytes.Buffer
		b := &bench{out: &out, seeds: 1, most: 100, book: "aws", family: "lognormal", generated: true, executions: 20, verbose: true, copies: true}
		b.budget.Decodes = 20
		require.NoError(t, b.prepare("density", "0.3", "1.5"))
		require.NoError(t, b.run("/nowhere/*.json"))
		return out.String(), b
	}
	text, b := run()
	again, _ := run()
	require.Equal(t, text, again)
	require.Contains(t, text, "planner, planned again")
	require.Contains(t, text, "copies, 0 of them first")
	for _, r := range b.rows {
		require.False(t, math.IsNaN(r.Value), r.Metric)
		if r.Metric == "deadlines kept, of the clairvoyant's" {
			require.LessOrEqual(t, r.Value, r.Baseline)
		}
	}
}

func TestBadFlags(t *testing.T) {
	b := bench{family: "gamma"}
	require.ErrorContains(t, b.prepare("nobody", "0.1", "2"), "unknown planner")
	require.ErrorContains(t, b.prepare("density", "0.1,x", "2"), "want numbers")
	b.family = "pink"
	require.ErrorContains(t, b.prepare("density", "0.1", "2"), "unknown family")
}
