package offload

import (
	"cmp"
	"math"
	"slices"
)

// dual is the Lagrangian dual of one relaxation: rows with multipliers, and the
// price of every task net of them. Lengths are by task unless it says otherwise.
type dual struct {
	b       *bounding
	cluster cluster
	tasks   []candidate
	rows    []row
	lambda  []float64 // by row
	need    []float64 // by row: what must be bought of it, at least
	fixed   float64   // paid in any case, and by undecided tasks if all stay at home
	net     []float64 // of undecided tasks: to buy instead of keep, less what rows pay, plus split
	split   []float64 // share of files' egress that a task answers for
	splitIn float64   // and that tasks which are bought for certain do
	egress  []int64   // by file: what the minimum cut may charge
	crosses bool      // some egress is not 0
	network *network  // built when needed
	items   []item
}

// item is a task's part in a row, and its price.
type item struct{ part, price float64 }

func (b *bounding) newDual(points int) *dual {
	n := len(b.p.Tasks)
	d := &dual{b: b, cluster: b.cluster(), net: make([]float64, n), split: make([]float64, n)}
	d.fixed = b.price()
	for i := range n {
		if b.undecided(i) {
			d.fixed += b.keep[i]
			d.net[i] = b.buy[i] - b.keep[i]
		}
	}
	d.tasks = b.candidates(&d.cluster)
	if len(d.tasks) > 0 && len(b.p.Platform.Nodes) > 0 {
		d.rows = append(b.intervals(&d.cluster, d.tasks, points), b.chains(d.tasks)...)
	}
	d.lambda, d.need = make([]float64, len(d.rows)), make([]float64, len(d.rows))
	d.listEgress()
	return d
}

// value is the bound by the present multipliers.
func (d *dual) value() float64 {
	sum := d.fixed + d.splitIn
	for i := range d.net {
		if d.net[i] < 0 && d.b.undecided(i) {
			sum += d.net[i]
		}
	}
	for r := range d.rows {
		sum += float64(d.lambda[r] * d.need[r])
	}
	return sum
}

// fill lists what the candidates have to pay in row r if its multiplier were 0,
// and returns what is left to buy of it; those that are bought anyway, or cannot
// be, are no items.
func (d *dual) fill(r int) (left float64) {
	row := &d.rows[r]
	d.items = d.items[:0]
	need, anyway := 0.0, 0.0
	for k := range d.tasks {
		t := &d.tasks[k]
		part := d.part(row, k)
		if part <= 0 {
			continue
		}
		need += part
		if t.bound {
			continue
		}
		if price := d.net[t.task] + float64(d.lambda[r]*part); price > 0 {
			d.items = append(d.items, item{part, price})
		} else {
			anyway += part
		}
	}
	d.need[r] = need - row.room - float64(need*1e-12) - 1 // sums are in floats
	return d.need[r] - anyway
}

// improve sets the multiplier of row r to the best for the others as they are: a
// fractional knapsack. It is false when the row cannot be kept at all.
func (d *dual) improve(r int) bool {
	lambda := 0.0
	if left := d.fill(r); left > 0 {
		best, _, ok := critical(d.items, left)
		if !ok {
			return false
		}
		lambda = best
	}
	d.set(r, lambda)
	return true
}

func (d *dual) set(r int, lambda float64) {
	by := lambda - d.lambda[r]
	if by == 0 {
		return
	}
	d.lambda[r] = lambda
	row := &d.rows[r]
	for k := range d.tasks {
		t := &d.tasks[k]
		if part := d.part(row, k); part > 0 && !t.bound {
			d.net[t.task] -= float64(by * part)
		}
	}
}

// critical is the price a part at which items of a fractional knapsack fill the
// need, and what they cost then (the median search of Balas and Zemel, 1980).
func critical(items []item, need float64) (lambda, cost float64, ok bool) {
	for len(items) > 0 {
		pivot := median(items[0].ratio(), items[len(items)/2].ratio(), items[len(items)-1].ratio())
		less, more := partition(items, pivot)
		var below, equal item
		for _, x := range items[:less] {
			below.part, below.price = below.part+x.part, below.price+x.price
		}
		for _, x := range items[less:more] {
			equal.part, equal.price = equal.part+x.part, equal.price+x.price
		}
		switch {
		case below.part >= need:
			items = items[:less]
		case below.part+equal.part >= need:
			return pivot, cost + below.price + float64(pivot*(need-below.part)), true
		default:
			need -= below.part + equal.part
			cost += below.price + equal.price
			items = items[more:]
		}
	}
	return 0, cost, false
}

func (x *item) ratio() float64 { return x.price / x.part }

func median(a, b, c float64) float64 { return max(min(a, b), min(max(a, b), c)) }

// partition moves the items below the pivot to the front and those above to the
// back: items[less:more] are equal to it.
func partition(items []item, pivot float64) (less, more int) {
	more = len(items)
	for k := 0; k < more; {
		switch r := items[k].ratio(); {
		case r < pivot:
			items[less], items[k] = items[k], items[less]
			less++
			k++
		case r > pivot:
			more--
			items[more], items[k] = items[k], items[more]
		default:
			k++
		}
	}
	return less, more
}

// choose keeps the rows that say most on their own, the dearest first, and no more
// than that many. It is false when a row cannot be kept at all.
func (d *dual) choose(most int) bool {
	type single struct {
		row  row
		cost float64
	}
	var says []single
	for r := range d.rows {
		left := d.fill(r)
		if left <= 0 {
			continue
		}
		_, cost, ok := critical(d.items, left)
		if !ok {
			return false
		}
		says = append(says, single{d.rows[r], cost})
	}
	slices.SortStableFunc(says, func(x, y single) int { return cmp.Compare(y.cost, x.cost) })
	d.rows = d.rows[:0]
	for _, x := range says[:min(most, len(says))] {
		d.rows = append(d.rows, x.row)
	}
	return true
}

// sweep improves every row in turn.
func (d *dual) sweep() bool {
	for r := range d.rows {
		if !d.improve(r) {
			return false
		}
	}
	return true
}

// listEgress finds the files whose egress depends on where their readers are.
func (d *dual) listEgress() {
	b := d.b
	d.egress = make([]int64, len(b.p.Files))
	for f := range b.p.Files {
		w := b.p.Files[f].Producer
		if w < 0 || (b.certain[f]|b.copied[f])&bit(Private) != 0 || !b.choosing(f) {
			continue
		}
		least := endless
		for q := 1; q < b.domains; q++ {
			if b.possible(int(w)*b.domains + q) {
				least = min(least, b.clamp(b.egress(q-1, int32(f))))
			}
		}
		if least < endless {
			d.egress[f] = least
			d.crosses = d.crosses || least > 0
		}
	}
}

// choosing says whether a file has readers that are undecided, and none that has
// started at home.
func (b *bounding) choosing(f int) bool {
	some := false
	for _, j := range b.p.readers.of(f) {
		if b.pinned[j] && b.stays[j] == Private {
			return false
		}
		some = some || b.undecided(int(j))
	}
	return some
}

// divide splits the egress of files over their readers in the way that is best
// for the multipliers as they are, which is a maximal flow, and returns which
// tasks the minimum cut would buy.
func (d *dual) divide() (bought []bool) {
	b := d.b
	if d.network == nil {
		d.network = newNetwork(b.p, d.egress)
	}
	d.network.reset()
	for i := range d.net {
		d.net[i] -= d.split[i]
		d.split[i] = 0
		switch {
		case b.undecided(i):
			d.network.price(i, whole(-d.net[i]), whole(d.net[i]))
		case b.possible(i * b.domains):
			d.network.price(i, 0, endless)
		default:
			d.network.price(i, endless, 0)
		}
	}
	_, bought = d.network.solve()
	d.splitIn = 0
	d.network.shares(func(producer, reader int32, amount int64) {
		d.share(producer, float64(amount))
		d.share(reader, -float64(amount))
	})
	return bought
}

func (d *dual) share(task int32, amount float64) {
	if d.b.undecided(int(task)) {
		d.split[task] += amount
		d.net[task] += amount
	} else if !d.b.possible(int(task) * d.b.domains) {
		d.splitIn += amount
	}
}

// whole rounds down to an amount of the cut's.
func whole(x float64) int64 {
	return int64(max(0, min(math.Floor(x), float64(endless))))
}

// patience is how often minimum cuts may look at each task before the search along
// a row has to do with what it found.
const patience = 60

// tangent is the dual along the multiplier of one row, where it was tried: concave,
// with this slope.
type tangent struct{ lambda, value, slope float64 }

// along searches the best multiplier of the first row, with the egress divided
// anew for each it tries: where two tangents on either side meet, until they meet
// on the curve.
func (d *dual) along(steps int) {
	low, high := d.tangent(d.lambda[0]), tangent{}
	best := low
	for low.slope > 0 && steps > 0 {
		if high = d.tangent(max(2*low.lambda, 1e-6)); high.slope <= 0 {
			break
		}
		low, best = high, high
		steps--
	}
	if best.slope <= 0 && high.lambda == 0 {
		low, high = d.tangent(0), low
	}
	if low.value > best.value {
		best = low
	}
	if high.value > best.value {
		best = high
	}
	for ; steps > 0 && low.slope > 0 && high.slope < 0 && d.network.visits < patience*len(d.net); steps-- {
		meet := (high.value - low.value + float64(low.slope*low.lambda) - float64(high.slope*high.lambda)) / (low.slope - high.slope)
		if !(meet > low.lambda && meet < high.lambda) || low.value+float64(low.slope*(meet-low.lambda)) <= best.value*(1+1e-9) {
			break
		}
		at := d.tangent(meet)
		if at.value > best.value {
			best = at
		}
		if at.slope > 0 {
			low = at
		} else {
			high = at
		}
	}
	if d.lambda[0] != best.lambda {
		d.set(0, best.lambda)
		d.divide()
	}
}

func (d *dual) tangent(lambda float64) tangent {
	d.set(0, lambda)
	bought := d.divide()
	t := tangent{lambda, d.value(), d.need[0]}
	row := &d.rows[0]
	for k := range d.tasks {
		if c := &d.tasks[k]; bought[c.task] && !c.bound {
			t.slope -= max(0, d.part(row, k))
		}
	}
	return t
}
