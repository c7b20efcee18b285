package offload

import "slices"

// planHEFT is the Heterogeneous Earliest Finish Time of Topcuoglu, Hariri and Wu
// (IEEE TPDS 13(3), 2002): tasks in order of upward rank by mean times and mean
// communication, each where it finishes first, idle gaps included. It looks at
// neither money nor deadline. Adapted: the processors are the private cores and,
// of a provider, as many of each size as its quota allows; a task's mean time is
// that of its best on either side, and an edge's mean communication half an
// upload, as if parent and child were as often apart as together. The executor
// follows the planned starts.
func planHEFT(g *planning) (*decision, error) {
	g.seq = g.byUrgency(g.meanRank())
	return g.place(func(_ *placer, i int, home *slot, offers []offer) *offer {
		g.because[i] = "it finishes first here"
		return earliest(home, offers)
	})
}

// meanRank is the upward rank by mean times and mean communication.
func (g *planning) meanRank() []int64 {
	wan, volume := &g.p.Platform.WAN, g.volumes()
	return g.p.graph.UpwardRank(g.meanUs, func(i, j int) int64 {
		return micros(float64(volume[edge{int32(i), int32(j)}])/wan.UpBps/2) + wan.LatencyUs/2
	})
}

// earliest is the offer that finishes first; nil where home does.
func earliest(home *slot, offers []offer) *offer {
	o := slices.MinFunc(offers, sooner)
	if home != nil && home.finish <= o.finish {
		return nil
	}
	return &o
}

// meanUs is the mean of the best times of task i on either side.
func (g *planning) meanUs(i int) int64 {
	switch {
	case g.pinned[i]:
		return 0
	case len(g.options[i]) == 0:
		return g.homeUs[i]
	case !g.home[i]:
		return g.fastest(i).wallUs
	}
	return (g.homeUs[i] + g.fastest(i).wallUs) / 2
}

type edge struct{ from, to int32 }

// volumes are the bytes that tasks read of each other's files.
func (g *planning) volumes() map[edge]int64 {
	out := map[edge]int64{}
	for j := range int32(len(g.p.Tasks)) {
		for _, f := range g.p.in.of(int(j)) {
			if i := g.p.Files[f].Producer; i >= 0 {
				out[edge{i, j}] += g.p.Files[f].Size
			}
		}
	}
	return out
}
