package storetest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/workflow"
)

func testSubmit(t *testing.T, s engine.Store) {
	r := record("r1", 3)
	fill(&r.Run, plain{})
	r.Run.ID = "r1"
	clearStoreOwned(&r.Run)
	for i := range r.Tasks {
		fill(&r.Tasks[i], plain{})
		r.Tasks[i].Index = i
	}
	r.Attempts = make([]workflow.AttemptRecord, 1)
	r.Transfers = make([]workflow.TransferRecord, 1)
	r.Items = make([]workflow.ItemRecord, 1)
	r.Outbox = make([]workflow.OutboxRecord, 1)
	es := make([]workflow.EventRecord, 1)
	for _, row := range []any{&r.Files[0], &r.Attempts[0], &r.Transfers[0], &r.Items[0], &r.Outbox[0], &es[0]} {
		fill(row, plain{})
	}
	r.Files[0].Index = 0
	r.EventSeq = es[0].Seq
	require.NoError(t, s.Submit(t.Context(), r, es))
	require.Equal(t, r, load(t, s, "r1"))
	require.Equal(t, es, eventsOf(t, s))
	runs, err := s.Runs(t.Context(), engine.RunFilter{})
	require.NoError(t, err)
	require.Equal(t, []workflow.RunRecord{r.Run}, runs)
}

func clearStoreOwned(r *workflow.RunRecord) {
	r.Revision, r.Epoch, r.LeaseOwner, r.LeaseUntil, r.CancelRequested = 0, 0, "", time.Time{}, false
}

func testSubmitTwice(t *testing.T, s engine.Store) {
	submit(t, s, record("r1", 2))
	before, beforeEvents := load(t, s, "r1"), eventsOf(t, s)
	other := record("r1", 5)
	other.Run.Workflow, other.Source = "other", []byte("name: other\n")
	require.ErrorIs(t, s.Submit(t.Context(), other, events(1, 3)), engine.ErrExists)
	require.Equal(t, before, load(t, s, "r1"))
	require.Equal(t, beforeEvents, eventsOf(t, s))
}

func testSubmitAtomic(t *testing.T, s engine.Store) {
	r := record("r1", 2)
	require.Error(t, s.Submit(t.Context(), r, append(events(1, 1), events(1, 1)...)))
	_, err := s.Load(t.Context(), "r1")
	require.ErrorIs(t, err, engine.ErrNotFound)
	require.NoError(t, s.Submit(t.Context(), r, events(1, 1)), "nothing stands in the way of a second try")
}

func testSource(t *testing.T, s engine.Store) {
	sources := map[string][]byte{
		"empty": {}, "same": []byte("name: x\n"), "same-too": []byte("name: x\n"),
		"binary": {0, 0xff, 'a', 0}, "large": bytes.Repeat([]byte("0123456789abcdef"), 1<<16),
	}
	for id, source := range sources {
		r := record(id, 1)
		r.Source, r.Filename = source, id+".yaml"
		require.NoError(t, s.Submit(t.Context(), r, nil))
	}
	for id, source := range sources {
		got := load(t, s, id)
		require.True(t, bytes.Equal(source, got.Source), id)
		require.Equal(t, id+".yaml", got.Filename)
		require.Zero(t, got.EventSeq)
	}
}

// testText holds both stores to one rule: what Postgres cannot keep is replaced, in every text.
func testText(t *testing.T, s engine.Store) {
	for name, c := range map[string]struct{ in, want string }{
		"empty":   {"", ""},
		"unicode": {"naïve 日本語 🚰 \u2028 a\u0301", "naïve 日本語 🚰 \u2028 a\u0301"},
		"quotes":  {`'; DROP TABLE runs; -- "x" \ $1 ?1 {}`, `'; DROP TABLE runs; -- "x" \ $1 ?1 {}`},
		"control": {"\x01\x1b[31mred\r\n\t\x7f", "\x01\x1b[31mred\r\n\t\x7f"},
		"nul":     {"a\x00b\x00", "a\uFFFDb\uFFFD"},
		"invalid": {"a\xff\xfeb\xc3", "a\uFFFDb\uFFFD"},
		"long":    {strings.Repeat("é\x00", 50_000), strings.Repeat("é\uFFFD", 50_000)},
	} {
		in, want := name+c.in, name+c.want
		if name == "long" { // ids are indexed, and an entry of an index has its limits
			in, want = name, name
		}
		r := record(in, 1)
		r.Run.Reason, r.Filename = c.in, c.in
		r.Attempts = []workflow.AttemptRecord{{ID: in, LogTail: c.in, Message: c.in}}
		r.Tasks[0].Message = c.in
		r.Tasks[0].Reason = json.RawMessage(c.in)
		require.NoError(t, s.Submit(t.Context(), r, nil), name)
		got := load(t, s, in)
		require.Equal(t, want, got.Run.ID)
		require.Equal(t, c.want, got.Run.Reason)
		require.Equal(t, c.want, got.Filename)
		require.Equal(t, want, got.Attempts[0].ID)
		require.Equal(t, c.want, got.Attempts[0].LogTail)
		require.Equal(t, c.want, got.Tasks[0].Message)
		require.Equal(t, c.want, string(got.Tasks[0].Reason))
	}
}

func testInstants(t *testing.T, s engine.Store) {
	zone := time.FixedZone("elsewhere", 5*3600+1800)
	for i, c := range []struct{ in, want time.Time }{
		{time.Time{}, time.Time{}},
		{noon, noon},
		{noon.In(zone), noon},
		{noon.Add(999 * time.Nanosecond), noon},
		{time.Unix(0, 0), time.Unix(0, 0).UTC()}, // simulations begin there
		{time.Date(1900, 1, 1, 0, 0, 0, 1000, time.UTC), time.Date(1900, 1, 1, 0, 0, 0, 1000, time.UTC)},
		{time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)},
	} {
		id := string(rune('a' + i))
		r := record(id, 1)
		r.Run.DeadlineAt, r.Tasks[0].NotBefore = c.in, c.in
		require.NoError(t, s.Submit(t.Context(), r, nil))
		got := load(t, s, id)
		require.Equal(t, c.want, got.Run.DeadlineAt)
		require.Equal(t, c.want, got.Tasks[0].NotBefore)
	}
}

func testLarge(t *testing.T, s engine.Store) {
	const tasks = 10_000
	r := record("r1", tasks)
	epoch := submit(t, s, r)
	same(t, r.Tasks, load(t, s, "r1").Tasks)
	c := engine.Change{RunID: "r1", Epoch: epoch, Tasks: r.Tasks, Events: events(2, tasks)}
	for i := range c.Tasks {
		c.Tasks[i].State = workflow.TaskRunning
		c.Attempts = append(c.Attempts, attempt(i, workflow.AttemptDispatched))
		c.Outbox = append(c.Outbox, workflow.OutboxRecord{ID: int64(i), Kind: "start"})
		c.OutboxDone = append(c.OutboxDone, int64(i))
	}
	_, err := s.Commit(t.Context(), c)
	require.NoError(t, err)
	got := load(t, s, "r1")
	same(t, c.Tasks, got.Tasks)
	same(t, c.Attempts, got.Attempts)
	require.Empty(t, got.Outbox)
	require.EqualValues(t, tasks+1, got.EventSeq)
}
