package offload

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/spillway/spillway/pricing"
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
		g.proving = g.decodes / 25
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
	for stage := 0; !s.over(); stage++ {
		before, size := s.used, s.stageSize(stage)
		s.anneal(s.polish(found, size), size-(s.used-before), stage)
		if s.used == before {
			break // nothing is left to try
		}
		if stage == 0 {
			found = slices.Insert(found, 0, s.best)
		}
		found[0] = s.best
	}
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

// say writes down why each task is where it is. Of small problems it asks what
// would become of the plan with a bought task at home.
func (s *search) say() {
	if !s.best.inTime {
		const late = "no plan in time was found; this one is least late"
		s.explain(s.best.d, late, late)
		return
	}
	s.explain(s.best.d, "in time at home", "buying it frees private time cheaply, or saves egress")
	if len(s.p.Tasks) > askable {
		return
	}
	for i := range s.p.Tasks {
		switch {
		case s.pinned[i] || len(s.options[i]) == 0 || !s.home[i]:
		case s.best.d.target[i] == Private:
			s.because[i] = "in time at home; it would cost " + dollars(s.cheapest(i).cost) + " to buy"
		default:
			s.because[i] = s.ask(i)
		}
	}
}

// askable is the size up to which each bought task is asked about.
const askable = 500

// ask finds out why bought task i is not at home.
func (s *search) ask(i int) string {
	d := s.best.d.clone()
	d.target[i] = Private
	switch home := s.try(d); {
	case home.violated > 0:
		return "at home the run would break a limit"
	case !home.inTime:
		return "at home the run would be " + time.Duration(home.worstUs*1000).Round(time.Millisecond).String() + " late"
	case home.cost > s.best.cost:
		return "at home it would cost " + dollars(home.cost-s.best.cost) + " more, in egress"
	}
	return "the search ended before it was tried at home"
}

func dollars(m pricing.Money) string { return fmt.Sprintf("$%.6f", m.USD()) }

// over says whether to take no further step.
func (s *search) over() bool { return s.cut || s.spent() }

// stageSize is about how many decodes a stage takes: much more than the one
// before, so that whatever the budget, most of it goes into one long search. The
// stage that reaches the effort ends there.
func (s *search) stageSize(stage int) int {
	sizes := []int{s.effort / 256, s.effort / 16, max(s.effort-s.used, s.effort/2)}
	for len(sizes) > 1 && sizes[0] < smallStage {
		sizes = sizes[1:]
	}
	if stage < len(sizes) {
		return sizes[stage]
	}
	return s.effort << min(2*(stage-len(sizes)), 20)
}

// smallStage is the least that the first stage takes.
const smallStage = 100

// within is a number of things of a price that so many decodes pay for.
func within(decodes, price, least, most int) int { return min(most, max(least, decodes/price)) }

// Numbers of plans that are polished, and that walk on side by side.
const (
	finalists = 12
	walkers   = 4
)

// polish mends and polishes the best plans, and returns those to walk from.
func (s *search) polish(found []*trial, size int) []*trial {
	for _, most := range []int{finalists, 2} {
		if s.over() || len(found) == 0 {
			return nil
		}
		count := min(len(found), within(size, 300, 1, most))
		found = append(s.each(found[:count], max(40, size/(3*count)), func(f *planning, t *trial, _ int) *trial {
			return f.polish(f.repair(t, 50), 2)
		}), found[count:]...)
	}
	return found[:min(len(found), walkers)]
}

// episode is about how many decodes one descent from hot to cold takes.
const episode = 6000

// heats are where walks begin, in costs of a typical task.
var heats = [...]float64{0.3, 1, 3, 8}

// anneal walks from the same plans again and again, hotter from time to time, and
// takes the best among them at every other start.
func (s *search) anneal(from []*trial, size, stage int) {
	rounds := 1 + max(0, size)/episode
	nominal := max(4, size/rounds)
	for round := range rounds {
		if s.over() || len(from) == 0 {
			return
		}
		found, heat := slices.Clone(from), heats[round%len(heats)]
		if round%2 == 0 && round > 0 && len(s.p.Tasks) <= reservable {
			found[len(found)-1] = s.scattered(uint64(stage)<<32 | uint64(round))
		}
		for step := uint64(0); step < 4 && !s.over(); step++ {
			draw := uint64(stage)<<48 | uint64(round)<<24 | step<<16
			decodes := max(1, nominal/4/len(found))
			found = s.each(found, decodes, func(f *planning, t *trial, k int) *trial {
				return f.anneal(t, decodes, heat, draw+uint64(k))
			})
			found = found[:(len(found)+1)/2]
		}
		if round%2 == 1 {
			from[len(from)-1] = s.best
		}
	}
}

// scattered is a plan that buys, orders and, where nodes differ, binds at random.
func (s *search) scattered(draw uint64) *trial {
	rng := rand.New(rand.NewPCG(uint64(s.p.Seed), draw))
	d := s.decision()
	for i := range d.target {
		if s.movable(d, i) && rng.IntN(2) == 0 {
			d.buy(i, s.options[i][rng.IntN(len(s.options[i]))])
		}
	}
	d.order = slices.Clone(d.order)
	rng.Shuffle(len(d.order), func(a, b int) { d.order[a], d.order[b] = d.order[b], d.order[a] })
	if len(s.sim.known.speeds) > 1 {
		d.node = make([]int32, len(d.target))
		for i := range d.node {
			if d.node[i] = int32(rng.IntN(len(s.p.Platform.Nodes))); !s.p.Platform.Nodes[d.node[i]].fits(&s.p.Tasks[i]) {
				d.node[i] = -1
			}
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
	f.sim, f.decodes, f.strict = newSimulator(g.p), decodes, true
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
	return int(min(60_000, max(50, min(9e6/work, 4e11/(work*work)))))
}
