package engine

import (
	"container/heap"
	"encoding/json"
	"sort"
	"time"

	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/workflow"
)

// State is one run in the memory of the engine that holds its lease. Decide changes it; Change drains what
// has to be written.
type State struct {
	Graph     *workflow.Graph
	Catalogue Catalogue

	run       workflow.RunRecord
	tasks     []taskState
	kids      [][]int32 // by task: what waits for it
	files     []fileState
	attempts  map[string]*attemptState
	transfers map[transferKey]*workflow.TransferRecord
	outbox    map[string]int64 // command key -> outbox id
	sites     []siteState

	open       int // tasks not terminal
	ended      int // tasks that became terminal since the load
	bought     int // no task before this one is still to be started at a public site
	moving     int // transfers under way
	live       int // attempts under way
	cancelling bool
	failed     bool
	stranded   string // why a result did not come home
	planned    bool

	spent    pricing.Money // sum of all line items
	reserved pricing.Money // claims of attempts in flight
	heldFor  int           // task that the budget does not allow, -1 none

	urgent bool // the pending change must not wait

	foreach []int // tasks whose needs have ended and whose elements are not known yet

	replanWhy   string    // not empty: a new plan is wanted
	replanAfter time.Time // not before
	lastPlan    time.Time
	expected    time.Time // finish by the newest plan
	plannedFor  string    // what it was made for
	due         timerHeap // instants at which a Tick has something to do

	eventSeq, itemSeq, outboxSeq int64
	pending                      changeSet
	now                          time.Time
}

type taskState struct {
	rec     workflow.TaskRecord
	site    int // index in the catalogue of the current plan, -1 before planning
	parents int // not terminal yet
	missing int // input files not at site
	badNeed bool
	infra   int // attempts that do not count against the task's own retries
	attempt string
	cost    pricing.Money // expected at the placement
	hold    time.Time     // the plan starts it no earlier
	denied  []bool        // sites that refused the task for good
}

type fileState struct {
	rec     workflow.FileRecord
	exists  bool
	present []bool // by site
}

type attemptState struct {
	rec     workflow.AttemptRecord
	site    int
	waiting bool // dispatched ahead of a free slot
	late    bool // its lateness was noticed
}

type siteState struct {
	ready     readyHeap
	freeCores []int
	freeMiB   []int
	running   int // attempts claimed at the site
	ahead     []string
	quota     int       // adaptive, up to the site's
	paused    time.Time // throttled until
	throttles int       // in a row
	down      string    // why the site is out for this run
	pace      time.Duration
}

type transferKey struct{ file, to int }

// NewState builds the state of a run from what is kept of it and the graph of its definition.
func NewState(g *workflow.Graph, c Catalogue, r workflow.Record) *State {
	s := &State{
		Graph: g, Catalogue: c, run: r.Run, heldFor: -1,
		tasks:     make([]taskState, len(g.Instances)),
		files:     make([]fileState, len(g.Files)),
		attempts:  make(map[string]*attemptState, len(r.Attempts)),
		transfers: make(map[transferKey]*workflow.TransferRecord, len(r.Transfers)),
		outbox:    make(map[string]int64, len(r.Outbox)),
		sites:     make([]siteState, len(c.Sites)),
	}
	s.initSites()
	s.initTasks(r)
	s.initFiles(r)
	s.initAttempts(r)
	for _, o := range r.Outbox {
		s.outbox[outboxKey(o)] = o.ID
		s.outboxSeq = max(s.outboxSeq, o.ID)
	}
	for _, it := range r.Items {
		s.spent += it.Amount
		s.itemSeq = max(s.itemSeq, it.Seq)
	}
	s.eventSeq = r.EventSeq
	s.cancelling = r.Run.CancelRequested
	return s
}

func (s *State) initSites() {
	for i, c := range s.Catalogue.Sites {
		st := &s.sites[i]
		st.quota = c.Quota
		for _, n := range c.Nodes {
			st.freeCores = append(st.freeCores, n.Cores)
			st.freeMiB = append(st.freeMiB, n.MemoryMiB)
		}
	}
}

func (s *State) initTasks(r workflow.Record) {
	for i := range s.tasks {
		s.tasks[i] = s.newTask(i)
		t := &s.tasks[i]
		if i < len(r.Tasks) {
			t.rec = r.Tasks[i]
			if t.rec.Site != "" {
				t.site = s.Catalogue.site(t.rec.Site)
			}
		}
		if !t.rec.State.Terminal() {
			s.open++
		}
		s.failed = s.failed || t.rec.State == workflow.TaskFailed
	}
	s.linkChildren()
	for i := range s.tasks {
		s.countParents(i)
	}
}

func (s *State) newTask(i int) taskState {
	return taskState{site: -1, rec: newTask(s.Graph, i)}
}

func (s *State) countParents(i int) {
	t := &s.tasks[i]
	t.parents, t.badNeed = 0, false
	for _, p := range s.Graph.Instances[i].Parents {
		st := s.tasks[p].rec.State
		if !st.Terminal() {
			t.parents++
		} else if st != workflow.TaskSucceeded {
			t.badNeed = true
		}
	}
}

func (s *State) initFiles(r workflow.Record) {
	for f := range s.files {
		s.files[f].present = make([]bool, len(s.Catalogue.Sites))
	}
	for _, rec := range r.Files {
		s.files[rec.Index].rec, s.files[rec.Index].exists = rec, true
		if at := s.Catalogue.site(rec.Site); at >= 0 {
			s.files[rec.Index].present[at] = true
		}
	}
	for k := range r.Transfers {
		tr := r.Transfers[k]
		to := s.Catalogue.site(tr.To)
		s.transfers[transferKey{tr.File, to}] = &tr
		switch tr.State {
		case workflow.TransferDone:
			s.files[tr.File].present[to] = true
		case workflow.TransferPending:
			s.moving++
		}
	}
}

func (s *State) initAttempts(r workflow.Record) {
	for _, rec := range r.Attempts {
		a := &attemptState{rec: rec, site: s.Catalogue.site(rec.Site)}
		s.attempts[rec.ID] = a
		t := &s.tasks[rec.Task]
		if !rec.State.Terminal() {
			s.live++
			s.reserved += rec.Reserved
			t.attempt = rec.ID
			s.claim(a)
		} else if excused(rec.State) {
			t.infra++
		}
	}
}

// excused tells whether an attempt's end is the fault of a site or of an engine, not of the task.
func excused(st workflow.AttemptState) bool {
	return st == workflow.AttemptThrottled || st == workflow.AttemptLost
}

func (s *State) taskOf(i int) *workflow.Task { return &s.Graph.Spec.Tasks[s.Graph.Instances[i].Task] }

// claim takes a private node's room, or one unit of a public site's quota, for an attempt in flight.
func (s *State) claim(a *attemptState) {
	st := &s.sites[a.site]
	if a.site == 0 && a.rec.Node >= 0 {
		st.freeCores[a.rec.Node] -= a.rec.Cores
		st.freeMiB[a.rec.Node] -= s.memoryMiB(a.rec.Task)
	} else if a.site == 0 {
		a.waiting = true
		st.ahead = append(st.ahead, a.rec.ID)
	}
	st.running++
}

func (s *State) release(a *attemptState) {
	st := &s.sites[a.site]
	st.running--
	if a.site != 0 {
		return
	}
	if a.waiting {
		st.ahead = without(st.ahead, a.rec.ID)
		return
	}
	st.freeCores[a.rec.Node] += a.rec.Cores
	st.freeMiB[a.rec.Node] += s.memoryMiB(a.rec.Task)
	s.promote(st)
}

// promote gives freed room to the attempts that were dispatched ahead of it, first come first served.
func (s *State) promote(st *siteState) {
	for len(st.ahead) > 0 {
		a := s.attempts[st.ahead[0]]
		k := s.nodeFor(a.rec.Task, a.rec.Cores)
		if k < 0 {
			return
		}
		st.ahead = st.ahead[1:]
		a.waiting, a.rec.Node = false, k
		st.freeCores[k] -= a.rec.Cores
		st.freeMiB[k] -= s.memoryMiB(a.rec.Task)
	}
}

func without(ids []string, id string) []string {
	for i := range ids {
		if ids[i] == id {
			return append(ids[:i], ids[i+1:]...)
		}
	}
	return ids
}

// Run is the run's record as of the last event.
func (s *State) Run() workflow.RunRecord { return s.run }

// Finished tells whether nothing is left to do.
func (s *State) Finished() bool { return s.run.State.Terminal() }

// NextTick is when Decide wants to see a Tick; zero when it waits for answers only.
func (s *State) NextTick() time.Time {
	if len(s.due) == 0 {
		return time.Time{}
	}
	return s.due[0].at
}

// WantsPlan tells why a new plan is wanted, empty when none is, or not yet.
func (s *State) WantsPlan(now time.Time) string {
	if s.replanWhy == "" || now.Before(s.replanAfter) || s.run.State.Terminal() {
		return ""
	}
	return s.replanWhy
}

// alarm is an instant at which a Tick looks at a task, at a transfer, or at the run as a whole.
type alarm struct {
	at   time.Time
	task int // -1: none
	move *transferKey
}

func (s *State) wake(at time.Time) {
	if !at.IsZero() {
		heap.Push(&s.due, alarm{at: at, task: -1})
	}
}

type timerHeap []alarm

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)        { *h = append(*h, x.(alarm)) }
func (h *timerHeap) Pop() any {
	x := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return x
}

// readyHeap holds instances whose needs are met, most urgent first. An entry is stale when its task has
// moved to another site or another order; it is dropped when it comes up.
type readyHeap []readyEntry

type readyEntry struct{ order, task int }

func (h readyHeap) Len() int { return len(h) }
func (h readyHeap) Less(i, j int) bool {
	if h[i].order != h[j].order {
		return h[i].order < h[j].order
	}
	return h[i].task < h[j].task
}
func (h readyHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *readyHeap) Push(x any)   { *h = append(*h, x.(readyEntry)) }
func (h *readyHeap) Pop() any {
	x := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return x
}

// changeSet gathers what a commit has to write.
type changeSet struct {
	run       bool
	tasks     map[int]struct{}
	attempts  map[string]struct{}
	files     map[int]struct{}
	transfers map[transferKey]struct{}
	items     []workflow.ItemRecord
	events    []workflow.EventRecord
	outbox    []workflow.OutboxRecord
	done      []int64
}

func (s *State) touchRun() { s.pending.run = true }

func (s *State) touchTask(i int) {
	if s.pending.tasks == nil {
		s.pending.tasks = map[int]struct{}{}
	}
	s.pending.tasks[i] = struct{}{}
}

func (s *State) touchAttempt(id string) {
	if s.pending.attempts == nil {
		s.pending.attempts = map[string]struct{}{}
	}
	s.pending.attempts[id] = struct{}{}
}

func (s *State) touchFile(f int) {
	if s.pending.files == nil {
		s.pending.files = map[int]struct{}{}
	}
	s.pending.files[f] = struct{}{}
}

func (s *State) touchTransfer(k transferKey) {
	if s.pending.transfers == nil {
		s.pending.transfers = map[transferKey]struct{}{}
	}
	s.pending.transfers[k] = struct{}{}
}

// record appends an entry to the run's history.
func (s *State) record(kind string, task int, attempt string, data any) {
	s.eventSeq++
	e := workflow.EventRecord{Seq: s.eventSeq, At: s.now, Kind: kind, Task: task, Attempt: attempt}
	if data != nil {
		e.Data, _ = json.Marshal(data)
	}
	s.pending.events = append(s.pending.events, e)
	s.urgent = true
}

// Urgent tells whether the pending change must be committed now. One that only notes that attempts began
// may wait for company.
func (s *State) Urgent() bool { return s.urgent }

// Change drains what has happened since the last call into one commit, in an order that depends on nothing
// but the events. ok is false when there is nothing to write.
func (s *State) Change() (c Change, ok bool) {
	p := s.pending
	s.pending, s.urgent = changeSet{}, false
	c = Change{RunID: s.run.ID, Revision: s.run.Revision, Epoch: s.run.Epoch,
		Items: p.items, Events: p.events, Outbox: p.outbox, OutboxDone: p.done}
	if p.run {
		r := s.run
		c.Run = &r
	}
	for i := range p.tasks {
		c.Tasks = append(c.Tasks, s.tasks[i].rec)
	}
	for id := range p.attempts {
		c.Attempts = append(c.Attempts, s.attempts[id].rec)
	}
	for f := range p.files {
		c.Files = append(c.Files, s.files[f].rec)
	}
	for k := range p.transfers {
		c.Transfers = append(c.Transfers, *s.transfers[k])
	}
	sort.Slice(c.Tasks, func(i, j int) bool { return c.Tasks[i].Index < c.Tasks[j].Index })
	sort.Slice(c.Attempts, func(i, j int) bool { return c.Attempts[i].ID < c.Attempts[j].ID })
	sort.Slice(c.Files, func(i, j int) bool { return c.Files[i].Index < c.Files[j].Index })
	sort.Slice(c.Transfers, func(i, j int) bool {
		a, b := c.Transfers[i], c.Transfers[j]
		return a.File < b.File || a.File == b.File && a.To < b.To
	})
	return c, c.Run != nil || len(c.Tasks)+len(c.Attempts)+len(c.Files)+len(c.Transfers)+len(c.Items)+len(c.Events)+
		len(c.Outbox)+len(c.OutboxDone) > 0
}

// Committed tells the state that its change was written as this revision.
func (s *State) Committed(revision int64) { s.run.Revision = revision }
