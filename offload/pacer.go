package offload

// planPacer is PACER.
func planPacer(g *planning) (*decision, error) {
	best := g.try(g.decision())
	if best.inTime && best.cost == 0 {
		g.explain(best.d, "all-private plan is in time", "")
		return best.d, nil
	}
	found := g.seeds(best)
	best = g.finish(found)
	best = g.anneal(best, max(0, g.decodes), 1)
	return best.d, nil
}
