package dag

import (
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func mustNew(t require.TestingT, n int, edges ...[2]int) *Graph {
	g, err := New(n, edges)
	require.NoError(t, err)
	return g
}

func TestDiamond(t *testing.T) {
	g := mustNew(t, 4, [2]int{2, 3}, [2]int{1, 3}, [2]int{0, 2}, [2]int{0, 1}, [2]int{0, 1})
	require.Equal(t, 4, g.Len())
	require.Equal(t, 4, g.Edges(), "a repeated edge counts once")
	require.Equal(t, []int32{0, 1, 2, 3}, g.Order())
	require.Equal(t, []int32{1, 2}, g.Succ(0))
	require.Equal(t, []int32{1, 2}, g.Pred(3))
	require.Equal(t, []int32{0, 1, 1, 2}, g.Levels())
	weight := func(i int) int64 { return []int64{1, 5, 2, 1}[i] }
	require.Equal(t, []int64{7, 6, 3, 1}, g.UpwardRank(weight, nil))
	require.Equal(t, []int64{104, 6, 103, 1}, g.UpwardRank(weight, func(i, j int) int64 {
		return map[[2]int]int64{{2, 3}: 100}[[2]int{i, j}]
	}))
	path, length := g.CriticalPath(weight)
	require.Equal(t, []int32{0, 1, 3}, path)
	require.Equal(t, int64(7), length)
}

func TestTiesGoToTheSmallerIndex(t *testing.T) {
	g := mustNew(t, 4, [2]int{3, 1}) // its order is 0, 2, 3, 1
	path, length := g.CriticalPath(func(i int) int64 { return []int64{0, 5, 5, 0}[i] })
	require.Equal(t, []int32{1}, path)
	require.Equal(t, int64(5), length)
}

func TestEmptyGraph(t *testing.T) {
	g := mustNew(t, 0)
	path, length := g.CriticalPath(nil)
	require.Empty(t, path)
	require.Zero(t, length)
	require.Empty(t, g.Order())
}

func TestRefusedEdges(t *testing.T) {
	for _, c := range []struct {
		edges [][2]int
		want  string
	}{
		{[][2]int{{0, 3}}, "edge 0 -> 3: tasks are numbered 0 to 2"},
		{[][2]int{{-1, 0}}, "edge -1 -> 0: tasks are numbered 0 to 2"},
		{[][2]int{{1, 1}}, "dependency cycle: 1 -> 1"},
		{[][2]int{{0, 1}, {2, 1}, {1, 2}}, "dependency cycle: 2 -> 1 -> 2"},
	} {
		_, err := New(3, c.edges)
		require.EqualError(t, err, c.want)
	}
}

// someEdges are edges of a graph of n tasks, of which few graphs have a cycle
// when forward is set, most when it is not.
func someEdges(t *rapid.T, n int, forward bool) [][2]int {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [2]int {
		a, b := rapid.IntRange(0, n-1).Draw(t, "a"), rapid.IntRange(0, n-1).Draw(t, "b")
		if forward && a > b {
			a, b = b, a
		}
		return [2]int{a, b}
	}).Filter(func(e [2]int) bool { return e[0] != e[1] }), 0, 3*n).Draw(t, "edges")
}

// TestAgainstPlainVersions compares with versions that are slow and plain.
func TestAgainstPlainVersions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 12).Draw(t, "n")
		edges := someEdges(t, n, true)
		weights := rapid.SliceOfN(rapid.Int64Range(0, 9), n, n).Draw(t, "weights")
		weight := func(i int) int64 { return weights[i] }
		g := mustNew(t, n, edges...)

		require.Equal(t, plainOrder(n, edges), g.Order())
		for i := range n {
			var succ, pred []int32
			for _, e := range edges {
				if e[0] == i {
					succ = append(succ, int32(e[1]))
				}
				if e[1] == i {
					pred = append(pred, int32(e[0]))
				}
			}
			require.ElementsMatch(t, set(succ), g.Succ(i))
			require.ElementsMatch(t, set(pred), g.Pred(i))
			require.True(t, slices.IsSorted(g.Succ(i)) && slices.IsSorted(g.Pred(i)))
			require.Equal(t, plainRank(edges, weights, i), g.UpwardRank(weight, nil)[i])
			require.Equal(t, plainLevel(edges, i), g.Levels()[i])
		}
		path, length := g.CriticalPath(weight)
		var sum int64
		for k, i := range path {
			sum += weights[i]
			require.True(t, k == 0 || slices.Contains(edges, [2]int{int(path[k-1]), int(i)}), "it is a path")
		}
		require.Equal(t, length, sum)
		require.Equal(t, slices.Max(g.UpwardRank(weight, nil)), length)
	})
}

// TestCyclesAreReal wants each step of a reported cycle to be an edge, and a
// cycle wherever there is no order.
func TestCyclesAreReal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 8).Draw(t, "n")
		edges := someEdges(t, n, false)
		_, err := New(n, edges)
		if len(plainOrder(n, edges)) == n {
			require.NoError(t, err)
			return
		}
		var cycle *CycleError
		require.True(t, errors.As(err, &cycle), "%v", err)
		require.Len(t, set(cycle.Cycle), len(cycle.Cycle), "no task twice")
		for k, i := range cycle.Cycle {
			next := cycle.Cycle[(k+1)%len(cycle.Cycle)]
			require.Contains(t, edges, [2]int{i, next})
		}
	})
}

func set[T int | int32](list []T) []T {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// plainOrder takes the smallest task without open predecessors, again and again.
func plainOrder(n int, edges [][2]int) []int32 {
	order := []int32{}
	done := make([]bool, n)
	for {
		next := slices.IndexFunc(done, func(d bool) bool { return !d })
		for ; next >= 0 && next < n; next++ {
			if !done[next] && !slices.ContainsFunc(edges, func(e [2]int) bool { return e[1] == next && !done[e[0]] }) {
				break
			}
		}
		if next < 0 || next == n {
			return order
		}
		done[next] = true
		order = append(order, int32(next))
	}
}

func plainRank(edges [][2]int, weights []int64, i int) int64 {
	var tail int64
	for _, e := range edges {
		if e[0] == i {
			tail = max(tail, plainRank(edges, weights, e[1]))
		}
	}
	return weights[i] + tail
}

func plainLevel(edges [][2]int, i int) int32 {
	var level int32
	for _, e := range edges {
		if e[1] == i {
			level = max(level, plainLevel(edges, e[0])+1)
		}
	}
	return level
}

func BenchmarkNew(b *testing.B) {
	const n = 100_000
	edges := make([][2]int, 0, 3*n)
	for i := 1; i < n; i++ {
		edges = append(edges, [2]int{i / 2, i}, [2]int{i - 1, i}, [2]int{i / 3, i})
	}
	b.ReportAllocs()
	for b.Loop() {
		mustNew(b, n, edges...)
	}
}
