package offload

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/pricing"
)

// generated is a problem of a generator's, with a deadline between far too
// short and ample.
func generated(t testing.TB, seed uint64) *Problem {
	t.Helper()
	g := newGenerator(seed)
	tr, pf := g.trace(1+g.IntN(25)), g.platform()
	p := tr.problem(t, mustPlatform(t, encode(t, pf)))
	var work int64
	for i := range p.Tasks {
		work += micros(p.Tasks[i].RuntimeS)
	}
	p.DeadlineUs = 1 + int64(g.Float64()*1.2*float64(work))
	if g.chance(0.2) {
		p.DeadlineUs = 0
	}
	if g.chance(0.3) {
		p.MarginUs = p.DeadlineUs / 10
	}
	for i := range p.Tasks {
		switch x := g.Float64(); {
		case x < 0.1:
			p.Tasks[i].PrivateOnly = true
		case x < 0.15:
			p.Tasks[i].PublicOnly = true
		case x < 0.25:
			p.Tasks[i].Deny = []bool{true}
		}
	}
	return p
}

// planAll has every planner plan, in no more than the usual simulations: a search
// for as long as a person would wait, hundreds of times over, is for benchmarks.
func planAll(t testing.TB, p *Problem) map[string]Plan {
	t.Helper()
	plans := map[string]Plan{}
	for _, s := range Planners() {
		plan, err := s.Plan(*p, Budget{Decodes: defaultDecodes})
		require.NoError(t, err, s.Name)
		plans[s.Name] = plan
	}
	return plans
}

// TestPlansAreWhole wants of every plan: each task placed once where it may
// run, with a reason; the outcome that Simulate finds; the same bytes again.
func TestPlansAreWhole(t *testing.T) {
	for seed := range uint64(300) {
		p := generated(t, seed)
		for name, plan := range planAll(t, p) {
			require.Equal(t, name, plan.Planner)
			order := slices.Sorted(slices.Values(plan.Order))
			for i := range p.Tasks {
				require.Equal(t, int32(i), order[i], "each task once")
				requireReasoned(t, p, &plan, i)
			}
			o, err := Simulate(p, &plan, SimOptions{})
			require.NoError(t, err)
			require.Equal(t, o, plan.Predicted, "seed %d, %s", seed, name)
		}
		again := planAll(t, generated(t, seed))
		for name, plan := range planAll(t, p) {
			other := again[name]
			require.Equal(t, string(encode(t, NewPlanDoc(p, &plan))), string(encode(t, NewPlanDoc(p, &other))))
		}
	}
}

// placing are the planners that compare sites task by task, before the plan is
// whole.
var placing = []string{"greedy", "heft", "dato", "prolis"}

// rivals are the planners that density is never worse than.
var rivals = []string{"private", "public", "greedy", "dato", "density"}

// requireReasoned wants a reason, every site among those considered, and the
// chosen one not ruled out, unless nothing else was left.
func requireReasoned(t *testing.T, p *Problem, plan *Plan, i int) {
	t.Helper()
	pl := &plan.Placements[i]
	require.NotEmpty(t, pl.Reason.ChosenBecause)
	chosen, possible := false, false
	seen := map[string]bool{}
	for _, c := range pl.Reason.Considered {
		seen[c.Target] = true
		possible = possible || c.RuledOut == ""
		if c.Target == p.Platform.SiteName(pl.Target) && c.RuledOut == "" {
			same := pl.Target == Private || c.MemMiB == p.Platform.Providers[pl.Target].Configs[pl.Config].MemMiB
			chosen = chosen || same
			if same && !slices.Contains(placing, plan.Planner) { // those tell what they saw
				require.Equal(t, pl.FinishUs, c.FinishUs)
			}
		}
	}
	require.Len(t, seen, 1+len(p.Platform.Providers), "every site is considered")
	if plan.Planner != "private" {
		require.Equal(t, possible, chosen, "%+v", pl)
	}
}

// TestDensityHoldsItsBars: free where home alone is in time, never dearer than
// a plan of the others that is in time, never below the bound, and in time
// whenever one of them is.
func TestDensityHoldsItsBars(t *testing.T) {
	met := 0
	for seed := range uint64(600) {
		p := generated(t, seed)
		p.MarginUs = 0
		plans := planAll(t, p)
		density := plans["density"]
		for name, other := range plans {
			require.Equal(t, density.LowerBound, other.LowerBound)
			if !other.Predicted.DeadlineMet {
				continue
			}
			if slices.Contains(rivals, name) {
				require.True(t, density.Predicted.DeadlineMet, "seed %d: %s is in time", seed, name)
				require.LessOrEqual(t, density.Predicted.Cost, other.Predicted.Cost, "seed %d: %s is cheaper", seed, name)
			}
			require.False(t, other.LowerBound.Infeasible, "seed %d, %s: in time against the bound's proof", seed, name)
			require.LessOrEqual(t, other.LowerBound.Cost, other.Predicted.Cost, "seed %d, %s: below the bound", seed, name)
			met++
		}
	}
	require.Greater(t, met, 500, "deadlines that nobody meets test nothing")
}

// TestMarginIsKeptWhereItCanBe: a plan ends before the goal, or no rival does.
func TestMarginIsKeptWhereItCanBe(t *testing.T) {
	kept, squeezed := 0, 0
	for seed := range uint64(400) {
		p := generated(t, seed)
		if p.DeadlineUs == 0 {
			continue
		}
		p.MarginUs = p.DeadlineUs / 5
		plans := planAll(t, p)
		goal := p.DeadlineUs - p.MarginUs
		density := plans["density"].Predicted
		for name, other := range plans {
			o := other.Predicted
			if len(o.Violations) > 0 || o.MakespanUs > p.DeadlineUs || !slices.Contains(rivals, name) {
				continue
			}
			require.True(t, density.DeadlineMet, "seed %d: %s is in time", seed, name)
			if o.MakespanUs <= goal {
				require.LessOrEqual(t, density.MakespanUs, goal, "seed %d: %s keeps the margin", seed, name)
			}
		}
		switch {
		case !density.DeadlineMet:
		case density.MakespanUs <= goal:
			kept++
		default:
			squeezed++
		}
	}
	require.Greater(t, kept, 50)
	require.Greater(t, squeezed, 5)
}

// TestBoundAgainstEveryChoice tries every target of every task of tiny
// problems, in three orders: nothing in time may be cheaper than the bound.
func TestBoundAgainstEveryChoice(t *testing.T) {
	tight, proofs := 0, 0
	for seed := range uint64(150) {
		g := newGenerator(seed + 9_000)
		tr, pf := g.trace(2+g.IntN(3)), g.platform()
		p := tr.problem(t, mustPlatform(t, encode(t, pf)))
		p.DeadlineUs = 1 + int64(g.IntN(30_000_000))
		plan, err := planOf("density")(*p, Budget{})
		require.NoError(t, err)
		best, ok := cheapest(t, p)
		bound := plan.LowerBound
		if ok {
			require.False(t, bound.Infeasible, "seed %d: %s is in time at %s", seed, bound.Why, best)
			require.LessOrEqual(t, bound.Cost, best, "seed %d", seed)
			if bound.Cost > 0 && float64(bound.Cost) > 0.5*float64(best) {
				tight++
			}
		} else if bound.Infeasible {
			proofs++
		}
	}
	t.Logf("%d bounds above half of the best cost, %d proofs", tight, proofs)
	require.Greater(t, tight, 10, "a bound of nothing proves nothing")
	require.Greater(t, proofs, 20)
}

func planOf(name string) Planner {
	planner, ok := Lookup(name)
	if !ok {
		panic(name)
	}
	return planner
}

// cheapest is the least cost of a plan in time, over all targets with their
// cheapest and fastest sizes and over three orders.
func cheapest(t *testing.T, p *Problem) (cost pricing.Money, ok bool) {
	t.Helper()
	n := len(p.Tasks)
	topological := slices.Clone(p.Graph().Order())
	orders := [][]int32{topological, slices.Clone(topological), nil}
	slices.Reverse(orders[1])
	type site struct{ target, config int }
	sites := []site{{Private, 0}}
	for q := range p.Platform.Providers {
		for c := range p.Platform.Providers[q].Configs {
			sites = append(sites, site{q, c})
		}
	}
	cost = math.MaxInt64
	for _, order := range orders {
		choice := make([]int, n)
		for {
			plan := Plan{Order: order, Placements: make([]Placement, n)}
			for i, k := range choice {
				plan.Placements[i] = Placement{Target: sites[k].target, Config: sites[k].config, Node: -1}
			}
			o, err := Simulate(p, &plan, SimOptions{})
			require.NoError(t, err)
			if o.DeadlineMet {
				cost, ok = min(cost, o.Cost), true
			}
			if !advance(choice, len(sites)) {
				break
			}
		}
	}
	return cost, ok
}

// advance counts up in the base given; false after the last number.
func advance(digits []int, base int) bool {
	for k := range digits {
		if digits[k]++; digits[k] < base {
			return true
		}
		digits[k] = 0
	}
	return false
}

func TestBoundNamesItsProof(t *testing.T) {
	p := smallProblem(t)
	p.DeadlineUs = second
	plan, err := planOf("density")(*p, Budget{})
	require.NoError(t, err)
	require.Equal(t, Bound{Infeasible: true, Why: NoWindow}, plan.LowerBound)

	p = smallProblem(t)
	p.Tasks[1].Cores, p.Tasks[1].Deny = 9, []bool{true, true}
	p.DeadlineUs = 1000 * second
	plan, err = planOf("density")(*p, Budget{})
	require.NoError(t, err)
	require.Equal(t, Bound{Infeasible: true, Why: NoSite}, plan.LowerBound)
	require.Equal(t, "no site can run it", plan.Placements[1].Reason.ChosenBecause)

	p = &Problem{Platform: Platform{Nodes: []Node{{Cores: 1, Speed: 1, MemMiB: 1024}}, WAN: WAN{UpBps: 1, DownBps: 1}}, DeadlineUs: 15 * second}
	for _, id := range []string{"a", "b"} {
		p.Tasks = append(p.Tasks, Task{ID: id, Cores: 1, RuntimeS: 10})
	}
	plan, err = planOf("private")(*p, Budget{})
	require.NoError(t, err)
	require.Equal(t, Bound{Infeasible: true, Why: NoCapacity}, plan.LowerBound)
}

// TestBudgetIsKept counts simulations: a planner may finish a step, no more.
func TestBudgetIsKept(t *testing.T) {
	p, _ := layered(t, 300)
	p.DeadlineUs = 60 * second
	asked := 0
	plan, err := planOf("density")(*p, Budget{Stop: func() bool { asked++; return true }})
	require.NoError(t, err)
	require.Len(t, plan.Placements, 300)
	require.Less(t, asked, 20, "it stops when told to")
}
