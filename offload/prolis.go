package offload

import "math"

// planProLiS is the probabilistic list scheduling of Wu, Ishikawa, Zhu, Xia and
// Wen (IEEE TPDS 28(12), 2017): the deadline is split along probabilistic upward
// ranks, and in order of rank each task takes the cheapest service that meets its
// sub-deadline, else the one that finishes first. Adapted: the formulae are from
// memory of the paper; the services are home, which counts as free, and every
// option of the providers; a task's time is its best on either side; edges are
// drawn from the problem's seed. The executor follows the planned starts.
func planProLiS(g *planning) (*decision, error) {
	took := g.bestTimes()
	rank := g.probabilisticRank(took)
	g.seq = g.byUrgency(rank)
	due := g.subDeadlines(rank, took)
	return g.place(func(_ *placer, i int, home *slot, offers []offer) *offer {
		return g.bySubDeadline(i, due[i], home, offers)
	})
}

// theta is the base of the odds that an edge costs no time.
const theta = 2.0

// probabilisticRank is rank(i) = took(i) + max over children j of
// (rank(j) + eta(i,j) * TT(i,j)), where eta is 0 or 1 by lot.
func (g *planning) probabilisticRank(took []int64) []int64 {
	wan, volume, lot := &g.p.Platform.WAN, g.volumes(), g.random()
	return g.p.graph.UpwardRank(func(i int) int64 { return took[i] }, func(i, j int) int64 {
		bytes, ok := volume[edge{int32(i), int32(j)}]
		if !ok {
			return 0
		}
		transfer := wan.sendUs(Private, 0, bytes) + wan.LatencyUs
		if together(transfer, took[i], lot.Float64()) {
			return 0
		}
		return transfer
	})
}

// together says whether a task and its child are taken to share a site: eta = 0
// when theta^(-CCR) > r, for a CCR of transfer over computation and r in [0, 1).
func together(transferUs, tookUs int64, r float64) bool {
	if transferUs == 0 {
		return true
	}
	return math.Pow(theta, -float64(transferUs)/float64(tookUs)) > r
}
