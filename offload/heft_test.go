package offload

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func newPlan(t testing.TB, p *Problem) *planning {
	t.Helper()
	g, err := newPlanning(p, Budget{})
	require.NoError(t, err)
	return g
}

// TestHEFTWeighsTasksByTheirMean: 10 s at home, 12 s bought.
func TestHEFTWeighsTasksByTheirMean(t *testing.T) {
	p := alike(4, 100)
	p.Tasks[1].PrivateOnly, p.Tasks[2].PublicOnly = true, true
	p.Tasks[3].Cores = 9
	p.Tasks[3].PrivateOnly = true
	g := newPlan(t, p)
	for i, want := range []float64{11, 10, 12, 0} {
		require.Equal(t, micros(want), g.meanUs(i), "task %d", i)
	}
	p.NowUs, p.Fixed = second, []FixedPlacement{{Task: 0, Target: Private, Node: 0}}
	require.Zero(t, newPlan(t, p).meanUs(0), "what has started is no more to do")
}

// TestHEFTRank: rank(i) = mean(i) + max over children of (mean communication +
// rank(child)); 4 MB take 4 s and 1 s more, of which half counts.
func TestHEFTRank(t *testing.T) {
	p := chainAndOne(100)
	p.Platform.WAN.LatencyUs = second
	p.Files = []File{{Name: "ab", Size: 4e6}}
	p.Tasks[0].Out, p.Tasks[1].In = []int32{0}, []int32{0}
	g := newPlan(t, p)
	require.Equal(t, []int64{micros(11 + 2.5 + 21), micros(21), micros(11)}, g.meanRank())
	require.Equal(t, map[edge]int64{{0, 1}: 4e6}, g.volumes())
}

// TestHEFTTakesTheEarliestFinish: at home until 10, 20, 30 ...; bought until 12.
func TestHEFTTakesTheEarliestFinish(t *testing.T) {
	plan := made(t, "heft", alike(3, 1000))
	require.Equal(t, []int{Private, 0, 0}, targets(&plan), "though the deadline asks for nothing")
	tight := made(t, "heft", alike(3, 1))
	require.Equal(t, targets(&plan), targets(&tight), "nor does a hopeless one")

	p := alike(2, 0)
	p.Platform.Providers[0].ColdStartUs = 10 * second
	plan = made(t, "heft", p)
	require.Equal(t, []int{Private, Private}, targets(&plan), "20 s either way: home")
}

// TestHEFTFillsGaps: y waits 30 s at home for a large file; z fits before it.
func TestHEFTFillsGaps(t *testing.T) {
	p := alike(3, 0)
	p.Files = []File{{Name: "large", Size: 40e6}}
	p.Tasks[0].Out, p.Tasks[0].PublicOnly = []int32{0}, true
	p.Tasks[1].In, p.Tasks[1].PrivateOnly = []int32{0}, true
	p.Tasks[2].PrivateOnly = true
	g := newPlan(t, p)
	d, err := planHEFT(g)
	require.NoError(t, err)
	require.Equal(t, []int32{0, 1, 2}, g.seq, "y is placed before z")
	require.Equal(t, []int32{0, 2, 1}, d.order, "z starts before y")
}

// TestHEFTIsTheReferences: the makespan and cost of the reference evaluator's.
func TestHEFTIsTheReferences(t *testing.T) {
	ref := startReference(t)
	compared := 0
	for seed := range uint64(300) {
		g := newGenerator(seed + 80_000)
		tr, pf := g.trace(1+g.IntN(20)), g.platform()
		p := tr.problem(t, mustPlatform(t, encode(t, pf)))
		p.DeadlineUs = 50 * second
		n := newPlan(t, p)
		if slices.Contains(n.home, false) {
			continue
		}
		compared++
		plan := made(t, "heft", p)
		a := ref.ask(t, doc{"op": "plan", "instance": tr, "platform": pf, "planner": "heft", "deadline": 50.0})
		require.Equal(t, us(a.MakespanS), plan.Predicted.MakespanUs, "seed %d", seed)
		require.True(t, near(plan.Predicted.Cost, a.Cost, 3*len(p.Tasks)+len(p.Files)), "seed %d", seed)
	}
	require.Greater(t, compared, 50)
}
