package offload

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// diamond is a (10 s), then b (20 s) and c (5 s), then d (10 s); e (3 s) hangs on
// a alone.
func diamond(deadlineS float64) *Problem {
	return &Problem{
		Platform: oneCore(), DeadlineUs: micros(deadlineS),
		Tasks: []Task{
			{ID: "a", Cores: 1, MemBytes: mib, RuntimeS: 10},
			{ID: "b", Cores: 1, MemBytes: mib, RuntimeS: 20, Parents: []int32{0}},
			{ID: "c", Cores: 1, MemBytes: mib, RuntimeS: 5, Parents: []int32{0}},
			{ID: "d", Cores: 1, MemBytes: mib, RuntimeS: 10, Parents: []int32{1, 2}},
			{ID: "e", Cores: 1, MemBytes: mib, RuntimeS: 3, Parents: []int32{0}},
		},
	}
}

func allMicros(s ...float64) (out []int64) {
	for _, x := range s {
		out = append(out, micros(x))
	}
	return out
}

// TestICPCPStartsFromEarliestStartsAndLatestFinishes: EST(i) is the largest
// EST + m of the parents, LFT(i) the least LFT - m of the children, where m is the
// shortest time of a task anywhere.
func TestICPCPStartsFromEarliestStartsAndLatestFinishes(t *testing.T) {
	c := newCriticalPaths(newPlan(t, diamond(50)))
	require.Equal(t, allMicros(10, 20, 5, 10, 3), c.took)
	require.Equal(t, allMicros(0, 10, 10, 30, 10), c.est)
	require.Equal(t, allMicros(20, 40, 40, 50, 50), c.lft)

	p := diamond(50)
	p.Platform.Providers[0].SpeedPerVCPU = 4
	c = newCriticalPaths(newPlan(t, p))
	require.Equal(t, allMicros(4.5, 7, 3.25, 4.5, 2.75), c.took, "bought it is shorter, cold start and all")
	p.NowUs, p.Fixed = 8*second, []FixedPlacement{{Task: 0, Target: Private, Node: 0}}
	c = newCriticalPaths(newPlan(t, p))
	require.Equal(t, allMicros(10, 10, 17, 10), c.est[1:], "a runs until 10")
	require.False(t, c.open(0))
}

// TestICPCPPath: from child to the parent that finishes last, up to what has a
// place.
func TestICPCPPath(t *testing.T) {
	c := newCriticalPaths(newPlan(t, diamond(50)))
	require.Equal(t, int32(3), c.critical([]int32{3, 4}), "the exit that finishes last")
	require.Equal(t, []int32{0, 1, 3}, c.path(3))
	c.keep(1, "")
	require.Equal(t, []int32{0, 2, 3}, c.path(3), "b has a place, c is left")
	c.keep(0, "")
	require.Equal(t, []int32{2, 3}, c.path(3))
	require.Equal(t, int32(-1), c.critical([]int32{0, 1}))
}

// TestICPCPPlaces: the path a b d first, then c, then e. Bought, 10, 20, 5 and 3 s
// take 12, 22, 7 and 5 s in the whole size, 22, 42, 12 and 8 s in half of it.
func TestICPCPPlaces(t *testing.T) {
	const (
		home, half, whole = "private", "f 512", "f 1024"
		fitted            = "its path keeps its latest finish times at home"
		bought            = "its path is late at home; the cheapest size that keeps its latest finish times"
		fastest           = "no site keeps the latest finish times of its path; its fastest option"
	)
	for _, c := range []struct {
		deadline   float64
		want       [5]string
		a, c, last string // reasons of a, c and e
	}{
		// c must end by 30, when d starts; the core is busy until 40. e may wait.
		{43, [5]string{home, home, half, home, home}, fitted, bought, fitted},
		{42, [5]string{home, home, half, home, half}, fitted, bought, bought},
		{40, [5]string{home, home, half, home, half}, fitted, bought, bought},
		{39, [5]string{whole, whole, home, whole, home}, fastest, fitted, fitted},
	} {
		plan := made(t, "icpcp", diamond(c.deadline))
		var got [5]string
		for i, pl := range plan.Placements {
			if got[i] = home; pl.Target != Private {
				got[i] = []string{half, whole}[pl.Config]
			}
		}
		require.Equal(t, c.want, got, "%g s", c.deadline)
		for i, because := range map[int]string{0: c.a, 2: c.c, 4: c.last} {
			require.Equal(t, because, plan.Placements[i].Reason.ChosenBecause, "%g s, task %d", c.deadline, i)
		}
	}
}

// TestICPCPBuysAPathAsAWhole: the core is taken until 50, and a b d cost least in
// the size that is just fast enough for all of them.
func TestICPCPBuysAPathAsAWhole(t *testing.T) {
	for deadline, want := range map[float64][3]int32{
		86: {0, 0, 0}, // 22 + 42 + 22
		85: {1, 1, 1}, // 12 + 22 + 12
		46: {1, 1, 1},
	} {
		p := diamond(deadline)
		p.Reserved = []Reservation{{Target: Private, Cores: 1, UntilUs: 50 * second}}
		plan := made(t, "icpcp", p)
		for k, i := range []int{0, 1, 3} {
			require.Equal(t, 0, plan.Placements[i].Target)
			require.Equal(t, int(want[k]), plan.Placements[i].Config, "%g s, task %d", deadline, i)
		}
	}
}

// TestICPCPHurriesWhereAllIsLost: each task of a path that no site can keep in
// time takes its fastest option, not the cheaper one that is little slower.
func TestICPCPHurriesWhereAllIsLost(t *testing.T) {
	p := diamond(5)
	p.Platform.Providers[0].Configs = []Config{{MemMiB: 700, VCPU: 0.9}, {MemMiB: 1024, VCPU: 1}}
	plan := made(t, "icpcp", p)
	for i := range p.Tasks {
		require.Equal(t, 1, plan.Placements[i].Config, "task %d", i)
	}
}

// TestICPCPOrder is that of the planned starts: c and b at 10, the shorter first;
// e at 40.
func TestICPCPOrder(t *testing.T) {
	plan := made(t, "icpcp", diamond(43))
	require.Equal(t, []int32{0, 2, 1, 3, 4}, plan.Order)
}

// TestICPCPMenu: one size for the whole path, large enough for each of its tasks;
// whom a smaller one serves as fast for less takes that.
func TestICPCPMenu(t *testing.T) {
	p := diamond(100)
	p.Platform.Providers[0].Configs = append(p.Platform.Providers[0].Configs, Config{MemMiB: 2048, VCPU: 2})
	p.Tasks[1].MemBytes = 600 * mib
	p.Tasks[3].Cores = 2
	c := newCriticalPaths(newPlan(t, p))
	sizes := func(config int) (out []int32) {
		menu, cost := c.menu([]int32{0, 1, 3}, 0, config)
		var sum int64
		for _, o := range menu {
			out, sum = append(out, o.config), sum+int64(o.cost)
		}
		require.Equal(t, sum, cost)
		return out
	}
	require.Nil(t, sizes(0), "b does not fit")
	require.Equal(t, []int32{1, 1, 1}, sizes(1))
	require.Equal(t, []int32{1, 1, 2}, sizes(2), "two vCPU serve d alone")
}

// TestICPCPUpdates compares earliest starts and latest finishes, which are kept
// up change by change, with a calculation from the beginning after each path.
func TestICPCPUpdates(t *testing.T) {
	paths, tightened := 0, 0
	for seed := range uint64(200) {
		p := several(t, seed)
		c := newCriticalPaths(newPlan(t, p))
		hopeless := false
		for last := c.critical(exits(p)); last >= 0; last = c.critical(exits(p)) {
			path := c.path(last)
			before := slices.Clone(c.lft)
			c.assign(path)
			for _, i := range path {
				hopeless = hopeless || c.e.finish[i] > c.lft[i]
			}
			c.spread(path)
			est, lft := plainWindows(c)
			for i := range p.Tasks {
				if !c.open(int32(i)) {
					continue
				}
				require.Equal(t, est[i], c.est[i], "seed %d, task %d", seed, i)
				require.Equal(t, est[i]+c.took[i], c.e.finish[i])
				if hopeless {
					require.LessOrEqual(t, c.lft[i], lft[i])
				} else {
					require.Equal(t, lft[i], c.lft[i], "seed %d, task %d", seed, i)
				}
				if c.lft[i] < before[i] {
					tightened++
				}
			}
			paths++
		}
	}
	require.Greater(t, paths, 1000)
	require.Greater(t, tightened, 100)
}

func exits(p *Problem) (out []int32) {
	for i := range p.Tasks {
		if len(p.graph.Succ(i)) == 0 {
			out = append(out, int32(i))
		}
	}
	return out
}

// plainWindows are the earliest starts and latest finishes of tasks without a
// place, given the finishes and starts of the others.
func plainWindows(c *criticalPaths) (est, lft []int64) {
	p := c.g.p
	est, lft = make([]int64, len(p.Tasks)), make([]int64, len(p.Tasks))
	finish := func(i int32) int64 {
		if c.open(i) {
			return est[i] + c.took[i]
		}
		return c.e.finish[i]
	}
	for _, i := range p.graph.Order() {
		est[i] = c.g.release(int(i))
		for _, parent := range p.graph.Pred(int(i)) {
			est[i] = max(est[i], finish(parent))
		}
	}
	for _, i := range slices.Backward(p.graph.Order()) {
		lft[i] = c.g.goal(int(i))
		for _, child := range p.graph.Succ(int(i)) {
			if c.open(child) {
				lft[i] = min(lft[i], lft[child]-c.took[child])
			} else {
				lft[i] = min(lft[i], c.start[child])
			}
		}
	}
	return est, lft
}
