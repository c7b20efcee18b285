package offload

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSimulationCanBeTakenUp stops an execution at some instant, states what
// has happened as Fixed and Present, and goes on: every task must end when, and
// the whole cost what, it would have without the stop.
func TestSimulationCanBeTakenUp(t *testing.T) {
	halfway := 0
	for seed := range uint64(500) {
		g := newGenerator(seed + 20_000)
		tr, pf := g.trace(2+g.IntN(25)), g.platform()
		p := tr.problem(t, mustPlatform(t, encode(t, pf)))
		p.DeadlineUs = 60 * second
		plan, bad, err := DecodePlan(p, encode(t, g.plan(tr, pf)))
		require.NoError(t, err)
		whole, err := Simulate(p, &plan, SimOptions{Trace: true, Violations: bad})
		require.NoError(t, err)
		if whole.MakespanUs == Never || whole.MakespanUs < second {
			continue
		}
		p.NowUs = int64(g.Float64() * float64(whole.MakespanUs))
		p.Fixed, p.Present = p.happened(&plan, &whole)
		if len(p.Fixed) > 0 && len(p.Fixed) < len(p.Tasks) {
			halfway++
		}
		rest, err := Simulate(p, &plan, SimOptions{Violations: bad})
		require.NoError(t, err)
		require.Equal(t, whole.MakespanUs, rest.MakespanUs, "seed %d", seed)
		require.Equal(t, whole.Cost, rest.Cost, "seed %d", seed)
		for i := range p.Tasks {
			require.Equal(t, whole.Tasks[i].FinishUs, rest.Tasks[i].FinishUs, "seed %d, task %d", seed, i)
			require.Equal(t, whole.Tasks[i].Cold, rest.Tasks[i].Cold, "seed %d, task %d", seed, i)
		}
	}
	require.Greater(t, halfway, 100)
}

// TestPlannersKeepWhatHasStarted plans again from halfway.
func TestPlannersKeepWhatHasStarted(t *testing.T) {
	for seed := range uint64(200) {
		p := generated(t, seed)
		first, err := planOf("density")(*p, Budget{})
		require.NoError(t, err)
		if first.Predicted.MakespanUs == Never || len(first.Predicted.Violations) > 0 {
			continue
		}
		p.NowUs = first.Predicted.MakespanUs / 2
		p.Fixed, p.Present = p.happened(&first, &first.Predicted)
		for name, plan := range planAll(t, p) {
			for _, f := range p.Fixed {
				pl := &plan.Placements[f.Task]
				require.Equal(t, f.Target, pl.Target, "%s moves a started task", name)
				require.Equal(t, f.StartUs, pl.StartUs)
				require.Equal(t, "already started there", pl.Reason.ChosenBecause)
			}
			for i := range plan.Placements {
				require.True(t, plan.Placements[i].StartUs >= p.NowUs || isFixed(p, i), "%s starts a task in the past", name)
			}
			if plan.Predicted.DeadlineMet {
				require.False(t, plan.LowerBound.Infeasible, "seed %d, %s", seed, name)
				require.LessOrEqual(t, plan.LowerBound.Cost, plan.Predicted.Cost, "seed %d, %s", seed, name)
			}
		}
	}
}

func isFixed(p *Problem, i int) bool {
	for _, f := range p.Fixed {
		if int(f.Task) == i {
			return true
		}
	}
	return false
}

// TestReservedCapacityIsNotUsed: others hold the only node for 5 s and a
// provider's quota for 7 s.
func TestReservedCapacityIsNotUsed(t *testing.T) {
	p := smallProblem(t)
	p.Reserved = []Reservation{
		{Target: Private, Node: 0, Cores: 2, MemBytes: mib, UntilUs: 5 * second},
		{Target: 0, Cores: 10, UntilUs: 7 * second},
	}
	o, err := Simulate(p, &Plan{Placements: []Placement{{Target: Private, Node: -1}, {Target: Private, Node: -1}}}, SimOptions{})
	require.NoError(t, err)
	require.Equal(t, int64(5*second), o.Tasks[0].StartUs)
	o, err = Simulate(p, &Plan{Placements: []Placement{{Target: 0, Node: -1}, {Target: Private, Node: -1}}}, SimOptions{})
	require.NoError(t, err)
	require.Equal(t, int64(7*second), o.Tasks[0].StartUs)
	require.Equal(t, int64(7*second), o.QuotaWaitUs)
}

// TestRunningTaskOfUnknownEnd: a placing planner expects what the model says,
// so the one core is not free now.
func TestRunningTaskOfUnknownEnd(t *testing.T) {
	p := &Problem{
		Platform: Platform{Nodes: []Node{{Cores: 1, Speed: 1, MemMiB: 1024}}, WAN: WAN{UpBps: 1, DownBps: 1}},
		Tasks:    []Task{{ID: "a", Cores: 1, RuntimeS: 10}, {ID: "b", Cores: 1, RuntimeS: 1}},
		NowUs:    4 * second,
		Fixed:    []FixedPlacement{{Task: 0, Target: Private, Node: -1}},
	}
	g, err := newPlanning(p, Budget{})
	require.NoError(t, err)
	slot, ok := newPlacer(g).private(1)
	require.True(t, ok)
	require.Equal(t, int64(10*second), slot.start)
}

func TestStatesThatMakeNoSense(t *testing.T) {
	for _, c := range []struct {
		change func(p *Problem)
		want   string
	}{
		{func(p *Problem) { p.Fixed = []FixedPlacement{{Task: 7}} }, "fixed placement of task 7 of 2"},
		{func(p *Problem) { p.Fixed = []FixedPlacement{{Task: 0, Target: 5}} }, `fixed placement of task "a": no target 5`},
		{func(p *Problem) { p.Fixed = []FixedPlacement{{Task: 0, Target: Private, Node: 3}} }, `fixed placement of task "a": no private node 3`},
		{func(p *Problem) { p.Fixed = []FixedPlacement{{Task: 0, StartUs: 9}} }, `fixed placement of task "a": runs from 9 to 0 us, now is 0 us`},
		{func(p *Problem) { p.Present = []FilePresence{{File: 3}} }, "present file 3 in domain 0"},
		{func(p *Problem) { p.Reserved = []Reservation{{Target: Private, Node: 2}} }, "reservation at target -1, node 2"},
	} {
		p := smallProblem(t)
		c.change(p)
		_, err := planOf("density")(*p, Budget{})
		require.ErrorContains(t, err, c.want)
		_, err = Simulate(p, &Plan{Placements: make([]Placement, 2)}, SimOptions{})
		require.ErrorContains(t, err, c.want)
	}
}
