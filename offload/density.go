package offload

import (
	"cmp"
	"slices"

	"github.com/spillway/spillway/pricing"
)

// planDensity tries the plan without any offloading first, and returns it when
// it is in time and free. Otherwise it buys the tasks that free most private
// time per dollar: growing shares of them until the deadline holds, then the
// least share by bisection. Feasibility is not monotone (links and quotas fill
// up), hence the scan from the small end. The outcome competes with the plans of
// the other strategies; the best few are finished by buying further tasks where
// that is cheaper than the egress it saves, and by taking tasks home again while
// the deadline holds. Of very many tasks it buys the share that their work asks
// for, and a little more until the deadline holds; that is all.
func planDensity(g *planning) (*decision, error) {
	best := g.try(g.decision())
	if best.inTime && best.cost == 0 {
		g.explain(best.d, "all-private plan is in time", "")
		return best.d, nil
	}
	if len(g.p.Tasks) > large {
		best = g.excess(best)
	} else {
		found := g.seek(best)
		if g.relax(found[0]) {
			found = g.seek(found[0])
		}
		best = g.finish(found)
	}
	g.explain(best.d, "the deadline holds without buying it", "buying it frees private time cheaply, or saves egress")
	if !best.inTime {
		g.explain(best.d, "no plan in time was found; this one is least late", "no plan in time was found; this one is least late")
	}
	return best.d, nil
}

// seek is a plan, the rivals and the densest share, best first.
func (g *planning) seek(first *trial) []*trial {
	found := append(g.rivals(), g.leastPrefix(g.byDensity(0)), first)
	slices.SortStableFunc(found, byScore)
	return found
}

// finish improves the best few plans, since the dearer one may end up cheaper.
func (g *planning) finish(found []*trial) (best *trial) {
	for _, t := range found[:min(len(found), contenders)] {
		if t = g.takeHome(g.closure(t)); t.better(best) {
			best = t
		}
	}
	return best
}

const contenders = 3

// relax gives up margin where no plan keeps it: the goals move half way from
// the earliest ends found to the deadlines, which a cheaper plan may still reach.
func (g *planning) relax(best *trial) bool {
	if best.inTime || best.violated > 0 || best.worstUs > g.marginUs {
		return false
	}
	g.marginUs = (g.marginUs - best.worstUs) / 2
	best.inTime = true
	return true
}

// excess buys the densest tasks whose work is more than the private cores can do
// before the deadline, and more, twice as much each time, while the plan is late.
func (g *planning) excess(best *trial) *trial {
	queue := g.byDensity(0)
	work, capacity := g.workAndCapacity()
	over := work - capacity
	for extra := capacity / 50; ; extra *= 2 {
		d, left := g.decision(), over
		bought := 0
		for ; bought < len(queue) && left > 0; bought++ {
			i := int(queue[bought])
			left -= g.coreTime(i)
			d.buy(i, g.knee(i))
		}
		if t := g.try(d); t.better(best) {
			best = t
		}
		if best.inTime || bought == len(queue) || g.spent() {
			return best
		}
		over = max(over, 0) + extra
	}
}

// coreTime is the work of task i, in microseconds of the fastest cores.
func (g *planning) coreTime(i int) float64 { return float64(g.homeUs[i]) * float64(g.p.Tasks[i].Cores) }

// workAndCapacity are what there is to do at home, and what can be done until the
// last deadline, in microseconds of the fastest cores.
func (g *planning) workAndCapacity() (work, capacity float64) {
	for i := range g.p.Tasks {
		if !g.pinned[i] && g.home[i] {
			work += g.coreTime(i)
		}
	}
	fastest, cores := 0.0, 0.0
	for k := range g.p.Platform.Nodes {
		node := &g.p.Platform.Nodes[k]
		fastest = max(fastest, node.Speed)
		cores += float64(float64(node.Cores) * node.Speed)
	}
	if fastest > 0 {
		capacity = cores / fastest * float64(g.longest())
	}
	return work, capacity
}

// rivals are the plans of simpler strategies.
func (g *planning) rivals() []*trial {
	cheapest := func(i int) option { return slices.MinFunc(g.options[i], option.cheaper) }
	out := []*trial{g.try(g.allPublic(g.fastest)), g.try(g.allPublic(g.knee)), g.try(g.allPublic(cheapest))}
	seq := g.seq
	for _, choose := range []func(*planning) (*decision, error){planDato, planGreedy} {
		if g.spent() {
			break
		}
		if d, err := choose(g); err == nil {
			out = append(out, g.try(d))
		}
		g.seq, g.seen = seq, nil
	}
	return out
}

// explain gives every task the reason of the side it is on.
func (g *planning) explain(d *decision, home, bought string) {
	for i := range g.because {
		if g.because[i] = bought; d.target[i] == Private {
			g.because[i] = home
		}
	}
}

// leastPrefix buys as little of a queue, from its head, as meets the goal: growing
// shares, then bisection. Where none does, it is the best share tried.
func (g *planning) leastPrefix(queue []int32) *trial {
	prefix := func(m int) *trial {
		d := g.decision()
		for _, i := range queue[:m] {
			d.buy(int(i), g.knee(int(i)))
		}
		return g.try(d)
	}
	var best *trial
	low, high := 0, -1
	for _, percent := range []int{2, 6, 12, 25, 40, 60, 80, 100} {
		m := (len(queue)*percent + 99) / 100
		t := prefix(m)
		if t.better(best) {
			best = t
		}
		if t.inTime {
			high = m
			break
		}
		low = m
	}
	for high-low > 1 && !g.spent() {
		m := (low + high) / 2
		t := prefix(m)
		if t.better(best) {
			best = t
		}
		if t.inTime {
			high = m
		} else {
			low = m
		}
	}
	return best
}

// byDensity orders the tasks that could be bought by price per private core
// time freed; the price includes the egress of final outputs, and that of the
// others with the probability that they come back.
func (g *planning) byDensity(back float64) []int32 {
	d := g.decision()
	density := make([]float64, len(g.p.Tasks))
	var queue []int32
	for i := range g.p.Tasks {
		if g.movable(d, i) && g.homeUs[i] > 0 {
			knee := g.knee(i)
			price := float64(g.price(i, knee))
			for _, f := range g.p.out.of(i) {
				if len(g.p.readers.of(int(f))) > 0 && back > 0 {
					price += back * float64(g.egress(int(knee.target), f))
				}
			}
			density[i] = price / (float64(g.homeUs[i]) * float64(g.p.Tasks[i].Cores))
			queue = append(queue, int32(i))
		}
	}
	slices.SortStableFunc(queue, func(a, b int32) int { return cmp.Compare(density[a], density[b]) })
	return queue
}

// price is what buying task i costs wherever its neighbours are: the invocation
// and the way home of final outputs.
func (g *planning) price(i int, o option) pricing.Money {
	cost := o.cost
	if g.p.Platform.ReturnOutputs {
		for _, f := range g.p.out.of(i) {
			if len(g.p.readers.of(int(f))) == 0 {
				cost += g.egress(int(o.target), f)
			}
		}
	}
	return cost
}

// egress is the price of a file leaving a provider. An amount beyond Money
// would have failed the first simulation.
func (g *planning) egress(provider int, f int32) pricing.Money {
	amount, err := g.p.Platform.Providers[provider].Rates.Total(pricing.Usage{EgressBytes: g.p.Files[f].Size})
	if err != nil {
		return pricing.Money(endless)
	}
	return amount
}

// closure buys further tasks where that costs less than the egress it saves: a
// minimum cut in which what is bought stays bought.
func (g *planning) closure(t *trial) *trial {
	n := len(g.p.Tasks)
	stay, buy, egress := make([]int64, n), make([]int64, n), make([]int64, len(g.p.Files))
	paid := false
	for i := range n {
		switch {
		case t.d.target[i] != Private:
			stay[i] = endless
			for _, f := range g.p.out.of(i) {
				egress[f] = g.clamp(g.egress(int(t.d.target[i]), f))
				paid = paid || egress[f] > 0
			}
		case g.movable(t.d, i):
			knee := g.knee(i)
			buy[i] = g.clamp(g.price(i, knee))
			for _, f := range g.p.out.of(i) {
				egress[f] = g.clamp(g.egress(int(knee.target), f))
			}
		default:
			buy[i] = endless
		}
	}
	if !paid || g.spent() {
		return t
	}
	g.decodes -= cutting
	_, bought := newCut(g.p, stay, buy, egress).solve()
	d := t.d.clone()
	for i := range n {
		if bought[i] && g.movable(t.d, i) {
			d.buy(i, g.knee(i))
		}
	}
	if next := g.try(d); next.better(t) {
		return next
	}
	return t
}

func (g *planning) clamp(m pricing.Money) int64 { return min(int64(m), endless) }

// takeHome brings bought tasks home, dearest first and in halves of halves,
// wherever the plan stays in time and gets cheaper.
func (g *planning) takeHome(t *trial) *trial {
	if !t.inTime {
		return t
	}
	var dear []int32
	for _, i := range g.seq {
		if t.d.target[i] != Private && g.home[i] && !g.pinned[i] {
			dear = append(dear, i)
		}
	}
	cost := func(i int32) pricing.Money {
		return g.price(int(i), option{target: t.d.target[i], cost: g.sim.task[i].Cost})
	}
	g.sim.run(t.d, nil)
	slices.SortStableFunc(dear, func(a, b int32) int { return cmp.Compare(cost(b), cost(a)) })
	var halve func(part []int32)
	halve = func(part []int32) {
		if len(part) == 0 || g.spent() {
			return
		}
		d := t.d.clone()
		for _, i := range part {
			d.target[i] = Private
		}
		if next := g.try(d); next.better(t) {
			t = next
		} else if len(part) > 1 {
			halve(part[:len(part)/2])
			halve(part[len(part)/2:])
		}
	}
	if len(dear) > 1 {
		halve(dear[:len(dear)/2])
		halve(dear[len(dear)/2:])
	} else {
		halve(dear)
	}
	return t
}
