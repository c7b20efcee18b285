package offload

import "slices"

// planGreedy keeps a task at home when its cores are idle the moment it is ready,
// and buys its knee otherwise: what a queue with an overflow does. It looks at no
// deadline, and has no source.
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
