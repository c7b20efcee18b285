package offload

import (
	"math"
	"slices"

	"github.com/spillway/spillway/pricing"
)

// lowerBound certifies that no plan which meets the deadline (the real one, not
// the margin's) costs less, or that there is none. Why it holds:
//
//  1. Time windows relax the rules: no contention, no quota, warm starts, the
//     best configuration, each parent at its best. A task that fits only public
//     windows must be bought.
//  2. A bought task costs at least its cheapest configuration that fits its
//     window, warm, plus the egress of outputs that must come home.
//  3. In every interval the private cluster does at most its capacity of work,
//     and a task kept private does at least the part of its work that no start
//     within its window can move out of the interval. What exceeds the capacity
//     must be bought: a fractional knapsack, never above the integer optimum.
//  4. Money already spent is spent.
//
// This is LB-E, the energetic bound; the best interval of a grid counts.
func lowerBound(g *planning) Bound {
	b := &bounding{planning: g, deadline: g.p.DeadlineUs, domains: g.sim.domains}
	sunk := g.sunk()
	if b.deadline == 0 {
		b.deadline = Never >> 10
	}
	if b.shortest(); b.stranded() {
		return Bound{Infeasible: true, Why: NoSite}
	}
	if !b.windows() {
		return Bound{Infeasible: true, Why: NoWindow}
	}
	base := b.priceTasks()
	more, possible := b.energy()
	if !possible {
		return Bound{Infeasible: true, Why: NoCapacity}
	}
	total := float64(base) + more
	// The knapsack is in floats: give up the last digits to stay below the truth.
	total -= math.Abs(total)*1e-9 + 1
	bound, err := pricing.Add(sunk, pricing.Money(max(0, min(total, math.MaxInt64/2))))
	if err != nil {
		return Bound{}
	}
	return Bound{Cost: bound}
}

// sunk is the money given for what is Fixed and Present.
func (g *planning) sunk() pricing.Money {
	var sum pricing.Money
	for _, f := range g.p.Fixed {
		sum += f.Cost
	}
	for _, c := range g.p.Present {
		sum += c.Cost
	}
	return sum
}

// bounding holds windows by task and domain (index task*domains + domain + 1).
type bounding struct {
	*planning
	deadline int64
	domains  int
	work     []int64 // shortest stay in the domain; -1: impossible there
	first    []int64 // earliest start
	last     []int64 // latest finish
	edge     []int32 // task -> where its parents' entries begin in largest
	largest  []int64 // by (task, parent): largest file between them; -1: none
	initial  []int64 // largest initial file a task reads; -1: none
	price    []float64
}

func (b *bounding) windows() bool {
	b.edges()
	size := len(b.work)
	b.first, b.last = make([]int64, size), make([]int64, size)
	for range 8 { // an excluded domain shrinks the windows of others
		b.forward()
		b.backward()
		excluded, possible := b.exclude()
		if !possible {
			return false
		}
		if !excluded {
			break
		}
	}
	return true
}

// shortest fills work for the tasks that have not started. A started one is
// where it is, for no time: its finish stands in first.
func (b *bounding) shortest() {
	b.work = slices.Repeat([]int64{-1}, len(b.p.Tasks)*b.domains)
	for i := range b.p.Tasks {
		if b.home[i] {
			b.work[i*b.domains] = b.homeUs[i]
		}
		for _, o := range b.options[i] {
			k := i*b.domains + int(o.target) + 1
			warm := o.wallUs - b.p.Platform.Providers[o.target].ColdStartUs
			if b.work[k] < 0 || warm < b.work[k] {
				b.work[k] = warm
			}
		}
	}
	for _, f := range b.p.Fixed {
		row := b.work[int(f.Task)*b.domains:][:b.domains]
		for d := range row {
			row[d] = -1
		}
		row[f.Target+1] = 0
	}
}

// stranded says whether some task can run in no domain.
func (b *bounding) stranded() bool {
	for i := range b.p.Tasks {
		if slices.Max(b.work[i*b.domains:][:b.domains]) < 0 {
			return true
		}
	}
	return false
}

// edges finds the largest file on every dependency. Files with copies present
// may need no transfer and are left out.
func (b *bounding) edges() {
	n := len(b.p.Tasks)
	copied := make([]bool, len(b.p.Files))
	for _, c := range b.p.Present {
		copied[c.File] = true
	}
	b.edge, b.initial = make([]int32, n), slices.Repeat([]int64{-1}, n)
	for i := range n {
		preds := b.p.graph.Pred(i)
		b.edge[i] = int32(len(b.largest))
		for range preds {
			b.largest = append(b.largest, -1)
		}
		for _, f := range b.p.in.of(i) {
			if copied[f] {
				continue
			}
			file := &b.p.Files[f]
			if file.Producer < 0 {
				b.initial[i] = max(b.initial[i], file.Size)
				continue
			}
			k, _ := slices.BinarySearch(preds, file.Producer)
			at := &b.largest[int(b.edge[i])+k]
			*at = max(*at, file.Size)
		}
	}
}

// travel is the least time from one domain to another for a dependency.
func (b *bounding) travel(from, to int, size int64) int64 {
	if from == to || size < 0 {
		return 0
	}
	return b.p.Platform.WAN.sendUs(from, to, size) + b.p.Platform.WAN.LatencyUs
}

// forward finds earliest starts, each parent in its best domain.
func (b *bounding) forward() {
	for _, t := range b.p.graph.Order() {
		i := int(t)
		for d := range b.domains {
			k := i*b.domains + d
			if b.work[k] < 0 {
				continue
			}
			at := b.p.NowUs
			if d > 0 {
				at += b.travel(Private, d-1, b.initial[i])
			}
			for e, parent := range b.p.graph.Pred(i) {
				at = max(at, b.soonest(int(parent), d-1, b.largest[int(b.edge[i])+e]))
			}
			b.first[k] = at
		}
	}
	for _, f := range b.p.Fixed {
		b.first[int(f.Task)*b.domains+f.Target+1] = max(f.FinishUs, b.p.NowUs)
	}
}

// soonest is when a parent's largest file can be in a domain.
func (b *bounding) soonest(parent, to int, size int64) int64 {
	best := int64(Never)
	for d := range b.domains {
		if k := parent*b.domains + d; b.work[k] >= 0 {
			best = min(best, b.first[k]+b.work[k]+b.travel(d-1, to, size))
		}
	}
	return best
}

// backward finds latest finishes, each child in its best domain.
func (b *bounding) backward() {
	for k := range b.last {
		b.last[k] = b.deadline
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
		if len(b.p.readers.of(int(f))) > 0 {
			continue
		}
		for d := 1; d < b.domains; d++ {
			k := i*b.domains + d
			b.last[k] = min(b.last[k], b.deadline-b.travel(d-1, Private, b.p.Files[f].Size))
		}
	}
}

// latest is when the largest file for child i must leave a domain.
func (b *bounding) latest(i, from int, size int64) int64 {
	best := int64(-Never)
	for d := range b.domains {
		if k := i*b.domains + d; b.work[k] >= 0 {
			best = max(best, b.last[k]-b.work[k]-b.travel(from, d-1, size))
		}
	}
	return best
}

// exclude drops domains whose window is too short; a task without any is the
// proof that no plan can be in time.
func (b *bounding) exclude() (some, possible bool) {
	for i := range b.p.Tasks {
		left := 0
		for d := range b.domains {
			k := i*b.domains + d
			if b.work[k] < 0 {
				continue
			}
			if b.first[k]+b.work[k] > b.last[k] && !b.started(i) {
				b.work[k] = -1
				some = true
				continue
			}
			left++
		}
		if left == 0 || b.started(i) && b.first[i*b.domains+b.site(i)+1] > b.deadline {
			return some, false
		}
	}
	return some, true
}

func (b *bounding) started(i int) bool { return b.pinned[i] }

func (b *bounding) site(i int) int { return b.sim.site(int32(i)) }
