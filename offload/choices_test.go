package offload

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/pricing"
)

// oneCore is a private core and a provider that takes 2 s to start, sells half
// a vCPU and a whole one, and bills whole seconds at a cent a GiB-second.
func oneCore() Platform {
	return Platform{
		Nodes: []Node{{Cores: 1, Speed: 1, MemMiB: 1024}},
		WAN:   WAN{UpBps: 1e6, DownBps: 1e6},
		Providers: []Provider{{
			Name: "f", Configs: []Config{{512, 0.5}, {1024, 1}}, SpeedPerVCPU: 1, ColdStartUs: 2 * second, KeepWarmUs: 100 * second,
			MaxDurUs: 900 * second, Quota: 10,
			Rates: pricing.Rates{PerGiBSecond: 0.01, PerEgressGiB: 1, GranularityUs: second, BillColdStart: true},
		}},
	}
}

// chainAndOne is a (10 s), then b (20 s), and c (10 s) on its own.
func chainAndOne(deadlineS float64) *Problem {
	return &Problem{
		Platform: oneCore(), DeadlineUs: micros(deadlineS),
		Tasks: []Task{
			{ID: "a", Cores: 1, MemBytes: mib, RuntimeS: 10},
			{ID: "b", Cores: 1, MemBytes: mib, RuntimeS: 20, Parents: []int32{0}},
			{ID: "c", Cores: 1, MemBytes: mib, RuntimeS: 10},
		},
	}
}

// TestChoices works each planner's rule out by hand. At home a and b end at 30,
// c at 40. Bought, 10 s take 12 with 1024 MiB (12 cents) and 22 with 512 MiB
// (11 cents). Sub-deadlines of a, b and c are 1/3, 1 and 1 of the deadline.
func TestChoices(t *testing.T) {
	const (
		atHome   = "private"
		half     = "f 512"
		whole    = "f 1024"
		meets    = "it finishes at home by its sub-deadline"
		cheap    = "late at home; the cheapest that meets its sub-deadline"
		lateHome = "nothing meets its sub-deadline; home finishes first"
	)
	for _, c := range []struct {
		planner  string
		deadline float64
		want     [3]string
		because  string // of c
		endsS    float64
	}{
		{"private", 20, [3]string{atHome, atHome, atHome}, "every task stays at home", 40},
		{"public", 20, [3]string{whole, whole, whole}, "every task is bought in its fastest configuration", 32},
		{"greedy", 20, [3]string{atHome, atHome, whole}, "no core is idle when it is ready", 30},
		{"greedy", 90, [3]string{atHome, atHome, whole}, "no core is idle when it is ready", 30},
		{"dato", 40, [3]string{atHome, atHome, atHome}, meets, 40},
		{"dato", 39.999999, [3]string{atHome, atHome, half}, cheap, 30},
		{"dato", 20, [3]string{atHome, atHome, whole}, cheap, 30},
		{"dato", 11, [3]string{atHome, atHome, whole}, "nothing meets its sub-deadline; this finishes first", 30},
		{"density", 40, [3]string{atHome, atHome, atHome}, "all-private plan is in time", 40},
		{"density", 39, [3]string{atHome, atHome, half}, "buying it frees private time cheaply, or saves egress", 30},
		{"density", 30, [3]string{atHome, atHome, half}, "buying it frees private time cheaply, or saves egress", 30},
	} {
		p := chainAndOne(c.deadline)
		plan, err := planOf(c.planner)(*p, Budget{})
		require.NoError(t, err)
		var got [3]string
		for i, pl := range plan.Placements {
			if got[i] = atHome; pl.Target != Private {
				got[i] = [...]string{half, whole}[pl.Config]
			}
		}
		require.Equal(t, c.want, got, "%s, %g s", c.planner, c.deadline)
		require.Equal(t, c.because, plan.Placements[2].Reason.ChosenBecause, "%s, %g s", c.planner, c.deadline)
		require.Equal(t, micros(c.endsS), plan.Predicted.MakespanUs, "%s, %g s", c.planner, c.deadline)
	}
	plan, err := planOf("dato")(*chainAndOne(25), Budget{})
	require.NoError(t, err)
	require.Equal(t, lateHome, plan.Placements[0].Reason.ChosenBecause, "a: 10 s at home, 12 s bought, 8.3 s to go")
}

// TestMarginCostsNoMoreThanItMust: both tasks bought end at 9 s, one of them at
// 10 s for half the price. Eight seconds are out of reach, twelve are not.
func TestMarginCostsNoMoreThanItMust(t *testing.T) {
	pf := oneCore()
	pf.Providers[0].ColdStartUs, pf.Providers[0].SpeedPerVCPU = 0, 10.0/9
	p := &Problem{
		Platform: pf, DeadlineUs: 12 * second, MarginUs: 4 * second,
		Tasks: []Task{{ID: "x", Cores: 1, RuntimeS: 10}, {ID: "y", Cores: 1, RuntimeS: 10}},
	}
	plan, err := planOf("density")(*p, Budget{})
	require.NoError(t, err)
	require.Equal(t, 1, plan.Predicted.Offloaded)
	require.Equal(t, int64(10*second), plan.Predicted.MakespanUs)
	require.Contains(t, plan.Placements[1].Reason.ChosenBecause, "frees private time")
}

// TestTakeHome brings home what was bought for nothing.
func TestTakeHome(t *testing.T) {
	g, err := newPlanning(chainAndOne(40), Budget{})
	require.NoError(t, err)
	all := g.try(g.allPublic(g.fastest))
	require.Positive(t, all.cost)
	require.Zero(t, g.takeHome(all).cost)

	g, err = newPlanning(chainAndOne(39), Budget{})
	require.NoError(t, err)
	some := g.takeHome(g.try(g.allPublic(g.fastest)))
	require.True(t, some.inTime)
	require.Equal(t, []int32{Private, Private, 0}, some.d.target)
}

// TestClosure buys the reader of a large file too, where its egress costs more.
func TestClosure(t *testing.T) {
	p := chainAndOne(100)
	p.Files = []File{{Name: "large", Size: 2 << 30}, {Name: "small", Size: 1 << 10}}
	p.Tasks[0].Out, p.Tasks[1].In, p.Tasks[2].In = []int32{0, 1}, []int32{0}, []int32{1}
	p.Platform.WAN = WAN{UpBps: 1e9, DownBps: 1e9}
	g, err := newPlanning(p, Budget{})
	require.NoError(t, err)
	d := g.decision()
	d.buy(0, g.knee(0))
	before := g.try(d)
	after := g.closure(before)
	require.Less(t, after.cost, before.cost)
	require.Equal(t, []int32{0, 0, Private}, after.d.target, "two dollars of egress against 22 cents; a small file may travel")
}

// TestBoundExpectsWarmStarts: a, then b at a provider is 2 + 10 + 20 s, since b
// finds a's container warm.
func TestBoundExpectsWarmStarts(t *testing.T) {
	p := chainAndOne(32)
	p.Tasks = p.Tasks[:2]
	p.Tasks[0].PublicOnly, p.Tasks[1].PublicOnly = true, true
	plan, err := planOf("public")(*p, Budget{})
	require.NoError(t, err)
	require.True(t, plan.Predicted.DeadlineMet)
	require.False(t, plan.LowerBound.Infeasible)
}

// TestSimplePlannersAreTheReferences: all-private and all-public plans have the
// makespan and cost that the reference evaluator's planners find.
func TestSimplePlannersAreTheReferences(t *testing.T) {
	ref := startReference(t)
	compared := 0
	for seed := range uint64(300) {
		g := newGenerator(seed + 70_000)
		tr, pf := g.trace(1+g.IntN(20)), g.platform()
		p := tr.problem(t, mustPlatform(t, encode(t, pf)))
		p.DeadlineUs = 50 * second
		made, err := newPlanning(p, Budget{})
		require.NoError(t, err)
		if slices.Contains(made.home, false) {
			continue // ours buys what cannot run at home; theirs never ends
		}
		compared++
		for name, theirs := range map[string]string{"private": "all-private", "public": "all-public"} {
			plan, err := planOf(name)(*p, Budget{})
			require.NoError(t, err)
			a := ref.ask(t, doc{"op": "plan", "instance": tr, "platform": pf, "planner": theirs, "deadline": 50.0})
			require.Equal(t, us(a.MakespanS), plan.Predicted.MakespanUs, "seed %d, %s", seed, name)
			require.True(t, near(plan.Predicted.Cost, a.Cost, 3*len(p.Tasks)+len(p.Files)), "seed %d, %s", seed, name)
		}
	}
	require.Greater(t, compared, 50)
}

// TestDensestFirst: of longer tasks the start is a smaller part of the bill.
func TestDensestFirst(t *testing.T) {
	g, err := newPlanning(chainAndOne(40), Budget{})
	require.NoError(t, err)
	require.Equal(t, []int32{1, 0, 2}, g.byDensity(0))
}

// TestNothingIsBoughtForNothing: hardly ever can one bought task of a plan come
// home alone, in time and for less money.
func TestNothingIsBoughtForNothing(t *testing.T) {
	plans, wasteful := 0, 0
	for seed := range uint64(400) {
		p := generated(t, seed)
		p.MarginUs = 0
		plan, err := planOf("density")(*p, Budget{Decodes: 1000})
		require.NoError(t, err)
		if !plan.Predicted.DeadlineMet || plan.Predicted.Offloaded == 0 {
			continue
		}
		plans++
		for i := range plan.Placements {
			if plan.Placements[i].Target == Private {
				continue
			}
			other := plan
			other.Placements = slices.Clone(plan.Placements)
			other.Placements[i] = Placement{Target: Private, Node: -1}
			o, err := Simulate(p, &other, SimOptions{})
			require.NoError(t, err)
			if o.DeadlineMet && o.Cost < plan.Predicted.Cost {
				wasteful++
				break
			}
		}
	}
	t.Logf("%d of %d plans", wasteful, plans)
	require.Greater(t, plans, 50)
	require.LessOrEqual(t, wasteful, plans/50)
}
