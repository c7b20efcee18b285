package offload

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFactorsAreConditionalLogNormals draws many multipliers: their mean must be
// that which expected gives in closed form, whatever has passed already.
func TestFactorsAreConditionalLogNormals(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ spread, least float64 }{
		{0.1, 0}, {0.3, 0}, {0.3, 0.5}, {0.3, 1}, {0.3, 1.7}, {0.1, 1.2}, {1, 3},
	} {
		const n = 40_000
		sum := 0.0
		for range n {
			m := factor(rng.NormFloat64(), c.spread, c.least)
			require.GreaterOrEqual(t, m, c.least)
			sum += m
		}
		require.InEpsilon(t, expected(c.spread, c.least), sum/n, 0.02, "%+v", c)
	}
	require.Equal(t, 1.0, factor(2, 0, 0))
	require.Equal(t, 1.5, factor(-2, 0, 1.5), "a task known exactly has run longer than that")
	require.InDelta(t, 1, expected(0.3, 0), 1e-12, "estimates are means")
	far := expected(0.1, 50)
	require.True(t, far >= 50 && far < 51, "%g", far)
	require.False(t, math.IsNaN(factor(0, 0.1, 50)))
}

// TestScenariosKnowWhatHasPassed: a running task takes longer than it has run
// already, on the node where it runs; what is done or has not begun is free.
func TestScenariosKnowWhatHasPassed(t *testing.T) {
	p := smallProblem(t)
	p.Tasks[0].Spread, p.Tasks[1].Spread = 0.3, 0.3
	p.NowUs = 12 * second
	p.Fixed = []FixedPlacement{{Task: 0, Target: Private, Node: 0}}
	least := 1.2 * p.Platform.Nodes[0].Speed
	require.InDeltaSlice(t, []float64{least, 0}, p.elapsed(), 1e-6)
	free := 0
	for _, m := range p.scenarios(100) {
		require.GreaterOrEqual(t, m[0], p.elapsed()[0])
		if m[1] < least {
			free++
		}
	}
	require.Greater(t, free, 50)
	p.Fixed[0].Target = 0
	at := p.lastsUs(&p.Fixed[0], p.elapsed()[0])
	require.InDelta(t, p.NowUs, at, 1, "start-up and I/O count")
	p.Fixed[0].Done, p.Fixed[0].FinishUs = true, p.NowUs
	require.Equal(t, []float64{0, 0}, p.elapsed())
}

// TestScenariosAreCommon: equal seeds give equal luck, also when some of it has
// come to pass, and pairs mirror each other.
func TestScenariosAreCommon(t *testing.T) {
	p := smallProblem(t)
	p.Tasks[0].Spread, p.Tasks[1].Spread = 0.3, 0.1
	before := p.scenarios(4)
	require.Equal(t, before, p.scenarios(4))
	require.InDelta(t, math.Exp(-0.09), before[0][0]*before[1][0], 1e-12)
	p.NowUs = 9 * second
	p.Fixed = []FixedPlacement{{Task: 0, Target: Private, Node: 0}}
	for k, m := range p.scenarios(4) {
		require.Equal(t, before[k][1], m[1])
	}
	p.Seed++
	require.NotEqual(t, before, p.scenarios(4))
}
