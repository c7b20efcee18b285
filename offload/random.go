package offload

import "math/rand/v2"

// planRandom buys tasks in an order drawn by lot, as few of them as the deadline
// needs: the control that shows what choosing well is worth. It has no source.
// Equal seeds of the problem give equal plans.
func planRandom(g *planning) (*decision, error) {
	d := g.decision()
	best := g.try(d)
	var drawn []int32
	for i := range g.p.Tasks {
		if g.movable(d, i) {
			drawn = append(drawn, int32(i))
		}
	}
	g.random().Shuffle(len(drawn), func(a, b int) { drawn[a], drawn[b] = drawn[b], drawn[a] })
	if len(drawn) > 0 && !best.inTime {
		if t := g.leastPrefix(drawn); t.better(best) {
			best = t
		}
	}
	g.explain(best.d, "its lot was not needed", "bought by lot")
	return best.d, nil
}

// random is the planner's own source of random numbers, fixed by the problem's
// seed.
func (g *planning) random() *rand.Rand { return rand.New(rand.NewPCG(uint64(g.p.Seed), 0)) }
