package offload

import (
	"cmp"
	"math"
	"slices"

	"github.com/spillway/spillway/pricing"
)

// priceTasks fills price with the least each task costs to buy, net of what it
// costs at home, and returns what must be paid in any case, in pico-USD.
func (b *bounding) priceTasks() (base float64) {
	b.price = make([]float64, len(b.p.Tasks))
	for i := range b.p.Tasks {
		if b.started(i) {
			continue
		}
		buy := b.cheapest(i)
		if b.work[i*b.domains] < 0 {
			base += buy
			continue
		}
		rates := pricing.Rates{PerCoreHour: b.p.Platform.CoreHour}
		atHome, _ := rates.Total(pricing.Usage{PrivateCoreUs: b.homeUs[i] * int64(b.p.Tasks[i].Cores)})
		least := min(float64(atHome), buy)
		base += least
		b.price[i] = buy - least
	}
	return base
}

// cheapest is the least price of task i at any provider it can be in time at;
// infinite when there is none.
func (b *bounding) cheapest(i int) float64 {
	best := math.Inf(1)
	outputs := b.mustReturn(i)
	for q := range b.p.Platform.Providers {
		k := i*b.domains + q + 1
		if b.work[k] < 0 {
			continue
		}
		pr := &b.p.Platform.Providers[q]
		var egress pricing.Money
		for _, f := range outputs {
			egress += b.egress(q, f)
		}
		for c := range pr.Configs {
			h := b.p.handlerUs(i, q, c, 1)
			if b.p.limits(i, q, c, h) != [len(limitNames)]bool{} || b.first[k]+pr.wallUs(h, false) > b.last[k] {
				continue
			}
			if amount, err := pr.Rates.Total(pr.invocation(c, h, false)); err == nil {
				best = min(best, float64(amount)+float64(egress))
			}
		}
	}
	return best
}

// mustReturn lists the outputs of task i that have to come home wherever it
// runs: final ones, and those that a task reads which can only run at home.
func (b *bounding) mustReturn(i int) (files []int32) {
	for _, f := range b.p.out.of(i) {
		readers := b.p.readers.of(int(f))
		if len(readers) == 0 && b.p.Platform.ReturnOutputs || slices.ContainsFunc(readers, b.onlyHome) {
			files = append(files, f)
		}
	}
	return files
}

func (b *bounding) onlyHome(j int32) bool {
	row := b.work[int(j)*b.domains:][:b.domains]
	return row[0] >= 0 && !b.started(int(j)) && !slices.ContainsFunc(row[1:], func(work int64) bool { return work >= 0 })
}

// candidate is a task that may run at home, in microseconds and reference-core
// microseconds.
type candidate struct {
	task        int
	cores, work float64
	first, last float64
	price       float64
}

// item is a candidate's part in one interval.
type item struct{ work, price float64 }

// energy is the dearest excess over the private capacity in any interval of a
// grid, in pico-USD; possible is false when an excess cannot be bought at all.
func (b *bounding) energy() (most float64, possible bool) {
	tasks := b.candidates()
	if len(tasks) == 0 || b.p.DeadlineUs == 0 {
		return 0, true
	}
	begins := grid(tasks, float64(b.p.NowUs), func(c *candidate) float64 { return c.first })
	ends := grid(tasks, float64(b.deadline), func(c *candidate) float64 { return c.last })
	items := make([]item, 0, len(tasks))
	for _, from := range begins {
		for _, to := range ends {
			if to <= from {
				continue
			}
			cost, ok := b.knapsack(tasks, from, to, items)
			if !ok {
				return 0, false
			}
			most = max(most, cost)
		}
	}
	return most, true
}

func (b *bounding) candidates() (tasks []candidate) {
	_, slowest, fastest := b.speeds()
	for i := range b.p.Tasks {
		k := i * b.domains
		if b.work[k] < 0 || b.started(i) {
			continue
		}
		work := b.p.Tasks[i].RuntimeS * second
		if s, ok := b.p.override(i, Private, 0); ok {
			work = s * second * slowest // it lasts that long on any node
		}
		if work -= fastest; work > 0 { // durations are rounded to a microsecond
			tasks = append(tasks, candidate{i, float64(b.p.Tasks[i].Cores), work, float64(b.first[k]), float64(b.last[k]), b.price[i]})
		}
	}
	return tasks
}

// speeds is the private capacity in reference cores, and the slowest and
// fastest node.
func (b *bounding) speeds() (capacity, slowest, fastest float64) {
	slowest = math.Inf(1)
	for k := range b.p.Platform.Nodes {
		n := &b.p.Platform.Nodes[k]
		capacity += float64(float64(n.Cores) * n.Speed)
		slowest, fastest = min(slowest, n.Speed), max(fastest, n.Speed)
	}
	return capacity, slowest, fastest
}

// grid is a sample of the distinct values, and one more.
func grid(tasks []candidate, extra float64, value func(*candidate) float64) []float64 {
	points := 24
	if len(tasks) > 300 {
		points = 14
	}
	if len(tasks) > 3000 {
		points = 6
	}
	all := make([]float64, 0, len(tasks))
	for k := range tasks {
		all = append(all, value(&tasks[k]))
	}
	slices.Sort(all)
	all = slices.Compact(all)
	picked := []float64{extra}
	if len(all) <= points {
		picked = append(picked, all...)
	} else {
		for k := range points {
			picked = append(picked, all[k*(len(all)-1)/(points-1)])
		}
	}
	slices.Sort(picked)
	return slices.Compact(picked)
}

// knapsack is the least price of the work that an interval cannot hold.
func (b *bounding) knapsack(tasks []candidate, from, to float64, items []item) (cost float64, ok bool) {
	capacity, slowest, fastest := b.speeds()
	span := to - from
	excess := -capacity*span - 1
	items = items[:0]
	for k := range tasks {
		c := &tasks[k]
		inside := min(slowest*span, c.work-fastest*max(0, from-c.first), c.work-fastest*max(0, c.last-to))
		if inside > 0 {
			excess += c.cores * inside
			items = append(items, item{c.cores * inside, c.price})
		}
	}
	if excess <= 0 {
		return 0, true
	}
	slices.SortFunc(items, func(x, y item) int { return cmp.Compare(x.price/x.work, y.price/y.work) })
	for _, x := range items {
		if math.IsInf(x.price, 1) {
			return 0, false
		}
		if x.work >= excess {
			return cost + x.price*excess/x.work, true
		}
		cost += x.price
		excess -= x.work
	}
	return cost, excess <= 1
}
