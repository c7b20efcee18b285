package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/bench/planners"
	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/pricing"
)

// lived is a small day under a policy.
func lived(t *testing.T, name string, hours int64, load, sigma float64) *run {
	t.Helper()
	pf, err := planners.Platform("aws", 4, false)
	require.NoError(t, err)
	day, err := makeDay(config{7, 4, hours, load}, pf)
	require.NoError(t, err)
	all := policies("density")
	k := slices.IndexFunc(all, func(p *policy) bool { return p.name == name })
	require.GreaterOrEqual(t, k, 0)
	r := &run{pf: pf, policy: all[k], budget: offload.Budget{Decodes: 15}, sigma: sigma, seed: 7}
	require.NoError(t, r.execute(day))
	return r
}

// span is a task's execution on the day's axis.
type span struct {
	from, to    int64
	place       string
	cores, most int
}

// TestDaysAreExecutedRight reads from what happened alone, under every policy,
// that each task ran once, after its parents and its workflow's arrival, and
// that no node and no quota was ever overdrawn.
func TestDaysAreExecutedRight(t *testing.T) {
	for _, p := range policies("density") {
		r := lived(t, p.name, 4, 0.9, 0.3)
		var spans []span
		for _, f := range r.flights {
			require.NotZero(t, f.endUs, "%s: %s never ended", p.name, f.name)
			spans = append(spans, spansOf(t, r, f)...)
		}
		require.NoError(t, overdrawn(spans), p.name)
	}
}

func spansOf(t *testing.T, r *run, f *flight) (spans []span) {
	t.Helper()
	finish := make([]int64, len(f.problem.Tasks))
	require.Len(t, f.part.Problem.Fixed, len(finish), "%s: not every task ran once", f.name)
	for _, x := range f.part.Problem.Fixed {
		require.True(t, x.Done)
		finish[x.Task] = x.FinishUs
	}
	for _, x := range f.part.Problem.Fixed {
		require.GreaterOrEqual(t, x.StartUs, int64(0), "%s starts before it comes", f.name)
		for _, parent := range f.problem.Graph().Pred(int(x.Task)) {
			require.GreaterOrEqual(t, x.StartUs, finish[parent])
		}
		s := span{from: f.atUs + x.StartUs, to: f.atUs + x.FinishUs, cores: 1}
		if x.Target == offload.Private {
			s.place, s.cores, s.most = fmt.Sprint("node ", x.Node), f.problem.Tasks[x.Task].Cores, r.pf.Nodes[x.Node].Cores
		} else {
			s.place, s.most = r.pf.Providers[x.Target].Name, r.pf.Providers[x.Target].Quota
		}
		spans = append(spans, s)
	}
	return spans
}

// overdrawn sweeps over starts and ends; at an instant ends come first.
func overdrawn(spans []span) error {
	type step struct {
		at    int64
		cores int
		span  *span
	}
	var steps []step
	for k := range spans {
		s := &spans[k]
		steps = append(steps, step{s.from, s.cores, s}, step{s.to, -s.cores, s})
	}
	slices.SortStableFunc(steps, func(a, b step) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.cores, b.cores))
	})
	used := map[string]int{}
	for _, s := range steps {
		if used[s.span.place] += s.cores; s.cores > 0 && used[s.span.place] > s.span.most {
			return fmt.Errorf("%s: %d in use of %d at %d", s.span.place, used[s.span.place], s.span.most, s.at)
		}
	}
	return nil
}

func TestOverdrawnSees(t *testing.T) {
	a := span{0, 10, "node 0", 1, 1}
	require.NoError(t, overdrawn([]span{a, {10, 20, "node 0", 1, 1}, {5, 7, "node 1", 1, 1}}))
	require.Error(t, overdrawn([]span{a, {9, 20, "node 0", 1, 1}}))
}

// TestEqualSeedsEqualFigures, planning times apart.
func TestEqualSeedsEqualFigures(t *testing.T) {
	text := func() []byte {
		r := lived(t, "joint", 3, 0.9, 0)
		f := r.result(&bounds{possible: map[string]bool{}})
		var out bytes.Buffer
		for _, x := range f.rows("day") {
			if x.Metric != "planning" {
				require.NoError(t, json.NewEncoder(&out).Encode(x))
			}
		}
		return out.Bytes()
	}
	require.Equal(t, string(text()), string(text()))
}

// TestNobodyStarves on an overloaded cluster: a workflow without a deadline ends
// soon after its project has earned it, though there is always something more
// urgent.
func TestNobodyStarves(t *testing.T) {
	r := lived(t, "joint", 6, 1.3, 0)
	seen := 0
	for _, f := range r.flights {
		require.NotZero(t, f.endUs, f.name)
		if f.deadlineUs != 0 {
			continue
		}
		seen++
		fair := f.bestUntil - f.atUs
		require.LessOrEqual(t, f.endUs-f.atUs, 3*fair, "%s: earned after %d s", f.name, fair/second)
		require.Zero(t, f.cost(), "%s paid without a deadline", f.name)
	}
	require.GreaterOrEqual(t, seen, 2)
}

// TestAnEndlessQueueStarvesNobody: workflows with deadlines alone fill the
// cluster, one after another; what has no deadline ends once it has earned it.
func TestAnEndlessQueueStarvesNobody(t *testing.T) {
	pf, err := planners.Platform("aws", 2, false)
	require.NoError(t, err)
	bag := func(name string, project, tasks int, at, due int64) *arrival {
		p := &offload.Problem{}
		for i := range tasks {
			p.Tasks = append(p.Tasks, offload.Task{ID: fmt.Sprint(i), Cores: 1, MemBytes: 1e6, RuntimeS: 20})
		}
		return &arrival{name: name, project: project, atUs: at * second, deadlineUs: due * second, problem: p,
			criticalUs: 20 * second, workUs: int64(tasks) * 20 * second}
	}
	day := []*arrival{bag("patient", 0, 6, 0, 0)} // earned after 180 s: a third of two cores
	for k := range int64(60) {
		day = append(day, bag(fmt.Sprint("urgent-", k), 1, 3, 20*k, 20*k+45))
	}
	r := &run{pf: pf, policy: policies("density")[0], budget: offload.Budget{Decodes: 30}}
	require.NoError(t, r.execute(day))
	require.LessOrEqual(t, r.flights[0].endUs, 200*second)
	require.Zero(t, r.flights[0].cost())
	for _, f := range r.flights[1:] {
		require.LessOrEqual(t, f.endUs, f.deadlineUs, "%s is late", f.name)
	}
}

// TestBillsAddUp: what projects pay is what was bought, and what they got of the
// cluster is what they are entitled to together.
func TestBillsAddUp(t *testing.T) {
	f := lived(t, "joint", 4, 0.9, 0).result(&bounds{possible: map[string]bool{}})
	var bought, pays pricing.Money
	var received, entitled int64
	for _, x := range f.tenants {
		bought += x.bought
		pays += x.pays
		received += x.received
		entitled += x.entitled
		require.LessOrEqual(t, x.received, x.demand)
	}
	require.Positive(t, f.cost)
	require.Equal(t, f.cost, bought)
	require.Equal(t, f.cost, pays)
	require.InEpsilon(t, received, entitled, 1e-6)
}

func TestJain(t *testing.T) {
	require.InDelta(t, 1, jain([]float64{3, 3, 3}), 1e-12)
	require.InDelta(t, 1.0/3, jain([]float64{3, 0, 0}), 1e-12)
	require.InDelta(t, 1, jain([]float64{0, 0}), 1e-12)
}

// TestBoundIsBelow what a policy pays that keeps every deadline.
func TestBoundIsBelow(t *testing.T) {
	r := lived(t, "joint", 3, 2, 0)
	var day []*arrival
	for _, f := range r.flights {
		day = append(day, f.arrival)
	}
	b, err := clairvoyant(r.pf, day)
	require.NoError(t, err)
	f := r.result(b)
	require.Equal(t, f.possible, f.kept)
	require.LessOrEqual(t, b.single, b.joint)
	require.Positive(t, b.joint)
	require.LessOrEqual(t, b.joint, f.cost)
}
