package offload

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/pricing"
)

// spreading is a generated problem with run times that spread by 0.3, a
// deadline between the earliest end and the all-private one, and true run times.
func spreading(t *testing.T, seed uint64) (*Problem, []float64) {
	p := generated(t, seed)
	rng := rand.New(rand.NewPCG(seed, 11))
	mult := make([]float64, len(p.Tasks))
	for i := range p.Tasks {
		p.Tasks[i].Spread = 0.3
		mult[i] = math.Exp(0.3*rng.NormFloat64() - 0.045)
	}
	p.Seed = int64(seed)
	return p, mult
}

// TestHorizonIsItsPlannerWhereNothingSpreads, and where there is no deadline.
func TestHorizonIsItsPlannerWhereNothingSpreads(t *testing.T) {
	for seed := range uint64(20) {
		p := generated(t, seed)
		want, err := planOf("density")(*p, Budget{})
		require.NoError(t, err)
		got, err := Horizon(planOf("density"))(*p, Budget{})
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	p, _ := spreading(t, 1)
	p.DeadlineUs = 0
	want, err := planOf("density")(*p, Budget{})
	require.NoError(t, err)
	got, err := Horizon(planOf("density"))(*p, Budget{})
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// TestLoopsWithHorizonAreSound: whatever the policy does, what has started
// stays, the bill is the sum of its parts, equal seeds give equal runs, and
// every task runs once where the realised plan says.
func TestLoopsWithHorizonAreSound(t *testing.T) {
	planned := 0
	for seed := range uint64(30) {
		p, mult := spreading(t, seed)
		opts := LoopOptions{Multipliers: mult, Budget: Budget{Decodes: 30}}
		run, err := Loop(*p, Horizon(planOf("density")), opts) // an error if something started is moved
		require.NoError(t, err)
		again, err := Loop(*p, Horizon(planOf("density")), opts)
		require.NoError(t, err)
		require.Equal(t, run, again, "seed %d", seed)
		o := &run.Outcome
		require.Equal(t, o.FaaS+o.Egress+o.Storage+o.Private, o.Cost)
		planned += run.Plans
		var tasks, moves int64
		for i := range o.Tasks {
			require.Equal(t, run.Plan.Placements[i].StartUs, o.Tasks[i].StartUs)
			tasks += int64(o.Tasks[i].Cost)
		}
		for k := range o.Transfers {
			egress, storage := p.transferBill(&o.Transfers[k])
			moves += int64(egress + storage)
		}
		require.Equal(t, tasks, int64(o.FaaS+o.Private), "seed %d", seed)
		require.Equal(t, moves, int64(o.Egress+o.Storage), "seed %d", seed)
	}
	require.Greater(t, planned, 150)
}

// TestHorizonKeepsMoreDeadlines than its planner's first plan does, of a bag of
// tasks a fifth of which has to be bought, at a cost that stays within reason.
func TestHorizonKeepsMoreDeadlines(t *testing.T) {
	static, horizon := 0, 0
	var cheap, safe float64
	for seed := range uint64(40) {
		p, mult := spreadBag(t, seed)
		plan, err := planOf("density")(*p, Budget{})
		require.NoError(t, err)
		require.True(t, plan.Predicted.DeadlineMet)
		o, err := Simulate(p, &plan, SimOptions{Multipliers: mult})
		require.NoError(t, err)
		run, err := Loop(*p, Horizon(planOf("density")), LoopOptions{Multipliers: mult})
		require.NoError(t, err)
		static, horizon = static+count(o.DeadlineMet), horizon+count(run.Outcome.DeadlineMet)
		cheap, safe = cheap+o.Cost.USD(), safe+run.Outcome.Cost.USD()
	}
	t.Logf("static %d, horizon %d of 40, cost ratio %.2f", static, horizon, safe/cheap)
	require.Less(t, static, 25)
	require.GreaterOrEqual(t, horizon, 36)
	require.Less(t, safe, 2.2*cheap)
}

// spreadBag is 40 tasks of 10 s on four cores, to be done in 80 s, with true run times.
func spreadBag(t *testing.T, seed uint64) (*Problem, []float64) {
	p := &Problem{
		DeadlineUs: 80 * second, Seed: int64(seed),
		Platform: Platform{
			Nodes: []Node{{Cores: 4, Speed: 1, MemMiB: 4096}}, WAN: WAN{UpBps: 1e8, DownBps: 1e8},
			Providers: []Provider{{
				Name: "p", Configs: []Config{{1024, 1}}, SpeedPerVCPU: 1, ColdStartUs: second, KeepWarmUs: 1000 * second,
				MaxDurUs: 900 * second, Quota: 100, Rates: pricing.Rates{PerGiBSecond: 0.00001, GranularityUs: 1000},
			}},
		},
	}
	rng, mult := rand.New(rand.NewPCG(seed, 5)), make([]float64, 40)
	for i := range mult {
		p.Tasks = append(p.Tasks, Task{ID: fmt.Sprint(i), Cores: 1, RuntimeS: 10, Spread: 0.3})
		mult[i] = math.Exp(0.3*rng.NormFloat64() - 0.045)
	}
	return p, mult
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// TestOnTimeIsCalibrated compares what a plan promises with executions drawn by
// another generator.
func TestOnTimeIsCalibrated(t *testing.T) {
	promised, kept, cases := 0.0, 0.0, 0.0
	for seed := range uint64(40) {
		p, _ := spreading(t, seed)
		plan, err := Horizon(planOf("density"))(*p, Budget{Decodes: 30})
		require.NoError(t, err)
		share, err := OnTime(*p, &plan, 400)
		require.NoError(t, err)
		rng := rand.New(rand.NewPCG(seed, 99))
		met := 0
		for range 400 {
			mult := make([]float64, len(p.Tasks))
			for i := range mult {
				mult[i] = math.Exp(0.3*rng.NormFloat64() - 0.045)
			}
			o, err := Simulate(p, &plan, SimOptions{Multipliers: mult})
			require.NoError(t, err)
			met += count(o.DeadlineMet)
		}
		require.InDelta(t, share, float64(met)/400, 0.1, "seed %d", seed)
		promised, kept, cases = promised+share, kept+float64(met)/400, cases+1
	}
	t.Logf("promised %.3f, kept %.3f", promised/cases, kept/cases)
	require.InDelta(t, promised/cases, kept/cases, 0.01)
}

// TestHorizonHoldsOnToItsPlan: planning again at once changes nothing.
func TestHorizonHoldsOnToItsPlan(t *testing.T) {
	for seed := range uint64(30) {
		p, _ := spreading(t, seed)
		first, err := Horizon(planOf("density"))(*p, Budget{Decodes: 30})
		require.NoError(t, err)
		p.Incumbent = &first
		second, err := Horizon(planOf("density"))(*p, Budget{Decodes: 30})
		require.NoError(t, err)
		require.Equal(t, first.Placements, second.Placements, "seed %d", seed)
	}
}

// TestLimitsAreKeptWherePlansWouldBreakThem: a provider that ends what runs
// longer than 11 s is of no use for tasks of 10 s that spread, but for one that
// can run nowhere else.
func TestLimitsAreKeptWherePlansWouldBreakThem(t *testing.T) {
	p, _ := spreadBag(t, 1)
	p.Platform.Providers[0].MaxDurUs = 11 * second
	p.Tasks[0].Spread, p.Tasks[1].PublicOnly = 0.01, true
	require.NoError(t, p.Prepare())
	h := newHorizon(*p, planOf("density"), Budget{})
	require.True(t, h.keepLimits())
	require.Empty(t, h.p.Tasks[0].Deny)
	require.Empty(t, h.p.Tasks[1].Deny)
	require.Equal(t, []bool{true}, h.p.Tasks[2].Deny)
	require.Empty(t, p.Tasks[2].Deny, "the caller's problem stays")
	p.DeadlineUs = 200 * second
	p.Tasks[1].PublicOnly = false
	plan, err := Horizon(planOf("public"))(*p, Budget{})
	require.NoError(t, err)
	for i := 1; i < len(plan.Placements); i++ {
		require.Equal(t, Private, plan.Placements[i].Target)
	}
}

// TestOnlyWhatHasNotStartedComesHome: of three bought tasks the started one is
// left out, the dearer of the others comes first.
func TestOnlyWhatHasNotStartedComesHome(t *testing.T) {
	p, _ := spreadBag(t, 1)
	p.Platform.Providers[0].Rates.PerEgressGiB, p.Platform.ReturnOutputs = 1, true
	p.Files = []File{{Name: "large", Size: 1 << 30}}
	p.Tasks[7].Out = []int32{0}
	p.NowUs = second
	p.Fixed = []FixedPlacement{{Task: 3, Target: 0, Node: -1}}
	g, err := newPlanning(p, Budget{})
	require.NoError(t, err)
	d := g.decision()
	for _, i := range []int{3, 5, 7} {
		d.buy(i, g.options[i][0])
	}
	require.Equal(t, []int32{7, 5}, g.dearest(d))
}
