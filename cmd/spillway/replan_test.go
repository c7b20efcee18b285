//go:build linux || darwin

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReplannedRunsHoldElsewhere has the program execute traces with noise,
// planning again on the way. The reference evaluator must find nothing wrong
// with the realised schedule, given the realised run times, and the same
// makespan and, where no transfer was useless, the same cost; executing the
// realised plan there must give nearly the same run: transfers that the policy
// came to want later begin earlier.
func TestReplannedRunsHoldElsewhere(t *testing.T) {
	r := newReference(t)
	for _, c := range []struct{ trace, book, deadline string }{
		{"bwa-chameleon-small-001", "both", "60%"},
		{"methylseq-dirt02-001", "aws", "50%"},
		{"helloworld-forkjoin-10-chameleon", "gcp", "70%"},
		{"cycles-chameleon-1l-1c-9p-001", "aws", "45%"},
	} {
		t.Run(c.trace, func(t *testing.T) {
			trace, dir := filepath.Join(r.shared, "traces", "public", c.trace+".json"), t.TempDir()
			if _, err := os.Stat(trace); err != nil {
				t.Skip("no such public trace in ../shared/traces/public")
			}
			platform := filepath.Join(dir, "platform.json")
			r.evaluate(t, nil, "platform", trace, "--book", c.book, "-o", platform)
			var run simulation
			args := []string{"simulate", trace, "--platform", platform, "--deadline", c.deadline, "--policy", "density",
				"--replan", "--noise", "0.3", "--seed", "5", "-o", "json"}
			text := r.spillway(t, &run, args...)
			require.Greater(t, run.Plans, 5)
			require.Equal(t, text, r.spillway(t, nil, args...))

			asRun := filepath.Join(dir, "instance.json")
			writeJSON(t, asRun, withRuntimes(t, trace, run.Runtimes))
			schedule, plan := filepath.Join(dir, "schedule.json"), filepath.Join(dir, "plan.json")
			writeJSON(t, schedule, scheduleOf(&run))
			writeJSON(t, plan, map[string]any{"order": run.Order, "tasks": run.Tasks})
			seconds := strconv.FormatFloat(*run.DeadlineS, 'f', 6, 64)
			var checked struct {
				evaluated
				Violations []any `json:"violations"`
			}
			r.evaluate(t, &checked, "check", asRun, platform, schedule, "--deadline", seconds)
			require.Empty(t, checked.Violations)
			require.Equal(t, microseconds(run.MakespanS), microseconds(checked.MakespanS))
			require.LessOrEqual(t, checked.Cost, run.CostUSD+1e-9)
			var again evaluated
			r.evaluate(t, &again, "simulate", asRun, platform, plan, "--deadline", seconds)
			require.InEpsilon(t, *run.MakespanS, *again.MakespanS, 0.02, "but for the order of transfers")
			require.InEpsilon(t, checked.Cost, again.Cost, 0.02)
		})
	}
}

// withRuntimes is a trace (WfFormat 1.5) with other run times.
func withRuntimes(t *testing.T, path string, seconds map[string]float64) map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var doc map[string]any
	require.NoError(t, json.Unmarshal(text, &doc))
	execution := doc["workflow"].(map[string]any)["execution"].(map[string]any)
	for _, task := range execution["tasks"].([]any) {
		task := task.(map[string]any)
		task["runtimeInSeconds"] = seconds[task["id"].(string)]
	}
	return doc
}

// scheduleOf is a run as the reference evaluator's SCHEDULE.
func scheduleOf(run *simulation) map[string]any {
	tasks := map[string]any{}
	for id, d := range run.Tasks {
		task := map[string]any{"target": d.Target, "start": d.StartS, "finish": d.FinishS}
		if d.Node != nil {
			task["node"] = *d.Node
		} else {
			task["mem_mib"] = d.MemMiB
		}
		tasks[id] = task
	}
	return map[string]any{"tasks": tasks}
}

func writeJSON(t *testing.T, path string, v any) {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, text, 0o600))
}

// TestCopiesAreListed with their bill, and the copy's run time is the task's
// where it was first.
func TestCopiesAreListed(t *testing.T) {
	var out, errs bytes.Buffer
	a := &app{out: &out, errs: &errs, getenv: func(string) string { return "" }}
	code := a.run(t.Context(), []string{"simulate", "testdata/good.yaml", "--platform", "testdata/aws.json",
		"--deadline", "6m", "--policy", "private", "--replan", "--noise", "1", "--seed", "22", "--speculate", "-o", "json"})
	require.Zero(t, code, errs.String())
	var s simulation
	require.NoError(t, json.Unmarshal(out.Bytes(), &s))
	require.Len(t, s.Copies, 1)
	c := s.Copies[0]
	task := s.Tasks[c.Task]
	require.True(t, c.First)
	require.Equal(t, "aws", c.Target)
	require.Equal(t, c.MemMiB, task.MemMiB)
	require.Equal(t, c.StartS, task.StartS)
	require.Equal(t, c.FinishS, task.FinishS)
	require.InDelta(t, c.CostUSD, s.FaasUSD, 1e-12)
	require.InDelta(t, *c.FinishS-*c.StartS, s.Runtimes[c.Task], 2, "but for start-up and I/O")
}
