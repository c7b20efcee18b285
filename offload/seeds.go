package offload

import (
	"math"
	"math/rand/v2"
	"slices"
)

// seeds are plans of all kinds for a search to start from, best first. Each is
// closed at once: what is cheaper to buy as well than to fetch from is bought.
func (s *search) seeds(private *trial) []*trial {
	jobs := []func(f *planning) *trial{
		func(f *planning) *trial { return f.bestOf(f.try(f.allPublic(f.knee)), f.priced(1)) },
		func(f *planning) *trial { return f.leastPrefix(f.byDensity(0.5)) },
		func(f *planning) *trial { return f.try(f.allPublic(f.fastest)) },
		func(f *planning) *trial { return f.shrunk(planDato) },
		func(f *planning) *trial { return f.leastPrefix(f.byDensity(0)) },
		func(f *planning) *trial { return f.shrunk(planLatest) },
		func(f *planning) *trial { return f.try(f.allPublic(f.cheapest)) },
		func(f *planning) *trial { return f.placed(planHEFT) },
		func(f *planning) *trial { return f.shrunk(planAlone) },
		func(f *planning) *trial { return f.priced(2) },
		func(f *planning) *trial { return f.placed(planGreedy) },
		func(f *planning) *trial { return f.placed(planICPCP) },
		func(f *planning) *trial { return f.placed(planSkedulix) },
		func(f *planning) *trial { return f.placed(planProLiS) },
		func(f *planning) *trial { return f.placed(planRandom) },
	}
	found := []*trial{private}
	if in := s.incumbent(); in != nil {
		found = append(found, s.try(in))
	}
	for len(jobs) > 0 && !s.over() { // the best come first
		some := min(len(jobs), within(s.effort, 4*sowing, 1, 4))
		found = s.keep(append(found, s.sown(jobs[:some])...))
		if found[0].inTime && s.used > s.effort/3 {
			break
		}
		jobs = jobs[some:]
	}
	return found
}

// sown are the plans that jobs find.
func (s *search) sown(jobs []func(f *planning) *trial) []*trial {
	out := make([]*trial, len(jobs))
	s.share(len(jobs), min(sowing, s.effort*2/3), func(f *planning, k int) {
		if t := jobs[k](f); t != nil {
			out[k] = f.closure(t)
		}
	})
	return slices.DeleteFunc(out, func(t *trial) bool { return t == nil })
}

// bestOf is the best of two plans, of which the second may be none.
func (g *planning) bestOf(a, b *trial) *trial {
	if b != nil && b.better(a) {
		return b
	}
	return a
}

func (g *planning) cheapest(i int) option { return slices.MinFunc(g.options[i], option.cheaper) }

// large is a number of tasks beyond which cuts are coarser.
const large = 50_000

// reach is how long ways a price cut looks at.
func (g *planning) reach() int32 {
	if len(g.p.Tasks) > large {
		return 8
	}
	return 16
}

func (g *planning) priceSteps() int {
	if len(g.p.Tasks) > large {
		return 6
	}
	return 9
}

// sowing is the most that one seed may cost, in decodes.
const sowing = 45

// cutting is about what a minimum cut costs, in decodes.
const cutting = 2

// placement is about what placing every task costs, in decodes.
const placement = 4

// placed is the plan of another strategy; nil when the budget is spent.
func (g *planning) placed(choose func(*planning) (*decision, error)) *trial {
	if g.spent() {
		return nil
	}
	seq := g.seq
	d, err := choose(g)
	g.seq, g.seen = seq, nil
	g.decodes -= placement
	if err != nil {
		return nil
	}
	return g.try(d)
}

// shrunk plans for earlier and earlier deadlines until the plan meets the real
// one.
func (g *planning) shrunk(choose func(*planning) (*decision, error)) (best *trial) {
	margin := g.marginUs
	span := float64(g.longest())
	for _, less := range []float64{0, 0.05, 0.12, 0.22, 0.4} {
		g.marginUs = margin + int64(span*less)
		t := g.placed(choose)
		g.marginUs = margin
		if t == nil {
			break
		}
		t.score = g.evaluate(t.d)
		if t.better(best) {
			best = t
		}
		if t.inTime {
			break
		}
	}
	return best
}

// longest is the time from now to the last deadline.
func (g *planning) longest() int64 {
	last := g.p.DeadlineUs
	for w := range g.p.Workflows {
		last = max(last, g.p.Workflows[w].DeadlineUs)
	}
	return max(0, last-g.p.NowUs)
}

// planLatest is DATO's rule with latest finish times for sub-deadlines.
func planLatest(g *planning) (*decision, error) {
	took := g.bestTimes()
	rank := g.p.graph.UpwardRank(func(i int) int64 { return took[i] }, nil)
	return g.place(func(_ *placer, i int, home *slot, offers []offer) *offer {
		return g.bySubDeadline(i, g.goal(i)-rank[i]+took[i], home, offers)
	})
}

// planAlone is DATO's rule with sub-deadlines by private times.
func planAlone(g *planning) (*decision, error) {
	took := make([]int64, len(g.p.Tasks))
	for i := range took {
		took[i] = g.aloneUs(i)
	}
	due := g.subDeadlines(g.rank, took)
	return g.place(func(_ *placer, i int, home *slot, offers []offer) *offer {
		return g.bySubDeadline(i, due[i], home, offers)
	})
}

// incumbent is the plan in force as a decision, if there is one.
func (g *planning) incumbent() *decision {
	if g.p.Incumbent == nil {
		return nil
	}
	d, err := g.p.decide(g.p.Incumbent)
	if err != nil {
		return nil
	}
	base := g.decision()
	for i := range d.target {
		at := d.target[i]
		if g.pinned[i] || at == Private && !g.home[i] || at != Private && !g.offers(i, at, d.config[i]) {
			d.target[i], d.config[i] = base.target[i], base.config[i]
		}
	}
	return d
}

func (g *planning) offers(i int, target, config int32) bool {
	return slices.ContainsFunc(g.options[i], func(o option) bool { return o.target == target && o.config == config })
}

// priced buys by minimum cut at a price for each private core-microsecond: the
// least price whose plan is in time. Then tasks that only the last price
// bought go home, upstream first, by bisection. Egress is part of the cut, so
// what is bought hangs together.
//
// Tasks of a kind cost nearly the same, and a price would buy all or none of
// them: the draw varies their prices by 5 %.
func (g *planning) priced(draw uint64) *trial {
	c := g.newPriceCut(rand.New(rand.NewPCG(uint64(g.p.Seed), draw)))
	if c == nil {
		return nil
	}
	high := c.high
	var over, under *trial // in time at a higher price; late at a lower one
	var best *trial
	for range g.priceSteps() {
		if g.spent() {
			break
		}
		price := math.Exp((math.Log(c.low) + math.Log(high)) / 2)
		t := g.try(c.decide(g, price))
		if t.better(best) {
			best = t
		}
		if t.inTime {
			over, high = t, price
		} else {
			under = t
			c.settle(price)
		}
	}
	if over == nil || under == nil {
		return best
	}
	if t := g.between(over, under); t.better(best) {
		return t
	}
	return best
}

// between takes home as much of what only the dearer plan buys as the deadline
// allows.
func (g *planning) between(over, under *trial) *trial {
	var diff []int32
	for _, i := range g.seq {
		if over.d.target[i] != Private && under.d.target[i] == Private {
			diff = append(diff, i)
		}
	}
	low, high := 0, len(diff)
	for high-low > 1 && !g.spent() {
		m := (low + high) / 2
		d := over.d.clone()
		for _, i := range diff[:m] {
			d.target[i] = Private
		}
		if t := g.try(d); t.inTime {
			low = m
			if t.better(over) {
				over = t
			}
		} else {
			high = m
		}
	}
	return over
}

// priceCut is the minimum cut of priced for changing prices.
type priceCut struct {
	buy, egress []int64
	work        []float64 // private core-microseconds; 0 for what is not free to move
	low, high   float64   // prices that buy nothing and everything, pico-USD
	net         *cut
	lowRoom     []int64 // of net, solved at the low price
}

func (g *planning) newPriceCut(rng *rand.Rand) *priceCut {
	n := len(g.p.Tasks)
	c := &priceCut{buy: make([]int64, n), egress: make([]int64, len(g.p.Files)), work: make([]float64, n), low: math.Inf(1)}
	sum, work := 0.0, 0.0
	for i := range n {
		if c.buy[i] = endless; g.pinned[i] && g.sim.site(int32(i)) != Private {
			c.buy[i] = 0
		}
		if g.pinned[i] || len(g.options[i]) == 0 {
			continue
		}
		knee := g.knee(i)
		c.buy[i] = int64(float64(g.clamp(g.price(i, knee))) * (0.95 + 0.1*rng.Float64()))
		for _, f := range g.p.out.of(i) {
			c.egress[f] = g.clamp(g.egress(int(knee.target), f))
			sum += float64(c.egress[f])
		}
		if g.home[i] && g.homeUs[i] > 0 {
			c.work[i] = float64(g.homeUs[i]) * float64(g.p.Tasks[i].Cores)
			work += c.work[i]
			density := float64(c.buy[i]) / c.work[i]
			c.low, c.high = min(c.low, density), max(c.high, density)
		}
	}
	if work == 0 {
		return nil
	}
	c.low, c.high = c.low/2+1e-9, 2*c.high+20*sum/work+1e-9
	return c
}

// decide is the plan at a price above the last low one.
func (c *priceCut) decide(g *planning, price float64) *decision {
	d := g.decision()
	if c.net == nil {
		c.net = newCut(g.p, c.stay(d, c.low), c.buy, c.egress)
		c.lowRoom = slices.Clone(c.net.room)
	}
	copy(c.net.room, c.lowRoom)
	for i, work := range c.work {
		if d.target[i] == Private && work > 0 {
			c.net.raise(int32(i), homePrice(price, work)-homePrice(c.low, work))
		}
	}
	g.decodes -= cutting
	bought := c.net.solveNear(g.reach())
	for i := range d.target {
		if bought[i] && g.movable(d, i) {
			d.buy(i, g.knee(i))
		}
	}
	return d
}

// settle makes the last price the low one.
func (c *priceCut) settle(price float64) {
	c.low = price
	copy(c.lowRoom, c.net.room)
}

func homePrice(price, work float64) int64 { return min(int64(price*work), endless) }

// stay is what each task costs at home at a price.
func (c *priceCut) stay(d *decision, price float64) []int64 {
	stay := make([]int64, len(d.target))
	for i := range stay {
		switch {
		case d.target[i] != Private:
			stay[i] = endless
		case c.work[i] > 0:
			stay[i] = homePrice(price, c.work[i])
		}
	}
	return stay
}
