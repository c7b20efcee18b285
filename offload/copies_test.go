package offload

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/pricing"
)

// straggler is a at home for 10 s, which reads a file and has one returned to
// c, and b, which waits for a's only core. A copy takes 1 s to be staged, 1 s to
// start and 10 s to run. d can only be bought, needs c's input too and waits
// for nothing else.
func straggler() *Problem {
	rates := pricing.Rates{PerGiBSecond: 0.001, PerRequest: 0.01, PerEgressGiB: 1, GranularityUs: 1000}
	return &Problem{
		DeadlineUs: 60 * second,
		Tasks: []Task{
			{ID: "a", Cores: 1, RuntimeS: 10, In: []int32{0}, Out: []int32{1}, Idempotent: true},
			{ID: "b", Cores: 1, RuntimeS: 1},
			{ID: "c", Cores: 1, RuntimeS: 1, In: []int32{1}},
			{ID: "d", Cores: 1, RuntimeS: 1, PublicOnly: true},
		},
		Files: []File{{Name: "in", Size: 1e8}, {Name: "out", Size: 2e8}},
		Platform: Platform{
			Nodes: []Node{{Cores: 1, Speed: 1, MemMiB: 4096}}, CoreHour: 3.6, WAN: WAN{UpBps: 1e8, DownBps: 1e8},
			Providers: []Provider{{
				Name: "p", Configs: []Config{{1024, 1}}, SpeedPerVCPU: 1, ColdStartUs: second, KeepWarmUs: 1000 * second,
				MaxDurUs: 900 * second, Quota: 1, Rates: rates,
			}},
		},
	}
}

// atHomeButD is the plan that buys d alone, and expects nothing.
func atHomeButD(atUs int64) Plan {
	plan := Plan{Placements: slices.Repeat([]Placement{{Target: Private, Node: -1, FinishUs: Never}}, 4)}
	plan.Placements[3] = Placement{Target: 0, NotBeforeUs: atUs, FinishUs: Never}
	return plan
}

// asksAt keeps a plan and asks for a copy of task 0 at the first call from an
// instant on.
func asksAt(plan Plan, at int64) Planner {
	asked := false
	return func(p Problem, _ Budget) (Plan, error) {
		out := plan
		if p.Incumbent != nil {
			out = *p.Incumbent
		}
		if p.NowUs >= at && !asked {
			asked, out.Copies = true, []Copy{{}}
		}
		return out, nil
	}
}

// TestTheFirstOfTwoCounts: where the task ran, when its core, its quota and
// those that wait for it go on, and what both cost.
func TestTheFirstOfTwoCounts(t *testing.T) {
	const faas, core = 10*pricing.USD/1000 + pricing.USD/100, pricing.USD / 1000
	for _, c := range []struct {
		name         string
		home, copied float64 // multipliers
		dAtUs        int64   // d may start then
		finish       [4]int64
		faas         pricing.Money // of the copy
		private      pricing.Money
		won, started bool
	}{
		{"the copy is first", 10, 1, 25, [4]int64{32, 33, 35, 33}, faas, 34 * core, true, true},
		{"the task is first", 2.5, 1, 25, [4]int64{25, 26, 27, 34}, faas, 27 * core, false, true},
		{"the task ends before its copy could start", 2.05, 1, 25, [4]int64{20.5e6, 21.5e6, 22.5e6, 27}, 0, 22.5e6 * core / second, false, false},
		{"both at once: home counts", 3.2, 1, 25, [4]int64{32, 33, 34, 34}, faas, 34 * core, false, true},
		{"quota is awaited", 10, 1, 20, [4]int64{33, 34, 36, 22}, faas, 35 * core, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := straggler()
			plan := atHomeButD(c.dAtUs * second)
			run, err := Loop(*p, asksAt(plan, 20*second), LoopOptions{
				Multipliers: []float64{c.home, 1, 1, 1}, Copies: []float64{c.copied, 1, 1, 1}, EveryUs: second,
			})
			require.NoError(t, err)
			o := &run.Outcome
			for i, want := range c.finish {
				if want < second {
					want *= second
				}
				require.Equal(t, want, o.Tasks[i].FinishUs, "task %s", p.Tasks[i].ID)
			}
			last := int64(0)
			for i := range o.Tasks {
				last = max(last, o.Tasks[i].FinishUs)
			}
			require.Equal(t, last, o.MakespanUs, "a copy that loses does not count")
			require.Equal(t, c.private, o.Private)
			require.Equal(t, o.Tasks[3].Cost+c.faas, o.FaaS)
			require.Equal(t, c.started, len(o.Copies) == 1)
			if c.started {
				require.Equal(t, c.won, o.Copies[0].Won)
				require.Equal(t, c.faas, o.Copies[0].Cost)
			}
			require.Equal(t, c.won, run.Plan.Placements[0].Target == 0)
			require.Equal(t, int64(1e8), o.UpBytes, "the input is staged")
			require.Equal(t, c.won, o.DownBytes == 2e8, "outputs are where the first ran")
			require.Equal(t, o.FaaS+o.Egress+o.Storage+o.Private, o.Cost)
		})
	}
}

// TestCopiesBeyondALimitAreOfNoUse, but billed.
func TestCopiesBeyondALimitAreOfNoUse(t *testing.T) {
	p := straggler()
	p.Platform.Providers[0].MaxDurUs = 11 * second
	plan := atHomeButD(0)
	run, err := Loop(*p, asksAt(plan, 20*second), LoopOptions{
		Multipliers: []float64{10, 1, 1, 1}, Copies: []float64{1.2, 1, 1, 1}, EveryUs: second,
	})
	require.NoError(t, err)
	require.Equal(t, int64(100*second), run.Outcome.Tasks[0].FinishUs)
	require.False(t, run.Outcome.Copies[0].Won)
	require.Positive(t, run.Outcome.Copies[0].Cost)
	require.Equal(t, 2, run.Outcome.ColdStarts)
}

// TestCopiesThatMakeNoSense are refused.
func TestCopiesThatMakeNoSense(t *testing.T) {
	for want, change := range map[string]func(p *Problem, c *Copy){
		"not idempotent":          func(p *Problem, c *Copy) { p.Tasks[0].Idempotent = false },
		"cannot run at p":         func(p *Problem, c *Copy) { p.Tasks[0].PrivateOnly = true },
		"does not run at home":    func(p *Problem, c *Copy) { c.Task, p.Tasks[1].Idempotent = 1, true },
		"copies run at providers": func(p *Problem, c *Copy) { c.Target = Private },
		"no target 7":             func(p *Problem, c *Copy) { c.Target = 7 },
		"copy of task 9 of 4":     func(p *Problem, c *Copy) { c.Task = 9 },
		"there is one":            func(p *Problem, c *Copy) { p.Copies = []CopyRun{{FinishUs: Never}} },
	} {
		p, plan, c := straggler(), Plan{Placements: make([]Placement, 4)}, Copy{}
		p.NowUs, p.Fixed = second, []FixedPlacement{{Target: Private, Node: 0}}
		change(p, &c)
		plan.Copies = []Copy{c}
		_, err := Simulate(p, &plan, SimOptions{})
		require.ErrorContains(t, err, want)
	}
}

// TestCopiesGoOn asks for copies of whatever runs at home at some instant, and
// then plans on and on without changing anything: clock and bill must be those
// of one simulation from that instant.
func TestCopiesGoOn(t *testing.T) {
	won, lost := 0, 0
	for seed := range uint64(400) {
		g := newGenerator(seed + 60_000)
		tr, pf := g.trace(2+g.IntN(25)), g.platform()
		p := tr.problem(t, mustPlatform(t, encode(t, pf)))
		plan, _, err := DecodePlan(p, encode(t, g.plan(tr, pf)))
		require.NoError(t, err)
		mult, copies := make([]float64, len(p.Tasks)), make([]float64, len(p.Tasks))
		for i := range mult {
			mult[i], copies[i] = math.Exp(2*g.NormFloat64()), math.Exp(g.NormFloat64()-1)
			p.Tasks[i].Idempotent = true
		}
		whole, err := Simulate(p, &plan, SimOptions{Multipliers: mult})
		require.NoError(t, err)
		at, calls := min(whole.MakespanUs, 1000*second)/4, 0
		var want Outcome
		policy := func(p Problem, _ Budget) (Plan, error) {
			out := plan
			if p.Incumbent != nil {
				out = *p.Incumbent
			}
			if calls++; calls == 2 {
				out.Copies = everyCopy(&p)
				want, err = Simulate(&p, &out, SimOptions{Multipliers: mult, Copies: copies})
				require.NoError(t, err)
			}
			return out, nil
		}
		run, err := Loop(*p, policy, LoopOptions{Multipliers: mult, Copies: copies, EveryUs: at + 1})
		require.NoError(t, err)
		got := &run.Outcome
		for _, c := range got.Copies {
			won, lost = won+count(c.Won), lost+count(!c.Won)
		}
		if calls < 2 {
			continue
		}
		require.Equal(t, want.MakespanUs, got.MakespanUs, "seed %d", seed)
		require.Equal(t, want.FaaS, got.FaaS, "seed %d", seed)
		require.Equal(t, want.Private, got.Private, "seed %d", seed)
		require.Equal(t, want.Egress+want.Storage, got.Egress+got.Storage, "seed %d", seed)
		require.Equal(t, want.Offloaded, got.Offloaded, "seed %d", seed)
		require.InDelta(t, want.PrivateUtil, got.PrivateUtil, 1e-9)
		for i := range want.Tasks {
			a, b := want.Tasks[i], got.Tasks[i]
			a.HandlerUs, b.HandlerUs = 0, 0 // not kept of what is over
			require.Equal(t, a, b, "seed %d, task %d", seed, i)
		}
	}
	t.Logf("%d copies won, %d lost", won, lost)
	require.Greater(t, won, 50)
	require.Greater(t, lost, 30)
}

// everyCopy asks for a copy of every task that may have one.
func everyCopy(p *Problem) (all []Copy) {
	for k := range p.Fixed {
		if f := &p.Fixed[k]; p.mayCopy(f) {
			if c, ends := p.fastestCopy(f.Task); ends != Never {
				all = append(all, c)
			}
		}
	}
	return all
}
