package offload

import (
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/pricing"
)

// someProblems are generated problems with a deadline that home alone misses.
func someProblems(t *testing.T, seeds int, visit func(seed uint64, p *Problem)) {
	t.Helper()
	for seed := range uint64(seeds) {
		g := newGenerator(seed)
		p := g.trace(2+g.IntN(25)).problem(t, mustPlatform(t, encode(t, g.platform())))
		alone, err := planOf("private")(*p, Budget{})
		require.NoError(t, err)
		if ends := alone.Predicted.MakespanUs; ends < Never {
			p.DeadlineUs = max(1, ends*int64(3+g.IntN(6))/10)
		} else {
			p.DeadlineUs = int64(1+g.IntN(100)) * second
		}
		visit(seed, p)
	}
}

// outcomeScore is how a plan compares with others, by its prediction.
func outcomeScore(p *Problem, plan *Plan) *score {
	o := &plan.Predicted
	return &score{inTime: o.DeadlineMet, violated: len(o.Violations), lateUs: max(0, o.MakespanUs-p.DeadlineUs), endsUs: o.MakespanUs, cost: o.Cost}
}

func TestPacerIsNeverWorseWithMoreBudget(t *testing.T) {
	someProblems(t, 60, func(seed uint64, p *Problem) {
		var before *score
		for _, decodes := range []int{1, 2, 5, 17, 60, 61, 150, 400, 1000, 2500} {
			plan, err := planOf("pacer")(*p, Budget{Decodes: decodes})
			require.NoError(t, err)
			now := outcomeScore(p, &plan)
			if before != nil {
				require.False(t, before.better(now), "seed %d: worse with %d decodes", seed, decodes)
			}
			before = now
		}
	})
}

// TestPacerDoesNotDependOnCores: jobs in turn, backwards or at once give the same plan.
func TestPacerDoesNotDependOnCores(t *testing.T) {
	backwards := func(jobs int, job func(k int)) {
		for k := range jobs {
			job(jobs - 1 - k)
		}
	}
	atOnce := func(jobs int, job func(k int)) {
		var all sync.WaitGroup
		for k := range jobs {
			all.Go(func() { job(k) })
		}
		all.Wait()
	}
	someProblems(t, 20, func(seed uint64, p *Problem) {
		want, err := planOf("pacer")(*p, Budget{Decodes: 900})
		require.NoError(t, err)
		for _, parallel := range []func(int, func(int)){backwards, atOnce} {
			got, err := planOf("pacer")(*p, Budget{Decodes: 900, Parallel: parallel})
			require.NoError(t, err)
			require.Equal(t, want, got, "seed %d", seed)
		}
	})
}

// TestPacerHoldsItsBars: in time where any planner is, and not dearer than they are.
func TestPacerHoldsItsBars(t *testing.T) {
	paid := 0
	someProblems(t, 60, func(seed uint64, p *Problem) {
		mine, err := planOf("pacer")(*p, Budget{Decodes: 4000})
		require.NoError(t, err)
		for _, s := range Planners() {
			other, err := s.Plan(*p, Budget{Decodes: defaultDecodes})
			require.NoError(t, err)
			require.False(t, outcomeScore(p, &other).better(outcomeScore(p, &mine)), "seed %d: %s is better", seed, s.Name)
		}
		if mine.Predicted.Cost > 0 {
			paid++
		}
	})
	require.Greater(t, paid, 20)
}

// waiting is a problem that only a plan which leaves its core idle can solve: a
// long task is ready at once, an urgent one a second later.
func waiting() *Problem {
	return &Problem{
		Tasks: []Task{
			{ID: "long", Cores: 1, RuntimeS: 10, PrivateOnly: true},
			{ID: "first", Cores: 1, RuntimeS: 1, PublicOnly: true},
			{ID: "urgent", Cores: 1, RuntimeS: 5, PrivateOnly: true, Parents: []int32{1}},
			{ID: "last", Cores: 1, RuntimeS: 9, PublicOnly: true, Parents: []int32{2}},
		},
		Platform: Platform{
			Nodes: []Node{{Cores: 1, Speed: 1, MemMiB: 1024}}, WAN: WAN{UpBps: 1e9, DownBps: 1e9},
			Providers: []Provider{{
				Name: "f", Configs: []Config{{1024, 1}}, SpeedPerVCPU: 1, KeepWarmUs: 900 * second, MaxDurUs: 900 * second, Quota: 10,
				Rates: pricing.Rates{PerGiBSecond: 0.01},
			}},
		},
		DeadlineUs: 16 * second,
	}
}

func TestPacerLeavesACoreIdleForAnUrgentTask(t *testing.T) {
	density, err := planOf("density")(*waiting(), Budget{})
	require.NoError(t, err)
	require.False(t, density.Predicted.DeadlineMet, "without waiting there is no plan")
	plan, err := planOf("pacer")(*waiting(), Budget{Decodes: 3000})
	require.NoError(t, err)
	require.True(t, plan.Predicted.DeadlineMet)
	require.GreaterOrEqual(t, plan.Placements[0].NotBeforeUs, int64(second))
	again, err := Simulate(waiting(), &plan, SimOptions{})
	require.NoError(t, err)
	require.Equal(t, plan.Predicted.MakespanUs, again.MakespanUs, "the plan says all that it needs")
}

// TestPacerStartsFromTheIncumbent: a plan that a small budget would not find is kept.
func TestPacerStartsFromTheIncumbent(t *testing.T) {
	good, err := planOf("pacer")(*waiting(), Budget{Decodes: 3000})
	require.NoError(t, err)
	p := waiting()
	small, err := planOf("pacer")(*p, Budget{Decodes: 3})
	require.NoError(t, err)
	require.False(t, small.Predicted.DeadlineMet)
	p.Incumbent = &good
	kept, err := planOf("pacer")(*p, Budget{Decodes: 3})
	require.NoError(t, err)
	require.True(t, kept.Predicted.DeadlineMet)
}

// TestPacerSaysWhatHomeWouldMean reads the reasons of a plan that buys.
func TestPacerSaysWhatHomeWouldMean(t *testing.T) {
	p := waiting()
	for i := range p.Tasks {
		p.Tasks[i].PrivateOnly, p.Tasks[i].PublicOnly = false, false
	}
	p.DeadlineUs = 15 * second
	plan, err := planOf("pacer")(*p, Budget{Decodes: 2000})
	require.NoError(t, err)
	require.True(t, plan.Predicted.DeadlineMet)
	bought := slices.IndexFunc(plan.Placements, func(pl Placement) bool { return pl.Target != Private })
	require.GreaterOrEqual(t, bought, 0)
	require.Regexp(t, `^at home the run would be [0-9.]+m?s late$`, plan.Placements[bought].Reason.ChosenBecause)
	kept := slices.IndexFunc(plan.Placements, func(pl Placement) bool { return pl.Target == Private })
	require.Regexp(t, `^in time at home; it would cost \$0\.[0-9]{6} to buy$`, plan.Placements[kept].Reason.ChosenBecause)
}

// TestRaisedHomesCutAsNewOnes: dearer homes go on from an old flow to the cut that
// a new network has; short ways alone are enough where all are short.
func TestRaisedHomesCutAsNewOnes(t *testing.T) {
	differ := 0
	for seed := range uint64(200) {
		g := newGenerator(seed)
		p := g.trace(2+g.IntN(15)).problem(t, mustPlatform(t, encode(t, g.platform())))
		n := len(p.Tasks)
		stay, buy, egress := make([]int64, n), make([]int64, n), make([]int64, len(p.Files))
		for i := range n {
			stay[i], buy[i] = int64(g.IntN(20)), int64(g.IntN(40))
		}
		for f := range egress {
			egress[f] = int64(g.IntN(15))
		}
		c := newCut(p, stay, buy, egress)
		before, _ := c.solve()
		for i := range n {
			more := int64(g.IntN(20))
			stay[i] += more
			c.raise(int32(i), more)
		}
		total, bought := c.solve()
		wantTotal, want := newCut(p, stay, buy, egress).solve()
		require.Equal(t, wantTotal, total, "seed %d", seed)
		require.Equal(t, want, bought, "seed %d", seed)
		require.Equal(t, want, newCut(p, stay, buy, egress).solveNear(1<<30), "seed %d", seed)
		if total != before {
			differ++
		}
	}
	require.Greater(t, differ, 100)
}
