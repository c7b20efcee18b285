package offload

import "slices"

// endless is an arc that no minimum cut takes; a thousand of them still add up.
const endless = int64(1) << 52

// cut decides which tasks to buy when every choice has its price: a task at
// home costs atHome, a bought one costs bought, and a file whose producer is
// bought costs its egress once if any reader is at home. That function is
// submodular, so a minimum cut of a flow network minimises it (Picard, 1976);
// tasks on the source's side are bought. The flow is Dinic's. Amounts are
// pico-USD.
type cut struct {
	tasks        int
	source, sink int32
	head         []int32 // node -> its last arc, or -1
	next, to     []int32
	room         []int64
	level, at    []int32
	queue        []int32
	base         int64 // paid so far, by flow or in any case
	visits       int   // of nodes while solving
}

// newCut builds the network. egress is by file; 0 leaves a file out.
func newCut(p *Problem, atHome, bought, egress []int64) *cut {
	c := emptyCut(p, egress)
	for i := range int32(c.tasks) {
		c.pair(c.source, i, 0)
		c.pair(i, c.sink, bought[i])
		c.raise(i, atHome[i])
	}
	c.addFiles(p, egress)
	return c
}

// raise makes home that much dearer for a task of newCut. The lesser of both
// prices is paid in any case and needs no flow. A flow that there is stays valid,
// so that dearer and dearer homes cost little to solve (Gallo, Grigoriadis and
// Tarjan, 1989).
func (c *cut) raise(task int32, amount int64) {
	source, sink := 4*task, 4*task+2
	direct := min(amount, c.room[sink])
	c.base += direct
	c.room[sink] -= direct
	c.room[source] += amount - direct
}

// emptyCut has the nodes of a network, and room for two arcs a task.
func emptyCut(p *Problem, egress []int64) *cut {
	n := len(p.Tasks)
	nodes, arcs := n+2, 2*n
	for f := range p.Files {
		if crosses(p, f, egress) {
			readers := len(p.readers.of(f))
			if arcs++; readers > 1 {
				nodes, arcs = nodes+1, arcs+readers
			}
		}
	}
	c := &cut{tasks: n, source: int32(nodes - 2), sink: int32(nodes - 1)}
	c.head = slices.Repeat([]int32{-1}, nodes)
	c.level, c.at = make([]int32, nodes), make([]int32, nodes)
	c.next, c.to, c.room = make([]int32, 0, 2*arcs), make([]int32, 0, 2*arcs), make([]int64, 0, 2*arcs)
	return c
}

func (c *cut) addFiles(p *Problem, egress []int64) {
	file := int32(c.tasks)
	for f := range p.Files {
		if !crosses(p, f, egress) {
			continue
		}
		readers := p.readers.of(f)
		if len(readers) == 1 {
			c.arc(p.Files[f].Producer, readers[0], egress[f])
			continue
		}
		c.arc(p.Files[f].Producer, file, egress[f])
		for _, j := range readers {
			c.arc(file, j, endless)
		}
		file++
	}
}

func crosses(p *Problem, f int, egress []int64) bool {
	return egress[f] > 0 && p.Files[f].Producer >= 0 && len(p.readers.of(f)) > 0
}

func (c *cut) arc(a, b int32, room int64) {
	if room > 0 {
		c.pair(a, b, room)
	}
}

// pair adds an arc, of no room too, and its reverse.
func (c *cut) pair(a, b int32, room int64) {
	for _, e := range [2]struct {
		from, to int32
		room     int64
	}{{a, b, room}, {b, a, 0}} {
		c.to, c.room, c.next = append(c.to, e.to), append(c.room, e.room), append(c.next, c.head[e.from])
		c.head[e.from] = int32(len(c.to) - 1)
	}
}

// solve is the least total cost and the smallest set of bought tasks that
// reaches it.
func (c *cut) solve() (total int64, bought []bool) {
	for c.layer() {
		copy(c.at, c.head)
		c.base += c.block()
	}
	bought = make([]bool, c.tasks)
	for i := range bought {
		bought[i] = c.level[i] >= 0
	}
	return c.base, bought
}

// solveNear is solve by ways of at most so many arcs: where longer ones would
// flow, a task is bought if what home costs it is not yet spent. Long ways are
// many and carry little.
func (c *cut) solveNear(arcs int32) (bought []bool) {
	for c.layer() && c.level[c.sink] <= arcs {
		copy(c.at, c.head)
		c.base += c.block()
	}
	complete := c.level[c.sink] < 0
	bought = make([]bool, c.tasks)
	for i := range bought {
		bought[i] = complete && c.level[i] >= 0 || c.room[4*i] > 0
	}
	return bought
}

// layer numbers the nodes by distance from the source in arcs with room, as far
// as the sink, -1 where there is no way; it reports whether the sink has one.
func (c *cut) layer() bool {
	for v := range c.level {
		c.level[v] = -1
	}
	c.level[c.source] = 0
	c.queue = append(c.queue[:0], c.source)
	for k := 0; k < len(c.queue) && c.level[c.sink] < 0; k++ {
		v := c.queue[k]
		for e := c.head[v]; e >= 0; e = c.next[e] {
			if w := c.to[e]; c.room[e] > 0 && c.level[w] < 0 {
				c.level[w] = c.level[v] + 1
				c.queue = append(c.queue, w)
			}
		}
	}
	c.visits += len(c.queue)
	return c.level[c.sink] >= 0
}

// block sends flow along shortest ways until each has a full arc, and returns
// how much. It walks with a stack, since ways can be very long, and goes back no
// further than the first arc that it has filled.
func (c *cut) block() (sum int64) {
	way := c.queue[:0]
	v := c.source
	for {
		if v == c.sink {
			pushed, full := c.push(way)
			sum += pushed
			way, v = way[:full], c.to[way[full]^1]
			continue
		}
		if e := c.onward(v); e >= 0 {
			way = append(way, e)
			v = c.to[e]
			continue
		}
		if len(way) == 0 {
			c.queue = way
			return sum
		}
		c.level[v] = -1 // a dead end
		v = c.to[way[len(way)-1]^1]
		way = way[:len(way)-1]
	}
}

// push fills a way: with how much, and which of its arcs is the first to be full.
func (c *cut) push(way []int32) (room int64, full int) {
	for k, e := range way {
		if k == 0 || c.room[e] < room {
			room, full = c.room[e], k
		}
	}
	for _, e := range way {
		c.room[e] -= room
		c.room[e^1] += room
	}
	return room, full
}

// onward is the next arc from v that leads one layer on, or -1.
func (c *cut) onward(v int32) int32 {
	for ; c.at[v] >= 0; c.at[v] = c.next[c.at[v]] {
		e := c.at[v]
		if c.room[e] > 0 && c.level[c.to[e]] == c.level[v]+1 {
			return e
		}
	}
	return -1
}
