package offload

import (
	"math/rand/v2"
	"slices"
)

// planPacer is PACER: priced, anytime, critical-window, elastic. It starts from
// plans of all kinds, mends and polishes the best of them, and walks on from
// there by annealing, for as long as the budget lasts. The answer is the best
// plan met.
//
// What it does next depends on the problem's size and on what it has found, not
// on the budget: with more budget it does the same and then more, so the answer
// is never worse.
func planPacer(g *planning) (*decision, error) {
	effort := g.effort()
	if g.asked == 0 {
		g.decodes = effort * g.times
	}
	s := &search{planning: g, effort: effort, best: g.try(g.decision())}
	if s.best.inTime && s.best.cost == 0 {
		g.explain(s.best.d, "all-private plan is in time", "")
		return s.best.d, nil
	}
	found := s.seeds(s.best)
	if g.relax(found[0]) {
		found = s.seeds(found[0])
	}
	s.anneal(s.polish(found))
	s.say()
	return s.best.d, nil
}

// search is a pacer at work.
type search struct {
	*planning
	effort int    // the default budget, in decodes: steps are sized by it
	used   int    // of the budget
	cut    bool   // some step was cut short: what followed from it would depend on the budget
	best   *trial // of all
}

func (s *search) say() {
	home, bought := "the deadline holds without buying it", "buying it frees private time cheaply, or saves egress"
	if !s.best.inTime {
		home = "no plan in time was found; this one is least late"
		bought = home
	}
	s.explain(s.best.d, home, bought)
}

// over says whether to take no further step.
func (s *search) over() bool { return s.cut || s.spent() }

// affords is how many things of a price in decodes the effort pays for.
func (s *search) affords(price, least, most int) int { return min(most, max(least, s.effort/price)) }

// Numbers of plans that are polished, and that walk on side by side.
const (
	finalists = 12
	walkers   = 4
)

// polish mends and polishes the best plans, and returns those to walk from.
func (s *search) polish(found []*trial) []*trial {
	for _, most := range []int{finalists, 2} {
		if s.over() || len(found) == 0 {
			return nil
		}
		count := min(len(found), s.affords(300, 1, most))
		found = append(s.each(found[:count], max(60, s.effort/(3*count)), func(f *planning, t *trial, _ int) *trial {
			return f.polish(f.repair(t, 50), 2)
		}), found[count:]...)
	}
	return found[:min(len(found), walkers)]
}

// episode is about how many decodes one descent from hot to cold takes.
const episode = 6000

// anneal walks from the same plans again and again, hotter from time to time, and
// takes the best among them at every other start.
func (s *search) anneal(from []*trial) {
	rest := max(s.effort-s.used, s.effort/2)
	nominal := max(1, rest/(1+rest/episode))
	before := -1
	for round := 0; !s.over() && len(from) > 0 && s.used > before; round++ { // a walk with nowhere to go uses nothing
		before = s.used
		found, heat := slices.Clone(from), 0.3*float64(1+2*(round%4))
		if round%2 == 0 && round > 0 && len(s.p.Tasks) <= reservable {
			found[len(found)-1] = s.scattered(uint64(round))
		}
		for step := uint64(0); step < 4 && !s.over(); step++ {
			draw := uint64(round)<<32 | step<<16
			found = s.each(found, nominal/4/len(found), func(f *planning, t *trial, k int) *trial {
				return f.anneal(t, f.decodes, heat, draw+uint64(k))
			})
			found = found[:(len(found)+1)/2]
		}
		if round%2 == 1 {
			from[len(from)-1] = s.best
		}
	}
}

// scattered is a plan that buys at random.
func (s *search) scattered(draw uint64) *trial {
	rng := rand.New(rand.NewPCG(uint64(s.p.Seed), draw))
	d := s.decision()
	for i := range d.target {
		if s.movable(d, i) && rng.IntN(2) == 0 {
			d.buy(i, s.options[i][rng.IntN(len(s.options[i]))])
		}
	}
	return s.try(d)
}

// each works on plans side by side, each with that many decodes of its own, and
// sorts what comes out, best first.
func (s *search) each(found []*trial, decodes int, work func(f *planning, t *trial, k int) *trial) []*trial {
	out := make([]*trial, len(found))
	s.share(len(found), decodes, func(f *planning, k int) { out[k] = work(f, found[k], k) })
	return s.keep(out)
}

// keep sorts what was found, best first, and remembers the best of all.
func (s *search) keep(out []*trial) []*trial {
	out = slices.DeleteFunc(out, func(t *trial) bool { return t == nil })
	slices.SortStableFunc(out, byScore)
	if len(out) > 0 && out[0].better(s.best) {
		s.best = out[0]
	}
	return out
}

// share does jobs side by side, each with that many decodes of its own. What the
// budget no longer pays for is cut from the last ones.
func (s *search) share(jobs, decodes int, job func(f *planning, k int)) {
	decodes = max(1, decodes)
	used, cut := make([]int, jobs), make([]bool, jobs)
	s.parallel(jobs, func(k int) {
		limit := min(decodes, s.decodes-k*decodes)
		if cut[k] = limit < decodes; limit <= 0 || s.cut {
			return
		}
		f := s.fork(limit)
		job(f, k)
		used[k] = limit - f.decodes
		cut[k] = cut[k] && f.spent()
	})
	for k := range used {
		s.decodes -= used[k]
		s.used += used[k]
		s.cut = s.cut || cut[k]
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
// second on a machine of 2025, of large problems fewer, since they outgrow its
// caches, and fifty at least.
func (g *planning) effort() int {
	work := float64(len(g.p.Tasks) + g.p.graph.Edges() + len(g.p.in.item) + len(g.p.out.item) + 1)
	return int(min(60_000, max(50, min(12e6/work, 4e11/(work*work)))))
}
