package offload

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestEtaIsZeroWhenThetaToTheMinusCCRExceedsR: theta is 2.
func TestEtaIsZeroWhenThetaToTheMinusCCRExceedsR(t *testing.T) {
	for _, c := range []struct {
		transfer, took int64
		r              float64
		zero           bool
	}{
		{1, 1, 0.49, true}, {1, 1, 0.5, false}, {1, 1, 0.51, false}, // 2^-1
		{2, 1, 0.24, true}, {2, 1, 0.26, false}, // 2^-2
		{1, 2, 0.70, true}, {1, 2, 0.71, false}, // 2^-0.5
		{1, 1 << 60, 0.999, true}, // nothing to carry
		{1, 0, 0, false},          // everything is
		{0, 0, 0.999, true}, {0, 5, 0.999, true},
	} {
		require.Equal(t, c.zero, together(c.transfer, c.took, c.r), "%+v", c)
	}
}

// TestProbabilisticRank: rank(i) = took(i) + max over children of (rank(child) +
// eta * transfer); the transfer of 8 MB takes 10 s, the tasks 10 and 20.
func TestProbabilisticRank(t *testing.T) {
	p := chainAndOne(100)
	p.Files, p.Platform.WAN.LatencyUs = []File{{Name: "ab", Size: 8e6}}, 2*second
	p.Tasks[0].Out, p.Tasks[1].In = []int32{0}, []int32{0}
	near, far := 0, 0
	for seed := range int64(400) {
		p.Seed = seed
		g := newPlan(t, p)
		rank := g.probabilisticRank(g.bestTimes())
		require.Equal(t, []int64{20 * second, 10 * second}, rank[1:])
		switch rank[0] {
		case 30 * second:
			near++
		case 40 * second:
			far++
		default:
			t.Fatal(rank)
		}
		require.Equal(t, rank, newPlan(t, p).probabilisticRank(g.bestTimes()), "equal seeds, equal ranks")
	}
	require.InDelta(t, 200, near, 40, "the odds are 2^-1")
	require.Equal(t, 400, near+far)
}

// TestProbabilisticRankWithoutFiles: an edge that carries nothing costs nothing,
// latency neither.
func TestProbabilisticRankWithoutFiles(t *testing.T) {
	p := chainAndOne(100)
	p.Platform.WAN.LatencyUs = 100 * second
	g := newPlan(t, p)
	require.Equal(t, []int64{30 * second, 20 * second, 10 * second}, g.probabilisticRank(g.bestTimes()))
}

// TestSubDeadlines: due(i) = release + (goal - release) * (top - rank + took) / top.
func TestSubDeadlines(t *testing.T) {
	p := chainAndOne(60)
	took := []int64{10, 20, 10}
	due := func() []int64 { return newPlan(t, p).subDeadlines([]int64{30, 20, 10}, took) }
	require.Equal(t, []int64{20 * second, 60 * second, 60 * second}, due())
	p.MarginUs = 6 * second
	require.Equal(t, []int64{18 * second, 54 * second, 54 * second}, due(), "the goal is 54")
	p.NowUs = 24 * second
	require.Equal(t, []int64{34 * second, 54 * second, 54 * second}, due(), "30 s are left")

	p.NowUs, p.MarginUs = 0, 0
	p.Tasks[2].Workflow = 1
	p.Workflows = []Workflow{{DeadlineUs: 30 * second}, {ReleaseUs: 40 * second, DeadlineUs: 90 * second}}
	require.Equal(t, []int64{10 * second, 30 * second, 90 * second}, due(), "each workflow its own")
	p.Tasks[1].Workflow, took = 1, []int64{10, 10, 5}
	require.Equal(t, []int64{10 * second, 65 * second, micros(77.5)}, due(), "and its own top")
	p.Workflows[1].DeadlineUs = 0
	require.Greater(t, due()[2], int64(1e12), "without a deadline there is time enough")
}

// TestProLiSTakesTheCheapestInTime: at home when that meets the sub-deadline,
// else the cheapest option that does, else the earliest finish.
func TestProLiSTakesTheCheapestInTime(t *testing.T) {
	g := newPlan(t, chainAndOne(100))
	offers := []offer{
		{option{cost: 4}, 0, 10}, {option{cost: 3, config: 1}, 0, 20},
		{option{cost: 3, config: 2}, 0, 15}, {option{cost: 1}, 0, 90},
	}
	for _, c := range []struct {
		home, due int64 // home 0: it cannot run there
		want      *offer
	}{
		{30, 30, nil},
		{30, 29, &offers[2]}, // of equal price the earlier
		{0, 29, &offers[2]},
		{30, 90, nil},
		{91, 90, &offers[3]},
		{30, 14, &offers[0]},
		{30, 9, &offers[0]}, // nothing is in time
		{9, 8, nil},
		{10, 9, nil}, // of equal finish home
		{0, 9, &offers[0]},
	} {
		var home *slot
		if c.home > 0 {
			home = &slot{finish: c.home}
		}
		require.Equal(t, c.want, g.bySubDeadline(0, c.due, home, offers), "%+v", c)
	}
}

// TestProLiSIsDatoWithoutFiles: they differ in the edges alone.
func TestProLiSIsDatoWithoutFiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &Problem{Platform: oneCore(), Seed: rapid.Int64().Draw(t, "seed")}
		p.Platform.Providers[0].SpeedPerVCPU = rapid.SampledFrom([]float64{1, 4}).Draw(t, "speed")
		for i := range rapid.IntRange(1, 12).Draw(t, "n") {
			task := Task{ID: "t", Cores: 1, MemBytes: mib, RuntimeS: float64(rapid.IntRange(0, 30).Draw(t, "s"))}
			if i > 0 && rapid.Bool().Draw(t, "child") {
				task.Parents = []int32{int32(rapid.IntRange(0, i-1).Draw(t, "of"))}
			}
			p.Tasks = append(p.Tasks, task)
		}
		p.DeadlineUs = int64(rapid.IntRange(1, 200).Draw(t, "deadline")) * second
		dato, err := planOf("dato")(*p, Budget{})
		require.NoError(t, err)
		prolis, err := planOf("prolis")(*p, Budget{})
		require.NoError(t, err)
		require.Equal(t, dato.Order, prolis.Order)
		require.Equal(t, dato.Placements, prolis.Placements)
	})
}
