package offload

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// several turns a generated problem into workflows of their own releases and
// deadlines; what hangs together stays together.
func several(t testing.TB, seed uint64) *Problem {
	p := generated(t, seed)
	g := newGenerator(seed + 1)
	part := make([]int32, len(p.Tasks))
	for i := range part {
		part[i] = int32(i)
	}
	for range p.Tasks { // the smallest index of a part reaches all of it
		for i := range p.Tasks {
			for _, parent := range p.graph.Pred(i) {
				least := min(part[i], part[parent])
				part[i], part[parent] = least, least
			}
		}
	}
	for i := range p.Tasks {
		p.Tasks[i].Workflow = part[i] % 2
	}
	p.Workflows = []Workflow{
		{Name: "even", DeadlineUs: p.DeadlineUs},
		{Name: "odd", DeadlineUs: int64(g.IntN(60)) * second, ReleaseUs: int64(g.IntN(20)) * second, Weight: 2},
	}
	return p
}

// TestPlannersOfSeveralWorkflows wants of every planner: each task once; none
// before its release, none where it must not run while it may elsewhere; equal
// seeds, equal plans.
func TestPlannersOfSeveralWorkflows(t *testing.T) {
	late := 0
	for seed := range uint64(200) {
		p := several(t, seed)
		again := planAll(t, several(t, seed))
		for name, plan := range planAll(t, p) {
			require.Len(t, plan.Placements, len(p.Tasks))
			for k, i := range slices.Sorted(slices.Values(plan.Order)) {
				require.Equal(t, int32(k), i)
			}
			for i := range p.Tasks {
				requireAllowed(t, p, &plan, i)
				if at := plan.Placements[i].StartUs; at < Never {
					require.GreaterOrEqual(t, at, p.Workflows[p.Tasks[i].Workflow].ReleaseUs, "%s, seed %d", name, seed)
				}
				if p.Tasks[i].Workflow == 1 {
					late++
				}
			}
			require.Equal(t, plan, again[name], "%s, seed %d", name, seed)
		}
	}
	require.Greater(t, late, 1000, "tasks of the later workflow")
}

// requireAllowed: a task is not where it is denied, unless no site may run it.
func requireAllowed(t testing.TB, p *Problem, plan *Plan, i int) {
	t.Helper()
	g := newPlan(t, p)
	if g.home[i] || len(g.options[i]) > 0 {
		require.Empty(t, p.Tasks[i].denied(plan.Placements[i].Target), "%s, task %d", plan.Planner, i)
	}
}

// TestPlannersOfFewTasks: none, one, two; at home, at a provider or nowhere.
func TestPlannersOfFewTasks(t *testing.T) {
	for n := range 4 {
		for _, change := range []func(p *Problem){
			func(*Problem) {},
			func(p *Problem) { p.DeadlineUs = 0 },
			func(p *Problem) { p.DeadlineUs = 1 },
			func(p *Problem) { p.Platform.Providers = nil },
			func(p *Problem) { p.Platform.Nodes = nil },
			func(p *Problem) { p.Platform.Nodes, p.Platform.Providers = nil, nil },
			func(p *Problem) { p.NowUs = 1000 * second },
		} {
			p := alike(n, 15)
			change(p)
			for i := range p.Tasks[:n/2] {
				p.Tasks[i].Cores = 64
			}
			for name, plan := range planAll(t, p) {
				require.Len(t, plan.Placements, n, name)
				require.Len(t, plan.Order, n, name)
			}
		}
	}
}

// TestBaselinesAreInTheirOrder of help texts and reports.
func TestBaselinesAreInTheirOrder(t *testing.T) {
	var names []string
	for _, s := range Planners() {
		names = append(names, s.Name)
		require.NotEmpty(t, s.Doc)
	}
	want := []string{"private", "public", "random", "greedy", "heft", "dato", "prolis", "icpcp", "skedulix", "density"}
	require.Equal(t, want, names[:len(want)])
}

// TestGreedyOverflows: at home while a core is idle, else bought; whatever the
// deadline.
func TestGreedyOverflows(t *testing.T) {
	p := alike(4, 1000)
	p.Platform.Nodes[0].Cores = 2
	plan := made(t, "greedy", p)
	require.Equal(t, []int{Private, Private, 0, 0}, targets(&plan))
	p.Tasks[2].Parents = []int32{0}
	plan = made(t, "greedy", p)
	require.Equal(t, []int{Private, Private, Private, 0}, targets(&plan), "when c is ready a has ended")

	p.Platform.Providers[0].Configs = []Config{{MemMiB: 1024, VCPU: 1}, {MemMiB: 700, VCPU: 0.9}}
	plan = made(t, "greedy", p)
	require.Equal(t, 1, plan.Placements[3].Config, "little slower, and cheaper")
}
