package offload

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/pricing"
)

// atRisk is straggler after 63 s of a's run, which one run in a hundred exceeds
// (62.1 s), with a deadline after 82 s: a may be expected to end at 93.5 s, and a copy
// of it at 75 s.
func atRisk() *Problem {
	p := straggler()
	for i := range p.Tasks {
		p.Tasks[i].Spread = 1
	}
	p.DeadlineUs, p.NowUs = 82*second, 63*second
	p.Fixed = []FixedPlacement{{Target: Private, Node: 0}, {Task: 3, Target: 0, Done: true, FinishUs: 2 * second, Node: -1}}
	return p
}

// TestWhenACopyIsAskedFor: each rule alone prevents it.
func TestWhenACopyIsAskedFor(t *testing.T) {
	one := []Copy{{Task: 0, Target: 0, Config: 0}}
	for _, c := range []struct {
		name   string
		change func(p *Problem)
		want   []Copy
	}{
		{"it helps", func(*Problem) {}, one},
		{"not idempotent", func(p *Problem) { p.Tasks[0].Idempotent = false }, nil},
		{"others may take as long", func(p *Problem) { p.NowUs = 62 * second }, nil},
		{"so rarely late is tolerated", func(p *Problem) { p.DeadlineUs = 200 * second }, nil},
		{"it may be expected to finish later", func(p *Problem) { p.Platform.Providers[0].SpeedPerVCPU = 0.34 }, nil},
		{"just earlier", func(p *Problem) { p.Platform.Providers[0].SpeedPerVCPU = 0.36 }, one},
		{"its inputs take too long", func(p *Problem) { p.Platform.WAN.UpBps = 1e7 / 2 }, nil},
		{"its inputs are there", func(p *Problem) {
			p.Platform.WAN.UpBps, p.Present = 1e7/2, []FilePresence{{AtUs: second}}
		}, one},
		{"it changes nothing: another task is late", func(p *Problem) {
			p.Tasks = append(p.Tasks, Task{ID: "e", Cores: 1, RuntimeS: 500, PublicOnly: true})
		}, nil},
		{"no quota", func(p *Problem) { p.Platform.Providers[0].Quota = 0 }, nil},
		{"it may well outrun the limit", func(p *Problem) { p.Platform.Providers[0].MaxDurUs = 100 * second }, nil},
		{"it may not leave", func(p *Problem) { p.Tasks[0].PrivateOnly = true }, nil},
		{"its run time does not spread", func(p *Problem) { p.Tasks[0].Spread = 0 }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := atRisk()
			c.change(p)
			plan, err := Horizon(planOf("density"))(*p, Budget{})
			require.NoError(t, err)
			require.Equal(t, c.want, plan.Copies)
		})
	}
}

// TestATaskHasOneCopy at most, even when that has come to nothing.
func TestATaskHasOneCopy(t *testing.T) {
	p := atRisk()
	require.NoError(t, p.Prepare())
	require.Equal(t, []int{0}, p.stragglers())
	p.Copies = []CopyRun{{StartUs: 50 * second, FinishUs: 62 * second}}
	require.Empty(t, p.stragglers())
}

// TestPlansInForceDoNotAskAgain for the copies they once asked for.
func TestPlansInForceDoNotAskAgain(t *testing.T) {
	p := atRisk()
	plan, err := Horizon(planOf("density"))(*p, Budget{})
	require.NoError(t, err)
	require.Len(t, plan.Copies, 1)
	p.Incumbent, p.Copies = &plan, p.withCopies(plan.Copies).Copies
	again, err := Horizon(planOf("density"))(*p, Budget{})
	require.NoError(t, err)
	require.Empty(t, again.Copies)
	p.Fixed = append(p.Fixed, FixedPlacement{Task: 1, Target: -1, Done: true}, FixedPlacement{Task: 2, Target: -1, Done: true})
	again, err = Horizon(planOf("density"))(*p, Budget{})
	require.NoError(t, err)
	require.Empty(t, again.Copies)
}

// TestBoundsLeaveCopiesOut: a deadline that a running copy keeps is not called
// impossible because the task at home cannot.
func TestBoundsLeaveCopiesOut(t *testing.T) {
	p := atRisk()
	p.Fixed[0].FinishUs, p.DeadlineUs = 200*second, 80*second
	plan, err := planOf("density")(*p, Budget{})
	require.NoError(t, err)
	require.True(t, plan.LowerBound.Infeasible)
	p.Copies = []CopyRun{{StartUs: 62 * second, FinishUs: Never}}
	plan, err = planOf("density")(*p, Budget{})
	require.NoError(t, err)
	require.True(t, plan.Predicted.DeadlineMet)
	require.False(t, plan.LowerBound.Infeasible)
}

// TestTheFastestCopyIsTaken, whatever it costs.
func TestTheFastestCopyIsTaken(t *testing.T) {
	p := atRisk()
	fast := p.Platform.Providers[0]
	fast.Name, fast.SpeedPerVCPU, fast.Configs = "fast", 2, []Config{{1024, 1}, {2048, 1}}
	p.Platform.Providers = append(p.Platform.Providers, fast)
	require.NoError(t, p.Prepare())
	c, ends := p.fastestCopy(0)
	require.Equal(t, Copy{Task: 0, Target: 1, Config: 0}, c)
	require.Equal(t, int64((63+1+1+5)*second), ends)
}

// TestTheLastTaskMayHaveACopy: nothing is left to be planned but that.
func TestTheLastTaskMayHaveACopy(t *testing.T) {
	p := atRisk()
	p.NowUs, p.Fixed = 0, nil
	p.Tasks = p.Tasks[:1]
	run, err := Loop(*p, Horizon(planOf("density")), LoopOptions{Multipliers: []float64{20}, Copies: []float64{1}})
	require.NoError(t, err)
	require.Len(t, run.Outcome.Copies, 1)
	require.True(t, run.Outcome.Copies[0].Won)
	require.True(t, run.Outcome.DeadlineMet)
	p.Tasks[0].Idempotent = false
	run, err = Loop(*p, Horizon(planOf("density")), LoopOptions{Multipliers: []float64{20}, Copies: []float64{1}})
	require.NoError(t, err)
	require.Empty(t, run.Outcome.Copies)
	require.False(t, run.Outcome.DeadlineMet)
}

// TestLoopsWithCopiesAreSound: equal seeds give equal runs, and the bill is the
// sum of what each execution cost, lost ones included.
func TestLoopsWithCopiesAreSound(t *testing.T) {
	copies := 0
	for seed := range uint64(3) {
		p, _ := spreadBag(t, seed)
		p.Tasks, p.DeadlineUs, p.Platform.CoreHour = p.Tasks[:20], 100*second, 0.1
		rng := rand.New(rand.NewPCG(seed, 3))
		mult, again := make([]float64, len(p.Tasks)), make([]float64, len(p.Tasks))
		for i := range mult {
			p.Tasks[i].Spread, p.Tasks[i].Idempotent = 1, true
			mult[i], again[i] = math.Exp(rng.NormFloat64()-0.5), math.Exp(rng.NormFloat64()-0.5)
			if rng.IntN(5) == 0 {
				mult[i] = 20
			}
		}
		opts := LoopOptions{Multipliers: mult, Copies: again, Budget: Budget{Decodes: 20}}
		run, err := Loop(*p, Horizon(planOf("private")), opts)
		require.NoError(t, err)
		same, err := Loop(*p, Horizon(planOf("private")), opts)
		require.NoError(t, err)
		require.Equal(t, run, same, "seed %d", seed)
		o := &run.Outcome
		copies += len(o.Copies)
		var sum pricing.Money
		for i := range o.Tasks {
			require.Equal(t, run.Plan.Placements[i].FinishUs, o.Tasks[i].FinishUs)
			sum += o.Tasks[i].Cost
		}
		for _, c := range o.Copies {
			lost := c.Cost
			if c.Won {
				hours := pricing.Rates{PerCoreHour: p.Platform.CoreHour}
				lost, err = hours.Total(pricing.Usage{PrivateCoreUs: c.HomeUs * int64(p.Tasks[c.Task].Cores)})
				require.NoError(t, err)
				require.Equal(t, c.Target, run.Plan.Placements[c.Task].Target)
			}
			sum += lost
		}
		require.Equal(t, o.FaaS+o.Private, sum, "seed %d", seed)
	}
	t.Logf("%d copies", copies)
	require.Positive(t, copies)
}
