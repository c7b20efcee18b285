package offload

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/spillway/spillway/pricing"
)

// annealing is a random walk over sites, sizes, order and holds that goes to
// dearer plans less and less often (Kirkpatrick, Gelatt and Vecchi, 1983). Late
// plans are allowed on the way, at a price for each microsecond.
type annealing struct {
	g       *planning
	rng     *rand.Rand
	d       *decision // the walk's place; moves change it and note how to undo
	now     score
	best    *trial
	undo    []change
	moved   [2]int // an order move from rank [0] to rank [1]; equal: none
	lateFee float64
	start   []int64 // by task, in the walk's place
	finish  []int64
	ready   []int64
	ranOn   []int32 // private node, or -1
	free    []int32 // tasks with a choice of site or size
	buyable []int32 // of these, those that can be bought
	crosses []int32 // files with a producer and readers that can both be moved
	holds   bool    // tasks may be held back
	binds   bool    // tasks may be bound to a node
}

// change is how one task was before a move.
type change struct {
	task, target, config int32
	node                 int32
	notBefore            int64
}

// anneal walks from a plan for that many decodes, or until the budget ends, and
// returns the best plan met. Heat is in costs of a typical task.
func (g *planning) anneal(from *trial, decodes int, heat float64, seed uint64) *trial {
	a := &annealing{g: g, rng: rand.New(rand.NewPCG(uint64(g.p.Seed), seed)), d: from.d.clone(), now: from.score, best: from}
	a.d.order = slices.Clone(a.d.order)
	n := len(g.p.Tasks)
	a.holds = n <= reservable
	if a.holds && a.d.notBefore == nil {
		a.d.notBefore = make([]int64, n)
	}
	if a.binds = a.holds && len(g.sim.known.speeds) > 1; a.binds && a.d.node == nil {
		a.d.node = slices.Repeat([]int32{-1}, n)
	}
	a.start, a.finish, a.ready = make([]int64, n), make([]int64, n), make([]int64, n)
	a.ranOn = make([]int32, n)
	a.look()
	if len(a.free) == 0 && !a.holds {
		return from
	}
	g.sim.run(a.d, nil)
	a.settle()
	a.walk(heat*a.typical(), decodes)
	return a.best
}

// reservable is the size up to which a plan may hold a task back for another:
// beyond it, plans that never idle are near enough.
const reservable = 200

// look lists what the moves choose from.
func (a *annealing) look() {
	g := a.g
	for i := range g.p.Tasks {
		if g.pinned[i] || len(g.options[i]) == 0 || len(g.options[i]) == 1 && !g.home[i] {
			continue
		}
		a.free = append(a.free, int32(i))
		if g.home[i] {
			a.buyable = append(a.buyable, int32(i))
		}
	}
	for f := range g.p.Files {
		w := g.p.Files[f].Producer
		if w >= 0 && !g.pinned[w] && len(g.p.readers.of(f)) > 0 && len(g.options[w]) > 0 {
			a.crosses = append(a.crosses, int32(f))
		}
	}
}

// walk cools to a fiftieth.
func (a *annealing) walk(hot float64, decodes int) {
	a.lateFee = a.fee()
	for k := range decodes {
		if a.g.spent() {
			return
		}
		if k > 0 && k%max(1, decodes/4) == 0 {
			a.returnToBest()
		}
		heat := hot * math.Pow(0.02, float64(k)/float64(decodes))
		a.undo, a.moved = a.undo[:0], [2]int{}
		a.move()
		if len(a.undo) == 0 && a.moved[0] == a.moved[1] {
			continue
		}
		next := a.g.evaluate(a.d)
		if next.better(&a.best.score) {
			a.best = &trial{a.d.copy(), next}
		}
		if limit := a.energy(&a.now) - heat*math.Log(1-a.rng.Float64()); a.energy(&next) > limit {
			a.revert()
			continue
		}
		a.now = next
		a.settle()
	}
}

// typical is the mean cost of what the best plan buys, in pico-USD.
func (a *annealing) typical() float64 {
	bought := 0
	for _, target := range a.best.d.target {
		if target != Private {
			bought++
		}
	}
	return float64(max(a.best.cost, 1_000_000)) / float64(max(1, bought))
}

// fee is the price of a microsecond of lateness: late by the whole deadline
// costs twenty times as much as everything.
func (a *annealing) fee() float64 {
	span := int64(1)
	all := pricing.Money(0)
	for i := range a.g.p.Tasks {
		if d := a.g.p.deadlineUs(i); d > 0 {
			span = max(span, d-a.g.p.NowUs)
		}
		if len(a.g.options[i]) > 0 {
			all += a.g.knee(i).cost
		}
	}
	return 20 * (float64(all) + float64(a.best.cost)) / float64(span)
}

// energy is what the walk wants to be small.
func (a *annealing) energy(s *score) float64 {
	e := float64(s.cost) + a.lateFee*float64(min(s.lateUs, Never>>10))
	return e + float64(s.violated)*1e18
}

// settle keeps the times of the walk's new place, which the simulator has just
// been at.
func (a *annealing) settle() {
	for i := range a.start {
		t := &a.g.sim.task[i]
		a.start[i], a.finish[i], a.ranOn[i] = t.StartUs, t.FinishUs, int32(t.Node)
	}
	copy(a.ready, a.g.sim.readyAt)
}

func (a *annealing) returnToBest() {
	if a.now == a.best.score {
		return
	}
	copy(a.d.order, a.best.d.order)
	copy(a.d.target, a.best.d.target)
	copy(a.d.config, a.best.d.config)
	copy(a.d.notBefore, a.best.d.notBefore)
	if a.best.d.notBefore == nil {
		clear(a.d.notBefore)
	}
	for i := range a.d.node {
		a.d.node[i] = -1
	}
	copy(a.d.node, a.best.d.node)
	a.now = a.g.evaluate(a.d)
	a.settle()
}

// move changes the plan at random.
func (a *annealing) move() {
	k := a.rng.IntN(100)
	if len(a.free) == 0 { // only order and time are left to choose
		k = 75 + k/4
	}
	switch {
	case k < 30:
		a.flip(a.any(a.free))
	case k < 45:
		a.mend()
	case k < 60:
		a.swap()
	case k < 68:
		a.pull()
	case k < 75:
		a.resize()
	case k < 90 && a.binds:
		a.bind()
	case k < 95 || !a.holds:
		a.reorder()
	case k < 97:
		a.yield()
	default:
		a.hold()
	}
}

func (a *annealing) any(of []int32) int32 {
	if len(of) == 0 {
		return -1
	}
	return of[a.rng.IntN(len(of))]
}

// set gives a task another site or size, or the same again.
func (a *annealing) set(i, target, config int32) {
	if a.d.target[i] == target && (target == Private || a.d.config[i] == config) {
		return
	}
	a.note(i)
	a.d.target[i], a.d.config[i] = target, config
}

func (a *annealing) note(i int32) {
	c := change{task: i, target: a.d.target[i], config: a.d.config[i]}
	if a.d.notBefore != nil {
		c.notBefore = a.d.notBefore[i]
	}
	if a.d.node != nil {
		c.node = a.d.node[i]
	}
	a.undo = append(a.undo, c)
}

func (a *annealing) revert() {
	for _, c := range slices.Backward(a.undo) {
		a.d.target[c.task], a.d.config[c.task] = c.target, c.config
		if a.d.notBefore != nil {
			a.d.notBefore[c.task] = c.notBefore
		}
		if a.d.node != nil {
			a.d.node[c.task] = c.node
		}
	}
	a.shift(a.moved[1], a.moved[0])
}

// buy takes one of a task's options: mostly its knee, at a provider if one is
// given.
func (a *annealing) buy(i, at int32) {
	options := a.g.options[i]
	o := options[a.rng.IntN(len(options))]
	if a.rng.IntN(10) < 6 {
		o = a.g.kneeAt(int(i), at)
	}
	if at >= 0 && o.target != at {
		return
	}
	a.set(i, o.target, o.config)
}

func (a *annealing) goHome(i int32) {
	if a.g.home[i] && !a.g.pinned[i] {
		a.set(i, Private, 0)
	}
}

func (a *annealing) canBuy(i int32) bool { return !a.g.pinned[i] && len(a.g.options[i]) > 0 }

// flip changes the side of a task.
func (a *annealing) flip(i int32) {
	if a.d.target[i] == Private {
		a.buy(i, Private)
	} else if a.g.home[i] {
		a.goHome(i)
	} else {
		a.buy(i, Private)
	}
}

// mend takes a file that crosses sides and brings its producer and its readers
// to one of them.
func (a *annealing) mend() {
	f := a.any(a.crosses)
	if f < 0 {
		return
	}
	w := a.g.p.Files[f].Producer
	at := a.d.target[w]
	readers := a.g.p.readers.of(int(f))
	other := slices.IndexFunc(readers, func(j int32) bool { return a.d.target[j] != at })
	switch {
	case other < 0:
		a.flip(w)
	case a.rng.IntN(2) == 0 && a.d.target[readers[other]] == Private:
		a.goHome(w)
	case a.rng.IntN(2) == 0 && a.canBuy(w) && a.d.target[readers[other]] != Private:
		a.buy(w, a.d.target[readers[other]])
	default:
		for _, j := range readers {
			if a.d.target[j] == at {
				continue
			}
			if at == Private {
				a.goHome(j)
			} else if a.canBuy(j) {
				a.buy(j, at)
			}
		}
	}
}

// swap brings a task home and buys another.
func (a *annealing) swap() {
	i, j := a.any(a.buyable), a.any(a.buyable)
	if i < 0 {
		return
	}
	for k := 0; k < 8 && a.d.target[i] == Private; k++ {
		i = a.any(a.buyable)
	}
	for k := 0; k < 8 && a.d.target[j] != Private; k++ {
		j = a.any(a.buyable)
	}
	a.goHome(i)
	if a.d.target[j] == Private && i != j {
		a.buy(j, Private)
	}
}

// pull changes the side of a task and of neighbours on the same side.
func (a *annealing) pull() {
	i := a.any(a.buyable)
	if i < 0 {
		return
	}
	side := a.d.target[i]
	a.flip(i)
	neighbours := a.g.p.graph.Pred(int(i))
	if a.rng.IntN(2) == 0 {
		neighbours = a.g.p.graph.Succ(int(i))
	}
	for _, j := range neighbours {
		if a.d.target[j] != side || a.rng.IntN(4) == 0 {
			continue
		}
		if side != Private {
			a.goHome(j)
		} else if a.canBuy(j) {
			a.buy(j, a.d.target[i])
		}
	}
}

// resize gives a bought task another option.
func (a *annealing) resize() {
	for range 8 {
		i := a.any(a.free)
		if a.d.target[i] != Private {
			o := a.g.options[i][a.rng.IntN(len(a.g.options[i]))]
			a.set(i, o.target, o.config)
			return
		}
	}
}

// reorder moves a task to another rank: mostly before a task that started
// while it may have waited.
func (a *annealing) reorder() {
	n := len(a.d.order)
	from, to := a.rng.IntN(n), a.rng.IntN(n)
	if a.rng.IntN(3) > 0 {
		to = min(n-1, max(0, from-n/8+a.rng.IntN(n/4+2)))
	}
	a.moved = [2]int{from, to}
	a.shift(from, to)
}

// shift moves the task at one rank to another.
func (a *annealing) shift(from, to int) {
	o := a.d.order
	i := o[from]
	if from < to {
		copy(o[from:to], o[from+1:to+1])
	} else {
		copy(o[to+1:from+1], o[to:from])
	}
	o[to] = i
}

// bind ties a task to a private node, or lets it go; sometimes it ties all tasks
// to where they are, so that what follows moves one alone.
func (a *annealing) bind() {
	if a.rng.IntN(10) == 0 {
		for i := range a.ranOn {
			if !a.g.pinned[i] && a.d.target[i] == Private {
				a.note(int32(i))
				a.d.node[i] = a.ranOn[i]
			}
		}
		return
	}
	i := a.any(a.buyable)
	if i < 0 {
		return
	}
	a.note(i)
	k := a.rng.IntN(len(a.g.p.Platform.Nodes))
	switch fits := a.g.p.Platform.Nodes[k].fits(&a.g.p.Tasks[i]); {
	case fits && a.d.node[i] != int32(k):
		a.d.node[i] = int32(k)
	default:
		a.d.node[i] = -1
	}
}

// yield holds a task back that keeps another waiting, until that one is ready,
// and lets the other go first.
func (a *annealing) yield() {
	j := int32(-1)
	for k := 0; k < 8 && (j < 0 || a.d.target[j] != Private || a.start[j] <= a.ready[j]); k++ {
		j = int32(a.rng.IntN(len(a.start)))
	}
	first := a.rng.IntN(len(a.start))
	for k := range a.start {
		i := int32((first + k) % len(a.start))
		if a.d.target[i] != Private || a.g.pinned[i] || a.start[i] >= a.ready[j] || a.finish[i] <= a.ready[j] {
			continue
		}
		a.note(i)
		a.d.notBefore[i] = a.ready[j]
		from, to := slices.Index(a.d.order, i), slices.Index(a.d.order, j)
		if from < to {
			a.moved = [2]int{from, to}
			a.shift(from, to)
		}
		return
	}
}

// hold keeps a task back until another starts or ends, or lets it go.
func (a *annealing) hold() {
	i, j := int32(a.rng.IntN(len(a.d.order))), a.rng.IntN(len(a.d.order))
	if a.g.pinned[i] {
		return
	}
	a.note(i)
	switch {
	case a.d.notBefore[i] > 0 && a.rng.IntN(2) == 0:
		a.d.notBefore[i] = 0
	case a.rng.IntN(2) == 0:
		a.d.notBefore[i] = min(a.start[j], Never>>10)
	default:
		a.d.notBefore[i] = min(a.finish[j], Never>>10)
	}
}
