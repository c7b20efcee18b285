//go:build linux || darwin

package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/offload"
)

// TestHelpIsComplete wants every command and every flag to say what it is for,
// in one style, and every flag with a fixed set of values to complete them.
func TestHelpIsComplete(t *testing.T) {
	a := &app{out: &bytes.Buffer{}, errs: &bytes.Buffer{}, getenv: func(string) string { return "" }}
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Name() == "completion" || cmd.Name() == "help" {
			return // cobra's own
		}
		path := cmd.CommandPath()
		require.NotEmpty(t, cmd.Short, path)
		require.False(t, strings.HasSuffix(cmd.Short, "."), "%s: %s", path, cmd.Short)
		require.True(t, cmd.HasSubCommands() || cmd.Args != nil, "%s takes any arguments", path)
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			where := path + " --" + f.Name
			require.NotEmpty(t, f.Usage, where)
			require.False(t, strings.HasSuffix(f.Usage, "."), where)
			if _, fixed := f.Value.(*choice); fixed {
				complete, ok := cmd.GetFlagCompletionFunc(f.Name)
				require.True(t, ok, where)
				values, _ := complete(cmd, nil, "")
				require.NotEmpty(t, values, where)
			}
		})
		for _, line := range strings.Split(cmd.Long+"\n"+cmd.Example, "\n") {
			require.LessOrEqual(t, len(line), 110, "%s: %s", path, line)
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(a.root())
}

// TestEnvironmentStandsInForEveryFlag: a variable that makes no sense is
// refused by name.
func TestEnvironmentStandsInForFlags(t *testing.T) {
	for _, c := range []struct{ variable, args string }{
		{"SPILLWAY_OUTPUT=nonsense", "plan testdata/good.yaml --platform testdata/aws.json"},
		{"SPILLWAY_NOISE=much", "simulate testdata/good.yaml"},
		{"SPILLWAY_LIMIT=few", "runs"},
		{"SPILLWAY_SINCE=soon", "report cost"},
		{"SPILLWAY_FOLLOW=maybe", "logs last"},
		{"SPILLWAY_NO_COLOR=perhaps", "version"},
	} {
		name, _, _ := strings.Cut(c.variable, "=")
		got := replay(t, c.variable+" spillway "+c.args, map[string]string{"TMP": t.TempDir()})
		require.Contains(t, got, "! spillway: "+name+": invalid argument", c.args)
		require.Contains(t, got, "= 2\n", c.args)
	}
}

// TestPlanOnThisMachine plans without --platform, on the sites that run uses.
func TestPlanOnThisMachine(t *testing.T) {
	got := replay(t, "spillway plan testdata/good.yaml --deadline 1h -o json", map[string]string{"TMP": t.TempDir()})
	var doc offload.PlanDoc
	require.NoError(t, json.Unmarshal([]byte(got), &doc), got)
	require.Len(t, doc.Tasks, 4)
	require.Equal(t, "private", doc.Tasks["fit"].Target, "its data is private")
	require.True(t, doc.Predicted.DeadlineMet)
}

// TestPlanKnowsEarlierRuns: what a task took here goes before the estimate.
func TestPlanKnowsEarlierRuns(t *testing.T) {
	dirs := map[string]string{"TMP": t.TempDir(), "STATE": stateWithRuns(t)}
	makespan := func(args string) float64 {
		got := replay(t, "spillway plan testdata/slow.yaml --planner private --deadline 1h -o json "+args, dirs)
		var doc offload.PlanDoc
		require.NoError(t, json.Unmarshal([]byte(got), &doc), got)
		return *doc.Predicted.MakespanS
	}
	require.InDelta(t, 123, makespan(""), 1e-9)
	require.InDelta(t, 123, makespan("--state-dir $STATE --platform testdata/aws.json"), 1e-9)
	require.Less(t, makespan("--state-dir $STATE"), 110.0, "it took 40 s at home, once: the estimate is corrected")
	require.NoFileExists(t, dirs["TMP"]+"/.local/share/spillway/spillway.db", "a plan leaves nothing behind")
}

// TestBenchTable measures two planners on one trace, and puts them beside rows
// that were measured before.
func TestBenchTable(t *testing.T) {
	dirs := map[string]string{"TMP": t.TempDir()}
	bench := "spillway bench planners testdata/chain.json --factors 4 --noise-runs 1 "
	got := replay(t, bench+"--planners public -o csv > $TMP/old.csv", dirs)
	require.Contains(t, got, "! 3 of 3 cases: chain, both, 1 core at home\n")
	got = replay(t, bench+"--platforms both --planners private,density --beside $TMP/old.csv", dirs)
	require.Contains(t, got, "3 cases, 0 of them certified impossible, 3 solved by at least one planner\n")
	require.Regexp(t, `(?m)^old:public +100.0% .*\nprivate +100.0% .*\ndensity +100.0% `, got)
	got = replay(t, bench+"--planners magic", dirs)
	require.Contains(t, got, "! spillway: unknown planner \"magic\"; the planners are\n")
}
