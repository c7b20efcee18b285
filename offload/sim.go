package offload

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/spillway/spillway/pricing"
)

// decision is a plan in the form the simulator walks.
type decision struct {
	order     []int32 // rank -> task, a permutation
	target    []int32 // task -> Private or provider
	config    []int32
	node      []int32 // private node it is bound to, or -1; nil: none is bound
	notBefore []int64 // nil: all 0
}

// simulator executes decisions on one problem. It keeps its arrays, so that a
// planner can run thousands of decisions without allocating.
type simulator struct {
	p      *Problem
	trace  bool
	detail bool // keep violations' text

	domains   int     // providers + 1
	bySpeed   []int32 // nodes, fastest first
	serve     []int32 // order in which links are served
	firstPool []int32 // provider -> index of its first container pool

	d        *decision
	mult     []float64
	copyMult []float64 // of copies; nil: as their tasks
	copies   []copying
	begun    bool // the state at NowUs is complete
	now      int64
	seq      uint32
	ev       events

	rank    []int32
	at      []int32 // task -> target: of the decision, or where it has started
	need    []int32 // open parents and files on their way
	fixed   []int32 // task -> 1 + index in Fixed; 0: free
	steps   []step
	stage   []int32 // (file, domain) -> rank of the first reader; -1: not staged there
	task    []TaskOutcome
	readyAt []int64

	cores     []int // free, by node
	mem       []float64
	idle      int       // sum of free cores
	readyPriv []rankSet // by the tariff's widths
	heads     []int32   // readyPriv -> the rank to look at next, or -1
	readyPub  []rankSet
	running   []int
	pools     []pool    // idle containers by (provider, configuration)
	nextNew   []int64   // provider -> when a new container is due, by its ramp
	wakes     []int64   // provider -> when its ramp last asked to be looked at
	roots     [][]int32 // workflow -> tasks that wait for its release alone
	initial   [][]int32 // workflow -> initial files that wait for its release
	links     []link
	known     tariff

	left       int
	ends       int64
	ended      []int64 // by workflow
	coreUs     int64
	coldStarts int
	quotaWait  int64
	moved      [3]int64 // bytes up, down, across
	transfers  []Transfer
	violated   int
	violations []Violation
	faas       pricing.Money
	egress     pricing.Money
	storage    pricing.Money
	private    pricing.Money
	err        error
}

// pool holds the release times of idle containers; the most recently used one
// is taken first, and the oldest expire first.
type pool struct {
	head     int
	released []int64
}

// newSimulator allocates for a prepared problem with a checked Platform.
func newSimulator(p *Problem) *simulator {
	s := &simulator{p: p, domains: len(p.Platform.Providers) + 1}
	n, pf := len(p.Tasks), &p.Platform
	s.need, s.fixed = make([]int32, n), make([]int32, n)
	s.rank, s.at = make([]int32, n), make([]int32, n)
	s.readyAt, s.task = make([]int64, n), make([]TaskOutcome, n)
	s.stage = make([]int32, len(p.Files)*s.domains)
	s.bySpeed = make([]int32, len(pf.Nodes))
	for k := range s.bySpeed {
		s.bySpeed[k] = int32(k)
	}
	slices.SortStableFunc(s.bySpeed, func(a, b int32) int { return cmp.Compare(pf.Nodes[b].Speed, pf.Nodes[a].Speed) })
	s.cores, s.mem = make([]int, len(pf.Nodes)), make([]float64, len(pf.Nodes))
	pools := 0
	for k := range pf.Providers {
		s.firstPool = append(s.firstPool, int32(pools))
		pools += len(pf.Providers[k].Configs)
	}
	s.pools = make([]pool, pools)
	s.running, s.readyPub = make([]int, s.domains-1), make([]rankSet, s.domains-1)
	s.nextNew, s.wakes = make([]int64, s.domains-1), make([]int64, s.domains-1)
	s.ended = make([]int64, max(1, len(p.Workflows)))
	s.findReleases()
	s.makeLinks()
	s.known = newTariff(p)
	s.readyPriv, s.heads = make([]rankSet, len(s.known.widths)), make([]int32, len(s.known.widths))
	s.steps = p.steps()
	for i, f := range p.Fixed {
		s.fixed[f.Task] = int32(i + 1)
	}
	return s
}

// makeLinks numbers the links (0 up, 1 down, then each ordered pair of
// providers) and sorts them as the reference evaluator does: by the text "(a, b)",
// then "down", then "up".
func (s *simulator) makeLinks() {
	q := s.domains - 1
	s.links = make([]link, 2+q*q)
	for l := range s.links {
		s.serve = append(s.serve, int32(l))
	}
	name := func(l int32) string {
		if l < 2 {
			return [...]string{"up", "down"}[l]
		}
		return "(" + strconv.Itoa((int(l)-2)/q) + ", " + strconv.Itoa((int(l)-2)%q) + ")"
	}
	slices.SortFunc(s.serve, func(a, b int32) int { return cmp.Compare(name(a), name(b)) })
}

func (s *simulator) link(from, to int) int {
	switch {
	case from == Private:
		return 0
	case to == Private:
		return 1
	}
	return 2 + from*(s.domains-1) + to
}

// run executes a decision from NowUs until nothing is left to happen. mult
// scales run times by task; nil leaves them.
func (s *simulator) run(d *decision, mult []float64) {
	s.reset(d, mult)
	s.checkPlacements()
	s.stageFiles()
	s.begin()
	for {
		s.startTransfers()
		s.startPrivate()
		for q := range s.readyPub {
			s.startPublic(q)
		}
		if !s.advance() {
			break
		}
		for len(s.ev) > 0 && s.ev[0].at == s.now {
			e := s.ev.pop()
			s.happen(&e)
		}
		s.landFiles()
	}
	s.settle()
}

func (s *simulator) reset(d *decision, mult []float64) {
	p := s.p
	s.d, s.mult, s.now, s.seq, s.err, s.begun = d, mult, p.NowUs, 0, nil, false
	s.ev = s.ev[:0]
	for r, i := range d.order {
		s.rank[i] = int32(r)
	}
	copy(s.at, d.target)
	for k := range p.Fixed {
		s.at[p.Fixed[k].Task] = int32(p.Fixed[k].Target)
	}
	n := len(p.Tasks)
	for i := range n {
		s.task[i] = TaskOutcome{StartUs: Never, FinishUs: Never, Node: -1}
		s.need[i] = int32(len(p.graph.Pred(i)))
	}
	for f := range s.stage {
		s.stage[f] = -1
	}
	s.idle = 0
	for k := range p.Platform.Nodes {
		node := &p.Platform.Nodes[k]
		s.cores[k], s.mem[k] = node.Cores, float64(node.MemMiB*mib)
		s.idle += node.Cores
	}
	for q := range s.readyPriv {
		s.readyPriv[q].reset(n)
	}
	for q := range s.readyPub {
		s.readyPub[q].reset(n)
		s.running[q], s.nextNew[q], s.wakes[q] = 0, p.NowUs, 0
	}
	clear(s.ended)
	for k := range s.pools {
		s.pools[k] = pool{released: s.pools[k].released[:0]}
	}
	for l := range s.links {
		s.links[l].reset(p.NowUs)
	}
	s.left, s.ends, s.coreUs, s.coldStarts, s.quotaWait = n, 0, 0, 0, 0
	s.moved, s.transfers, s.violated, s.violations = [3]int64{}, nil, 0, nil
	s.faas, s.egress, s.storage, s.private = 0, 0, 0, 0
}

func (s *simulator) push(at int64, kind uint8, arg int32) {
	s.seq++
	s.ev.push(event{at, s.seq, kind, arg})
}

func (s *simulator) multiplier(i int32) float64 {
	if s.mult == nil {
		return 1
	}
	return s.mult[i]
}

// site is where task i runs: a started task stays where it is.
func (s *simulator) site(i int32) int { return int(s.at[i]) }

// home is the domain in which a file comes to be.
func (s *simulator) home(f int32) int {
	if w := s.known.writer[f]; w >= 0 {
		return s.site(w)
	}
	return Private
}

func (s *simulator) violate(kind string, task int32, detail string) {
	s.violated++
	if s.detail {
		s.violations = append(s.violations, Violation{kind, s.p.Tasks[task].ID, detail})
	}
}

func (s *simulator) charge(sum *pricing.Money, amount pricing.Money, err error) {
	if err == nil {
		*sum, err = sum.Add(amount)
	}
	if err != nil && s.err == nil {
		s.err = err
	}
}

// checkPlacements finds handler times and static violations.
func (s *simulator) checkPlacements() {
	p := s.p
	for i := range int32(len(p.Tasks)) {
		if s.fixed[i] != 0 {
			continue
		}
		target := int(s.d.target[i])
		if why := p.Tasks[i].denied(target); why != "" {
			s.violate("denied", i, why)
		}
		if target == Private {
			if !s.hasRoom(i) {
				s.violate("capacity", i, "")
			}
			continue
		}
		b, err := s.known.bill(p, i, int32(target), s.d.config[i], s.multiplier(i))
		s.charge(&s.faas, 0, err)
		if b.broken == [len(limitNames)]bool{} {
			continue
		}
		for k, broken := range b.broken {
			if broken {
				s.violate(limitNames[k], i, "")
			}
		}
	}
}

func (s *simulator) hasRoom(i int32) bool {
	for k := range s.p.Platform.Nodes {
		if (s.bound(i) < 0 || s.bound(i) == int32(k)) && s.p.Platform.Nodes[k].fits(&s.p.Tasks[i]) {
			return true
		}
	}
	return false
}

func (s *simulator) bound(i int32) int32 {
	if s.d.node == nil {
		return -1
	}
	return s.d.node[i]
}

// stageFiles finds into which domains each file has to be brought, and how
// urgently. Tasks that have started have their files.
func (s *simulator) stageFiles() {
	for f := range int32(len(s.p.Files)) {
		s.stageFile(f, 1)
	}
	s.stageCopies()
}

// stageFile adds a file to what its readers need, or takes it away: by is 1 or -1.
func (s *simulator) stageFile(f, by int32) {
	p, home := s.p, s.home(f)
	readers := p.readers.of(int(f))
	for _, j := range readers {
		at := s.site(j)
		if at == home || s.fixed[j] != 0 {
			continue
		}
		k := int(f)*s.domains + at + 1
		if s.need[j] += by; by < 0 {
			s.stage[k] = -1
		} else if s.stage[k] < 0 || s.rank[j] < s.stage[k] {
			s.stage[k] = s.rank[j]
		}
	}
	if p.Platform.ReturnOutputs && len(readers) == 0 && p.Files[f].Producer >= 0 && home != Private {
		s.stage[int(f)*s.domains] = lastRank
	}
}

// lastRank is the urgency of outputs on their way home.
const lastRank = 1<<31 - 1

// begin puts the system into its state at NowUs: what is fixed, present and
// reserved, then the initial files and the tasks that need nothing.
func (s *simulator) begin() {
	p := s.p
	s.takePresent()
	s.billCopies()
	s.takeFixed()
	s.takeReserved()
	s.beginCopies()
	for f := range int32(len(p.Files)) {
		if p.Files[f].Producer < 0 && s.p.fileReleaseUs(f) <= s.now {
			s.request(f)
		}
	}
	s.takeReleases()
	for i := range int32(len(p.Tasks)) {
		if s.need[i] == 0 && s.fixed[i] == 0 {
			s.enable(i)
		}
	}
	s.begun = true
}

// request sends a file that has come to be to every domain that waits for it.
func (s *simulator) request(f int32) {
	p, home, base := s.p, s.home(f), int(f)*s.domains
	for k := base; k < base+s.domains; k++ {
		if s.stage[k] < 0 {
			continue
		}
		to := k - base - 1
		s.meter(home, to, f)
		if !p.Platform.WAN.Independent {
			s.links[s.link(home, to)].waiting.push(urgent(s.stage[k], int32(k)))
			continue
		}
		arrive := s.now + s.known.sendUs(p, f, home, to) + p.Platform.WAN.LatencyUs
		s.push(arrive, arrived, int32(k))
		s.record(f, home, to, arrive)
	}
}

// meter bills one transfer: egress and a GET where it leaves a provider, a PUT
// where it enters one.
func (s *simulator) meter(from, to int, f int32) {
	s.moved[min(s.link(from, to), 2)] += s.p.Files[f].Size
	if from != Private {
		amount, err := s.known.egress(s.p, f, from)
		s.charge(&s.egress, amount, err)
		s.charge(&s.storage, s.known.store[from].get, nil)
	}
	if to != Private {
		s.charge(&s.storage, s.known.store[to].put, nil)
	}
}

func (s *simulator) record(f int32, from, to int, arrive int64) {
	if s.trace {
		s.transfers = append(s.transfers, Transfer{f, from, to, s.now, arrive})
	}
}

// enable makes a task ready now, or at its not-before time.
func (s *simulator) enable(i int32) {
	if s.d.notBefore != nil && s.now < s.d.notBefore[i] {
		s.push(s.d.notBefore[i], released, i)
		return
	}
	s.readyAt[i] = s.now
	if t := s.d.target[i]; t != Private {
		s.readyPub[t].add(s.rank[i])
	} else {
		s.readyPriv[s.known.sizes[i].queue].add(s.rank[i])
	}
}

// satisfy takes away one thing a task waits for.
func (s *simulator) satisfy(i int32) {
	if s.fixed[i] != 0 {
		return
	}
	if s.need[i]--; s.need[i] == 0 {
		s.enable(i)
	}
}

func (s *simulator) happen(e *event) {
	switch e.kind {
	case finished:
		if s.task[e.arg].FinishUs == Never { // else its copy was first
			s.finish(e.arg)
		}
	case copied:
		s.finishCopy(e.arg)
	case arrived:
		s.arrive(e.arg)
	case released:
		s.enable(e.arg)
	case returned:
		s.giveBack(e.arg)
	case opened:
		s.open(e.arg)
	}
}

func (s *simulator) finish(i int32) {
	t := &s.task[i]
	t.FinishUs = s.now
	s.end(i, s.now)
	s.left--
	if c := s.copyOf(i); c != nil {
		s.finishHome(c)
	}
	if at := s.site(i); at == Private {
		s.hold(t.Node, -s.known.sizes[i].cores, -s.known.sizes[i].mem)
	} else {
		s.running[at]--
		s.pool(i).released = append(s.pool(i).released, s.now)
	}
	s.publish(i)
}

// publish lets the outputs of a finished task travel and its children go on.
func (s *simulator) publish(i int32) {
	for _, f := range s.p.out.of(int(i)) {
		s.request(f)
	}
	for _, c := range s.p.graph.Succ(int(i)) {
		s.satisfy(c)
	}
}

// end extends the time until which the workflow of task i lasts.
func (s *simulator) end(i int32, at int64) {
	s.ends = max(s.ends, at)
	if len(s.p.Workflows) > 0 {
		w := s.p.Tasks[i].Workflow
		s.ended[w] = max(s.ended[w], at)
	}
}

func (s *simulator) arrive(stage int32) {
	f, at := int(stage)/s.domains, int(stage)%s.domains-1
	if w := s.known.writer[f]; w >= 0 {
		s.end(w, s.now)
	}
	s.ends = max(s.ends, s.now)
	for _, j := range s.p.readers.of(f) {
		if s.fixed[j] == 0 && int(s.d.target[j]) == at {
			s.satisfy(j)
		}
	}
	s.bringToCopies(int32(f), at)
}

// startTransfers lets every free link send its most urgent file. Files of no
// length do not occupy it.
func (s *simulator) startTransfers() {
	for _, l := range s.serve {
		q := &s.links[l]
		for len(q.waiting) > 0 && q.busyUs <= s.now {
			k := int32(q.waiting.pop() & stageMask)
			f, to := k/int32(s.domains), int(k)%s.domains-1
			from := s.home(f)
			q.busyUs = s.now + s.known.sendUs(s.p, f, from, to)
			arrive := q.busyUs + s.p.Platform.WAN.LatencyUs
			q.flying = append(q.flying, flight{arrive, k})
			s.record(f, from, to, arrive)
		}
	}
}

// advance moves the clock to the next instant at which something happens; it
// is false when nothing ever will.
func (s *simulator) advance() bool {
	next := int64(Never)
	if len(s.ev) > 0 {
		next = s.ev[0].at
	}
	for l := range s.links {
		next = min(next, s.links[l].next())
	}
	s.now = max(s.now, next)
	return next < Never
}

// landFiles lets the files arrive whose time has come.
func (s *simulator) landFiles() {
	for l := range s.links {
		for q := &s.links[l]; q.landed < len(q.flying) && q.flying[q.landed].at == s.now; q.landed++ {
			s.arrive(q.flying[q.landed].stage)
		}
	}
}
