// Package dag is a directed acyclic graph over task indexes 0..n-1, held in
// compressed sparse rows so that planners walk 100,000 tasks without chasing
// pointers or allocating.
package dag

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Graph is immutable and safe for concurrent readers.
type Graph struct {
	succOff, succ []int32
	predOff, pred []int32
	order         []int32
}

// CycleError names one cycle: each index has an edge to the next and the last
// has one to the first.
type CycleError struct{ Cycle []int }

func (e *CycleError) Error() string {
	parts := make([]string, 0, len(e.Cycle)+1)
	for _, i := range e.Cycle {
		parts = append(parts, strconv.Itoa(i))
	}
	parts = append(parts, parts[0])
	return "dependency cycle: " + strings.Join(parts, " -> ")
}

// New builds the graph of n tasks from edges {from, to}. Repeated edges count
// once. The error is a *CycleError, or names an index outside 0..n-1.
func New(n int, edges [][2]int) (*Graph, error) {
	for _, e := range edges {
		if e[0] < 0 || e[0] >= n || e[1] < 0 || e[1] >= n {
			return nil, fmt.Errorf("edge %d -> %d: tasks are numbered 0 to %d", e[0], e[1], n-1)
		}
		if e[0] == e[1] {
			return nil, &CycleError{Cycle: []int{e[0]}}
		}
	}
	g := &Graph{}
	g.succOff, g.succ = rows(n, edges, 0)
	g.predOff, g.pred = rows(n, edges, 1)
	if g.order = topological(g); len(g.order) < n {
		return nil, &CycleError{Cycle: findCycle(g)}
	}
	return g, nil
}

// rows groups the edges by their end `by`, sorted and without repeats.
func rows(n int, edges [][2]int, by int) (off, to []int32) {
	start := make([]int32, n+1)
	for _, e := range edges {
		start[e[by]+1]++
	}
	for i := range n {
		start[i+1] += start[i]
	}
	all := make([]int32, len(edges))
	next := slices.Clone(start)
	for _, e := range edges {
		all[next[e[by]]] = int32(e[1-by])
		next[e[by]]++
	}
	off = make([]int32, n+1)
	to = all[:0]
	for i := range n {
		row := all[start[i]:start[i+1]]
		slices.Sort(row)
		to = append(to, slices.Compact(row)...)
		off[i+1] = int32(len(to))
	}
	return off, slices.Clip(to)
}

// topological is Kahn's algorithm with a heap, smallest ready index first. It
// is shorter than the graph when there is a cycle.
func topological(g *Graph) []int32 {
	n := g.Len()
	open := make([]int32, n)
	var ready indexHeap
	for i := range n {
		if open[i] = int32(len(g.Pred(i))); open[i] == 0 {
			ready.push(int32(i))
		}
	}
	order := make([]int32, 0, n)
	for len(ready) > 0 {
		i := ready.pop()
		order = append(order, i)
		for _, s := range g.Succ(int(i)) {
			if open[s]--; open[s] == 0 {
				ready.push(s)
			}
		}
	}
	return order
}

// findCycle walks backwards among the tasks that no topological order reaches:
// each of them has a predecessor among them, so the walk must close.
func findCycle(g *Graph) []int {
	stuck := make([]bool, g.Len())
	for i := range stuck {
		stuck[i] = true
	}
	for _, i := range g.order {
		stuck[i] = false
	}
	at := slices.Index(stuck, true)
	seen := map[int]int{}
	var walk []int
	for {
		if first, again := seen[at]; again {
			cycle := walk[first:]
			slices.Reverse(cycle)
			return cycle
		}
		seen[at] = len(walk)
		walk = append(walk, at)
		for _, p := range g.Pred(at) {
			if stuck[p] {
				at = int(p)
				break
			}
		}
	}
}

// Len is the number of tasks.
func (g *Graph) Len() int { return len(g.succOff) - 1 }

// Edges is the number of distinct edges.
func (g *Graph) Edges() int { return len(g.succ) }

// Succ lists the direct successors of task i, ascending. Callers must not change it.
func (g *Graph) Succ(i int) []int32 { return g.succ[g.succOff[i]:g.succOff[i+1]] }

// Pred lists the direct predecessors of task i, ascending. Callers must not change it.
func (g *Graph) Pred(i int) []int32 { return g.pred[g.predOff[i]:g.predOff[i+1]] }

// Order is the topological order that always takes the smallest ready index.
// Callers must not change it.
func (g *Graph) Order() []int32 { return g.order }

// UpwardRank is, for every task, the longest weighted path from its start to
// the end of the graph: weight(i) plus the largest comm(i, j) + rank(j) over
// its successors j (Topcuoglu et al., HEFT, 2002). A nil comm counts as zero.
func (g *Graph) UpwardRank(weight func(i int) int64, comm func(i, j int) int64) []int64 {
	rank := make([]int64, g.Len())
	for _, i := range slices.Backward(g.order) {
		var tail int64
		for _, j := range g.Succ(int(i)) {
			t := rank[j]
			if comm != nil {
				t += comm(int(i), int(j))
			}
			tail = max(tail, t)
		}
		rank[i] = weight(int(i)) + tail
	}
	return rank
}

// CriticalPath is the longest path by weight and its length. Ties go to the
// smaller index. It is empty for an empty graph.
func (g *Graph) CriticalPath(weight func(i int) int64) (path []int32, length int64) {
	rank := g.UpwardRank(weight, nil)
	longest := func(among []int32) int32 {
		best := among[0]
		for _, i := range among[1:] {
			if rank[i] > rank[best] || rank[i] == rank[best] && i < best {
				best = i
			}
		}
		return best
	}
	for next := g.order; len(next) > 0; {
		i := longest(next)
		path = append(path, i)
		next = g.Succ(int(i))
	}
	if len(path) > 0 {
		length = rank[path[0]]
	}
	return path, length
}

// Levels is each task's depth: 0 without predecessors, else one more than the
// deepest of them.
func (g *Graph) Levels() []int32 {
	level := make([]int32, g.Len())
	for _, i := range g.order {
		for _, p := range g.Pred(int(i)) {
			level[i] = max(level[i], level[p]+1)
		}
	}
	return level
}

// indexHeap is a binary min-heap of indexes.
type indexHeap []int32

func (h *indexHeap) push(x int32) {
	*h = append(*h, x)
	s := *h
	for k := len(s) - 1; k > 0; {
		up := (k - 1) / 2
		if s[up] <= s[k] {
			return
		}
		s[up], s[k] = s[k], s[up]
		k = up
	}
}

func (h *indexHeap) pop() int32 {
	s := *h
	top, last := s[0], len(s)-1
	s[0] = s[last]
	s = s[:last]
	*h = s
	for k := 0; ; {
		child := 2*k + 1
		if child >= len(s) {
			return top
		}
		if child+1 < len(s) && s[child+1] < s[child] {
			child++
		}
		if s[k] <= s[child] {
			return top
		}
		s[k], s[child] = s[child], s[k]
		k = child
	}
}
