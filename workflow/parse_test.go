package workflow

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDefaults: a task has what it says, else what the defaults say, else what the format says.
func TestDefaults(t *testing.T) {
	retry := func(r Retry) Retry { r.source = source{}; return r }
	spec := mustParse(t, `apiVersion: spillway/v1
name: w
defaults: {timeout: 5m, retry: {max: 2, cap: 3s}, resources: {cpu: 2, memory: 1GiB}, env: {A: "1", B: "2"}}
tasks:
  plain: {run: x}
  own:
    run: x
    timeout: 1s
    retry: {max: 0, backoff: constant, base: 2m, jitter: none, on_exit_codes: [75]}
    resources: {memory: 2GiB}
    env: {B: "3", C: "4"}
`)
	plain, own := &spec.Tasks[0], &spec.Tasks[1]
	require.Equal(t, 5*time.Minute, plain.Timeout)
	require.Equal(t, Retry{Max: 2, Backoff: BackoffExponential, Base: time.Second, Cap: 3 * time.Second, Jitter: JitterFull}, retry(plain.Retry))
	require.Equal(t, [2]int64{2, 1 << 30}, [2]int64{int64(plain.Resources.CPU), plain.Resources.Memory})
	require.Equal(t, "A=1 B=2 ", envText(plain))
	require.Equal(t, time.Second, own.Timeout)
	require.Equal(t, Retry{Backoff: BackoffConstant, Base: 2 * time.Minute, Cap: 2 * time.Minute, Jitter: JitterNone, On: []int{75}}, retry(own.Retry))
	require.Equal(t, [2]int64{2, 2 << 30}, [2]int64{int64(own.Resources.CPU), own.Resources.Memory})
	require.Equal(t, "B=3 C=4 A=1 ", envText(own))

	bare := mustParse(t, tasks("a: {run: x}"))
	require.Zero(t, bare.Tasks[0].Timeout)
	require.Zero(t, bare.Tasks[0].Retry.Max)
	require.Equal(t, [2]int64{1, 512 << 20}, [2]int64{int64(bare.Tasks[0].Resources.CPU), bare.Tasks[0].Resources.Memory})
	require.Equal(t, MaxItems, bare.Tasks[0].MaxItems)
	require.Nil(t, bare.Deadline)
	require.Nil(t, bare.Budget)
	require.False(t, bare.IsTrace())
}

func envText(t *Task) string {
	text := ""
	for _, e := range t.Env {
		text += e.Name + "=" + string(e.Value) + " "
	}
	return text
}

// TestEverything: each key of the format arrives in the spec.
func TestEverything(t *testing.T) {
	text, err := os.ReadFile("testdata/everything.yaml")
	require.NoError(t, err)
	s := mustParse(t, string(text))
	require.Equal(t, "everything-1.0_x", s.Name)
	first, second := &s.On.Schedule[0], &s.On.Schedule[1]
	require.Equal(t, "0 2 * * * Europe/Lisbon buffer_one twice", first.Cron+" "+first.Timezone+" "+string(first.Overlap)+" "+string(first.DST))
	require.Equal(t, 6*time.Hour, first.Catchup.Window)
	require.Equal(t, CatchupAll, first.Catchup.Mode)
	require.Equal(t, "@daily UTC skip once", second.Cron+" "+second.Timezone+" "+string(second.Overlap)+" "+string(second.DST))
	require.Equal(t, "06:00 America/New_York offload notify", s.Deadline.By+" "+s.Deadline.Timezone+" "+string(s.Deadline.OnRisk)+" "+string(s.Deadline.OnMiss))
	require.Equal(t, int64(3_000_000_000_000), s.Budget.MaxPicoUSD)
	require.Equal(t, OnExceedFail, s.Budget.OnExceed)
	require.Len(t, s.Params, 6)
	require.Equal(t, "letters", s.Params[0].Description)

	task := func(id string) *Task {
		i, ok := s.Task(id)
		require.True(t, ok, id)
		return &s.Tasks[i]
	}
	require.Equal(t, []Text{"/bin/list", "${{ params.count }}", "3", "true"}, task("list").Args)
	require.Equal(t, []string{"bin/list", "lib/x.py"}, task("list").Files)
	require.Equal(t, LabelPublic, task("list").Inputs[0].Data)
	require.Equal(t, "json", task("list").Outputs[0].Value)
	work := task("work")
	require.Equal(t, 100, work.MaxItems)
	require.Equal(t, [3]int64{4, int64(time.Hour), 8_000_000}, [3]int64{int64(work.Estimate.Count), int64(work.Estimate.Runtime), work.Estimate.Output})
	require.Equal(t, []string{"private", "aws:eu-*", "sandbox:*", "*"}, work.Placement.Allow)
	require.True(t, task("again").Needs[0].Each)
	require.True(t, task("again").Inputs[0].Each)
	require.Equal(t, []int{1, 255}, task("again").Retry.On)
	require.Equal(t, "nothing of anyone is in it", task("again").Declassify.Reason)
	require.Equal(t, []any{map[string]any{"a": int64(1)}, []any{"b"}, "c", int64(4), 5.5, true, nil}, task("pairs").Foreach.List)
	require.Equal(t, "again", task("last").Needs[0].Task)
	require.Equal(t, LabelPrivate, task("last").Data)
	_, ok := s.Task("nobody")
	require.False(t, ok)
}

// TestPositions: every part knows where it was written.
func TestPositions(t *testing.T) {
	spec := mustParse(t, "apiVersion: spillway/v1\nname: w\ntasks:\n  a:\n    run: x\n    retry: {max: 1}\n")
	a := &spec.Tasks[0]
	require.Equal(t, Pos{4, 3}, a.Pos())
	require.Equal(t, Pos{5, 10}, a.Position("run"))
	require.Equal(t, Pos{6, 18}, a.Retry.Position("max"))
	require.Equal(t, a.Pos(), a.Position("timeout"))
	require.True(t, a.Has("run"))
	require.False(t, a.Has("timeout"))
}

// TestAliases: an alias stands for its whole value, as often as it is used.
func TestAliases(t *testing.T) {
	spec := mustParse(t, "apiVersion: spillway/v1\nname: w\ntasks:\n  a: &a {run: x, env: &e {A: b}}\n  b: *a\n  c: {run: y, env: *e, foreach: &l [1, 2]}\n  d: {run: z, foreach: *l}\n")
	require.Equal(t, Text("x"), spec.Tasks[1].Run)
	require.Equal(t, "A=b ", envText(&spec.Tasks[2]))
	require.Equal(t, []any{int64(1), int64(2)}, spec.Tasks[3].Foreach.List)
}
