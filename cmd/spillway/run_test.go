//go:build linux || darwin

package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/providers/sandbox"
)

// ran is what these tests read of a report.
type ran struct {
	RunID    string  `json:"run_id"`
	State    string  `json:"state"`
	Makespan float64 `json:"makespan_s"`
	Deadline *struct {
		Met *bool `json:"met"`
	} `json:"deadline"`
	Planned struct {
		Makespan float64 `json:"makespan_s"`
	} `json:"planned"`
	Cost struct {
		Total      float64            `json:"total_usd"`
		Sandbox    bool               `json:"sandbox"`
		BySite     map[string]float64 `json:"by_site"`
		ByCategory map[string]float64 `json:"by_category"`
	} `json:"cost"`
	Tasks []struct {
		ID       string `json:"id"`
		State    string `json:"state"`
		Attempts int    `json:"attempts"`
		Site     string `json:"site"`
		Message  string `json:"message"`
	} `json:"tasks"`
	Items []struct {
		Amount float64 `json:"amount_usd"`
		Site   string  `json:"site"`
	} `json:"items"`
}

// command runs the program to its end.
func (w *world) command(args ...string) (out, errs string, code int) {
	w.t.Helper()
	bin, err := programs()
	require.NoError(w.t, err)
	cmd := exec.Command(filepath.Join(bin, "spillway"), append(args, w.flags...)...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(w.t, err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// write keeps a definition, without its head, and returns its path.
func (w *world) write(definition string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, "workflow.yaml")
	require.NoError(w.t, os.WriteFile(path, []byte("apiVersion: spillway/v1\nname: test\n"+definition), 0o600))
	return path
}

// run runs a definition and reads its report.
func (w *world) run(definition string, args ...string) (r ran, errs string, code int) {
	w.t.Helper()
	path := w.write(definition)
	return w.report(append([]string{"run", path}, args...)...)
}

func (w *world) report(args ...string) (r ran, errs string, code int) {
	w.t.Helper()
	out, errs, code := w.command(append(args, "-o", "json")...)
	require.NoError(w.t, json.Unmarshal([]byte(out), &r), "%s%s", out, errs)
	return r, errs, code
}

// checkSums compares the total with its parts, to the nano-dollar.
func (r *ran) checkSums(t *testing.T) {
	t.Helper()
	sum, sites, categories := 0.0, 0.0, 0.0
	for _, it := range r.Items {
		sum += it.Amount
	}
	for _, x := range r.Cost.BySite {
		sites += x
	}
	for _, x := range r.Cost.ByCategory {
		categories += x
	}
	for _, x := range []float64{sum, sites, categories} {
		require.LessOrEqual(t, math.Abs(r.Cost.Total-x), 1e-9)
	}
}

func TestRunAtHome(t *testing.T) {
	w := newWorld(t, "")
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "in.txt"), []byte("a b\nc\n"), 0o600))
	r, errs, code := w.run(`
params: {who: {type: string, default: nobody}}
tasks:
  a:
    inputs: [{from: params, path: in.txt}]
    outputs: [{name: lines, path: n, value: json}]
    run: wc -l < in.txt > n
  b:
    foreach: ${{ range(tasks.a.outputs.lines) }}
    estimate: {count: 7}
    outputs: [{path: o}]
    run: echo ${{ params.who }} ${{ string(item) }} > o
  c:
    inputs: [{from: b}]
    outputs: [{path: all}]
    run: cat inputs/b/*/o > all
`, "-p", "who=$(id)")
	require.Zero(t, code, errs)
	require.Equal(t, "succeeded", r.State)
	require.Zero(t, r.Cost.Total)
	_, result, ok := strings.Cut(errs, "result c/all: ")
	require.False(t, ok, "-o json lists no results")
	require.Empty(t, result)
	text, err := os.ReadFile(filepath.Join(w.dir, "artifacts", "runs", r.RunID, r.RunID+".8.1", "out", "all"))
	require.NoError(t, err)
	require.Equal(t, "$(id) 0\n$(id) 1\n", string(text))
}

func TestRunOffloadsWhatTheDeadlineNeeds(t *testing.T) {
	w := newWorld(t, "")
	here, err := filepath.Abs(".")
	require.NoError(t, err)
	relative, err := filepath.Rel(here, w.dir)
	require.NoError(t, err)
	w.flags = []string{"--state-dir", relative} // the sandbox runs in another folder than we do
	r, errs, code := w.run(`
tasks:
  part:
    foreach: ${{ range(6) }}
    outputs: [{path: o}]
    estimate: {runtime: 1s, output: 1kB}
    run: sleep 0.95; echo ${{ string(item) }} > o
  all:
    inputs: [{from: part}]
    placement: {allow: [private]}
    estimate: {runtime: 10ms}
    run: test "$(cat inputs/part/*/o | wc -l)" = 6
`, "--cores", "1", "--deadline", "70%")
	require.Contains(t, []int{exitOK, exitLate}, code, errs)
	r.checkSums(t)
	require.True(t, r.Cost.Sandbox)
	require.Positive(t, r.Cost.Total)
	sites := map[string]int{}
	for _, task := range r.Tasks {
		sites[task.Site]++
	}
	require.Positive(t, sites["private"])
	require.Positive(t, sites["sandbox:local"])
	w.checkLedger(&r)
}

func TestRunGoesOnWithoutASandbox(t *testing.T) {
	w := newWorld(t, "")
	block := filepath.Join(w.dir, "sandbox")
	require.NoError(t, os.WriteFile(block, nil, 0o600), "a file where its folder should be")
	t.Cleanup(func() { _ = os.Remove(block) })
	r, errs, code := w.run(`
deadline: {within: 1m}
tasks:
  part:
    foreach: ${{ range(3) }}
    estimate: {runtime: 25s}
    run: "true"
`, "--cores", "1")
	require.Zero(t, code, errs)
	require.Contains(t, errs, "the sandbox is not available")
	for _, task := range r.Tasks {
		require.Equal(t, "private", task.Site, task.ID)
	}
}

// checkLedger compares the report's functions with the sandbox's own account.
func (w *world) checkLedger(r *ran) {
	entries, err := sandbox.ReadLedger(filepath.Join(w.dir, "sandbox"))
	require.NoError(w.t, err)
	sum := 0.0
	for _, e := range entries {
		sum += e.Cost.USD()
	}
	require.InDelta(w.t, sum, r.Cost.ByCategory["compute"]+r.Cost.ByCategory["request"], 1e-9)
}

func TestExitCodes(t *testing.T) {
	for name, c := range map[string]struct {
		definition string
		args       []string
		code       int
		says       string
	}{
		"failed": {
			"tasks: {a: {run: 'echo no >&2; exit 3'}, b: {needs: [a], run: 'true'}}", nil, exitRunFailed, "task a: exit code 3",
		},
		"late": {
			"tasks: {a: {run: sleep 0.3}}", []string{"--deadline", "0.1s"}, exitLate, "missed its deadline",
		},
		"late by less than a microsecond is a deadline too": {
			"tasks: {a: {run: 'true'}}", []string{"--deadline", "1e-9"}, exitLate, "missed its deadline",
		},
		"late and failed": {
			"tasks: {a: {run: sleep 0.3; false}}", []string{"--deadline", "0.1s"}, exitRunFailed, "failed",
		},
		"timeout": {
			"tasks: {a: {run: sleep 30, timeout: 100ms}}", nil, exitRunFailed, "task a",
		},
		"no money": {
			"tasks: {a: {run: 'true', placement: {allow: ['sandbox:*']}}}\nbudget: {max: 0.0000001 USD, on_exceed: fail}",
			nil, exitBudget, "budget",
		},
		"held": {
			"tasks: {a: {run: 'true', placement: {allow: ['sandbox:*']}}}\nbudget: {max: 0.0000001 USD}",
			nil, exitBudget, "spillway resume",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			_, errs, code := w.run(c.definition, append(c.args, "--cores", "1")...)
			require.Equal(t, c.code, code, errs)
			require.Contains(t, errs, c.says)
		})
	}
}

func TestHeldRunGoesOnWithMoreMoney(t *testing.T) {
	w := newWorld(t, "")
	_, errs, code := w.run("tasks: {a: {run: 'true', placement: {allow: ['sandbox:*']}}}\nbudget: {max: 0.0000001 USD}", "--cores", "1")
	require.Equal(t, exitBudget, code, errs)
	r, errs, code := w.report("resume", "last", "--budget", "1")
	require.Zero(t, code, errs)
	require.Equal(t, "succeeded", r.State)
	r.checkSums(t)
	w.checkLedger(&r)
}

func TestSignalsCancel(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			if signal.Ignored(sig) {
				t.Skip("this test runs under nohup")
			}
			w := newWorld(t, "")
			path := w.write("tasks: {a: {run: touch " + w.log() + "; sleep 60}}\n")
			cmd, said := w.start("run", path)
			require.Eventually(t, w.started, 20*time.Second, 5*time.Millisecond)
			require.NoError(t, cmd.Process.Signal(sig))
			_ = cmd.Wait()
			require.Equal(t, exitCancelled, cmd.ProcessState.ExitCode(), said.String())
		})
	}
}

// With a store that takes no wish the run cannot be cancelled: the engine leaves, and the run is kept.
func TestInterruptWithoutAStoreStopsTheEngine(t *testing.T) {
	w := newWorld(t, "")
	path := w.write("tasks: {a: {run: touch " + w.log() + "; sleep 60}}\n")
	cmd, said := w.start("run", path)
	require.Eventually(t, w.started, 20*time.Second, 5*time.Millisecond)
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "spillway.db"))
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	require.NoError(t, err, "others cannot write any more")
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait()
	require.Equal(t, exitFailure, cmd.ProcessState.ExitCode(), said.String())
	require.Contains(t, said.String(), "cancelling: ")
	require.Contains(t, said.String(), "goes on with it")
}

// An engine of another state directory on the same store cannot be seen to live: its run is left alone.
func TestResumeLeavesARunOfAnEngineElsewhere(t *testing.T) {
	w := newWorld(t, "")
	path := w.write("tasks: {a: {run: touch " + w.log() + "; sleep 60}}\n")
	cmd, said := w.start("run", path)
	require.Eventually(t, w.started, 20*time.Second, 5*time.Millisecond)

	other := newWorld(t, "")
	require.NoError(t, os.Symlink(filepath.Join(w.dir, "spillway.db"), filepath.Join(other.dir, "spillway.db")))
	_, errs, code := other.command("resume", "last")
	require.Equal(t, exitFailure, code, errs)
	require.Contains(t, errs, "is being run elsewhere")

	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait()
	require.Equal(t, exitCancelled, cmd.ProcessState.ExitCode(), said.String())
}

func TestRerunFromFailed(t *testing.T) {
	w := newWorld(t, "")
	gate := filepath.Join(w.dir, "gate")
	definition := `
tasks:
  made: {run: "date +%N > o", outputs: [{path: o}]}
  gated: {inputs: [{from: made}], run: "test -e ` + gate + ` && cp inputs/made/0/o o", outputs: [{path: o}]}
  sorry: {needs: [gated], if: "tasks.gated.state == 'failed'", run: "true"}
  end: {inputs: [{from: gated}], run: cat inputs/gated/0/o}
`
	r, errs, code := w.run(definition)
	require.Equal(t, exitRunFailed, code, errs)
	require.NoError(t, os.WriteFile(gate, nil, 0o600))
	again, errs, code := w.report("rerun", r.RunID, "--from-failed")
	require.Zero(t, code, errs)
	got := map[string]int{}
	for _, task := range again.Tasks {
		got[task.ID+" "+task.State] = task.Attempts
	}
	require.Equal(t, map[string]int{"made succeeded": 0, "gated succeeded": 1, "sorry skipped": 0, "end succeeded": 1}, got)
	require.NotEqual(t, r.RunID, again.RunID)

	require.NoError(t, os.RemoveAll(filepath.Join(w.dir, "artifacts", "runs", r.RunID)))
	again, errs, code = w.report("rerun", r.RunID, "--from-failed")
	require.Zero(t, code, "a task whose files are gone is done again: "+errs)
	require.Equal(t, 1, again.Tasks[0].Attempts)
}

func TestSecretsAreNotKept(t *testing.T) {
	const secret = "correct-horse-battery-staple"
	t.Setenv("SPILLWAY_SECRET_TOKEN", secret)
	w := newWorld(t, "")
	path := filepath.Join(w.dir, "missing.yaml")
	require.NoError(t, os.WriteFile(path, []byte(`{apiVersion: spillway/v1, name: n, tasks: {a: {run: "true", env: {A: "${{ secrets.one }}", B: "${{ secrets.two }}"}}}}`), 0o600))
	_, errs, code := w.command("run", path)
	require.Equal(t, exitFailure, code)
	require.Contains(t, errs, "SPILLWAY_SECRET_ONE")
	require.Contains(t, errs, "SPILLWAY_SECRET_TWO")
	_, errs, code = w.run(`tasks: {a: {run: 'test ${#TOKEN} = 28', env: {TOKEN: "${{ secrets.token }}"}}}`)
	require.Zero(t, code, errs)
	require.NoError(t, filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		require.NotContains(t, string(text), secret, path)
		return err
	}))
}

// TestRunTraces runs real traces: every task a process, every file of its size.
func TestRunTraces(t *testing.T) {
	for _, c := range []struct{ name, scale string }{
		{"helloworld-forkjoin-10-chameleon.json", "200"},
		{"montage-chameleon-2mass-005d-001.json", "100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join("..", "..", "..", "shared", "traces", "public", c.name)
			if _, err := os.Stat(path); err != nil {
				t.Skip("the traces are not here: ", err)
			}
			w := newWorld(t, "")
			r, errs, code := w.report("run", path, "--time-scale", c.scale, "--deadline", "80%", "--cores", "1")
			require.Contains(t, []int{exitOK, exitLate}, code, errs)
			require.Equal(t, "succeeded", r.State)
			require.Positive(t, r.Planned.Makespan)
			require.Positive(t, r.Makespan)
			r.checkSums(t)
			for _, task := range r.Tasks {
				require.Positive(t, task.Attempts, task.ID)
			}
		})
	}
}

// TestFilesAreShipped gives a task a program of its own, at home and in a function.
func TestFilesAreShipped(t *testing.T) {
	w := newWorld(t, "")
	require.NoError(t, os.Mkdir(filepath.Join(w.dir, "bin"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "bin", "tool"), []byte("#!/bin/sh\necho made > out\n"), 0o600))
	r, errs, code := w.run(`
tasks:
  home: {files: [bin/tool], run: ./bin/tool, outputs: [{path: out}], placement: {allow: [private]}}
  away: {files: [bin/tool], run: ./bin/tool, outputs: [{path: out}], placement: {allow: ["sandbox:*"]}}
`, "--cores", "1")
	require.Zero(t, code, errs)
	require.Len(t, r.Tasks, 2)
	path := w.write("tasks: {a: {files: [none], run: 'true'}}\n")
	_, errs, code = w.command("run", path)
	require.NotZero(t, code)
	require.Contains(t, errs, "input none")
}

// TestFailuresShowWhatWasSaid wants the reason where the failure is told.
func TestFailuresShowWhatWasSaid(t *testing.T) {
	w := newWorld(t, "")
	path := w.write("tasks: {a: {run: 'echo no such tile >&2; exit 3'}}\n")
	_, errs, code := w.command("run", path)
	require.Equal(t, exitRunFailed, code)
	require.Contains(t, errs, "no such tile")
	require.Contains(t, errs, "spillway logs")
}

// TestRunsTellOfDeadEngines kills an engine and asks before its lease has run out.
func TestRunsTellOfDeadEngines(t *testing.T) {
	w := newWorld(t, "")
	path := w.write("tasks: {a: {run: touch " + w.log() + "; sleep 60}}\n")
	cmd, said := w.start("run", path)
	require.Eventually(t, w.started, 20*time.Second, 5*time.Millisecond)
	out, errs, code := w.command("runs")
	require.Zero(t, code, errs)
	require.Contains(t, out, " running ")
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	out, errs, code = w.command("runs")
	require.Zero(t, code, errs)
	require.Contains(t, out, " interrupted ", said.String())
	_, errs, code = w.command("cancel", "last")
	require.Zero(t, code, errs)
	require.Contains(t, errs, "spillway resume")
	_, errs, code = w.command("resume", "last")
	require.Equal(t, exitCancelled, code, errs)
}

// TestCancelledFunctionIsBilledAsUsed lets go of a function that runs on for a while.
func TestCancelledFunctionIsBilledAsUsed(t *testing.T) {
	w := newWorld(t, "")
	path := w.write("tasks: {a: {run: sleep 1, placement: {allow: ['sandbox:*']}}}\n")
	cmd, said := w.start("run", path, "--cores", "1")
	require.Eventually(t, func() bool {
		entries, err := sandbox.ReadLedger(filepath.Join(w.dir, "sandbox"))
		return err == nil && len(entries) == 1
	}, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait()
	require.Equal(t, exitCancelled, cmd.ProcessState.ExitCode(), said.String())
	r, errs, code := w.report("report", "last")
	require.Zero(t, code, errs)
	r.checkSums(t)
	require.Positive(t, r.Cost.Total)
	w.checkLedger(&r)
}
