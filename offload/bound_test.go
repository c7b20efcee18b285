package offload

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/pricing"
)

// tiny is a problem of a few tasks, often of two workflows, with reserved capacity
// or seen from the middle of its execution, and plans for it.
func tiny(t testing.TB, seed uint64, plans int) (*Problem, []Plan) {
	t.Helper()
	g := newGenerator(seed + 40_000)
	tr, pf := g.trace(2+g.IntN(4)), g.platform()
	p := tr.problem(t, mustPlatform(t, encode(t, pf)))
	if g.chance(0.3) {
		for q := range p.Platform.Providers {
			p.Platform.Providers[q].RampPerS, p.Platform.Providers[q].RampBurst = 0.5, 1
		}
	}
	if g.chance(0.4) {
		p.Workflows = []Workflow{{}, {ReleaseUs: int64(g.IntN(5_000_000))}}
		for i := range p.Tasks {
			p.Tasks[i].Workflow = int32(g.IntN(2))
		}
	}
	for i := range p.Tasks {
		if g.chance(0.1) {
			p.Tasks[i].RuntimeOn = []OfferingRuntime{{Target: pick(g, Private, 0), Config: -1, Seconds: g.runtime()}}
		}
	}
	if g.chance(0.3) {
		p.Reserved = []Reservation{{Target: Private, Node: g.IntN(len(p.Platform.Nodes)), Cores: 1 + g.IntN(3), UntilUs: int64(g.IntN(20_000_000))}}
	}
	var list []Plan
	for range plans {
		plan, bad, err := DecodePlan(p, encode(t, g.plan(tr, pf)))
		require.NoError(t, err)
		if len(bad) == 0 {
			list = append(list, plan)
		}
	}
	if g.chance(0.4) && len(list) > 0 {
		o, err := Simulate(p, &list[0], SimOptions{Trace: true})
		require.NoError(t, err)
		if len(o.Violations) == 0 {
			p.NowUs = int64(g.Float64() * float64(o.MakespanUs))
			p.Fixed, p.Present = p.happened(&list[0], &o)
		}
	}
	return p, list
}

// setDeadlines takes those of an outcome.
func setDeadlines(p *Problem, o *Outcome) {
	p.DeadlineUs = o.MakespanUs
	for w := range p.Workflows {
		p.Workflows[w].DeadlineUs = o.Ends[w]
	}
}

func boundOf(t testing.TB, p *Problem) Bound {
	t.Helper()
	g, err := newPlanning(p, Budget{})
	require.NoError(t, err)
	return lowerBound(g)
}

// TestBoundIsBelowEveryPlan draws plans for tiny problems, takes the deadlines that
// one of them just keeps, and wants every plan in time to cost the bound or more.
func TestBoundIsBelowEveryPlan(t *testing.T) {
	seeds, checked, close := 3000, 0, 0
	if testing.Short() {
		seeds = 300
	}
	for seed := range uint64(seeds) {
		p, plans := tiny(t, seed, 60)
		var outcomes []Outcome
		for k := range plans {
			o, err := Simulate(p, &plans[k], SimOptions{})
			require.NoError(t, err)
			if len(o.Violations) == 0 {
				outcomes = append(outcomes, o)
			}
		}
		for k := 0; k < len(outcomes); k += 20 {
			setDeadlines(p, &outcomes[k])
			bound := boundOf(t, p)
			require.False(t, bound.Infeasible, "seed %d, plan %d: %s", seed, k, bound.Why)
			best := outcomes[k].Cost
			for j := range outcomes {
				if inTime(p, &outcomes[j]) {
					best = min(best, outcomes[j].Cost)
				}
			}
			require.LessOrEqual(t, bound.Cost, best, "seed %d, plan %d", seed, k)
			checked++
			if best > 0 && float64(bound.Cost) > 0.95*float64(best) {
				close++
			}
		}
	}
	t.Logf("%d bounds, %d of them within a twentieth of the best plan drawn", checked, close)
	require.Greater(t, close, checked/5, "a bound of nothing proves nothing")
}

func inTime(p *Problem, o *Outcome) bool {
	if len(p.Workflows) == 0 {
		return o.MakespanUs <= p.DeadlineUs
	}
	for w := range p.Workflows {
		if d := p.Workflows[w].DeadlineUs; d != 0 && o.Ends[w] > d {
			return false
		}
	}
	return true
}

// TestBoundIsAtLeastTheReferences on generated cases, where the reference's own is
// not beaten by more than the last digits.
func TestBoundIsAtLeastTheReferences(t *testing.T) {
	ref := startReference(t)
	cases, better, proofs := 1500, 0, 0
	if testing.Short() {
		cases = 200
	}
	for seed := range cases {
		g := newGenerator(uint64(seed) + 60_000)
		tr, pf := g.trace(1+g.IntN(30)), g.platform()
		p := tr.problem(t, mustPlatform(t, encode(t, pf)))
		deadline := float64(1+g.IntN(60_000)) / 1000
		p.DeadlineUs = micros(deadline)
		a := ref.ask(t, doc{"op": "bound", "instance": tr, "platform": pf, "deadline": deadline})
		bound := boundOf(t, p)
		if a.LowerBound == nil {
			require.True(t, bound.Infeasible, "seed %d: the reference proves %q", seed, a.Why)
			continue
		}
		if bound.Infeasible {
			proofs++
			continue
		}
		require.GreaterOrEqual(t, float64(bound.Cost), *a.LowerBound*1e12*(1-1e-6)-1000, "seed %d", seed)
		if bound.Cost > pricing.Money(*a.LowerBound*1e12*1.01) {
			better++
		}
	}
	t.Logf("%d of %d bounds are better by a hundredth, %d more are proofs", better, cases, proofs)
}

// TestBoundOfPublicTraces wants at least the reference's bound on the public traces
// of up to 600 tasks; on the larger ones the reference takes its time.
func TestBoundOfPublicTraces(t *testing.T) {
	ref := startReference(t)
	paths, err := filepath.Glob(filepath.Join(shared(t), "traces", "public", "*.json"))
	if err != nil || len(paths) == 0 {
		t.Skip("no public traces beside the reference evaluator")
	}
	logs, count := 0.0, 0
	for k, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		if tr := readTrace(t, text); len(tr.Workflow.Specification.Tasks) > 600 {
			continue
		}
		pf := ref.ask(t, doc{"op": "platform", "instance": json.RawMessage(text), "book": []string{"aws", "gcp", "both"}[k%3]})
		for _, factor := range []float64{1.05, 1.5, 2} {
			deadline := pf.Critical * factor
			a := ref.ask(t, doc{"op": "bound", "instance": json.RawMessage(text), "platform": pf.Platform, "deadline": deadline})
			p := readTrace(t, text).problem(t, mustPlatform(t, pf.Platform))
			p.DeadlineUs = micros(deadline)
			bound := boundOf(t, p)
			if a.LowerBound == nil || bound.Infeasible {
				require.True(t, bound.Infeasible, "%s, %g: the reference proves %q", path, factor, a.Why)
				continue
			}
			want := *a.LowerBound * 1e12
			require.GreaterOrEqual(t, float64(bound.Cost), want*(1-1e-6)-1000, "%s, %g", path, factor)
			if want > 0 {
				logs, count = logs+math.Log(float64(bound.Cost)/want), count+1
			}
		}
	}
	t.Logf("%.3f of the reference's bound, geometric mean of %d cases", math.Exp(logs/float64(max(count, 1))), count)
}
