package offload

import "slices"

// planICPCP is IC-PCP of Abrishami, Naghibzadeh and Epema (Future Generation
// Computer Systems 29(1), 2013): starting from the exits, a partial critical path
// of tasks without a place is followed from child to critical parent, and goes as
// a whole where every task of it keeps its latest finish time for the least money;
// then the same for the parents of its tasks. Adapted: a path first tries to fit
// into gaps at home, then one size of one provider, the cheapest in time; else
// each task takes its fastest. A task that a smaller size of the provider serves
// as fast for less takes that. EST and LFT count no communication, placing does.
// The executor follows the planned starts.
func planICPCP(g *planning) (*decision, error) {
	c := newCriticalPaths(g)
	var exits []int32
	for i := range int32(len(g.p.Tasks)) {
		if len(g.p.graph.Succ(int(i))) == 0 {
			exits = append(exits, i)
		}
	}
	c.assignAll(exits)
	c.d.order = g.byStart(c.start)
	return c.d, nil
}

// criticalPaths is the state of planICPCP. The placer's finish of a task without
// a place is its earliest finish time, and its target is nowhere.
type criticalPaths struct {
	g     *planning
	e     *placer
	d     *decision
	took  []int64 // shortest possible time
	est   []int64 // earliest start
	lft   []int64 // latest finish
	start []int64 // planned, of placed tasks
	pos   []int32 // in the graph's order
	todo  rankSet
}

// nowhere is a target that is no domain: files made there take no time.
const nowhere = Private - 1

func newCriticalPaths(g *planning) *criticalPaths {
	n := len(g.p.Tasks)
	c := &criticalPaths{
		g: g, e: newPlacer(g), d: g.decision(), took: g.bestTimes(),
		est: make([]int64, n), lft: make([]int64, n), start: make([]int64, n), pos: make([]int32, n),
	}
	c.todo.reset(n)
	order := g.p.graph.Order()
	for k, i := range order {
		c.pos[i] = int32(k)
		if !g.pinned[i] {
			c.e.target[i], c.est[i] = nowhere, g.release(int(i))
			for _, parent := range g.p.graph.Pred(int(i)) {
				c.est[i] = max(c.est[i], c.e.finish[parent])
			}
			c.e.finish[i] = c.est[i] + c.took[i]
		}
	}
	for _, i := range slices.Backward(order) {
		c.lft[i] = g.goal(int(i))
		for _, child := range g.p.graph.Succ(int(i)) {
			c.lft[i] = min(c.lft[i], c.latestStart(child))
		}
	}
	return c
}

func (c *criticalPaths) open(i int32) bool { return c.e.target[i] == nowhere }

// latestStart of a placed task is its start.
func (c *criticalPaths) latestStart(i int32) int64 {
	if c.open(i) {
		return c.lft[i] - c.took[i]
	}
	return c.start[i]
}

// assignAll places those tasks, and all they descend from, path by path.
func (c *criticalPaths) assignAll(tasks []int32) {
	for last := c.critical(tasks); last >= 0; last = c.critical(tasks) {
		path := c.path(last)
		c.assign(path)
		c.spread(path)
		for _, i := range path {
			c.assignAll(c.g.p.graph.Pred(int(i)))
		}
	}
}

// critical is the open task that finishes last, or -1.
func (c *criticalPaths) critical(tasks []int32) int32 {
	best := int32(-1)
	for _, i := range tasks {
		if c.open(i) && (best < 0 || c.e.finish[i] > c.e.finish[best]) {
			best = i
		}
	}
	return best
}

// path is the partial critical path that ends in a task, first task first.
func (c *criticalPaths) path(last int32) (path []int32) {
	for i := last; i >= 0; i = c.critical(c.g.p.graph.Pred(int(i))) {
		path = append(path, i)
	}
	slices.Reverse(path)
	return path
}

// assign gives a path its place.
func (c *criticalPaths) assign(path []int32) {
	if c.fits(path, nil) {
		for _, i := range path {
			c.keep(int(i), "its path keeps its latest finish times at home")
		}
		return
	}
	menu := c.cheapest(path)
	for k, i := range path {
		switch {
		case menu != nil:
			c.buy(int(i), menu[k], "its path is late at home; the cheapest size that keeps its latest finish times")
		case len(c.g.options[i]) > 0:
			c.buy(int(i), c.g.fastest(int(i)), "no site keeps the latest finish times of its path; its fastest option")
		default:
			c.keep(int(i), "no site keeps the latest finish times of its path")
		}
	}
}

// fits says whether a path keeps its latest finish times with those options, one
// a task; without any, at home.
func (c *criticalPaths) fits(path []int32, menu []option) bool {
	k, inTime := 0, true
	for ; k < len(path) && inTime; k++ {
		i := path[k]
		if menu != nil {
			c.e.finish[i], c.e.target[i] = c.e.offer(int(i), menu[k]).finish, menu[k].target
		} else {
			s, ok := c.e.private(int(i))
			c.e.finish[i], c.e.target[i] = s.finish, Private
			inTime = ok
		}
		inTime = inTime && c.e.finish[i] <= c.lft[i]
	}
	for _, i := range path[:k] {
		c.e.finish[i], c.e.target[i] = c.est[i]+c.took[i], nowhere
	}
	return inTime
}

// cheapest is the cheapest size of a provider with which a path keeps its latest
// finish times, as one option a task; nil where there is none.
func (c *criticalPaths) cheapest(path []int32) (best []option) {
	lowest := int64(0)
	for q := range c.g.p.Platform.Providers {
		for k := range c.g.p.Platform.Providers[q].Configs {
			menu, cost := c.menu(path, q, k)
			if menu != nil && (best == nil || cost < lowest) && c.fits(path, menu) {
				best, lowest = menu, cost
			}
		}
	}
	return best
}

// menu is a whole path in one size of a provider, and what that costs; nil where
// a task needs a larger one.
func (c *criticalPaths) menu(path []int32, target, config int) (menu []option, cost int64) {
	configs := c.g.p.Platform.Providers[target].Configs
	for _, i := range path {
		k := slices.IndexFunc(c.g.options[i], func(o option) bool {
			return int(o.target) == target && configs[o.config].MemMiB <= configs[config].MemMiB
		})
		if k < 0 {
			return nil, 0
		}
		menu = append(menu, c.g.options[i][k])
		cost += c.g.clamp(menu[len(menu)-1].cost)
	}
	return menu, cost
}

// offer is one option of a task with its times.
func (e *placer) offer(i int, o option) offer {
	start := e.quota[o.target].find(e.ready(i, int(o.target), false), o.wallUs, 1)
	return offer{o, start, start + o.wallUs}
}

// keep places a task at home; one that fits nowhere is there in name only.
func (c *criticalPaths) keep(i int, because string) {
	c.g.why(i, because, nil)
	c.d.target[i] = Private
	s, ok := c.e.private(i)
	if !ok {
		at := c.e.ready(i, Private, true)
		c.start[i], c.e.finish[i], c.e.target[i] = at, at, Private
		return
	}
	c.start[i] = s.start
	c.e.keep(i, s)
}

func (c *criticalPaths) buy(i int, o option, because string) {
	c.g.why(i, because, nil)
	c.d.buy(i, o)
	bought := c.e.offer(i, o)
	c.start[i] = bought.start
	c.e.buy(i, bought)
}

// spread lets the tasks before and after a path know its times.
func (c *criticalPaths) spread(path []int32) {
	for _, i := range path {
		c.forward(i)
		c.backward(i)
	}
}

// forward carries the finish of a task on to the earliest starts after it. They
// only ever rise, so each step is one comparison an edge.
func (c *criticalPaths) forward(i int32) {
	order := c.g.p.graph.Order()
	c.mark(c.pos[i])
	for k := c.pos[i]; k >= 0; k = c.todo.next(k + 1) {
		c.todo.remove(k)
		for _, child := range c.g.p.graph.Succ(int(order[k])) {
			if at := c.e.finish[order[k]]; c.open(child) && at > c.est[child] {
				c.est[child], c.e.finish[child] = at, at+c.took[child]
				c.mark(c.pos[child])
			}
		}
	}
}

// backward carries the start of a task on to the latest finishes before it, which
// only ever fall. Positions count from the end.
func (c *criticalPaths) backward(i int32) {
	order := c.g.p.graph.Order()
	end := int32(len(order) - 1)
	c.mark(end - c.pos[i])
	for k := end - c.pos[i]; k >= 0; k = c.todo.next(k + 1) {
		c.todo.remove(k)
		for _, parent := range c.g.p.graph.Pred(int(order[end-k])) {
			if at := c.latestStart(order[end-k]); c.open(parent) && at < c.lft[parent] {
				c.lft[parent] = at
				c.mark(end - c.pos[parent])
			}
		}
	}
}

func (c *criticalPaths) mark(k int32) {
	if c.todo.next(k) != k {
		c.todo.add(k)
	}
}
