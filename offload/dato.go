package offload

// planDato is DATO-R, a reconstruction of deadline-aware task offloading (Yu et
// al., Expert Systems with Applications 312, 2026) from its published
// description; it is not the authors' code. The deadline is split along upward
// ranks of the faster of private and FaaS time; in order of rank each task stays
// at home if it finishes there by its sub-deadline, else takes the cheapest
// option that does, else whatever finishes first. The executor follows the
// planned starts.
func planDato(g *planning) (*decision, error) {
	took := g.bestTimes()
	rank := g.p.graph.UpwardRank(func(i int) int64 { return took[i] }, nil)
	g.seq = g.byUrgency(rank)
	due := g.subDeadlines(rank, took)
	return g.place(func(_ *placer, i int, home *slot, offers []offer) *offer {
		return g.bySubDeadline(i, due[i], home, offers)
	})
}

// subDeadlines splits the time of each workflow, from its release to its goal,
// along upward ranks, as ProLiS does:
//
//	due(i) = release + (goal - release) * (top - rank(i) + took(i)) / top
//
// where top is the largest rank of the workflow.
func (g *planning) subDeadlines(rank, took []int64) []int64 {
	top := make([]int64, max(1, len(g.p.Workflows)))
	for i := range rank {
		w := g.p.Tasks[i].Workflow
		top[w] = max(top[w], rank[i], 1)
	}
	due := make([]int64, len(rank))
	for i := range rank {
		whole := top[g.p.Tasks[i].Workflow]
		share := float64(whole-rank[i]+took[i]) / float64(whole)
		span := float64(min(g.goal(i), Never>>10) - g.release(i))
		due[i] = g.release(i) + int64(span*share)
	}
	return due
}

// bestTimes are the shorter of the private time and the fastest option, by task.
func (g *planning) bestTimes() []int64 {
	out := make([]int64, len(g.p.Tasks))
	for i := range out {
		if out[i] = g.aloneUs(i); len(g.options[i]) > 0 {
			out[i] = min(out[i], g.fastest(i).wallUs)
		}
	}
	return out
}

// bySubDeadline is DATO's rule for one task; nil means home.
func (g *planning) bySubDeadline(i int, due int64, home *slot, offers []offer) *offer {
	if home != nil && home.finish <= due {
		g.because[i] = "it finishes at home by its sub-deadline"
		return nil
	}
	var cheapest *offer
	for k := range offers {
		o := &offers[k]
		if o.finish <= due && (cheapest == nil || lessMoney(*o, *cheapest) < 0) {
			cheapest = o
		}
	}
	if cheapest != nil {
		g.because[i] = "late at home; the cheapest that meets its sub-deadline"
		return cheapest
	}
	soonest := earliest(home, offers)
	g.because[i] = "nothing meets its sub-deadline; this finishes first"
	if soonest == nil {
		g.because[i] = "nothing meets its sub-deadline; home finishes first"
	}
	return soonest
}
