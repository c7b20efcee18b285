package offload

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// alike is tasks of 10 s each that do not know each other: 10 s at home, 12 s
// bought.
func alike(n int, deadlineS float64) *Problem {
	p := &Problem{Platform: oneCore(), DeadlineUs: micros(deadlineS)}
	for range n {
		p.Tasks = append(p.Tasks, Task{ID: "t", Cores: 1, MemBytes: mib, RuntimeS: 10})
	}
	return p
}

func made(t testing.TB, planner string, p *Problem) Plan {
	t.Helper()
	plan, err := planOf(planner)(*p, Budget{})
	require.NoError(t, err)
	return plan
}

func targets(plan *Plan) (out []int) {
	for i := range plan.Placements {
		out = append(out, plan.Placements[i].Target)
	}
	return out
}

// TestRandomBuysTheSmallestPrefix: of ten tasks on one core as many stay as fit.
func TestRandomBuysTheSmallestPrefix(t *testing.T) {
	for deadline, want := range map[float64]int{100: 0, 99: 1, 90: 1, 50: 5, 40: 6, 30: 7, 19.9: 9, 12: 9} {
		plan := made(t, "random", alike(10, deadline))
		require.True(t, plan.Predicted.DeadlineMet, "%g s", deadline)
		require.Equal(t, want, plan.Predicted.Offloaded, "%g s", deadline)
	}
	require.False(t, made(t, "random", alike(10, 9)).Predicted.DeadlineMet)
}

// TestRandomScansFromTheSmallEnd: with three cores and a quota of one, neither
// fewer nor more than five of twenty are in time.
func TestRandomScansFromTheSmallEnd(t *testing.T) {
	p := alike(20, 55)
	p.Platform.Nodes[0].Cores, p.Platform.Providers[0].Quota = 3, 1
	for bought := range 21 {
		g := newPlan(t, p)
		d := g.decision()
		for i := range bought {
			d.buy(i, g.knee(i))
		}
		require.Equal(t, bought == 5, g.try(d).inTime, "%d bought", bought)
	}
	require.Equal(t, 5, made(t, "random", p).Predicted.Offloaded)
}

func TestRandomIsDrawnFromTheSeed(t *testing.T) {
	seen := map[string]bool{}
	for seed := range int64(20) {
		p := alike(10, 50)
		p.Seed = seed
		plan := made(t, "random", p)
		again := made(t, "random", p)
		require.Equal(t, plan, again)
		seen[string(encode(t, targets(&plan)))] = true
	}
	require.Greater(t, len(seen), 10, "other seeds, other plans")
}
