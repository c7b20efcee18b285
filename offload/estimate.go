package offload

import (
	"cmp"
	"slices"
)

// placer is an incremental schedule: tasks are placed one by one in a
// topological order, each into the earliest gap that holds it.
type placer struct {
	g      *planning
	pools  []speedPool // private cores by speed, fastest first
	quota  []*profile
	links  []*profile
	here   []int64 // (file, domain) -> arrival; -1: not staged
	finish []int64
	target []int32
}

type speedPool struct {
	speed float64
	cores *profile
}

// slot is a possible private placement.
type slot struct {
	pool          *profile
	start, finish int64
}

func newPlacer(g *planning) *placer {
	s := g.sim
	e := &placer{g: g, finish: make([]int64, len(g.p.Tasks)), target: make([]int32, len(g.p.Tasks))}
	for _, k := range s.bySpeed {
		node := &g.p.Platform.Nodes[k]
		if last := len(e.pools) - 1; last >= 0 && e.pools[last].speed == node.Speed {
			e.pools[last].cores.limit += node.Cores
		} else {
			e.pools = append(e.pools, speedPool{node.Speed, newProfile(node.Cores)})
		}
	}
	for q := range g.p.Platform.Providers {
		e.quota = append(e.quota, newProfile(g.p.Platform.Providers[q].Quota))
	}
	for range s.links {
		e.links = append(e.links, newProfile(1))
	}
	e.here = make([]int64, len(s.stage))
	for k := range e.here {
		e.here[k] = -1
	}
	e.takeState()
	return e
}

// takeState enters what is fixed, present and reserved.
func (e *placer) takeState() {
	p, now := e.g.p, e.g.p.NowUs
	for _, f := range p.Fixed {
		e.target[f.Task] = int32(f.Target)
		finish := f.FinishUs
		if !f.Done {
			finish = p.runsUntil(&f, e.speedOf(f.Node), 1)
			e.capacity(f.Target, f.Node).add(now, finish-now, e.width(int(f.Task), f.Target))
		}
		e.finish[f.Task] = finish
	}
	for _, c := range p.Present {
		e.here[int(c.File)*e.g.sim.domains+c.Target+1] = max(c.AtUs, now)
	}
	for _, r := range p.Reserved {
		e.capacity(r.Target, r.Node).add(now, r.UntilUs-now, r.Cores)
	}
}

// capacity is the profile that a node or provider belongs to.
func (e *placer) capacity(target, node int) *profile {
	if target != Private {
		return e.quota[target]
	}
	for k := range e.pools {
		if node >= 0 && e.pools[k].speed == e.g.p.Platform.Nodes[node].Speed {
			return e.pools[k].cores
		}
	}
	return e.pools[0].cores
}

// speedOf is a node's speed, the fastest one's where the node is not known.
func (e *placer) speedOf(node int) float64 {
	switch {
	case node >= 0:
		return e.g.p.Platform.Nodes[node].Speed
	case len(e.pools) > 0:
		return e.pools[0].speed
	}
	return 0
}

func (e *placer) width(i, target int) int {
	if target == Private {
		return e.g.p.Tasks[i].Cores
	}
	return 1
}

// ready is when task i has its parents and files in a domain; with commit, the
// transfers it takes are entered. Files that come from one domain over a shared
// link go as one.
func (e *placer) ready(i, domain int, commit bool) int64 {
	p := e.g.p
	t := p.releaseUs(i)
	for _, parent := range p.graph.Pred(i) {
		t = max(t, e.finish[parent])
	}
	for from := Private; from < e.g.sim.domains-1; from++ {
		if from != domain {
			t = max(t, e.bring(i, from, domain, commit))
		}
	}
	return t
}

// bring is when the input files of task i that lie in one domain have reached
// another.
func (e *placer) bring(i, from, to int, commit bool) (at int64) {
	p, wan := e.g.p, &e.g.p.Platform.WAN
	var size, asked int64
	files := 0
	for _, f := range p.in.of(i) {
		if e.homeOf(f) != from {
			continue
		}
		k := int(f)*e.g.sim.domains + to + 1
		if e.here[k] >= 0 {
			at = max(at, e.here[k])
			continue
		}
		made := e.madeAt(f)
		if wan.Independent {
			arrives := made + wan.sendUs(from, to, p.Files[f].Size) + wan.LatencyUs
			if at = max(at, arrives); commit {
				e.here[k] = arrives
			}
			continue
		}
		size, asked, files = size+p.Files[f].Size, max(asked, made), files+1
	}
	if files == 0 {
		return at
	}
	took := wan.sendUs(from, to, size)
	link := e.links[e.g.sim.link(from, to)]
	start := link.find(asked, took, 1)
	arrives := start + took + wan.LatencyUs
	if commit {
		link.add(start, took, 1)
		e.arrived(i, from, to, arrives)
	}
	return max(at, arrives)
}

func (e *placer) arrived(i, from, to int, at int64) {
	for _, f := range e.g.p.in.of(i) {
		if k := int(f)*e.g.sim.domains + to + 1; e.homeOf(f) == from && e.here[k] < 0 {
			e.here[k] = at
		}
	}
}

func (e *placer) homeOf(f int32) int {
	if w := e.g.p.Files[f].Producer; w >= 0 {
		return int(e.target[w])
	}
	return Private
}

func (e *placer) madeAt(f int32) int64 {
	if w := e.g.p.Files[f].Producer; w >= 0 {
		return max(e.finish[w], e.g.p.NowUs)
	}
	return e.g.p.fileReleaseUs(f)
}

// private is the private slot of task i that finishes first.
func (e *placer) private(i int) (best slot, ok bool) {
	if !e.g.home[i] {
		return slot{}, false
	}
	ready := e.ready(i, Private, false)
	for _, pool := range e.pools {
		cores := e.g.p.Tasks[i].Cores
		if pool.cores.limit < cores {
			continue
		}
		took := e.g.p.privateUs(i, pool.speed, 1)
		start := pool.cores.find(ready, took, cores)
		if !ok || start+took < best.finish {
			best, ok = slot{pool.cores, start, start + took}, true
		}
	}
	return best, ok
}

// offer is an option of a task with its times.
type offer struct {
	option
	start, finish int64
}

// offers lists every option of task i with its finish.
func (e *placer) offers(i int) []offer {
	var out []offer
	var ready int64
	last := int32(Private)
	for _, o := range e.g.options[i] {
		if o.target != last {
			ready, last = e.ready(i, int(o.target), false), o.target
		}
		start := e.quota[o.target].find(ready, o.wallUs, 1)
		out = append(out, offer{o, start, start + o.wallUs})
	}
	return out
}

func sooner(a, b offer) int {
	return cmp.Or(cmp.Compare(a.finish, b.finish), cmp.Compare(a.cost, b.cost), a.less(b.option))
}

func lessMoney(a, b offer) int {
	return cmp.Or(cmp.Compare(a.cost, b.cost), sooner(a, b))
}

func (e *placer) keep(i int, s slot) {
	e.ready(i, Private, true)
	s.pool.add(s.start, s.finish-s.start, e.g.p.Tasks[i].Cores)
	e.finish[i], e.target[i] = s.finish, Private
}

func (e *placer) buy(i int, o offer) {
	e.ready(i, int(o.target), true)
	e.quota[o.target].add(o.start, o.wallUs, 1)
	e.finish[i], e.target[i] = o.finish, o.target
}

// byStart orders tasks by planned start; of equal starts the shorter goes first,
// since run times of zero are common.
func (g *planning) byStart(start []int64) []int32 {
	seq := slices.Clone(g.seq)
	slices.SortStableFunc(seq, func(a, b int32) int {
		return cmp.Or(cmp.Compare(start[a], start[b]), cmp.Compare(g.homeUs[a], g.homeUs[b]))
	})
	return seq
}
