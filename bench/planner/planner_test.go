//go:build linux || darwin

package main

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/bench/figures"
	"github.com/spillway/spillway/bench/gen"
	"github.com/spillway/spillway/bench/planners"
	"github.com/spillway/spillway/offload"
)

// TestProblemIsThatOfTheTrace: the short cut states the same problem as reading
// the instance's JSON does.
func TestProblemIsThatOfTheTrace(t *testing.T) {
	pf, err := planners.Platform("both", 4, false)
	require.NoError(t, err)
	for _, family := range gen.Families() {
		in, err := gen.Generate(family, 80, 5)
		require.NoError(t, err)
		text, err := json.Marshal(in)
		require.NoError(t, err)
		trace, err := planners.Parse(in.Name, text)
		require.NoError(t, err)
		want, err := trace.On(pf)
		require.NoError(t, err)
		got := problem(in, pf)
		require.Equal(t, want.Files, got.Files, family)
		for _, name := range []string{"private", "public", "greedy"} {
			require.Equal(t, outcome(t, want, name), outcome(t, got, name), "%s, %s", family, name)
		}
	}
}

func outcome(t *testing.T, p *offload.Problem, name string) offload.Outcome {
	t.Helper()
	planner, _ := offload.Lookup(name)
	plan, err := planner(*p, offload.Budget{})
	require.NoError(t, err)
	return plan.Predicted
}

func TestGrowth(t *testing.T) {
	rows := growth(map[int]timing{
		10_000:    {decode: took{cpu: 1}, density: took{cpu: 2}},
		1_000_000: {decode: took{cpu: 100}, all: took{cpu: 5}, density: took{cpu: 2 * 150}},
	}, 10_000, 1_000_000)
	require.Len(t, rows, 2, "what was not measured twice does not grow")
	require.InDelta(t, 1, rows[0].Value, 1e-9, "linear")
	require.InDelta(t, rows[1].Baseline, rows[1].Value, 1e-9, "150 = 100 times log 1,000,000 over log 10,000")
}

func TestQualityRows(t *testing.T) {
	row := func(instance, planner string, met bool, cost float64) planners.Row {
		return planners.Row{Instance: instance, Planner: planner, Met: met, Cost: cost, LowerBound: 1, NoiseHits: -1}
	}
	rows := qualityRows("set", []planners.Row{
		row("a", leader, true, 2), row("b", leader, true, 3), row("c", leader, false, 0),
		row("a", "dato", true, 4), row("b", "dato", false, 9), row("c", "dato", true, 1),
		row("a", "refeval:improve", true, 2), row("b", "refeval:improve", false, 1), row("c", "refeval:improve", false, 1),
	})
	of := map[string]figures.Row{}
	for _, r := range rows {
		require.Equal(t, "set", r.Case)
		of[r.Metric] = r
	}
	require.InDelta(t, 0.5, of["cost over dato"].Value, 1e-6)
	require.InDelta(t, 1, of["dearest case over refeval:improve"].Value, 1e-6)
	require.InDelta(t, math.Sqrt(6), of["cost over bound"].Value, 1e-9)
	require.InDelta(t, 2./3, of["deadlines met, of those not proved impossible"].Value, 1e-9)
	require.Equal(t, 1.0, of["cases that only dato solves"].Value)
	require.Equal(t, 1.0, of["cases that refeval:improve misses"].Value)
	require.NotContains(t, of, "cases that dato misses")
}

// TestSpeedAtOneSize also sees that the workflow that is timed needs a planner.
func TestSpeedAtOneSize(t *testing.T) {
	p, plan, err := speedProblem(300)
	require.NoError(t, err)
	require.Greater(t, plan.Predicted.MakespanUs, p.DeadlineUs)
	var b bytes.Buffer
	bench := bench{out: &b, errs: &b}
	times, err := bench.timed(300)
	require.NoError(t, err)
	rows := times.rows(300)
	require.GreaterOrEqual(t, len(rows), 6)
	for _, r := range rows {
		require.GreaterOrEqual(t, r.Value, 0.0, r.Metric)
	}
}
