//go:build linux || darwin

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/internal/pgtest"
	"github.com/spillway/spillway/providers/sandbox"
	"github.com/spillway/spillway/store/postgres"
	"github.com/spillway/spillway/store/sqlite"
	"github.com/spillway/spillway/workflow"
)

// kills is how often an engine, or its database, is killed in one run.
const kills = 20

// twoHundred is a workflow of 200 tasks, 40 of which run in functions. Each
// private command leaves a line that names its attempt.
const twoHundred = `
params:
  log: {type: string}
defaults:
  retry: {max: 2, base: 10ms}
  timeout: 20s
tasks:
  first:
    run: seq 1000 > out
    outputs: [{path: out}]
  home:
    foreach: ${{ range(120) }}
    inputs: [{from: first}]
    outputs: [{path: out}]
    run: |
      echo "$SPILLWAY_ATTEMPT" >> ${{ params.log }}
      sleep 0.06
      wc -l < inputs/first/0/out > out
  cloud:
    foreach: ${{ range(40) }}
    inputs: [{from: first}]
    outputs: [{path: out}]
    placement: {allow: ["sandbox:*"]}
    run: sleep 0.03; sort inputs/first/0/out > out
  check:
    foreach: ${{ range(38) }}
    needs: [home]
    run: echo "$SPILLWAY_ATTEMPT" >> ${{ params.log }}
  join:
    needs: [check]
    inputs: [{from: home}, {from: cloud}]
    outputs: [{name: files, path: n, value: json}]
    run: ls inputs/home/*/out inputs/cloud/*/out | wc -l > n
`

// built is the folder of the built programs, empty until a test needs them.
var built string

// programs builds the programs and returns their folder.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "spillway-bin-")
	if err != nil {
		return "", err
	}
	built = dir
	out, err := exec.Command("go", "build", "-o", dir, ".", "../spillway-runner").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}

// world is a state directory and what runs in it.
type world struct {
	t     *testing.T
	dir   string
	flags []string
	open  func() (engine.Store, error)
	rnd   *rand.Rand
}

func newWorld(t *testing.T, database string) *world {
	w := &world{t: t, dir: t.TempDir()}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w.rnd = rand.New(rand.NewPCG(seed, 0))
	w.flags = []string{"--state-dir", w.dir}
	w.open = func() (engine.Store, error) { return sqlite.Open(t.Context(), filepath.Join(w.dir, "spillway.db")) }
	if database != "" {
		w.flags = append(w.flags, "--database-url", database)
		w.open = func() (engine.Store, error) { return postgres.Open(t.Context(), database) }
	}
	t.Cleanup(w.stopSandbox)
	return w
}

func (w *world) stopSandbox() {
	_, errs, code := w.command("sandbox", "stop")
	require.Zero(w.t, code, errs)
}

func (w *world) log() string { return filepath.Join(w.dir, "log") }

// start runs the program without waiting for it.
func (w *world) start(args ...string) (*exec.Cmd, *strings.Builder) {
	bin, err := programs()
	require.NoError(w.t, err)
	var said strings.Builder
	cmd := exec.Command(filepath.Join(bin, "spillway"), append(args, w.flags...)...)
	cmd.Stdout, cmd.Stderr = &said, &said
	require.NoError(w.t, cmd.Start())
	return cmd, &said
}

// submit starts the run and returns its id.
func (w *world) submit() *exec.Cmd {
	path := w.write(twoHundred)
	cmd, said := w.start("run", path, "-p", "log="+w.log(), "--cores", "1", "-o", "name")
	require.Eventually(w.t, func() bool { return w.started() }, 30*time.Second, 5*time.Millisecond, "%s", said)
	return cmd
}

// started says whether the first private command has run.
func (w *world) started() bool {
	_, err := os.Stat(w.log())
	return err == nil
}

// pause picks the moment of the next kill: nothing is waited for.
func (w *world) pause(most time.Duration) {
	<-time.After(time.Duration(w.rnd.Int64N(int64(most))))
}

// TestKilledEngine kills the engine at random moments of one run; each next one
// goes on.
func TestKilledEngine(t *testing.T) {
	stores := map[string]func(*testing.T) string{
		"sqlite":   func(*testing.T) string { return "" },
		"postgres": func(t *testing.T) string { return pgtest.New(t).Database(t) },
	}
	for name, database := range stores {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, database(t))
			cmd, said := w.submit(), &strings.Builder{}
			for range kills {
				w.pause(500 * time.Millisecond)
				require.NoError(t, cmd.Process.Kill())
				_ = cmd.Wait()
				cmd, said = w.start("resume", "last", "-o", "name")
			}
			require.NoError(t, cmd.Wait())
			require.NotContains(t, said.String(), "already succeeded", "the run had ended before the last kill")
			w.check()
		})
	}
}

// TestKilledDatabase kills Postgres under a run.
func TestKilledDatabase(t *testing.T) {
	server := pgtest.New(t)
	w := newWorld(t, server.Database(t))
	cmd := w.submit()
	for range kills {
		w.pause(300 * time.Millisecond)
		server.Kill9()
		w.pause(100 * time.Millisecond)
		require.NoError(t, server.Restart())
	}
	require.NoError(t, cmd.Wait())
	w.check()
}

// check looks at what is kept: no task lost, none accepted twice, no attempt
// executed twice, and every function that was started on the bill.
func (w *world) check() {
	t := w.t
	store, err := w.open()
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	rec, err := loadRun(t.Context(), store, "last")
	require.NoError(t, err)
	require.Equal(t, workflow.RunSucceeded, rec.Run.State)
	require.Len(t, rec.Tasks, 200)
	accepted := map[int]int{}
	for _, a := range rec.Attempts {
		require.True(t, a.State.Terminal(), "%s is %s", a.ID, a.State)
		if a.State == workflow.AttemptSucceeded {
			accepted[a.Task]++
		}
	}
	for i, task := range rec.Tasks {
		require.Equal(t, workflow.TaskSucceeded, task.State, task.ID)
		require.Equal(t, 1, accepted[i], task.ID)
	}
	require.Empty(t, rec.Outbox)
	for _, f := range rec.Files {
		if f.Value != nil {
			require.JSONEq(t, "160", string(f.Value))
		}
	}
	w.checkLog()
	w.checkBill(&rec)
}

// checkLog looks for attempts that were executed twice.
func (w *world) checkLog() {
	text, err := os.ReadFile(w.log())
	require.NoError(w.t, err)
	times := map[string]int{}
	for _, attempt := range strings.Fields(string(text)) {
		times[attempt]++
		require.Equal(w.t, 1, times[attempt], attempt)
	}
	require.GreaterOrEqual(w.t, len(times), 158)
}

// checkBill compares the run's bill with the sandbox's own ledger.
func (w *world) checkBill(rec *workflow.Record) {
	billed := map[string]bool{}
	for _, it := range rec.Items {
		billed[it.Attempt] = true
	}
	entries, err := sandbox.ReadLedger(filepath.Join(w.dir, "sandbox"))
	require.NoError(w.t, err)
	started := map[string]int{}
	for _, e := range entries {
		started[e.Attempt]++
		require.Equal(w.t, 1, started[e.Attempt], "%s was started more than once", e.Attempt)
		require.True(w.t, billed[e.Attempt], "%s was started and is not on the bill", e.Attempt)
	}
	require.GreaterOrEqual(w.t, len(started), 40)
	w.t.Logf("%d attempts, %d started in functions", len(rec.Attempts), len(started))
}
