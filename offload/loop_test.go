package offload

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// steadfast is a policy that keeps its plan whatever happens.
func steadfast(plan Plan) Planner {
	return func(Problem, Budget) (Plan, error) { return plan, nil }
}

// TestLoopWithoutChangesIsSimulation asks a policy often that never changes its
// plan: clock and bill must be those of one simulation with the same run times,
// and the policy must never be told more than an engine would know.
func TestLoopWithoutChangesIsSimulation(t *testing.T) {
	calls := 0
	for seed := range uint64(400) {
		g := newGenerator(seed + 40_000)
		tr, pf := g.trace(2+g.IntN(25)), g.platform()
		p := tr.problem(t, mustPlatform(t, encode(t, pf)))
		p.DeadlineUs = 60 * second
		plan, _, err := DecodePlan(p, encode(t, g.plan(tr, pf)))
		require.NoError(t, err)
		mult := make([]float64, len(p.Tasks))
		for i := range mult {
			mult[i] = math.Exp(g.NormFloat64() / 2)
		}
		whole, err := Simulate(p, &plan, SimOptions{Multipliers: mult, Trace: true})
		require.NoError(t, err)
		every := min(whole.MakespanUs, 100*second)/12 + 1
		run, err := Loop(*p, watched(t, &whole, steadfast(plan)), LoopOptions{Multipliers: mult, EveryUs: every})
		require.NoError(t, err)
		calls += run.Plans
		requireSameRun(t, &whole, &run.Outcome, seed)
	}
	require.Greater(t, calls, 2000)
}

func requireSameRun(t *testing.T, want, got *Outcome, seed uint64) {
	t.Helper()
	require.Equal(t, want.MakespanUs, got.MakespanUs, "seed %d", seed)
	require.Equal(t, want.Cost, got.Cost, "seed %d", seed)
	require.Equal(t, want.DeadlineMet, got.DeadlineMet, "seed %d", seed)
	require.Equal(t, want.FaaS, got.FaaS, "seed %d", seed)
	require.Equal(t, want.Egress, got.Egress, "seed %d", seed)
	require.Equal(t, want.Storage, got.Storage, "seed %d", seed)
	require.Equal(t, want.Private, got.Private, "seed %d", seed)
	require.Equal(t, want.ColdStarts, got.ColdStarts, "seed %d", seed)
	require.Equal(t, want.Offloaded, got.Offloaded, "seed %d", seed)
	require.Equal(t, []int64{want.UpBytes, want.DownBytes, want.CrossBytes}, []int64{got.UpBytes, got.DownBytes, got.CrossBytes}, "seed %d", seed)
	require.ElementsMatch(t, want.Transfers, got.Transfers, "seed %d", seed)
	for i := range want.Tasks {
		require.Equal(t, want.Tasks[i].StartUs, got.Tasks[i].StartUs, "seed %d, task %d", seed, i)
		require.Equal(t, want.Tasks[i].FinishUs, got.Tasks[i].FinishUs, "seed %d, task %d", seed, i)
	}
}

// watched checks what a policy is told against what will have happened.
func watched(t *testing.T, truth *Outcome, policy Planner) Planner {
	return func(p Problem, b Budget) (Plan, error) {
		for _, f := range p.Fixed {
			x := &truth.Tasks[f.Task]
			require.Equal(t, x.StartUs, f.StartUs)
			require.Less(t, f.StartUs, p.NowUs)
			require.Equal(t, x.FinishUs < p.NowUs, f.Done)
			if !f.Done {
				require.Zero(t, f.FinishUs, "nobody knows when a task will end")
				require.Zero(t, f.Cost, "nor what it will cost")
			}
		}
		return policy(p, b)
	}
}

// TestLoopRefusesPoliciesThatMoveTheStarted: they would rewrite the past.
func TestLoopRefusesPoliciesThatMoveTheStarted(t *testing.T) {
	p := smallProblem(t)
	policy := func(p Problem, b Budget) (Plan, error) {
		plan, err := planOf("private")(p, b)
		if p.NowUs > 0 {
			plan.Placements[0].Target = 0
		}
		return plan, err
	}
	_, err := Loop(*p, policy, LoopOptions{EveryUs: second / 10})
	require.ErrorContains(t, err, "which has started")
	_, err = Loop(*p, steadfast(Plan{}), LoopOptions{})
	require.ErrorContains(t, err, "placed 0 tasks of 2")
}
