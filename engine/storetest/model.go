package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/workflow"
)

// model is a store of one run that is right at a glance.
type model struct {
	run       workflow.RunRecord
	tasks     map[int]workflow.TaskRecord
	attempts  map[string]workflow.AttemptRecord
	files     map[int]workflow.FileRecord
	transfers map[[2]string]workflow.TransferRecord
	outbox    map[int64]workflow.OutboxRecord
	items     []workflow.ItemRecord
	events    []workflow.EventRecord
	budget    int64
}

func newModel(run workflow.RunRecord) *model {
	return &model{
		run: run, tasks: map[int]workflow.TaskRecord{}, attempts: map[string]workflow.AttemptRecord{},
		files: map[int]workflow.FileRecord{}, transfers: map[[2]string]workflow.TransferRecord{},
		outbox: map[int64]workflow.OutboxRecord{},
	}
}

func (m *model) commit(c engine.Change) {
	m.run.Revision++
	if c.Run != nil {
		own := m.run
		m.run = *c.Run
		m.run.ID, m.run.Revision, m.run.Epoch = own.ID, own.Revision, own.Epoch
		m.run.LeaseOwner, m.run.LeaseUntil, m.run.CancelRequested = own.LeaseOwner, own.LeaseUntil, own.CancelRequested
	}
	for _, t := range c.Tasks {
		m.tasks[t.Index] = t
	}
	for _, a := range c.Attempts {
		m.attempts[a.ID] = a
	}
	for _, f := range c.Files {
		m.files[f.Index] = f
	}
	for _, t := range c.Transfers {
		m.transfers[[2]string{fmt.Sprint(t.File), t.To}] = t
	}
	for _, o := range c.Outbox {
		m.outbox[o.ID] = o
	}
	for _, id := range c.OutboxDone {
		delete(m.outbox, id)
	}
	m.items = append(m.items, c.Items...)
	m.events = append(m.events, c.Events...)
}

func (m *model) record() workflow.Record {
	r := workflow.Record{Run: m.run, Items: m.items, EventSeq: int64(len(m.events))}
	r.Tasks = sorted(m.tasks, func(a, b workflow.TaskRecord) int { return cmp.Compare(a.Index, b.Index) })
	r.Attempts = sorted(m.attempts, func(a, b workflow.AttemptRecord) int {
		return cmp.Or(cmp.Compare(a.Task, b.Task), cmp.Compare(a.Number, b.Number), cmp.Compare(a.ID, b.ID))
	})
	r.Files = sorted(m.files, func(a, b workflow.FileRecord) int { return cmp.Compare(a.Index, b.Index) })
	r.Transfers = sorted(m.transfers, func(a, b workflow.TransferRecord) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.To, b.To))
	})
	r.Outbox = sorted(m.outbox, func(a, b workflow.OutboxRecord) int { return cmp.Compare(a.ID, b.ID) })
	return r
}

func sorted[K comparable, T any](rows map[K]T, order func(a, b T) int) (all []T) {
	for _, row := range rows {
		all = append(all, row)
	}
	slices.SortFunc(all, order)
	return all
}

// testModel drives store and model alike with random changes, stale and broken ones among them.
func testModel(t *testing.T, s engine.Store) {
	var runs atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		id := fmt.Sprintf("run%06d", runs.Add(1))
		run := workflow.RunRecord{}
		fill(&run, drawn{rt})
		run.ID = id
		clearStoreOwned(&run)
		m := newModel(run)
		require.NoError(rt, s.Submit(t.Context(), workflow.Record{Run: run, Source: []byte{}}, nil))
		rt.Repeat(map[string]func(*rapid.T){
			"":       func(rt *rapid.T) { m.check(rt, t, s) },
			"commit": func(rt *rapid.T) { m.tryCommit(rt, t, s) },
			"lease":  func(rt *rapid.T) { m.tryLease(rt, t, s) },
			"signal": func(rt *rapid.T) {
				wish := engine.Signals{Cancel: rapid.Bool().Draw(rt, "cancel"), BudgetMax: rapid.Int64Range(0, 3).Draw(rt, "budget")}
				require.NoError(rt, s.Signal(t.Context(), id, wish))
				m.run.CancelRequested = m.run.CancelRequested || wish.Cancel
				m.budget = cmp.Or(wish.BudgetMax, m.budget)
			},
		})
	})
}

func (m *model) check(rt *rapid.T, t *testing.T, s engine.Store) {
	got, err := s.Load(t.Context(), m.run.ID)
	require.NoError(rt, err)
	got.Source = nil
	require.Equal(rt, m.record(), got)
	events, err := s.Events(t.Context(), m.run.ID, 0, 1_000_000)
	require.NoError(rt, err)
	require.Equal(rt, m.events, events)
	wish, err := s.Signals(t.Context(), m.run.ID)
	require.NoError(rt, err)
	require.Equal(rt, engine.Signals{Cancel: m.run.CancelRequested, BudgetMax: m.budget}, wish)
}

func (m *model) tryLease(rt *rapid.T, t *testing.T, s engine.Store) {
	owner := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "owner")
	now := noon.Add(time.Duration(rapid.IntRange(0, 9).Draw(rt, "now")) * time.Minute)
	until := now.Add(time.Duration(rapid.IntRange(1, 3).Draw(rt, "for")) * time.Minute)
	epoch, err := s.Lease(t.Context(), m.run.ID, owner, now, until)
	if m.run.LeaseOwner != "" && m.run.LeaseOwner != owner && m.run.LeaseUntil.After(now) {
		require.ErrorIs(rt, err, engine.ErrLeased)
		return
	}
	require.NoError(rt, err)
	m.run.Epoch++
	m.run.LeaseOwner, m.run.LeaseUntil = owner, until
	require.Equal(rt, m.run.Epoch, epoch)
}

func (m *model) tryCommit(rt *rapid.T, t *testing.T, s engine.Store) {
	c := m.draw(rt)
	kind := rapid.SampledFrom([]string{"good", "good", "good", "revision", "epoch", "broken"}).Draw(rt, "kind")
	switch kind {
	case "revision":
		c.Revision += rapid.SampledFrom([]int64{-1, 1}).Draw(rt, "off")
	case "epoch":
		c.Epoch += rapid.SampledFrom([]int64{-1, 1}).Draw(rt, "off")
	case "broken":
		c.Items = append(c.Items, items(int64(len(m.items)+1), 2)...)
		c.Items = append(c.Items, c.Items[0])
	}
	revision, err := s.Commit(t.Context(), c)
	switch kind {
	case "good":
		require.NoError(rt, err)
		m.commit(c)
		require.Equal(rt, m.run.Revision, revision)
	case "broken":
		require.Error(rt, err)
		require.NotErrorIs(rt, err, engine.ErrStale)
	default:
		require.ErrorIs(rt, err, engine.ErrStale)
	}
}

// draw makes a change whose keys often meet rows that exist.
func (m *model) draw(rt *rapid.T) engine.Change {
	c := engine.Change{RunID: m.run.ID, Revision: m.run.Revision, Epoch: m.run.Epoch}
	if rapid.Bool().Draw(rt, "with run") {
		c.Run = new(workflow.RunRecord)
		fill(c.Run, drawn{rt})
	}
	few := func(name string) int { return rapid.IntRange(0, 3).Draw(rt, name) }
	key := func(name string) int { return rapid.IntRange(0, 5).Draw(rt, name) }
	c.Tasks = rows(rt, few("tasks"), func(t *workflow.TaskRecord) { t.Index = key("index") })
	c.Attempts = rows(rt, few("attempts"), func(a *workflow.AttemptRecord) { a.ID = fmt.Sprint("a", key("id")) })
	c.Files = rows(rt, few("files"), func(f *workflow.FileRecord) { f.Index = key("index") })
	c.Transfers = rows(rt, few("transfers"), func(t *workflow.TransferRecord) { t.File, t.To = key("file"), fmt.Sprint("s", key("to")%2) })
	c.Outbox = rows(rt, few("outbox"), func(o *workflow.OutboxRecord) { o.ID = int64(key("id")) })
	seq := int64(len(m.items))
	c.Items = rows(rt, few("items"), func(i *workflow.ItemRecord) { seq++; i.Seq = seq })
	seq = int64(len(m.events))
	c.Events = rows(rt, few("events"), func(e *workflow.EventRecord) { seq++; e.Seq = seq })
	for range few("done") {
		c.OutboxDone = append(c.OutboxDone, int64(key("done id")))
	}
	return c
}

func rows[T any](rt *rapid.T, n int, key func(*T)) (all []T) {
	for range n {
		var row T
		fill(&row, drawn{rt})
		key(&row)
		all = append(all, row)
	}
	return all
}
