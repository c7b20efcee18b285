package offload

import (
	"slices"
)

// planPacer is PACER: priced, anytime, critical-window, elastic. It starts from
// plans of all kinds, mends and polishes the best of them, and walks on from
// there by annealing. The answer is the best plan met, whenever the budget
// ends.
func planPacer(g *planning) (*decision, error) {
	if g.asked == 0 {
		g.decodes = g.effort()
	}
	best := g.try(g.decision())
	if best.inTime && best.cost == 0 {
		g.explain(best.d, "all-private plan is in time", "")
		return best.d, nil
	}
	found := g.seeds(best)
	found = g.polished(found[:min(len(found), g.affords(150, 1, finalists))])
	best = g.episodes(found)
	g.explain(best.d, "the deadline holds without buying it", "buying it frees private time cheaply, or saves egress")
	return best.d, nil
}

// episode is about how many decodes one descent from hot to cold takes.
const episode = 6000

// episodes anneal from the same plans again and again, the hotter the later,
// and from the best at last.
func (g *planning) episodes(from []*trial) (best *trial) {
	best = from[0]
	rounds := 1 + g.decodes/episode
	for round := range rounds {
		budget := g.decodes / (rounds - round)
		until := g.decodes - budget
		found := slices.Clone(from)
		for _, share := range []int{4, 3, 2, 1} {
			heat := 0.3 * float64(1+2*(round%4))
			found = g.walks(found, (g.decodes-until)/share, heat)
		}
		if found[0].better(best) {
			best = found[0]
		}
		if round%2 == 1 {
			from[len(from)-1] = best
		}
	}
	return best
}

// finalists is how many plans are worked on side by side.
const finalists = 4

// affords is how many things of a price in decodes the budget pays for.
func (g *planning) affords(price, least, most int) int {
	return min(most, max(least, g.decodes/price))
}

// polished mends and polishes plans side by side.
func (g *planning) polished(found []*trial) []*trial {
	return g.each(found, g.decodes/len(found), func(f *planning, t *trial, _ int) *trial {
		return f.polish(f.repair(t, 50), 1)
	})
}

// walks anneals plans side by side, from the best ones; better half goes on.
func (g *planning) walks(found []*trial, decodes int, heat float64) []*trial {
	draw := uint64(g.decodes) << 8
	found = g.each(found, decodes/len(found), func(f *planning, t *trial, k int) *trial {
		return f.anneal(t, heat, draw+uint64(k))
	})
	return found[:max(1, len(found)/2)]
}

// each works on plans side by side, each with that many decodes of its own, and
// sorts what comes out, best first. The order of the work does not matter.
func (g *planning) each(found []*trial, decodes int, work func(f *planning, t *trial, k int) *trial) []*trial {
	out := make([]*trial, len(found))
	g.share(len(found), decodes, func(f *planning, k int) { out[k] = work(f, found[k], k) })
	slices.SortStableFunc(out, byScore)
	return out
}

// share does jobs side by side, each with that many decodes of its own.
func (g *planning) share(jobs, decodes int, job func(f *planning, k int)) {
	used := make([]int, jobs)
	g.parallel(jobs, func(k int) {
		f := g.fork(decodes)
		job(f, k)
		used[k] = decodes - f.decodes
	})
	for _, u := range used {
		g.decodes -= u
	}
}

func byScore(a, b *trial) int {
	switch {
	case a.better(b):
		return -1
	case b.better(a):
		return 1
	}
	return 0
}

// fork is a planning of the same problem with a simulator and a budget of its
// own.
func (g *planning) fork(decodes int) *planning {
	f := *g
	f.sim, f.decodes = newSimulator(g.p), decodes
	f.because, f.seen = make([]string, len(g.because)), nil
	return &f
}

// polish improves a plan in time by sweeps.
func (g *planning) polish(t *trial, rounds int) *trial {
	if !t.inTime {
		return t
	}
	for range rounds {
		before := t
		t = g.reorder(g.closure(t))
		t = g.sweep(t, g.homeward(t), 60)
		t = g.sweep(t, g.smaller(t, nil), 40)
		t = g.sweep(t, g.smaller(t, g.slack(t)), 40)
		if t == before || g.spent() {
			break
		}
	}
	return t
}

// effort is the default number of decodes: as many as take about a fifth of a
// second on a machine of 2025, and sixty for what is larger.
func (g *planning) effort() int {
	work := len(g.p.Tasks) + g.p.graph.Edges() + len(g.p.in.item) + len(g.p.out.item)
	return min(60_000, max(50, 12_000_000/max(1, work)))
}
