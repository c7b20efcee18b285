package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/providers"
	"github.com/spillway/spillway/workflow"
)

// world is what is around the engine in a drawn run: sites that answer as they please, a store, a planner
// without judgement, a clock, and an engine that may die between any two steps.
type world struct {
	t   *rapid.T
	cat Catalogue
	k   *kept
	s   *State
	now time.Time

	flying   map[string]*flight
	moving   []Transfer
	answered []Ended
	fates    map[string]providers.Result // what became of attempts, whether or not anybody heard of it

	planner PlanFunc // nil: without judgement
	calm    bool     // only good news from here on
	log     []entry
}

// flight is an attempt that waits for news. One that was asked after has only its manifest, or nothing.
type flight struct {
	id      string
	private bool
	asked   bool
}

// entry is what happened to the engine, for a replay: an event, a commit with what was written, or its death.
type entry struct {
	event  Event
	now    time.Time
	change string
}

func newWorld(t *rapid.T, k *kept, cat Catalogue, planner PlanFunc) *world {
	w := &world{t: t, cat: cat, planner: planner, k: k, now: start, flying: map[string]*flight{},
		fates: map[string]providers.Result{}}
	w.open()
	return w
}

func (w *world) draw(what string, n int) int { return rapid.IntRange(0, n-1).Draw(w.t, what) }

// often is true about once in n times.
func (w *world) once(n int, what string) bool { return !w.calm && w.draw(what, n) == 0 }

// open is an engine that takes the run over, reads wishes, and asks what became of the attempts of an earlier one.
func (w *world) open(wishes ...Event) {
	w.s = w.k.load(w.t, w.cat)
	w.log = append(w.log, entry{})
	w.moving = nil
	w.flying = map[string]*flight{}
	for _, a := range w.k.record().Attempts {
		if !a.State.Terminal() {
			w.flying[a.ID] = &flight{id: a.ID, private: a.Site == PrivateSite, asked: true}
		}
	}
	w.happen(append([]Event{Opened{Owner: "engine"}}, wishes...)...)
}

// happen lets the engine live through events, as the Runner does: decide, plan, commit, carry out. It may die
// before or after the commit.
func (w *world) happen(events ...Event) {
	var out []Command
	for _, e := range events {
		out = append(out, w.decide(e)...)
	}
	if why := w.s.WantsPlan(w.now); why != "" {
		out = append(out, w.decide(Planned{w.plan(why)})...)
	}
	if w.once(30, "dies before the commit") {
		w.open()
		return
	}
	w.commit()
	if w.once(30, "dies after the commit") {
		out = out[:w.draw("commands carried out", len(out)+1)]
		w.carryOut(out)
		w.die()
		return
	}
	w.carryOut(out)
}

func (w *world) decide(e Event) []Command {
	w.log = append(w.log, entry{event: e, now: w.now})
	return Decide(w.s, e, w.now)
}

func (w *world) commit() {
	c, ok := w.s.Change()
	if ok {
		w.log = append(w.log, entry{change: asJSON(c)})
		w.k.commit(w.t, c)
		w.s.Committed(w.k.run.Revision)
	}
	if v := violations(w.s, w.k); len(v) > 0 {
		for _, e := range w.log {
			if e.event != nil {
				w.t.Logf("@%v %T %.300s", e.now.Sub(start), e.event, asJSON(e.event))
			} else if e.change == "" {
				w.t.Logf("--- load")
			}
		}
		w.t.Fatalf("%s", strings.Join(v, "\n"))
	}
}

func (w *world) carryOut(out []Command) {
	for _, c := range out {
		switch c := c.(type) {
		case Start:
			a := w.s.attempts[c.Attempt]
			require.NotContains(w.t, w.flying, c.Attempt, "sent twice")
			_, err := w.s.order(c.Attempt)
			require.NoError(w.t, err)
			w.flying[c.Attempt] = &flight{id: c.Attempt, private: a.site == 0}
		case Transfer:
			w.moving = append(w.moving, c)
		case Stop:
		}
	}
}

// die drops the engine and compares what it knew with what the next one reads.
func (w *world) die() {
	w.requireSame()
	w.open()
}

// requireSame demands that a state that is read back knows what the live one knows, and does the same next.
// What the live one has learned about sites is not kept: it is forgotten here.
func (w *world) requireSame() {
	if w.s.Finished() || w.s.run.State == workflow.RunHeld {
		return
	}
	live, read := w.s, w.k.load(w.t, w.cat)
	require.Equal(w.t, known(live), known(read))
	for _, s := range []*State{live, read} {
		for k := range s.sites {
			st := &s.sites[k]
			st.paused, st.down, st.quota, st.pace = time.Time{}, "", s.Catalogue.Sites[k].Quota, 0
		}
		for i := range s.tasks {
			s.tasks[i].denied = nil
		}
	}
	for _, tr := range live.transfers {
		if tr.State == workflow.TransferFailed { // the next engine tries once more
			return
		}
	}
	if len(live.sites[0].ahead)+len(read.sites[0].ahead) > 0 {
		return
	}
	Decide(read, Opened{}, w.now)
	calm := w.calm
	w.calm = true
	p := w.plan("the same for both")
	w.calm = calm
	require.ElementsMatch(w.t, Decide(live, Planned{p}, w.now), Decide(read, Planned{p}, w.now))
	for i := range live.tasks {
		require.Equal(w.t, live.tasks[i].rec.State, read.tasks[i].rec.State)
		if st := live.tasks[i].rec.State; st == workflow.TaskReady || st == workflow.TaskRetrying {
			require.Equal(w.t, live.tasks[i].missing, read.tasks[i].missing, "missing files of %s", live.tasks[i].rec.ID)
		}
	}
}

// known is what a state knows of its run, without what it has learned about sites.
func known(s *State) map[string]any {
	m := map[string]any{"open": s.open, "moving": s.moving, "live": s.live, "cancelling": s.cancelling,
		"spent": s.spent, "reserved": s.reserved, "outbox": s.outbox,
		"items": s.itemSeq, "events": s.eventSeq, "run": asJSON(s.run)}
	for i := range s.tasks {
		t := &s.tasks[i]
		m["task "+t.rec.ID] = fmt.Sprint(asJSON(t.rec), t.attempt, t.infra)
		if t.rec.State == workflow.TaskWaiting {
			m["needs "+t.rec.ID] = fmt.Sprint(t.parents, t.badNeed)
		}
	}
	for f := range s.files {
		m[fmt.Sprint("file ", f)] = fmt.Sprint(s.files[f].exists, s.files[f].present, asJSON(s.files[f].rec))
	}
	for k, tr := range s.transfers {
		m[fmt.Sprint("transfer ", k)] = asJSON(tr)
	}
	for id, a := range s.attempts {
		rec := a.rec
		if rec.Number > 0 {
			rec.Node = 0 // one that took its node after it was sent has it in memory only
		}
		m["attempt "+id] = asJSON(rec)
	}
	for k := range s.sites {
		m[fmt.Sprint("running ", k)] = s.sites[k].running
	}
	return m
}

// plan puts every task somewhere, now and then where it must not go.
func (w *world) plan(why string) Plan {
	if w.planner != nil {
		p, err := w.planner(w.s, why, w.now)
		require.NoError(w.t, err)
		return p
	}
	p := Plan{Planner: "drawn", Why: why, Finish: w.now.Add(time.Minute), Placements: make([]Placement, len(w.s.tasks))}
	order := rapid.Permutation(seq(len(w.s.tasks))).Draw(w.t, "order")
	for i := range p.Placements {
		pl := &p.Placements[i]
		pl.Order, pl.Site = order[i], w.site(i)
		pl.Start, pl.Finish = w.now, w.now.Add(time.Duration(1+w.draw("planned", 20))*time.Second)
		if pl.Site > 0 {
			pl.MemoryMiB = 1024 << w.draw("size", 2)
			pl.Cost = int64(pricing.USD) / 100 * int64(w.draw("cost", 4))
		}
		if w.once(10, "held back") {
			pl.NotBefore = w.now.Add(3 * time.Second)
		}
	}
	return p
}

func (w *world) site(i int) int {
	if w.once(20, "forbidden site") {
		return w.draw("site", len(w.cat.Sites))
	}
	var may []int
	for k := range w.cat.Sites {
		if !w.s.Denied(i, k) && (k > 0 || w.s.fitsEmpty(i)) {
			may = append(may, k)
		}
	}
	if len(may) == 0 {
		return -1
	}
	return may[w.draw("site", len(may))]
}

func seq(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// step lets one thing happen.
func (w *world) step() {
	if w.s.run.State == workflow.RunHeld {
		w.open(BudgetSet{int64(w.s.run.BudgetMax + pricing.USD)})
		return
	}
	var can []func()
	if len(w.flying) > 0 {
		can = append(can, w.answer, w.answer, w.answer, w.started)
	}
	if len(w.moving) > 0 {
		can = append(can, w.arrive, w.arrive)
	}
	can = append(can, w.tick)
	if !w.calm {
		can = append(can, w.trouble)
	}
	can[w.draw("what", len(can))]()
}

func (w *world) tick() {
	at := w.s.NextTick()
	if at.IsZero() || w.once(3, "early tick") {
		at = w.now.Add(time.Duration(w.draw("ms", 500)) * time.Millisecond)
	}
	w.now = latest(w.now, at)
	w.happen(Tick{})
}

func (w *world) pick() *flight {
	ids := make([]string, 0, len(w.flying))
	for id := range w.flying {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return w.flying[ids[w.draw("attempt", len(ids))]]
}

func (w *world) started() {
	w.happen(Started{Attempt: w.pick().id, At: w.now})
}

func (w *world) answer() {
	w.now = w.now.Add(time.Duration(w.draw("took", 3000)) * time.Millisecond)
	var events []Event
	for more := true; more && len(w.flying) > 0; more = w.once(3, "another answer in the batch") {
		f := w.pick()
		e := Ended{f.id, w.result(f)}
		w.answered = append(w.answered, e)
		if e.Result.Err != nil && e.Result.Err.Class == providers.UnknownOutcome {
			f.asked = true
		} else {
			delete(w.flying, f.id)
		}
		events = append(events, e)
	}
	w.happen(events...)
}

// result is what a site says. Who asks after an attempt finds its manifest or nothing.
func (w *world) result(f *flight) providers.Result {
	if fate, ok := w.fates[f.id]; ok {
		if fate.Manifest == nil {
			fate = providers.Result{Usage: providers.Usage{MemoryMiB: 1024, Executed: !f.private},
				Err: &providers.Error{Class: providers.Lost, Message: "nothing was left behind"}}
		}
		return fate
	}
	r := w.fate(f)
	if r.Err == nil || r.Err.Class != providers.UnknownOutcome {
		w.fates[f.id] = r
	}
	return r
}

func (w *world) fate(f *flight) providers.Result {
	class := w.class(f)
	r := providers.Result{Usage: providers.Usage{MemoryMiB: 1024, Executed: !f.private}}
	switch class {
	case "ok", "exit", "odd":
		took := time.Duration(w.draw("runs ms", 2000)) * time.Millisecond
		r.Manifest = manifest(w.s, f.id, w.now.Add(-took), took, map[string]string{"v": w.value()})
		if w.once(2, "bill told") {
			r.Usage.Billed = took + time.Millisecond
		}
		if class == "exit" {
			r.Manifest.ExitCode, r.Manifest.Failure = 1, &envelope.Failure{Class: envelope.FailExit, Message: "exit 1"}
		}
		if class == "odd" { // a runner whose word is not to be trusted
			r.Manifest.StartedAt, r.Manifest.FinishedAt = 1<<60, -1<<60
			r.Manifest.Failure = &envelope.Failure{Class: envelope.FailureClass(providers.Throttled), Message: "odd"}
		}
	default:
		r.Err = &providers.Error{Class: providers.Class(class), Message: class}
		switch r.Err.Class {
		case providers.Throttled, providers.Denied, providers.NotFound, providers.PayloadTooLarge, providers.Refused,
			providers.UnknownOutcome:
			r.Usage = providers.Usage{}
		case providers.Transient, providers.Canceled:
			r.Usage.Executed = !f.private && w.once(2, "executed all the same")
		}
	}
	return r
}

func (w *world) class(f *flight) string {
	if w.calm {
		return "ok"
	}
	if f.asked {
		return rapid.SampledFrom([]string{"ok", "ok", "exit", string(providers.Lost)}).Draw(w.t, "found")
	}
	return rapid.SampledFrom([]string{"ok", "ok", "ok", "ok", "ok", "ok", "exit", "exit", "odd",
		string(providers.Throttled), string(providers.Throttled), string(providers.Transient),
		string(providers.FunctionError),
		string(providers.TimedOut), string(providers.PayloadTooLarge), string(providers.Denied), string(providers.NotFound),
		string(providers.UnknownOutcome), string(providers.UnknownOutcome), string(providers.Canceled),
		string(providers.Refused), string(providers.Lost)}).Draw(w.t, "answer")
}

// value is the content of an output that a foreach may read.
func (w *world) value() string {
	if w.once(15, "no list") {
		return "3"
	}
	return asJSON(seq(w.draw("elements", 4)))
}

func (w *world) arrive() {
	i := w.draw("transfer", len(w.moving))
	c := w.moving[i]
	w.moving = slices.Delete(w.moving, i, i+1)
	e := Moved{File: c.File, To: c.To, Bytes: int64(w.draw("bytes", 1<<20))}
	if w.once(2, "cut") {
		e.Err = "cut"
	}
	w.now = w.now.Add(time.Duration(w.draw("moving ms", 500)) * time.Millisecond)
	w.happen(e)
}

// trouble is what does not happen every day.
func (w *world) trouble() {
	switch w.draw("trouble", 9) {
	case 0:
		w.die()
	case 1:
		w.happen(CancelAsked{})
	case 2:
		w.happen(BudgetSet{int64(pricing.USD) / 100 * int64(1+w.draw("cents", 30))})
	case 3:
		w.happen(Ended{"r.99.1", providers.Result{}}, Started{Attempt: "r.99.1"})
	case 4:
		w.happen(Moved{File: w.draw("file", len(w.s.files)+1) - 1, To: "cloud", Bytes: 5})
	default:
		if len(w.answered) > 0 { // what was said is said again
			w.happen(w.answered[w.draw("again", len(w.answered))])
		}
	}
}

// replay lets another engine live through the same again: it must write the same, to the byte.
func (w *world) replay(source string) {
	k := submitted(w.t, source)
	var s *State
	for n, e := range w.log {
		switch {
		case e.event != nil:
			Decide(s, e.event, e.now)
		case e.change != "":
			c, _ := s.Change()
			require.Equal(w.t, e.change, asJSON(c), "step %d", n)
			k.commit(w.t, c)
			s.Committed(k.run.Revision)
		default:
			s = k.load(w.t, w.cat)
		}
	}
}

// requireBill compares the bill with the clouds' own books.
func (w *world) requireBill() {
	on := map[string]int{}
	for _, it := range w.k.items {
		switch {
		case it.Category == string(pricing.Request):
			on[it.Attempt]++
		case it.Unit == "correction":
			on[it.Attempt]--
		}
		if it.Unit != "correction" {
			require.GreaterOrEqual(w.t, it.Amount, pricing.Money(0), "%s %s", it.Attempt, it.Unit)
		}
	}
	for id, fate := range w.fates {
		if a := w.k.attempts[id]; a.Site == PrivateSite || !fate.Usage.Executed {
			continue
		}
		require.Equal(w.t, 1, on[id], "%s was executed: times on the bill", id)
	}
}

// drawWorkflow is a definition of a few tasks with everything that a definition may have.
func drawWorkflow(t *rapid.T) string {
	var b strings.Builder
	b.WriteString("apiVersion: spillway/v1\nname: drawn\n")
	if rapid.IntRange(0, 3).Draw(t, "budget") == 0 {
		fmt.Fprintf(&b, "budget: {max: 0.0%d USD, on_exceed: %s}\n", rapid.IntRange(1, 9).Draw(t, "cents"),
			rapid.SampledFrom([]string{"hold", "fail"}).Draw(t, "exceed"))
	}
	if rapid.Bool().Draw(t, "deadline") {
		fmt.Fprintf(&b, "deadline: {within: %ds}\n", rapid.IntRange(1, 30).Draw(t, "within"))
	}
	b.WriteString("tasks:\n")
	var made []drawnTask
	for i := range rapid.IntRange(1, 6).Draw(t, "tasks") {
		made = append(made, drawTask(t, &b, i, made))
	}
	return b.String()
}

// drawnTask is what later tasks must know of an earlier one.
type drawnTask struct {
	id    string
	count int // of a foreach as written; 0 without, -1 when it reads an output
	files bool
	value bool
}

func drawTask(t *rapid.T, b *strings.Builder, i int, made []drawnTask) drawnTask {
	d := drawnTask{id: fmt.Sprint("t", i)}
	flip := func(what string, n int) bool { return rapid.IntRange(0, n-1).Draw(t, what) == 0 }
	fmt.Fprintf(b, "  %s:\n    run: \"true\"\n", d.id)
	if k := rapid.IntRange(0, 8).Draw(t, "foreach"); k < 4 && k > 0 {
		d.count = k
		fmt.Fprintf(b, "    foreach: %s\n", asJSON(seq(k)))
	}
	var needs, inputs []string
	for _, p := range made {
		switch {
		case p.value && d.count == 0 && flip("reads its list", 2):
			source := fmt.Sprintf("tasks.%s.outputs.v", p.id)
			if p.count != 0 { // a list of lists: its length is what counts
				source += ".map(x, 1)"
			}
			fmt.Fprintf(b, "    foreach: ${{ %s }}\n", source)
			d.count = -1
		case p.files && flip("reads its files", 3):
			inputs = append(inputs, fmt.Sprintf("{from: %s%s}", p.id, each(flip, p, d)))
		case flip("needs", 2):
			needs = append(needs, fmt.Sprintf("{task: %s%s}", p.id, each(flip, p, d)))
		}
	}
	fmt.Fprintf(b, "    needs: [%s]\n    inputs: [%s]\n", strings.Join(needs, ", "), strings.Join(inputs, ", "))
	if len(needs) > 0 && flip("if", 3) {
		id := strings.Trim(strings.SplitN(strings.TrimPrefix(needs[0], "{task: "), ",", 2)[0], "}")
		cond := rapid.SampledFrom([]string{"true", "false", "tasks.%s.state == 'succeeded'", "tasks.%s.failed > 0"}).
			Draw(t, "condition")
		if strings.Contains(cond, "%s") {
			cond = fmt.Sprintf(cond, id)
		}
		fmt.Fprintf(b, "    if: ${{ %s }}\n", cond)
	}
	var outs []string
	if d.files = flip("file", 2); d.files {
		outs = append(outs, "{path: out}")
	}
	if d.value = flip("value", 3); d.value {
		outs = append(outs, "{path: v.json, name: v, value: json}")
		d.files = true
	}
	fmt.Fprintf(b, "    outputs: [%s]\n", strings.Join(outs, ", "))
	fmt.Fprintf(b, "    retry: {max: %d, base: 1s, cap: 3s}\n", rapid.IntRange(0, 2).Draw(t, "retries"))
	fmt.Fprintf(b, "    resources: {cpu: %d, memory: %dMiB}\n", rapid.IntRange(1, 2).Draw(t, "cpu"),
		512*rapid.IntRange(1, 3).Draw(t, "mem"))
	if d.count < 0 {
		fmt.Fprintf(b, "    estimate: {count: %d}\n", rapid.IntRange(1, 3).Draw(t, "count"))
	}
	switch rapid.IntRange(0, 9).Draw(t, "trust") {
	case 0:
		b.WriteString("    data: private\n")
	case 1:
		b.WriteString("    placement: {allow: [private]}\n")
	case 2:
		b.WriteString("    timeout: 10s\n")
	}
	return d
}

// each makes a dependency element-wise where both tasks have as many elements.
func each(flip func(string, int) bool, p, d drawnTask) string {
	if p.count > 0 && p.count == d.count && flip("each", 2) {
		return ", each: true"
	}
	return ""
}

func drawCatalogue(t *rapid.T) Catalogue {
	c := catalogue()
	c.Sites[0].Nodes = nil
	for range rapid.IntRange(1, 2).Draw(t, "nodes") {
		c.Sites[0].Nodes = append(c.Sites[0].Nodes, Node{Cores: rapid.IntRange(1, 3).Draw(t, "cores"), MemoryMiB: 2048})
	}
	if rapid.Bool().Draw(t, "cores have a price") {
		c.Sites[0].Rates.PerCoreHour = 1
	}
	c.Sites[1].Quota = rapid.IntRange(1, 3).Draw(t, "quota")
	if rapid.Bool().Draw(t, "two clouds") {
		c.Sites = append(c.Sites, cloud("other", 1))
		c.Sites[2].Takes = workflow.LabelPublic
	}
	return c
}
