package offload

import (
	"cmp"
	"math"
	"slices"

	"github.com/spillway/spillway/pricing"
)

// Bucket is a project's claim on private cores, a token bucket in core-seconds:
// it fills at the project's rate, and a workflow takes its work out of it. The
// zero value is an empty bucket. What is kept is when all that was taken so far
// is earned, the virtual clock of Zhang (SIGCOMM 1990); a project that waits
// saves nothing up, so that none can block the others later.
type Bucket struct{ EarnedUs int64 }

// Take removes work, in core-microseconds, from a bucket that fills at so many
// cores, and returns when it is earned: the time by which a workflow without a
// deadline is entitled to be done. Rates below a thousandth of a core count as
// that.
func (b *Bucket) Take(nowUs, coreUs int64, cores float64) int64 {
	took := min(float64(coreUs)/max(cores, 0.001), Never>>10)
	b.EarnedUs = max(b.EarnedUs, nowUs) + int64(took)
	return b.EarnedUs
}

// Entitle divides capacity among projects by weighted max-min fairness: none
// gets more than its demand, and what it leaves is divided among the others in
// proportion to their weights. All are in one unit, such as core-microseconds;
// weights of 0 and less count as the smallest positive number. The sum is at
// most the capacity, short of it by less than one for each project that is
// still in want.
func Entitle(capacity int64, demand []int64, weight []float64) []int64 {
	order := make([]int, len(demand))
	for k := range order {
		order[k] = k
	}
	positive := func(k int) float64 { return max(weight[k], math.SmallestNonzeroFloat64) }
	// Who wants least for its weight is satisfied first.
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(float64(demand[a])/positive(a), float64(demand[b])/positive(b))
	})
	total := 0.0
	for k := range weight {
		total += positive(k)
	}
	out := make([]int64, len(demand))
	for _, k := range order {
		fair := int64(float64(capacity) * min(1, positive(k)/total))
		out[k] = min(demand[k], fair, capacity)
		capacity -= out[k]
		total -= positive(k)
	}
	return out
}

// Settle divides a cloud bill among projects: who demanded more private
// capacity than it is entitled to pays in proportion to the excess, whoever's
// tasks were bought. That lets a plan buy whatever is cheapest to buy. Where
// nobody exceeds its share, by demand. The parts add up to the bill.
func Settle(bill pricing.Money, demand, entitled []int64) []pricing.Money {
	excess := make([]float64, len(demand))
	sum := 0.0
	for k := range demand {
		excess[k] = float64(demand[k] - entitled[k])
		sum += excess[k]
	}
	if sum <= 0 {
		for k := range demand {
			excess[k] = float64(demand[k])
			sum += excess[k]
		}
	}
	out := make([]pricing.Money, len(demand))
	left := bill
	for k := range out {
		if sum > 0 && excess[k] > 0 {
			out[k] = min(left, pricing.Money(float64(left)*min(1, excess[k]/sum)))
			left -= out[k]
			sum -= excess[k]
		}
	}
	if last := len(out) - 1; last >= 0 {
		out[last] += left // rounding; all of it where nobody demanded anything
	}
	return out
}
