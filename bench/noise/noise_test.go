package noise

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAsInPython compares with what random.Random(seed).gauss gave under
// CPython 3.11, as in
//
//	python3 -c 'import random, math; r = random.Random(7); print([math.exp(r.gauss(0, .3) - .045) for _ in range(3)])'
func TestAsInPython(t *testing.T) {
	for seed, want := range pythonMultipliers {
		got := Multipliers(len(want), 0.3, seed)
		for i := range want {
			require.InEpsilon(t, want[i], got[i], 1e-14, "seed %d, number %d", seed, i)
		}
	}
}

func TestWordsAfterOneTwist(t *testing.T) {
	g := newTwister(42)
	var last float64
	for range 1000 {
		last = g.float()
	}
	require.Equal(t, float42At1000, last)
}

func TestMeanIsOne(t *testing.T) {
	sum := 0.0
	m := Multipliers(200_000, 0.3, 1)
	for _, x := range m {
		require.Positive(t, x)
		sum += x
	}
	require.InDelta(t, 1, sum/float64(len(m)), 4*0.3/math.Sqrt(float64(len(m))))
	require.Equal(t, []float64{1, 1}, Multipliers(2, 0, 5))
}
