//go:build linux || darwin

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/offload"
)

// TestPlansOfPublicTraces has the built program plan every public trace with
// every planner, and the reference evaluator execute the plans: makespan (to
// the microsecond) and cost (to 1e-9) must be the predicted ones. The program's
// own simulate must agree as well, with and without noise.
func TestPlansOfPublicTraces(t *testing.T) {
	r := newReference(t)
	traces, err := filepath.Glob(filepath.Join(r.shared, "traces", "public", "*.json"))
	require.NoError(t, err)
	if len(traces) == 0 {
		t.Skip("no public traces in ../shared/traces/public")
	}
	deadlines := []string{"35%", "90%"} // of the all-private time
	if testing.Short() {
		traces, deadlines = traces[:3], deadlines[:1]
	}
	for k, trace := range traces {
		t.Run(strings.TrimSuffix(filepath.Base(trace), ".json"), func(t *testing.T) {
			platform := filepath.Join(t.TempDir(), "platform.json")
			r.evaluate(t, nil, "platform", trace, "--book", []string{"aws", "gcp", "both"}[k%3], "-o", platform)
			for _, d := range deadlines {
				for _, planner := range offload.Planners() {
					r.plan(t, trace, platform, d, planner.Name)
				}
			}
		})
	}
	t.Logf("%d plans accepted; totals differ by %.2g at most (relative; of those of a cent or more)", r.plans, r.worst)
}

// reference is the reference evaluator beside this checkout, and the program
// under test.
type reference struct {
	shared, python, binary string
	plans                  int
	worst                  float64
}

func newReference(t *testing.T) *reference {
	t.Helper()
	shared, err := filepath.Abs("../../../shared")
	require.NoError(t, err)
	if _, err := os.Stat(filepath.Join(shared, "refeval", "refeval.py")); err != nil {
		t.Skip("no reference evaluator: looked for ../shared/refeval beside the checkout")
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: the reference evaluator cannot run")
	}
	bin, err := programs()
	require.NoError(t, err)
	return &reference{shared: shared, python: python, binary: filepath.Join(bin, "spillway")}
}

// evaluated is what the reference evaluator says of a plan.
type evaluated struct {
	MakespanS *float64 `json:"makespan_s"`
	Cost      float64  `json:"cost"`
	Exec      float64  `json:"exec_cost"`
	Egress    float64  `json:"egress_cost"`
	Private   float64  `json:"private_cost"`
	Met       bool     `json:"deadline_met"`
	Cold      int      `json:"cold_starts"`
}

// evaluate runs the reference evaluator, and reads its answer into v.
func (r *reference) evaluate(t *testing.T, v any, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), r.python, append([]string{filepath.Join(r.shared, "refeval", "refeval.py")}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	r.answer(t, cmd, v)
}

// spillway runs the program under test and reads its answer into v.
func (r *reference) spillway(t *testing.T, v any, args ...string) []byte {
	t.Helper()
	return r.answer(t, exec.CommandContext(t.Context(), r.binary, args...), v)
}

func (r *reference) answer(t *testing.T, cmd *exec.Cmd, v any) []byte {
	t.Helper()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitInfeasible {
		require.NoError(t, err, "%s: %s", cmd, &errs)
	}
	if v != nil {
		out = regexp.MustCompile(`\bInfinity\b`).ReplaceAll(out, []byte("null"))
		require.NoError(t, json.Unmarshal(out, v), "%s", cmd)
	}
	return out
}

// plan checks one plan and its simulations.
func (r *reference) plan(t *testing.T, trace, platform, deadline, planner string) {
	t.Helper()
	args := []string{"plan", trace, "--platform", platform, "--deadline", deadline, "--planner", planner, "-o", "json"}
	var doc offload.PlanDoc
	text := r.spillway(t, &doc, args...)
	executions := [][]string{{}}
	if planner == offload.DefaultPlanner {
		requireSameLines(t, steady(text), steady(r.spillway(t, nil, args...)))
		executions = append(executions, []string{"--noise", "0.2", "--seed", "7"})
	}
	requireWhole(t, &doc, planner)
	file := filepath.Join(t.TempDir(), "plan.json")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	seconds := strconv.FormatFloat(*doc.DeadlineS, 'f', 6, 64)
	for _, noise := range executions {
		var want evaluated
		var got simulation
		r.evaluate(t, &want, append([]string{"simulate", trace, platform, file, "--deadline", seconds}, noise...)...)
		r.spillway(t, &got, append([]string{"simulate", trace, "--platform", platform, "--plan", file, "--deadline", seconds, "-o", "json"}, noise...)...)
		predicted := offload.PredictedDoc{
			MakespanS: got.MakespanS, CostUSD: got.CostUSD, DeadlineMet: got.DeadlineMet,
			FaasUSD: got.FaasUSD, EgressUSD: got.EgressUSD, PrivateUSD: got.PrivateUSD,
		}
		r.compare(t, &want, &predicted, len(doc.Tasks))
		require.Equal(t, want.Cold, got.ColdStarts, "cold starts")
		if len(noise) == 0 {
			r.compare(t, &want, doc.Predicted, len(doc.Tasks))
		}
	}
	r.plans++
}

// steady is a plan without what differs between equal calls.
func steady(text []byte) string {
	return regexp.MustCompile(`"planning_ms": [0-9.]+`).ReplaceAllString(string(text), "")
}

// requireWhole wants all that the contract promises of a plan.
func requireWhole(t *testing.T, doc *offload.PlanDoc, planner string) {
	t.Helper()
	require.Equal(t, planner, doc.Planner)
	require.Len(t, doc.Order, len(doc.Tasks))
	for id := range doc.Tasks {
		task := doc.Tasks[id]
		require.NotNil(t, task.Reason, id)
		require.NotEmpty(t, task.Reason.ChosenBecause, id)
		require.NotEmpty(t, task.Reason.Considered, id)
	}
	if doc.Predicted.DeadlineMet {
		require.NotNil(t, doc.LowerBound, "in time, and yet no plan can be")
		require.LessOrEqual(t, *doc.LowerBound, doc.Predicted.CostUSD*(1+1e-9), "cheaper than the lower bound")
	}
}

func (r *reference) compare(t *testing.T, want *evaluated, got *offload.PredictedDoc, tasks int) {
	t.Helper()
	require.Equal(t, microseconds(want.MakespanS), microseconds(got.MakespanS), "makespan")
	require.Equal(t, want.Met, got.DeadlineMet, "deadline_met")
	for _, pair := range [][2]float64{
		{want.Cost, got.CostUSD}, {want.Exec, got.FaasUSD}, {want.Egress, got.EgressUSD}, {want.Private, got.PrivateUSD},
	} {
		// Each line item is rounded to a pico-USD once; a task has three at most.
		require.InDelta(t, pair[0], pair[1], max(1e-9*pair[0], 3e-12*float64(tasks)), "cost")
	}
	if want.Cost >= 0.01 {
		r.worst = max(r.worst, math.Abs(got.CostUSD-want.Cost)/want.Cost)
	}
}

// microseconds is -1 for a run that never ends.
func microseconds(s *float64) int64 {
	if s == nil {
		return -1
	}
	return int64(math.Round(*s * 1e6))
}
