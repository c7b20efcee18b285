package offload

import (
	"math"
	"slices"

	"github.com/spillway/spillway/pricing"
)

// way is one manner of running a task in a domain: how long at least, and for
// how much at least, in pico-USD; and what a cold start would add to that.
type way struct {
	wallUs     int64
	cost, cold float64
}

// bounding is a relaxation of a problem: what each task can still do, and within
// which windows. Tables by task and domain have index task*domains + domain + 1.
// The ways of an entry are ways[lo:hi], fastest and dearest first; none: the
// domain is excluded.
type bounding struct {
	*planning
	domains int
	speeds  []float64 // of nodes, fastest first
	ways    []way
	lo, hi  []int32
	stays   []int     // where a started task is
	homeLo  []int32   // lo as it was at first
	first   []int64   // earliest start
	last    []int64   // latest finish
	span    []float64 // by domain: see findSpans
	edge    []int32   // task -> where its parents' entries begin in largest
	largest []int64   // by (task, parent): largest file between them; -1: none
	initial []int32   // largest initial file a task reads; -1: none
	copied  []uint64
	ready   []int64 // file -> when an initial one may move
	certain []uint64
	only    []int16
	buy     []float64
	keep    []float64
	orders  []order // of tasks that can only be at home
	floor   []int64 // by task: no earlier start at home, because of an order
	ceiling []int64 // by task: no later finish at home
}

func newBounding(g *planning) *bounding {
	b := &bounding{planning: g, domains: g.sim.domains}
	n := len(g.p.Tasks)
	size := n * b.domains
	b.lo, b.hi = make([]int32, size), make([]int32, size)
	b.first, b.last = make([]int64, size), make([]int64, size)
	b.floor, b.ceiling = make([]int64, n), make([]int64, n)
	b.span = make([]float64, b.domains)
	b.buy, b.keep = make([]float64, n), make([]float64, n)
	b.certain, b.only = make([]uint64, len(g.p.Files)), make([]int16, n)
	b.stays = make([]int, n)
	for _, f := range g.p.Fixed {
		b.stays[f.Task] = f.Target
	}
	b.speeds = b.nodeSpeeds()
	b.listWays()
	b.homeLo = slices.Clone(b.lo)
	b.findEdges()
	return b
}

// possible says whether a task can still be in a domain.
func (b *bounding) possible(k int) bool { return b.lo[k] < b.hi[k] }

// work is the shortest stay of an entry that is possible.
func (b *bounding) work(k int) int64 { return b.ways[b.lo[k]].wallUs }

// due is the deadline of task i.
func (b *bounding) due(i int) int64 {
	if d := b.p.deadlineUs(i); d != 0 {
		return d
	}
	return Never >> 10
}

// listWays fills ways for the tasks that have not started. A started one is
// where it is, for no time: its finish stands in first.
func (b *bounding) listWays() {
	b.ways = make([]way, 0, 6*len(b.p.Tasks))
	rates := pricing.Rates{PerCoreHour: b.p.Platform.CoreHour}
	for i := range b.p.Tasks {
		for d := range b.domains {
			k := i*b.domains + d
			b.lo[k] = int32(len(b.ways))
			switch {
			case b.pinned[i]:
				if b.stays[i] == d-1 {
					b.ways = append(b.ways, way{})
				}
			case d > 0:
				b.buyWays(i, d-1)
			case b.home[i]:
				b.homeWays(i, &rates)
			}
			b.hi[k] = int32(len(b.ways))
		}
	}
}

func (b *bounding) corePrice(rates *pricing.Rates, i int, wallUs int64) float64 {
	if rates.PerCoreHour == 0 {
		return 0
	}
	amount, err := rates.Total(pricing.Usage{PrivateCoreUs: wallUs * int64(b.p.Tasks[i].Cores)})
	if err != nil {
		return 0
	}
	return float64(amount)
}

// homeWays appends a way for every speed of node that can hold task i; the fastest
// alone where no relaxation will be parted.
func (b *bounding) homeWays(i int, rates *pricing.Rates) {
	for _, speed := range b.speeds {
		if !b.fitsAt(i, speed) {
			continue
		}
		wall := b.p.privateUs(i, speed, 1)
		b.ways = append(b.ways, way{wallUs: wall, cost: b.corePrice(rates, i, wall)})
		if _, same := b.p.override(i, Private, 0); same || len(b.p.Tasks) > partedTasks {
			return
		}
	}
}

// fitsAt says whether a node of that speed can hold task i.
func (b *bounding) fitsAt(i int, speed float64) bool {
	return slices.ContainsFunc(b.p.Platform.Nodes, func(n Node) bool { return n.Speed == speed && n.fits(&b.p.Tasks[i]) })
}

// nodeSpeeds lists the speeds of the nodes, fastest first.
func (b *bounding) nodeSpeeds() (speeds []float64) {
	for k := range b.p.Platform.Nodes {
		speeds = append(speeds, b.p.Platform.Nodes[k].Speed)
	}
	slices.Sort(speeds)
	slices.Reverse(speeds)
	return slices.Compact(speeds)
}

// buyWays appends what a provider offers for task i: warm, unless it never keeps
// a container.
func (b *bounding) buyWays(i, target int) {
	q := &b.p.Platform.Providers[target]
	rates := &q.Rates
	even := rates.MinimumUs == 0 && (rates.GranularityUs == 0 || q.ColdStartUs%rates.GranularityUs == 0)
	start := len(b.ways)
	for _, o := range b.options[i] {
		if int(o.target) != target {
			continue
		}
		h := o.wallUs - q.wallUs(0, true)
		b.offer(start, q, int(o.config), h, even)
	}
	if len(b.ways) > start && q.KeepWarmUs >= 0 && rates.BillColdStart && !even {
		b.ways = b.ways[:start] // undominated with a cold start need not be so without
		for _, c := range b.byWall(i, target) {
			b.offer(start, q, c, b.p.handlerUs(i, target, c, 1), even)
		}
	}
}

// offer appends a way unless one of those since start is as good, warm and cold.
// What a cold start adds counts only where it is even, the same for every task.
func (b *bounding) offer(start int, q *Provider, config int, handlerUs int64, even bool) {
	alwaysCold := q.KeepWarmUs < 0
	amount, err := q.Rates.Total(q.invocation(config, handlerUs, alwaysCold))
	if err != nil {
		return
	}
	w := way{wallUs: q.wallUs(handlerUs, alwaysCold), cost: float64(amount)}
	if even && !alwaysCold && q.Rates.BillColdStart {
		if cold, err := q.Rates.Total(q.invocation(config, handlerUs, true)); err == nil {
			w.cold = float64(cold - amount)
		}
	}
	for _, x := range b.ways[start:] {
		if x.cost <= w.cost && x.cost+x.cold <= w.cost+w.cold {
			return
		}
	}
	b.ways = append(b.ways, w)
}

// byWall lists a provider's configurations that can run task i, fastest first.
func (b *bounding) byWall(i, target int) []int {
	var configs []int
	handler := map[int]int64{}
	for c := range b.p.Platform.Providers[target].Configs {
		h := b.p.handlerUs(i, target, c, 1)
		if b.p.limits(i, target, c, h) == [len(limitNames)]bool{} {
			configs, handler[c] = append(configs, c), h
		}
	}
	slices.SortStableFunc(configs, func(x, y int) int { return int(handler[x] - handler[y]) })
	return configs
}

// findEdges finds the largest file on every dependency. Files with copies present
// may need no transfer and are left out.
func (b *bounding) findEdges() {
	n := len(b.p.Tasks)
	b.copied = make([]uint64, len(b.p.Files))
	for _, c := range b.p.Present {
		b.copied[c.File] |= bit(c.Target)
	}
	b.ready = make([]int64, len(b.p.Files))
	for f := range b.ready {
		b.ready[f] = b.p.fileReleaseUs(int32(f))
	}
	b.edge, b.initial = make([]int32, n), slices.Repeat([]int32{-1}, n)
	b.largest = make([]int64, 0, b.p.graph.Edges())
	for i := range n {
		preds := b.p.graph.Pred(i)
		b.edge[i] = int32(len(b.largest))
		for range preds {
			b.largest = append(b.largest, -1)
		}
		for _, f := range b.p.in.of(i) {
			if b.copied[f] != 0 {
				continue
			}
			file := &b.p.Files[f]
			if file.Producer < 0 {
				if k := b.initial[i]; k < 0 || b.p.Files[k].Size < file.Size {
					b.initial[i] = f
				}
				continue
			}
			k, _ := slices.BinarySearch(preds, file.Producer)
			at := &b.largest[int(b.edge[i])+k]
			*at = max(*at, file.Size)
		}
	}
}

// bit stands for a domain in a set. Domains beyond 63 are in no set, which only
// loosens the bound.
func bit(domain int) uint64 { return 1 << uint(domain+1) }

// travel is the least time from one domain to another for a dependency.
func (b *bounding) travel(from, to int, size int64) int64 {
	if from == to || size < 0 {
		return 0
	}
	return b.p.Platform.WAN.sendUs(from, to, size) + b.p.Platform.WAN.LatencyUs
}

// windows finds when each task can run in each domain, and excludes domains
// whose window is too short, which shrinks the windows of others. It is false
// when a task has no domain left: no plan can be in time.
func (b *bounding) windows() bool {
	clear(b.floor)
	for i := range b.ceiling {
		b.ceiling[i] = Never
	}
	for range 8 + 4*len(b.orders) {
		b.forward()
		b.backward()
		excluded, possible := b.exclude()
		if !possible {
			return false
		}
		if moved := b.inOrder(); !excluded && !moved {
			break
		}
	}
	return true
}

// forward finds earliest starts, each parent in its best domain.
func (b *bounding) forward() {
	for _, t := range b.p.graph.Order() {
		i := int(t)
		preds := b.p.graph.Pred(i)
		from := b.p.NowUs
		if len(preds) == 0 {
			from = b.release(i)
		}
		for d := range b.domains {
			k := i*b.domains + d
			if !b.possible(k) {
				continue
			}
			at := from
			if f := b.initial[i]; d > 0 && f >= 0 {
				at = max(at, b.ready[f]+b.travel(Private, d-1, b.p.Files[f].Size))
			}
			for e, parent := range preds {
				at = max(at, b.soonest(int(parent), d-1, b.largest[int(b.edge[i])+e]))
			}
			if d == 0 {
				at = max(at, b.floor[i])
			}
			b.first[k] = at
		}
	}
	for k := range b.p.Fixed {
		f := &b.p.Fixed[k]
		b.first[int(f.Task)*b.domains+f.Target+1] = b.endOf(f)
	}
}

// inOrder carries windows over the orders that were decided, and says whether
// some shrank.
func (b *bounding) inOrder() (moved bool) {
	for _, o := range b.orders {
		i, j := int(o.before)*b.domains, int(o.after)*b.domains
		if at := b.first[i] + b.work(i); at > b.first[j] {
			b.floor[o.after], moved = max(b.floor[o.after], at), true
		}
		if at := b.last[j] - b.work(j); at < b.last[i] {
			b.ceiling[o.before], moved = min(b.ceiling[o.before], at), true
		}
	}
	return moved
}

// endOf is when a started task ends, at the earliest.
func (b *bounding) endOf(f *FixedPlacement) int64 {
	speed := 0.0
	for k := range b.p.Platform.Nodes {
		if f.Node < 0 || f.Node == k {
			speed = max(speed, b.p.Platform.Nodes[k].Speed)
		}
	}
	return b.p.runsUntil(f, speed, 1)
}

// overdue says whether a task that has started ends too late.
func (b *bounding) overdue() bool {
	return slices.ContainsFunc(b.p.Fixed, func(f FixedPlacement) bool {
		end := f.FinishUs
		if !f.Done {
			end = b.endOf(&f)
		}
		return end > b.due(int(f.Task))
	})
}

// soonest is when a parent's largest file can be in a domain.
func (b *bounding) soonest(parent, to int, size int64) int64 {
	best := int64(Never)
	for d := range b.domains {
		if k := parent*b.domains + d; b.possible(k) {
			best = min(best, b.first[k]+b.work(k)+b.travel(d-1, to, size))
		}
	}
	return best
}

// backward finds latest finishes, each child in its best domain.
func (b *bounding) backward() {
	for i := range b.p.Tasks {
		due := b.due(i)
		for k := i * b.domains; k < (i+1)*b.domains; k++ {
			b.last[k] = due
		}
		b.last[i*b.domains] = min(due, b.ceiling[i])
	}
	for _, t := range slices.Backward(b.p.graph.Order()) {
		i := int(t)
		if b.p.Platform.ReturnOutputs {
			b.bringHome(i)
		}
		for e, parent := range b.p.graph.Pred(i) {
			for d := range b.domains {
				k := int(parent)*b.domains + d
				b.last[k] = min(b.last[k], b.latest(i, d-1, b.largest[int(b.edge[i])+e]))
			}
		}
	}
}

// bringHome leaves time for final outputs to return.
func (b *bounding) bringHome(i int) {
	for _, f := range b.p.out.of(i) {
		if len(b.p.readers.of(int(f))) > 0 || b.copied[f]&bit(Private) != 0 {
			continue
		}
		for d := 1; d < b.domains; d++ {
			k := i*b.domains + d
			b.last[k] = min(b.last[k], b.due(i)-b.travel(d-1, Private, b.p.Files[f].Size))
		}
	}
}

// latest is when the largest file for child i must leave a domain.
func (b *bounding) latest(i, from int, size int64) int64 {
	best := int64(-Never)
	for d := range b.domains {
		if k := i*b.domains + d; b.possible(k) {
			best = max(best, b.last[k]-b.work(k)-b.travel(from, d-1, size))
		}
	}
	return best
}

// exclude drops domains whose window is too short; a task without any is the
// proof that no plan can be in time.
func (b *bounding) exclude() (some, possible bool) {
	for i := range b.p.Tasks {
		left := 0
		for k := i * b.domains; k < (i+1)*b.domains; k++ {
			if !b.possible(k) {
				continue
			}
			if !b.pinned[i] && b.first[k]+b.work(k) > b.last[k] {
				b.hi[k] = b.lo[k]
				some = true
				continue
			}
			for k == i*b.domains && b.hi[k]-b.lo[k] > 1 && b.first[k]+b.ways[b.hi[k]-1].wallUs > b.last[k] {
				b.hi[k]-- // no node this slow
			}
			left++
		}
		if left == 0 {
			return some, false
		}
	}
	return some, true
}

// cheapest is the way of an entry that fits its window for the least price. That
// price includes, where no container is there yet, its share of a cold start: a
// container that serves tasks one after another, for no longer than the provider
// can be in use at all, pays one.
func (b *bounding) cheapest(k int) (at int32, price float64) {
	at, price = -1, math.Inf(1)
	span := b.span[k%b.domains]
	for w := b.lo[k]; w < b.hi[k]; w++ {
		x := &b.ways[w]
		if w > b.lo[k] && b.first[k]+x.wallUs > b.last[k] {
			break
		}
		p := x.cost
		if x.cold > 0 && span > 0 {
			p += float64(x.cold * min(1, float64(x.wallUs)/span))
		}
		if p < price {
			at, price = w, p
		}
	}
	return at, price
}

// findSpans finds for each provider how long a container can serve after its cold
// start; 0 where there may be warm ones.
func (b *bounding) findSpans() {
	for d := 1; d < b.domains; d++ {
		from, to := int64(Never), int64(0)
		for i := range b.p.Tasks {
			if k := i*b.domains + d; b.possible(k) && !b.pinned[i] {
				from, to = min(from, b.first[k]), max(to, b.last[k])
			}
		}
		b.span[d] = max(1, float64(to-from-b.p.Platform.Providers[d-1].ColdStartUs))
	}
	for _, f := range b.p.Fixed {
		b.span[f.Target+1] = 0
	}
}
