package offload

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWideTasksQueueAsOne: whatever widths there are, tasks at home start as if
// they stood in one line by rank, from which whoever fits somewhere steps forward.
func TestWideTasksQueueAsOne(t *testing.T) {
	for seed := range uint64(200) {
		g := rand.New(rand.NewPCG(seed, 3))
		p := &Problem{Platform: benchPlatform()}
		p.Platform.Nodes = []Node{{Cores: 5, Speed: 1, MemMiB: 6000}, {Cores: 14, Speed: 2, MemMiB: 9000}}
		plan := &Plan{}
		for i := range 1 + g.IntN(40) {
			p.Tasks = append(p.Tasks, Task{Cores: 1 + g.IntN(14), MemBytes: float64(g.IntN(6000)) * mib, RuntimeS: float64(1 + g.IntN(8))})
			plan.Placements = append(plan.Placements, Placement{Target: Private, Node: -1})
			plan.Order = append(plan.Order, int32(i))
		}
		g.Shuffle(len(plan.Order), func(a, b int) { plan.Order[a], plan.Order[b] = plan.Order[b], plan.Order[a] })
		o, err := Simulate(p, plan, SimOptions{})
		require.NoError(t, err)
		for i, start := range inLine(p, plan.Order) {
			require.Equal(t, start, o.Tasks[i].StartUs, "seed %d, task %d", seed, i)
		}
	}
}

// inLine is when each task starts, by the rule and nothing else.
func inLine(p *Problem, order []int32) []int64 {
	start := slices.Repeat([]int64{Never}, len(order))
	ends := make([]int64, len(order))
	on := make([]int, len(order))
	for now := int64(0); ; now += second / 2 { // all run times are multiples
		free := slices.Clone(p.Platform.Nodes)
		for i := range order {
			if start[i] != Never && ends[i] > now {
				free[on[i]].Cores -= p.Tasks[i].Cores
				free[on[i]].MemMiB -= p.Tasks[i].MemBytes / mib
			}
		}
		for _, i := range order {
			for _, k := range []int{1, 0} { // the fastest first
				if start[i] == Never && free[k].fits(&p.Tasks[i]) {
					start[i], on[i] = now, k
					ends[i] = now + p.privateUs(int(i), free[k].Speed, 1)
					free[k].Cores -= p.Tasks[i].Cores
					free[k].MemMiB -= p.Tasks[i].MemBytes / mib
				}
			}
		}
		if !slices.Contains(start, Never) {
			return start
		}
	}
}
