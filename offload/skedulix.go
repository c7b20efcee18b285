package offload

import (
	"cmp"
	"slices"
)

// planSkedulix is the greedy scheduler of Skedulix (Das, Leaf, Varela and
// Patterson, IEEE CLOUD 2020, arXiv 2006.03720), by its abstract and a summary:
// ready tasks queue at home, highest public cost first (HCF) or shortest
// processing time first (SPT); the excess over what the private cores can do by
// the deadline is bought at once, from the end of the queue, and later whatever
// is still queued at its last moment. The better order is returned, by
// simulation. Adapted: one queue for all tasks instead of one a function; ties go
// to the more urgent; what is bought takes its fastest option; and, in a graph,
// the last moment is
//
//	goal - longest way after it, private or public - fastest option - upload of its inputs
//
// The executor follows the planned starts, but holds no bought task back until
// its last moment.
func planSkedulix(g *planning) (*decision, error) {
	var best *trial
	var because []string
	for _, order := range [][]int32{g.byPublicCost(), g.byPrivateTime()} {
		s := newSkedule(g, order)
		s.buyExcess()
		s.run()
		if t := g.try(s.d); t.better(best) {
			best, because = t, s.because
		}
	}
	copy(g.because, because)
	return best.d, nil
}

// byPublicCost orders tasks by falling price; what cannot be bought comes first.
func (g *planning) byPublicCost() []int32 {
	price := make([]int64, len(g.p.Tasks))
	for i := range price {
		if price[i] = endless; len(g.options[i]) > 0 {
			price[i] = g.clamp(g.fastest(i).cost)
		}
	}
	seq := slices.Clone(g.seq)
	slices.SortStableFunc(seq, func(a, b int32) int { return cmp.Compare(price[b], price[a]) })
	return seq
}

// byPrivateTime orders tasks by rising run time at home.
func (g *planning) byPrivateTime() []int32 {
	seq := slices.Clone(g.seq)
	slices.SortStableFunc(seq, func(a, b int32) int { return cmp.Compare(g.homeUs[a], g.homeUs[b]) })
	return seq
}

// skedule is a schedule in the making, by events.
type skedule struct {
	g       *planning
	e       *placer
	d       *decision
	order   []int32 // the queue's
	pos     []int32 // task -> place in order
	queued  rankSet
	last    []int64 // last moment
	excess  []bool
	placed  []bool
	need    []int   // open parents
	start   []int64 // planned
	because []string
	now     int64
	seq     uint32
	ev      events
}

func newSkedule(g *planning, order []int32) *skedule {
	n := len(g.p.Tasks)
	s := &skedule{
		g: g, e: newPlacer(g), d: g.decision(), order: order, pos: make([]int32, n), last: g.lastMoments(),
		excess: make([]bool, n), placed: make([]bool, n), need: make([]int, n), start: make([]int64, n),
		because: make([]string, n), now: g.p.NowUs,
	}
	s.queued.reset(n)
	for k, i := range order {
		s.pos[i] = int32(k)
		s.need[i] = len(g.p.graph.Pred(int(i)))
	}
	return s
}

// lastMoments are the times at which a task that still waits has to be bought,
// for the rest to be in time. (With its own time in the private rank the cost is a
// fifth higher, at the same deadlines met.)
func (g *planning) lastMoments() []int64 {
	public := func(i int) int64 {
		if g.pinned[i] || len(g.options[i]) == 0 {
			return g.aloneUs(i)
		}
		return g.fastest(i).wallUs
	}
	rank, wan := g.p.graph.UpwardRank(public, nil), &g.p.Platform.WAN
	last := make([]int64, len(g.p.Tasks))
	for i := range last {
		last[i] = g.goal(i) - max(g.rank[i]-g.aloneUs(i), rank[i]-public(i)) - public(i)
		if len(g.p.in.of(i)) > 0 {
			last[i] -= wan.sendUs(Private, 0, g.p.bytesIn[i]) + wan.LatencyUs
		}
	}
	return last
}

// buyExcess marks tasks from the end of the queue, until the private cores can do
// the rest by the latest goal.
func (s *skedule) buyExcess() {
	g := s.g
	goal, work := g.p.NowUs, 0.0
	for i := range g.p.Tasks {
		goal = max(goal, g.goal(i))
		if g.home[i] && !g.pinned[i] {
			work += float64(g.homeUs[i]) * float64(g.p.Tasks[i].Cores)
		}
	}
	room := 0.0
	for _, pool := range s.e.pools {
		room += float64(float64(pool.cores.limit)*pool.speed) / s.e.pools[0].speed * float64(goal-g.p.NowUs)
	}
	for _, i := range slices.Backward(s.order) {
		if work <= room {
			return
		}
		if g.movable(s.d, int(i)) {
			s.excess[i] = true
			work -= float64(g.homeUs[i]) * float64(g.p.Tasks[i].Cores)
		}
	}
}

// run places every task, in the order in which things happen.
func (s *skedule) run() {
	g := s.g
	for _, f := range g.p.Fixed {
		s.placed[f.Task], s.start[f.Task] = true, f.StartUs
		s.push(s.e.finish[f.Task], finished, f.Task)
	}
	for _, r := range g.p.Reserved {
		s.push(r.UntilUs, returned, 0)
	}
	for _, i := range s.order {
		if s.need[i] == 0 && !s.placed[i] {
			s.enter(i)
		}
	}
	for len(s.ev) > 0 {
		s.now = s.ev[0].at
		for len(s.ev) > 0 && s.ev[0].at == s.now {
			s.happen(s.ev.pop())
		}
		s.startQueued()
	}
	s.d.order = g.byStart(s.start)
}

func (s *skedule) push(at int64, kind uint8, i int32) {
	s.seq++
	s.ev.push(event{max(at, s.now), s.seq, kind, i})
}

func (s *skedule) happen(e event) {
	switch {
	case e.kind == finished:
		for _, child := range s.g.p.graph.Succ(int(e.arg)) {
			if s.need[child]--; s.need[child] == 0 && !s.placed[child] {
				s.enter(child)
			}
		}
	case e.kind == arrived && !s.placed[e.arg]:
		s.queued.add(s.pos[e.arg])
	case e.kind == released && !s.placed[e.arg]:
		if s.queued.next(s.pos[e.arg]) == s.pos[e.arg] {
			s.queued.remove(s.pos[e.arg])
		}
		s.buy(e.arg, "still queued at its last moment")
	}
}

// enter takes in a task whose parents have finished.
func (s *skedule) enter(i int32) {
	sold := len(s.g.options[i]) > 0
	switch {
	case sold && s.excess[i]:
		s.buy(i, "more work than the private cores can do in time")
	case sold && !s.g.home[i]:
		s.buy(i, "")
	case s.g.home[i]:
		s.push(s.e.ready(int(i), Private, false), arrived, i)
		if sold {
			s.push(s.last[i], released, i)
		}
	default: // it fits nowhere: the simulation will say so
		s.settle(i, Private, s.e.ready(int(i), Private, true), s.now)
	}
}

func (s *skedule) settle(i, target int32, start, finish int64) {
	s.placed[i], s.start[i] = true, start
	s.e.target[i], s.e.finish[i] = target, finish
	s.push(finish, finished, i)
}

func (s *skedule) buy(i int32, because string) {
	o := slices.MinFunc(s.e.offers(int(i)), sooner)
	late := max(0, s.now-o.start)
	o.start, o.finish = o.start+late, o.finish+late
	s.because[i] = because
	s.d.buy(int(i), o.option)
	s.e.buy(int(i), o)
	s.settle(i, o.target, o.start, o.finish)
}

// startQueued starts queued tasks in order while cores are idle; one that fits
// nowhere is passed over.
func (s *skedule) startQueued() {
	for k := s.queued.next(0); k >= 0 && s.idle(); k = s.queued.next(k + 1) {
		i := int(s.order[k])
		for _, pool := range s.e.pools {
			cores, took := s.g.p.Tasks[i].Cores, s.g.p.privateUs(i, pool.speed, 1)
			if pool.cores.limit < cores || pool.cores.find(s.now, took, cores) != s.now {
				continue
			}
			s.queued.remove(k)
			s.because[i] = "its turn at home came in time"
			s.e.keep(i, slot{pool.cores, s.now, s.now + took})
			s.settle(int32(i), Private, s.now, s.now+took)
			break
		}
	}
}

func (s *skedule) idle() bool {
	return slices.ContainsFunc(s.e.pools, func(p speedPool) bool {
		return p.cores.use[p.cores.step(s.now)] < p.cores.limit
	})
}
