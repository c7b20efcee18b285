package offload

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/pricing"
)

// twoFlows is a workflow of one task beside another that is released later.
func twoFlows(release, first, second int64) *Problem {
	p := &Problem{
		Tasks: []Task{
			{ID: "a", Cores: 1, RuntimeS: 10},
			{ID: "b", Cores: 1, RuntimeS: 5, In: []int32{0}, Workflow: 1},
		},
		Files: []File{{Name: "x", Size: 1000}},
		Platform: Platform{
			Nodes: []Node{{Cores: 1, Speed: 1, MemMiB: 1024}}, WAN: WAN{UpBps: 1000, DownBps: 1000},
			Providers: []Provider{{
				Name: "f", Configs: []Config{{1024, 1}}, SpeedPerVCPU: 1, KeepWarmUs: second1, MaxDurUs: 900 * second, Quota: 10,
				Rates: pricing.Rates{PerGiBSecond: 0.01},
			}},
		},
		Workflows: []Workflow{{Name: "one", DeadlineUs: first}, {Name: "two", DeadlineUs: second, ReleaseUs: release}},
	}
	return p
}

const second1 = int64(second)

func TestReleaseHoldsTasksAndFiles(t *testing.T) {
	p := twoFlows(3*second1, 0, 0)
	plan := Plan{Placements: []Placement{{Target: Private, Node: -1}, {Target: 0, Node: -1}}}
	o, err := Simulate(p, &plan, SimOptions{Trace: true})
	require.NoError(t, err)
	require.Equal(t, []int64{10 * second1, 9 * second1}, o.Ends, "sent at 3, there at 4, runs 5")
	require.Equal(t, 3*second1, o.Transfers[0].StartUs)

	plan.Placements[1].Target = Private
	o, err = Simulate(p, &plan, SimOptions{})
	require.NoError(t, err)
	require.Equal(t, []int64{10 * second1, 15 * second1}, o.Ends, "its core is busy")
}

func TestEachWorkflowHasItsDeadline(t *testing.T) {
	for _, c := range []struct {
		first, second int64
		met           bool
	}{{10, 15, true}, {9, 15, false}, {10, 14, false}, {0, 15, true}, {0, 0, true}, {0, 14, false}} {
		p := twoFlows(0, c.first*second1, c.second*second1)
		plan := Plan{Placements: []Placement{{Target: Private, Node: -1}, {Target: Private, Node: -1}}}
		o, err := Simulate(p, &plan, SimOptions{})
		require.NoError(t, err)
		require.Equal(t, c.met, o.DeadlineMet, "%+v", c)
	}
}

func TestWorkflowIndexIsChecked(t *testing.T) {
	p := twoFlows(0, 0, 0)
	p.Tasks[1].Workflow = 2
	_, err := planOf("private")(*p, Budget{})
	require.EqualError(t, err, `task "b" is of workflow 2 of 2`)
}

// TestOneWorkflowIsTheSame: a problem that names its only workflow is the
// problem that does not.
func TestOneWorkflowIsTheSame(t *testing.T) {
	for seed := range uint64(200) {
		g := newGenerator(seed)
		tr := g.trace(1 + g.IntN(20))
		pf := mustPlatform(t, encode(t, g.platform()))
		plain := tr.problem(t, pf)
		plain.DeadlineUs = int64(1+g.IntN(100)) * second
		named := tr.problem(t, pf)
		named.Workflows = []Workflow{{DeadlineUs: plain.DeadlineUs}}
		for _, s := range Planners() {
			a, errA := s.Plan(*plain, Budget{Decodes: 300})
			b, errB := s.Plan(*named, Budget{Decodes: 300})
			require.Equal(t, errA, errB)
			b.Predicted.Ends = nil
			a.LowerBound, b.LowerBound = Bound{}, Bound{}
			require.Equal(t, a, b)
		}
	}
}

// TestRampLimitsNewContainers: two at once, then one a second; a warm container
// needs no leave.
func TestRampLimitsNewContainers(t *testing.T) {
	p := twoFlows(0, 0, 0)
	p.Workflows, p.Tasks = nil, nil
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		p.Tasks = append(p.Tasks, Task{ID: id, Cores: 1, RuntimeS: 1.5})
	}
	q := &p.Platform.Providers[0]
	q.RampPerS, q.RampBurst, q.KeepWarmUs = 1, 2, 100*second1
	plan := Plan{Placements: make([]Placement, 5)}
	o, err := Simulate(p, &plan, SimOptions{})
	require.NoError(t, err)
	var starts []int64
	for i := range o.Tasks {
		starts = append(starts, o.Tasks[i].StartUs/1000)
	}
	require.Equal(t, []int64{0, 0, 1000, 1500, 1500}, starts)
	require.Equal(t, 3, o.ColdStarts)
}
