package offload

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
