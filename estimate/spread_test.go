package estimate

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/workflow"
)

// TestSpreadsOfHistory: measured tasks are stated as means with a spread, which
// starts at the prior and approaches what is measured; the others get the prior
// as soon as any is measured.
func TestSpreadsOfHistory(t *testing.T) {
	g := graph(t, "apiVersion: spillway/v1\nname: w\ntasks:\n  a: {run: \"true\", estimate: {runtime: 5s}}\n  b: {run: \"true\", estimate: {runtime: 7s}}\n")
	m := model()
	m.Spreads = true
	p, _, err := m.Problem(g, 100_000_000)
	require.NoError(t, err)
	require.Zero(t, p.Tasks[0].Spread, "nothing is known of spreads: plan as without them")
	require.EqualValues(t, 7_000_000, p.MarginUs)

	rng := rand.New(rand.NewPCG(3, 4))
	sum := 0.0
	for range 400 {
		s := 10 * math.Exp(0.1*rng.NormFloat64()-0.005)
		sum += s
		m.History = append(m.History, Sample{Task: "a", Site: workflow.SitePrivate, Command: time.Duration(s * 1e9)})
	}
	p, bases, err := m.Problem(g, 100_000_000)
	require.NoError(t, err)
	mean := sum / 400 * m.speed(offering{-1, 0}, 1)
	require.InEpsilon(t, mean, p.Tasks[0].RuntimeS, 1e-9)
	require.InDelta(t, 0.1, p.Tasks[0].Spread, 0.02)
	require.Equal(t, priorSpread, p.Tasks[1].Spread)
	require.Contains(t, bases[0].String(), "the mean of 400 earlier runs at private, which spread by")
	require.Less(t, p.MarginUs, int64(5_000_000))

	m.History = m.History[:enough]
	p, _, err = m.Problem(g, 100_000_000)
	require.NoError(t, err)
	require.InDelta(t, priorSpread, p.Tasks[0].Spread, 0.07, "three samples do not outweigh five")

	m.Spreads = false
	p, bases, err = m.Problem(g, 100_000_000)
	require.NoError(t, err)
	require.Zero(t, p.Tasks[0].Spread)
	require.Contains(t, bases[0].String(), "quantile")
}
