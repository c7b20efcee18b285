package offload

import (
	"math"
	"math/bits"

	"github.com/spillway/spillway/pricing"
)

// certify bounds the cost of any plan, where one with that outcome is known. One in
// time that costs nothing more is proof enough.
func (g *planning) certify(known *Outcome) Bound {
	if sunk := g.sunk(); known.DeadlineMet && known.Cost == sunk || g.p.copiesRun() { // what a copy may do is not bounded
		return Bound{Cost: sunk}
	}
	return lowerBound(g)
}

// lowerBound certifies that no plan which meets the deadlines (the real ones, not
// the margin's) costs less, or that there is none. Why it holds:
//
//  1. Time windows relax the rules: no contention, no quota, no ramp, warm starts
//     (cold ones where a provider keeps no container), the fastest way, each
//     parent at its best. A task is in no domain that its window there is too
//     short for.
//  2. A bought task costs at least its cheapest way that fits its window, plus the
//     egress of outputs that go elsewhere for certain: final ones, and those
//     that a task reads which can only run elsewhere. A task at home costs at
//     least its core time on the fastest node that holds it.
//  3. In every interval the private cluster does at most its capacity of work,
//     less what started tasks and other runs hold. A task kept at home does at
//     least the part of its work that no start within its window can move out
//     of the interval. What exceeds the capacity must be bought: one linear row an
//     interval (the energetic bound). The same holds for memory held, and for the
//     time on fast nodes of tasks whose window is too short for slower ones.
//     A chain of tasks that takes longer at home than it may must be shortened by
//     what buying its tasks saves at most: one row a chain.
//  4. A file whose producer is bought and which any task reads at home pays its
//     egress once, at the cheapest provider possible for the producer.
//  5. For any multipliers >= 0 of the rows, the least of cost plus multipliers times
//     what the rows lack is a bound (weak duality), however the multipliers were
//     found; so is the least with any split of a file's egress over its readers.
//  6. Some plan is best, and every task of it is on one side: the lesser bound of
//     the two branches "at home" and "bought" is a bound of both together, and a
//     branch with a proof of impossibility counts for nothing. The same for
//     "at this provider" and "at another", and for "within so many seconds" and
//     "slower".
//  7. Money already spent is spent.
func lowerBound(g *planning) Bound {
	b := newBounding(g)
	for i := range g.p.Tasks {
		if !b.anywhere(i) {
			return Bound{Infeasible: true, Why: NoSite}
		}
	}
	if b.overdue() {
		return Bound{Infeasible: true, Why: NoWindow}
	}
	value, why := b.search()
	if why != "" {
		return Bound{Infeasible: true, Why: why}
	}
	// Sums are in floats, and each way's price is rounded: stay below the truth.
	value -= float64(math.Abs(value)*1e-9) + float64(len(g.p.Tasks)+1)
	total, err := pricing.Add(g.sunk(), pricing.Money(max(0, min(value, math.MaxInt64/2))))
	if err != nil {
		return Bound{}
	}
	return Bound{Cost: total}
}

func (b *bounding) anywhere(i int) bool {
	for k := i * b.domains; k < (i+1)*b.domains; k++ {
		if b.possible(k) {
			return true
		}
	}
	return false
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

// price fills buy and keep, the least that each task costs on either side, and
// returns what is paid in any case: by tasks that have no choice of side. A side
// that is excluded has an infinite price.
func (b *bounding) price() (base float64) {
	b.findCertain()
	b.findSpans()
	for i := range b.p.Tasks {
		k := i * b.domains
		b.buy[i], b.keep[i] = math.Inf(1), math.Inf(1)
		if b.possible(k) {
			b.keep[i] = b.ways[b.lo[k]].cost
		}
		for d := 1; d < b.domains; d++ {
			if b.possible(k + d) {
				_, price := b.cheapest(k + d)
				b.buy[i] = min(b.buy[i], price+b.certainEgress(i, d-1))
			}
		}
		if !b.undecided(i) {
			base += min(b.buy[i], b.keep[i])
		}
	}
	return base
}

// undecided says whether task i can still be on either side.
func (b *bounding) undecided(i int) bool {
	return !math.IsInf(b.buy[i], 1) && !math.IsInf(b.keep[i], 1)
}

// findCertain finds for each file the domains in which it is needed whatever
// happens: where a reader has no other, and home for a final output.
func (b *bounding) findCertain() {
	for i := range b.p.Tasks {
		b.only[i] = -1
		for d := range b.domains {
			if !b.possible(i*b.domains + d) {
				continue
			}
			if b.only[i] >= 0 {
				b.only[i] = -1
				break
			}
			b.only[i] = int16(d)
		}
	}
	for f := range b.p.Files {
		set := uint64(0)
		readers := b.p.readers.of(f)
		if len(readers) == 0 && b.p.Platform.ReturnOutputs {
			set = bit(Private)
		}
		for _, j := range readers {
			if d := b.only[j]; d >= 0 && !b.pinned[j] {
				set |= bit(int(d) - 1)
			}
		}
		b.certain[f] = set &^ b.copied[f]
	}
}

// certainEgress is what leaves a provider for certain once task i is there.
func (b *bounding) certainEgress(i, provider int) (sum float64) {
	for _, f := range b.p.out.of(i) {
		if away := b.certain[f] &^ bit(provider); away != 0 {
			sum += float64(float64(b.egress(provider, f)) * float64(bits.OnesCount64(away)))
		}
	}
	return sum
}
