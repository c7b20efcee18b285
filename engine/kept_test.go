package engine

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/workflow"
)

// start is when the runs of these tests begin.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// kept is a store of one run that is right at a glance.
type kept struct {
	run       workflow.RunRecord
	source    []byte
	tasks     map[int]workflow.TaskRecord
	attempts  map[string]workflow.AttemptRecord
	files     map[int]workflow.FileRecord
	transfers map[string]workflow.TransferRecord
	outbox    map[int64]workflow.OutboxRecord
	items     []workflow.ItemRecord
	events    []workflow.EventRecord
}

// submitted is a run of a definition. Its initial files lie at home.
func submitted(t require.TestingT, source string) *kept {
	k := &kept{source: []byte(source), tasks: map[int]workflow.TaskRecord{}, attempts: map[string]workflow.AttemptRecord{},
		files: map[int]workflow.FileRecord{}, transfers: map[string]workflow.TransferRecord{},
		outbox: map[int64]workflow.OutboxRecord{},
		run:    workflow.RunRecord{ID: "r", State: workflow.RunPending, SubmittedAt: start, Seed: 7, Epoch: 1, TimeScale: 1}}
	g := k.graph(t)
	k.run.Workflow = g.Spec.Name
	if b := g.Spec.Budget; b != nil {
		k.run.BudgetMax = pricing.Money(b.MaxPicoUSD)
	}
	for i := range g.Instances {
		k.tasks[i] = newTask(g, i)
	}
	for f := range g.Files {
		if g.Files[f].Producer < 0 {
			k.files[f] = workflow.FileRecord{Index: f, Key: "in/" + g.Files[f].Path, Size: 10, Site: PrivateSite}
		}
	}
	return k
}

// keptOf holds a run as it was submitted.
func keptOf(r workflow.Record) *kept {
	k := &kept{run: r.Run, source: r.Source, tasks: map[int]workflow.TaskRecord{},
		attempts: map[string]workflow.AttemptRecord{}, files: map[int]workflow.FileRecord{},
		transfers: map[string]workflow.TransferRecord{}, outbox: map[int64]workflow.OutboxRecord{}}
	for _, t := range r.Tasks {
		k.tasks[t.Index] = t
	}
	for _, f := range r.Files {
		k.files[f.Index] = f
	}
	for _, tr := range r.Transfers {
		k.transfers[fmt.Sprint(tr.File, ">", tr.To)] = tr
	}
	k.run.Epoch = 1
	return k
}

func (k *kept) graph(t require.TestingT) *workflow.Graph {
	rec := k.record()
	g, err := workflow.Rebuild(&rec)
	require.NoError(t, err)
	return g
}

// load is what an engine does that takes the run over.
func (k *kept) load(t require.TestingT, c Catalogue) *State {
	return NewState(k.graph(t), c, k.record())
}

func (k *kept) commit(t require.TestingT, c Change) {
	require.Equal(t, k.run.Revision, c.Revision)
	k.run.Revision++
	if c.Run != nil {
		own := k.run
		k.run = *c.Run
		k.run.Revision, k.run.Epoch = own.Revision, own.Epoch
	}
	for _, r := range c.Tasks {
		k.tasks[r.Index] = r
	}
	for _, r := range c.Attempts {
		k.attempts[r.ID] = r
	}
	for _, r := range c.Files {
		k.files[r.Index] = r
	}
	for _, r := range c.Transfers {
		k.transfers[fmt.Sprint(r.File, ">", r.To)] = r
	}
	for _, r := range c.Outbox {
		require.NotContains(t, k.outbox, r.ID, "an outbox id is used twice")
		k.outbox[r.ID] = r
	}
	for _, id := range c.OutboxDone {
		require.Contains(t, k.outbox, id, "a command is settled that was never decided")
		delete(k.outbox, id)
	}
	k.items, k.events = append(k.items, c.Items...), append(k.events, c.Events...)
	for i := range k.items {
		require.EqualValues(t, i+1, k.items[i].Seq)
	}
	for i := range k.events {
		require.EqualValues(t, i+1, k.events[i].Seq)
	}
}

func (k *kept) record() workflow.Record {
	r := workflow.Record{Run: k.run, Source: k.source, Filename: "w.yaml", Items: slices.Clone(k.items),
		EventSeq: int64(len(k.events))}
	r.Tasks = rows(k.tasks, func(a, b workflow.TaskRecord) int { return cmp.Compare(a.Index, b.Index) })
	r.Attempts = rows(k.attempts, func(a, b workflow.AttemptRecord) int {
		return cmp.Or(cmp.Compare(a.Task, b.Task), cmp.Compare(a.Number, b.Number))
	})
	r.Files = rows(k.files, func(a, b workflow.FileRecord) int { return cmp.Compare(a.Index, b.Index) })
	r.Transfers = rows(k.transfers, func(a, b workflow.TransferRecord) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.To, b.To))
	})
	r.Outbox = rows(k.outbox, func(a, b workflow.OutboxRecord) int { return cmp.Compare(a.ID, b.ID) })
	return r
}

func rows[K comparable, T any](m map[K]T, order func(a, b T) int) []T {
	return slices.SortedFunc(maps.Values(m), order)
}

// stuck tells why nothing will ever happen to a run that has not ended; empty when it will. A run that is
// held waits for a person.
func stuck(s *State) string {
	if s.Finished() || s.run.State == workflow.RunHeld || s.live > 0 || s.moving > 0 || s.replanWhy != "" {
		return ""
	}
	for _, a := range s.due {
		if a.task >= 0 && s.tasks[a.task].waiting() {
			return ""
		}
	}
	for k := range s.sites {
		until := s.sites[k].paused
		if until.After(s.now) && slices.ContainsFunc(s.due, func(a alarm) bool { return a.at.Equal(until) }) {
			return ""
		}
	}
	var open []string
	for i := range s.tasks {
		if t := &s.tasks[i]; !t.rec.State.Terminal() {
			open = append(open, fmt.Sprintf("%s %s (%d parents, %d files missing, site %d)",
				t.rec.ID, t.rec.State, t.parents, t.missing, t.site))
		}
	}
	return "nothing will ever happen to: " + strings.Join(open, ", ")
}

// violations lists what is wrong with a state whose changes are all committed to k.
func violations(s *State, k *kept) []string {
	v := &checker{s: s, k: k}
	v.money()
	v.room()
	v.tasks()
	v.trust()
	v.commands()
	v.bill()
	if why := stuck(s); why != "" {
		v.add("%s", why)
	}
	return v.found
}

type checker struct {
	s     *State
	k     *kept
	found []string
}

func (v *checker) add(format string, args ...any) {
	v.found = append(v.found, fmt.Sprintf(format, args...))
}

func (v *checker) equal(what string, want, got any) {
	if fmt.Sprint(want) != fmt.Sprint(got) {
		v.add("%s: want %v, got %v", what, want, got)
	}
}

func (v *checker) money() {
	var items, owners, reserved pricing.Money
	for _, it := range v.k.items {
		items += it.Amount
	}
	for _, a := range v.k.attempts {
		owners += a.Cost
		if !a.State.Terminal() {
			reserved += a.Reserved
		}
	}
	for _, tr := range v.k.transfers {
		owners += tr.Cost
	}
	v.equal("spent as kept in memory", items, v.s.spent)
	v.equal("cost of attempts and transfers", items, owners)
	v.equal("reserved", reserved, v.s.reserved)
}

// room recounts what the attempts in flight hold.
func (v *checker) room() {
	s := v.s
	live := 0
	running := make([]int, len(s.sites))
	cores, mem := slices.Clone(s.sites[0].freeCores), slices.Clone(s.sites[0].freeMiB)
	for _, a := range s.attempts {
		if a.rec.State.Terminal() {
			continue
		}
		live++
		running[a.site]++
		if a.site == 0 && !a.waiting {
			cores[a.rec.Node] += a.rec.Cores
			mem[a.rec.Node] += s.memoryMiB(a.rec.Task)
		}
	}
	v.equal("attempts in flight", live, s.live)
	for k, n := range s.Catalogue.Sites[0].Nodes {
		v.equal("cores free and held", n.Cores, cores[k])
		v.equal("memory free and held", n.MemoryMiB, mem[k])
		if s.sites[0].freeCores[k] < 0 || s.sites[0].freeMiB[k] < 0 {
			v.add("node %d is over-committed: %d cores, %d MiB free", k, s.sites[0].freeCores[k], s.sites[0].freeMiB[k])
		}
	}
	for k := range s.sites {
		v.equal("attempts at "+s.Catalogue.Sites[k].Name, running[k], s.sites[k].running)
		if k > 0 && running[k] > s.Catalogue.Sites[k].Quota {
			v.add("%d attempts at %s, its quota is %d", running[k], s.Catalogue.Sites[k].Name, s.Catalogue.Sites[k].Quota)
		}
	}
}

func (v *checker) tasks() {
	open, failed := 0, v.s.stranded != ""
	flying := map[int]int{}
	success := map[int]int{}
	for _, a := range v.k.attempts {
		if !a.State.Terminal() {
			flying[a.Task]++
		}
		if a.State == workflow.AttemptSucceeded {
			success[a.Task]++
		}
	}
	for i := range v.s.tasks {
		t := &v.s.tasks[i]
		failed = failed || t.rec.State == workflow.TaskFailed
		if !t.rec.State.Terminal() {
			open++
		}
		if flying[i] > 1 || success[i] > 1 {
			v.add("%s has %d attempts in flight and %d successes", t.rec.ID, flying[i], success[i])
		}
		takenOver := t.rec.FinishedAt.IsZero() // from an earlier run
		if t.rec.State == workflow.TaskSucceeded && success[i] != 1 && !takenOver {
			v.add("%s succeeded without a successful attempt", t.rec.ID)
		}
		v.equal(t.rec.ID+" running means in flight", t.rec.State == workflow.TaskRunning,
			flying[i] == 1 && !t.rec.State.Terminal())
		v.equal("kept and live record of "+t.rec.ID, asJSON(t.rec), asJSON(v.k.tasks[i]))
	}
	v.equal("open tasks", open, v.s.open)
	v.equal("something still to be bought", slices.ContainsFunc(v.s.tasks, func(t taskState) bool {
		return t.site > 0 && t.attempt == "" && !t.rec.State.Terminal()
	}), v.s.unstartedPublic())
	v.equal("failed", failed, v.s.failed)
	if v.s.Finished() && (open > 0 || v.s.live > 0 || v.s.moving > 0 || len(v.k.outbox) > 0) {
		v.add("the run has ended with %d tasks open, %d attempts and %d transfers in flight, %d commands not settled",
			open, v.s.live, v.s.moving, len(v.k.outbox))
	}
}

// trust holds what may be executed where, and after what.
func (v *checker) trust() {
	for _, a := range v.k.attempts {
		i := a.Task
		if !v.s.permits(i, v.s.Catalogue.site(a.Site)) {
			v.add("%s went to %s, which its data must not reach", a.ID, a.Site)
		}
		for _, p := range v.s.Graph.Instances[i].Parents {
			st := v.s.tasks[p].rec.State
			if !st.Terminal() || st != workflow.TaskSucceeded && v.s.taskOf(i).If == "" {
				v.add("%s was sent while %s is %s", a.ID, v.s.tasks[p].rec.ID, st)
			}
		}
		if spare := v.s.taskOf(i).Retry.Max + 1 + len(v.s.sites) + v.s.tasks[i].infra; a.Number > spare {
			v.add("%s: attempt %d, at most %d are granted", a.ID, a.Number, spare)
		}
	}
	for _, tr := range v.k.transfers {
		if tr.From == tr.To || v.k.files[tr.File].Site == tr.To {
			v.add("file %d was sent from %s to %s, where it was made", tr.File, tr.From, tr.To)
		}
	}
}

// commands compares the outbox with what is under way: neither may hold what the other has not.
func (v *checker) commands() {
	var want, got []string
	for _, a := range v.k.attempts {
		if !a.State.Terminal() {
			want = append(want, "start"+a.ID)
		}
	}
	moving := 0
	for _, tr := range v.k.transfers {
		if tr.State == workflow.TransferPending {
			moving++
			want = append(want, fmt.Sprintf("t%d>%s", tr.File, tr.To))
		}
	}
	for _, o := range v.k.outbox {
		got = append(got, outboxKey(o))
	}
	slices.Sort(want)
	slices.Sort(got)
	v.equal("outbox", want, got)
	v.equal("transfers under way", moving, v.s.moving)
}

// bill demands that no attempt is charged twice: requests less corrections are one at most.
func (v *checker) bill() {
	requests := map[string]int{}
	for _, it := range v.k.items {
		if it.Attempt == "" {
			continue
		}
		if it.Category == string(pricing.Request) {
			requests[it.Attempt]++
		}
		if it.Unit == "correction" {
			requests[it.Attempt]--
		}
	}
	for id, n := range requests {
		if n < 0 || n > 1 {
			v.add("%s is on the bill %d times", id, n)
		}
	}
}

func asJSON(x any) string {
	b, err := json.Marshal(x)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// catalogue is a private node of 2 cores and a cloud that takes 2 attempts at once.
func catalogue() Catalogue {
	return Catalogue{Sites: []Site{
		{Name: PrivateSite, Takes: workflow.LabelPrivate, Nodes: []Node{{Cores: 2, MemoryMiB: 4096}}},
		cloud("cloud", 2),
	}}
}

// cloud is a site whose prices are easy to add up: a GiB-second costs $0.01, a request $0.001, a PUT $0.0001,
// a GET $0.00001 and a GiB that leaves it $1.
func cloud(name string, quota int) Site {
	return Site{Name: name, Quota: quota, Takes: workflow.LabelInternal,
		Offerings: []Offering{{MemoryMiB: 1024, VCPU: 1, MaxDuration: time.Minute},
			{MemoryMiB: 2048, VCPU: 2, MaxDuration: time.Minute}},
		Rates: pricing.Rates{PerGiBSecond: 0.01, PerRequest: 0.001, PerPut: 0.0001, PerGet: 0.00001,
			PerEgressGiB: 1, GranularityUs: 1000}}
}

func requireSound(t testing.TB, s *State, k *kept) {
	t.Helper()
	require.Empty(t, violations(s, k))
}
