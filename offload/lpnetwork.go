package offload

import "slices"

// network is a cut that is solved for one set of prices after another.
type network struct {
	*cut
	unused []int64 // rooms before any flow
}

func newNetwork(p *Problem, egress []int64) *network {
	c := emptyCut(p, egress)
	for i := range int32(c.tasks) { // arcs 4i and 4i+2, with room for reset and price to change
		c.arc(c.source, i, 1)
		c.arc(i, c.sink, 1)
	}
	c.addFiles(p, egress)
	return &network{c, slices.Clone(c.room)}
}

// reset takes all flow away.
func (n *network) reset() {
	copy(n.room, n.unused)
	n.base = 0
}

// price sets what a task costs on either side. The network must have no flow yet.
func (n *network) price(task int, atHome, bought int64) {
	n.room[4*task], n.room[4*task+2] = atHome, bought
}

// shares calls back with what flows through each file from its producer to each
// reader, once solved: a split of its egress.
func (n *network) shares(yield func(producer, reader int32, amount int64)) {
	var producer int32
	for e := 4 * n.tasks; e < len(n.to); e += 2 {
		from, to := n.to[e+1], n.to[e]
		if int(from) < n.tasks {
			producer = from
		}
		if int(to) < n.tasks && n.room[e+1] > 0 {
			yield(producer, to, n.room[e+1])
		}
	}
}
