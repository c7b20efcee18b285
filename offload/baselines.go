package offload

import "slices"

// planPrivate keeps every task at home.
func planPrivate(g *planning) (*decision, error) {
	d := g.decision()
	for i := range d.target {
		g.why(i, "every task stays at home", nil)
	}
	return d, nil
}

// planPublic buys every task in its fastest configuration, ties to the cheaper.
func planPublic(g *planning) (*decision, error) {
	for i := range g.because {
		g.why(i, "every task is bought in its fastest configuration", nil)
	}
	return g.allPublic(g.fastest), nil
}

func (g *planning) allPublic(pick func(i int) option) *decision {
	d := g.decision()
	for i := range d.target {
		if g.movable(d, i) || !g.home[i] && !g.pinned[i] && len(g.options[i]) > 0 {
			d.buy(i, pick(i))
		}
	}
	return d
}

// planGreedy keeps a task at home when a core is idle the moment it is ready,
// and buys its knee otherwise.
func planGreedy(g *planning) (*decision, error) {
	return g.place(func(e *placer, i int, home *slot, offers []offer) *offer {
		if home != nil && home.start <= e.ready(i, Private, false) {
			g.because[i] = "cores are idle when it is ready"
			return nil
		}
		knee := g.knee(i)
		k := slices.IndexFunc(offers, func(o offer) bool { return o.option == knee })
		g.because[i] = "no core is idle when it is ready"
		return &offers[k]
	})
}

// planDato is DATO-R, a reconstruction of deadline-aware task offloading (Yu et
// al., Expert Systems with Applications 312, 2026) from its published
// description; it is not the authors' code. The deadline is split along upward
// ranks of the faster of private and FaaS time; in order of rank each task stays
// at home if it finishes there by its sub-deadline, else takes the cheapest
// option that does, else whatever finishes first. The executor follows the
// planned starts.
func planDato(g *planning) (*decision, error) {
	best := make([]int64, len(g.p.Tasks))
	rank := g.p.graph.UpwardRank(func(i int) int64 {
		best[i] = g.bestUs(i)
		return best[i]
	}, nil)
	top := int64(1)
	for _, r := range rank {
		top = max(top, r)
	}
	g.seq = g.byUrgency(rank)
	return g.place(func(e *placer, i int, home *slot, offers []offer) *offer {
		share := float64(top-rank[i]+best[i]) / float64(top)
		span := float64(min(g.goal(i), Never>>10) - g.release(i))
		return g.bySubDeadline(i, g.release(i)+int64(span*share), home, offers)
	})
}

// bestUs is the shorter of the private time and the fastest option.
func (g *planning) bestUs(i int) int64 {
	alone := g.aloneUs(i)
	if len(g.options[i]) > 0 {
		return min(alone, g.fastest(i).wallUs)
	}
	return alone
}

// bySubDeadline is DATO's rule for one task; nil means home.
func (g *planning) bySubDeadline(i int, limit int64, home *slot, offers []offer) *offer {
	if home != nil && home.finish <= limit {
		g.because[i] = "it finishes at home by its sub-deadline"
		return nil
	}
	var cheapest *offer
	soonest := &offers[0]
	for k := range offers {
		o := &offers[k]
		if o.finish <= limit && (cheapest == nil || lessMoney(*o, *cheapest) < 0) {
			cheapest = o
		}
		if sooner(*o, *soonest) < 0 {
			soonest = o
		}
	}
	if cheapest != nil {
		g.because[i] = "late at home; the cheapest that meets its sub-deadline"
		return cheapest
	}
	if home != nil && home.finish <= soonest.finish {
		g.because[i] = "nothing meets its sub-deadline; home finishes first"
		return nil
	}
	g.because[i] = "nothing meets its sub-deadline; this finishes first"
	return soonest
}

// place walks the tasks in rank order and lets choose take an offer for each, or
// nil for home; it is asked only where there is a choice to make. The order of
// the plan is that of the planned starts.
func (g *planning) place(choose func(e *placer, i int, home *slot, offers []offer) *offer) (*decision, error) {
	e, d := newPlacer(g), g.decision()
	start := make([]int64, len(g.p.Tasks))
	for _, f := range g.p.Fixed {
		start[f.Task] = f.StartUs
	}
	for _, t := range g.seq {
		i := int(t)
		if g.pinned[i] {
			continue
		}
		var home *slot
		if s, ok := e.private(i); ok {
			home = &s
		}
		offers := e.offers(i)
		if home == nil && len(offers) == 0 { // it fits nowhere: the simulation will say so
			e.finish[i], e.target[i] = e.ready(i, Private, true), Private
			continue
		}
		var chosen *offer
		if len(offers) > 0 {
			chosen = choose(e, i, home, offers)
		}
		g.why(i, g.because[i], g.compared(i, home, offers))
		if chosen == nil {
			start[i], d.target[i] = home.start, Private
			e.keep(i, *home)
			continue
		}
		start[i] = chosen.start
		d.buy(i, chosen.option)
		e.buy(i, *chosen)
	}
	d.order = g.byStart(start)
	return d, nil
}

// compared is what a placing planner saw of task i.
func (g *planning) compared(i int, home *slot, offers []offer) []Considered {
	out := g.alternatives(i, 0)
	if home != nil {
		out[0].FinishUs = home.finish
	}
	for k := range offers {
		out[1+k].FinishUs = offers[k].finish
	}
	return out
}
