package offload

import (
	"cmp"
	"math"
	"slices"
)

// node is a relaxation that is open: its ways, its bound, and how to part it.
type node struct {
	lo, hi []int32
	orders []order
	bound  float64
	parts  []narrowing // every plan is in one of them; none: it cannot be parted
}

// order says that one task at home ends before another begins.
type order struct{ before, after int32 }

// narrowing is of a relaxation: entry k keeps its ways lo to hi only and, when
// alone, the task's other domains are excluded; or, with k < 0, an order holds.
type narrowing struct {
	k      int
	lo, hi int32
	alone  bool
	order  order
}

// search finds the bound: that of the problem as it is, then of ever more parts of
// it, always parting the one whose bound is least.
func (b *bounding) search() (value float64, why string) {
	root, why := b.evaluate(b.rootEffort())
	if why != "" {
		return 0, why
	}
	open := []*node{root} // the least bound is last
	why = NoWindow
	for left := b.nodes(); left > 0 && len(open) > 0; {
		least := open[len(open)-1]
		if len(least.parts) == 0 {
			break
		}
		open = open[:len(open)-1]
		for _, c := range least.parts {
			left--
			child, no := b.part(least, c)
			if no != "" {
				why = worse(why, no)
				continue
			}
			k, _ := slices.BinarySearchFunc(open, child.bound, func(x *node, bound float64) int {
				return cmp.Or(cmp.Compare(bound, x.bound), -1)
			})
			open = slices.Insert(open, k, child)
		}
	}
	if len(open) == 0 {
		return 0, why
	}
	return open[len(open)-1].bound, ""
}

func worse(a, b string) string {
	if a == NoCapacity || b == NoCapacity {
		return NoCapacity
	}
	return NoWindow
}

// part is a node narrowed.
func (b *bounding) part(parent *node, c narrowing) (*node, string) {
	copy(b.lo, parent.lo)
	copy(b.hi, parent.hi)
	b.orders = parent.orders
	if c.k < 0 {
		b.orders = append(slices.Clip(b.orders), c.order)
	} else {
		if first := c.k - c.k%b.domains; c.alone {
			copy(b.hi[first:first+b.domains], b.lo[first:first+b.domains])
		}
		b.lo[c.k], b.hi[c.k] = c.lo, c.hi
	}
	child, why := b.evaluate(nodeEffort)
	if child != nil {
		child.bound = max(child.bound, parent.bound)
	}
	return child, why
}

// evaluate bounds the relaxation as it stands.
func (b *bounding) evaluate(e effort) (*node, string) {
	if !b.windows() {
		return nil, NoWindow
	}
	d := b.newDual(e.points)
	if !d.solve(e) {
		return nil, NoCapacity
	}
	value := d.value()
	return &node{slices.Clone(b.lo), slices.Clone(b.hi), b.orders, value, b.parts(d)}, ""
}

// effort is how much a relaxation is worked on.
type effort struct {
	points int // of the grid on either side
	rows   int // that are kept
	along  int // steps for the dearest row with egress
	rounds int // of all rows, with egress divided anew
}

// solve searches good multipliers; false: some row cannot be kept.
func (d *dual) solve(e effort) bool {
	if !d.choose(e.rows) {
		return false
	}
	if len(d.rows) > 0 {
		d.improve(0)
		if d.crosses && e.along > 0 {
			d.along(e.along)
		}
	}
	for range e.rounds {
		if d.crosses {
			d.divide()
		}
		if !d.sweep() {
			return false
		}
	}
	if d.crosses && (e.rounds > 0 || e.along > 0 && len(d.rows) == 0) {
		d.divide()
	}
	return true
}

func (b *bounding) rootEffort() effort {
	switch n := len(b.p.Tasks); {
	case n <= 300:
		return effort{24, 48, 14, 4}
	case n <= 1000:
		return effort{14, 8, 14, 1}
	case n <= 3000:
		return effort{14, 8, 14, 0}
	case n <= 20_000:
		return effort{6, 4, 0, 1}
	}
	return effort{6, 4, 0, 0}
}

var nodeEffort = effort{12, 16, 4, 2}

// nodes is how many relaxations the search may look at. Each takes time with the
// square of the tasks, and gains less the more there are.
func (b *bounding) nodes() int {
	n, most := len(b.p.Tasks), defaultNodes
	if n > partedTasks {
		return 0
	}
	if b.proving > 0 {
		most = min(maxNodes, most*b.proving/defaultDecodes)
	}
	if n > 20 {
		most = most * 400 / (n * n)
	}
	return most
}

const (
	defaultNodes = 100
	maxNodes     = 5000
	partedTasks  = 150 // the most tasks of a problem whose relaxations are parted
)

// parts chooses how to part a relaxation: by the side of a task, else by its
// provider, else by its time, else by the order of tasks at home.
func (b *bounding) parts(d *dual) []narrowing {
	if b.nodes() == 0 {
		return nil
	}
	best, least := -1, math.Inf(1)
	for i := range d.net {
		if net := math.Abs(d.net[i]); b.undecided(i) && net < least {
			best, least = i*b.domains, net
		}
	}
	if best < 0 {
		best = b.anyProvider()
	}
	if best >= 0 {
		return b.within(best, b.lo[best])
	}
	start := b.asSoon()
	if parts := b.byWay(start); parts != nil {
		return parts
	}
	return b.byOrder(start)
}

// within parts a task into "in this domain, by the ways from at on" and all else.
func (b *bounding) within(k int, at int32) []narrowing {
	return []narrowing{{k: k, lo: at, hi: b.hi[k], alone: true}, {k: k, lo: b.lo[k], hi: at}}
}

// anyProvider is an entry of a task that can be at several; -1: there is none.
func (b *bounding) anyProvider() int {
	for i := range b.p.Tasks {
		if b.only[i] >= 0 {
			continue
		}
		for k := i * b.domains; k < (i+1)*b.domains; k++ {
			if b.possible(k) {
				return k
			}
		}
	}
	return -1
}

// chosen is how a task that has one domain left runs for the price that the bound
// has: at home as fast as may be, elsewhere as cheap.
func (b *bounding) chosen(i int) way {
	k := i*b.domains + int(b.only[i])
	if b.only[i] == 0 {
		return b.ways[b.lo[k]]
	}
	at, _ := b.cheapest(k)
	return b.ways[at]
}

// asSoon is the earliest start of every task as chosen, and what it waits for.
type asSoon struct {
	start []int64
	via   []int32
	late  int32 // a task beyond its window; -1: none
}

func (b *bounding) asSoon() asSoon {
	n := len(b.p.Tasks)
	s := asSoon{make([]int64, n), make([]int32, n), -1}
	for _, t := range b.p.graph.Order() {
		i := int(t)
		k := i*b.domains + int(b.only[i])
		s.start[i], s.via[i] = b.first[k], -1
		for e, parent := range b.p.graph.Pred(i) {
			at := s.start[parent] + b.chosen(int(parent)).wallUs +
				b.travel(int(b.only[parent])-1, int(b.only[i])-1, b.largest[int(b.edge[i])+e])
			if at > s.start[i] {
				s.start[i], s.via[i] = at, parent
			}
		}
		if s.start[i]+b.chosen(i).wallUs > b.last[k] && !b.pinned[i] && s.late < 0 {
			s.late = t
		}
	}
	return s
}

// byWay parts the ways of a task in a chain that is late: the one whose cheapest
// takes most longer than its fastest.
func (b *bounding) byWay(s asSoon) []narrowing {
	best, most := -1, int64(0)
	for i := s.late; i >= 0; i = s.via[i] {
		k := int(i)*b.domains + int(b.only[i])
		if more := b.chosen(int(i)).wallUs - b.work(k); more > most {
			best, most = k, more
		}
	}
	if best < 0 {
		return nil
	}
	at, _ := b.cheapest(best)
	return b.within(best, at)
}

// byOrder finds tasks at home that run at once, as soon as they can, and are too
// many for the cores that are fast enough, or slow enough, for them. In any plan
// one of them is slower, or ends before another begins.
func (b *bounding) byOrder(s asSoon) []narrowing {
	for j := range b.p.Tasks {
		if !b.occupies(j) {
			continue
		}
		var running []int32
		for i := range b.p.Tasks {
			if b.occupies(i) && s.start[i] <= s.start[j] && s.start[j] < s.start[i]+b.chosen(i).wallUs {
				running = append(running, int32(i))
			}
		}
		for _, v := range b.speeds {
			fast := b.crowd(running, v, 1)
			if k := b.slower(fast); k >= 0 {
				return b.within(k, b.lo[k]+1)
			}
			if fast != nil {
				return b.orderings(fast)
			}
			if slow := b.crowd(running, v, -1); slow != nil {
				return b.orderings(slow)
			}
		}
	}
	return nil
}

func (b *bounding) occupies(i int) bool {
	return b.only[i] == 0 && !b.pinned[i] && b.chosen(i).wallUs > 0
}

// crowd is a least set of tasks, among those that run at least as fast as v (sign
// 1) or at most (-1), that is too many for the nodes of those speeds; nil: they
// fit. A task whose time is the same on any node needs no fast one, nor a slow.
func (b *bounding) crowd(running []int32, v, sign float64) (set []int32) {
	room, all := 0, sign > 0 && v == b.speeds[len(b.speeds)-1]
	for k := range b.p.Platform.Nodes {
		if n := &b.p.Platform.Nodes[k]; sign*n.Speed >= sign*v {
			room += n.Cores
		}
	}
	for _, i := range running {
		_, same := b.p.override(int(i), Private, 0)
		if all || !same && sign*b.speed(int(i)) >= sign*v {
			set, room = append(set, i), room-b.p.Tasks[i].Cores
		}
	}
	for k := len(set) - 1; k >= 0 && room < 0; k-- {
		if more := b.p.Tasks[set[k]].Cores; room+more < 0 {
			set, room = slices.Delete(set, k, k+1), room+more
		}
	}
	if room >= 0 {
		return nil
	}
	return set
}

// speed is that of the fastest node left for a task at home.
func (b *bounding) speed(i int) float64 {
	left := b.lo[i*b.domains] - b.homeLo[i*b.domains]
	for _, v := range b.speeds {
		if b.fitsAt(i, v) {
			if left == 0 {
				return v
			}
			left--
		}
	}
	panic("a way at home is no node's")
}

// slower is the home entry of the task in a set that could best be on a slower
// node; -1: none could.
func (b *bounding) slower(set []int32) int {
	best, most := -1, int64(-1)
	for _, i := range set {
		k := int(i) * b.domains
		if b.hi[k]-b.lo[k] < 2 {
			continue
		}
		if slack := b.last[k] - b.first[k] - b.ways[b.lo[k]+1].wallUs; slack > most {
			best, most = k, slack
		}
	}
	return best
}

func (b *bounding) orderings(together []int32) (parts []narrowing) {
	for _, i := range together {
		for _, j := range together {
			if i != j {
				parts = append(parts, narrowing{k: -1, order: order{i, j}})
			}
		}
	}
	return parts
}
