package engine

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/providers"
	"github.com/spillway/spillway/workflow"
)

// A placement that data forbids is refused before any file is sent. Should one come about in another way, the
// file stays at home all the same.
func TestPrivateFilesAreNotSent(t *testing.T) {
	k := submitted(t, `apiVersion: spillway/v1
name: w
tasks:
  a: {run: "true", data: private, outputs: [{path: out}]}
  b: {run: "true", inputs: [{from: a}]}
`)
	s := k.load(t, catalogue())
	s.files[0].exists, s.files[0].present[0] = true, true
	s.tasks[1].site = 1
	require.Empty(t, s.spread(0))
	s.Catalogue.Sites[1].Takes = workflow.LabelPrivate
	require.Equal(t, []Command{Transfer{File: 0, From: "private", To: "cloud"}}, s.spread(0))
}

func TestBackoffDoublesUpToItsLimit(t *testing.T) {
	for n, seconds := range []float64{1, 1, 2, 4, 8, 10, 10, 10} {
		require.InDelta(t, seconds, backoff(time.Second, 10*time.Second, n).Seconds(), 0, "after %d", n)
	}
	require.Equal(t, time.Hour, backoff(time.Second, time.Hour, math.MaxInt))
}

// Full jitter lies between nothing and the full wait, differs between attempts and seeds, and is drawn evenly.
func TestJitter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wait := time.Duration(rapid.Int64Range(0, int64(1000*time.Hour)).Draw(t, "wait"))
		seed, id := rapid.Int64().Draw(t, "seed"), rapid.String().Draw(t, "id")
		got := jittered(wait, workflow.JitterFull, seed, id)
		require.GreaterOrEqual(t, got, time.Duration(0))
		require.LessOrEqual(t, got, wait)
		require.Zero(t, got%time.Microsecond)
		require.Equal(t, got, jittered(wait, workflow.JitterFull, seed, id))
		require.Equal(t, wait, jittered(wait, workflow.JitterNone, seed, id))
	})
	const n = 4000
	var quarters [4]int
	for k := range n {
		at := jittered(time.Second, workflow.JitterFull, 7, attemptID("run", k%50, k/50))
		quarters[min(3, int(at*4/time.Second))]++
	}
	for q, got := range quarters {
		require.InDelta(t, n/4, got, n/40, "quarter %d", q)
	}
}

// What the definition of retry leaves open has the values that the documentation promises.
func TestRetryWait(t *testing.T) {
	require.Equal(t, time.Second, retryWait(&workflow.Retry{}, 1))
	require.Equal(t, 4*time.Second, retryWait(&workflow.Retry{}, 3))
	require.Equal(t, time.Minute, retryWait(&workflow.Retry{}, 30))
	constant := &workflow.Retry{Backoff: workflow.BackoffConstant, Base: 5 * time.Second, Cap: 3 * time.Second}
	require.Equal(t, 3*time.Second, retryWait(constant, 9))
}

func TestProgressCountsWhatIsSeen(t *testing.T) {
	d := &dialogue{t: t, now: start, cat: catalogue()}
	for _, line := range []string{"workflow", "opened", "plan a@cloud", "ended a#1 ok list=[1] billed=1s"} {
		d.step(step{line: line, input: `tasks:
  a: {run: "true", outputs: [{path: list, name: list, value: json}]}
  b: {run: "true", foreach: "${{ tasks.a.outputs.list }}", estimate: {count: 3}, inputs: [{from: a}]}
`})
	}
	p := d.s.Progress()
	require.Equal(t, 2, p.Total, "placeholders that nothing came for do not count")
	require.Equal(t, map[workflow.TaskState]int{workflow.TaskSucceeded: 1, workflow.TaskReady: 1}, p.Tasks)
	require.Equal(t, map[string]int{"cloud": 1}, p.Done)
	require.Equal(t, 1, p.Moving)
	require.Equal(t, "$0.011", p.Spent.String())
	require.Equal(t, start.Add(time.Minute), p.Finish)
}

// Only what was declared is taken over from a manifest, and all of it must be there.
func TestManifestsMustHoldWhatWasDeclared(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*envelope.Manifest)
		why   string // empty: accepted
	}{
		"as declared": {func(*envelope.Manifest) {}, ""},
		"missing":     {func(m *envelope.Manifest) { m.Outputs = m.Outputs[1:] }, "the result has no output one"},
		"another": {func(m *envelope.Manifest) { m.Outputs = append(m.Outputs, envelope.Stored{Path: "three"}) },
			"the result has an output that was not declared: three"},
		"nothing": {func(m *envelope.Manifest) { m.Outputs = nil }, "the result has no output one"},
	} {
		t.Run(name, func(t *testing.T) {
			d := converse(t, "tasks:\n  a: {run: \"true\", outputs: [{path: one}, {path: two}]}\n", "opened", "plan")
			m := manifest(d.s, "r.0.1", start, time.Second, nil)
			c.spoil(m)
			d.tell(Ended{"r.0.1", providers.Result{Manifest: m}})
			if c.why == "" {
				require.Equal(t, workflow.RunSucceeded, d.s.run.State)
				return
			}
			require.Equal(t, workflow.TaskFailed, d.s.Task(0).State)
			require.Equal(t, c.why, d.s.Task(0).Message)
			require.False(t, d.s.files[0].exists, "nothing of it is taken over")
		})
	}
}

// The clock of a runner elsewhere may be wrong: an attempt begins after it was sent, and before it ended.
func TestAttemptsBeginWithinTheirTime(t *testing.T) {
	for _, off := range []time.Duration{-1000 * time.Hour, -time.Second, 0, time.Second, 1000 * time.Hour} {
		d := converse(t, "tasks:\n  a: {run: \"true\"}\n", "opened", "@10s plan a@cloud")
		d.now = start.Add(20 * time.Second)
		m := manifest(d.s, "r.0.1", start.Add(15*time.Second+off), time.Second, nil)
		d.tell(Ended{"r.0.1", providers.Result{Manifest: m}})
		began := d.s.Task(0).StartedAt
		require.False(t, began.Before(start.Add(10*time.Second)), "%s off: %s", off, began)
		require.False(t, began.After(d.now), "%s off: %s", off, began)
		if off.Abs() <= time.Second {
			require.Equal(t, start.Add(15*time.Second+off), began)
		}
	}
}
