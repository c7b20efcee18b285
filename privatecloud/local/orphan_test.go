//go:build linux

package local

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/internal/procgroup"
	"github.com/spillway/spillway/providers"
)

// strays is what the attempt starts: every process writes its pid to a file, then goes on for long.
const strays = `
trap '' TERM HUP
sh -c 'trap "" TERM HUP; echo $$ >child; while :; do sleep 1; done' &
setsid sh -c 'echo $$ >session; exec sleep 600' &
setsid sh -c 'echo $$ >daemon; exec sleep 600 >/dev/null 2>&1 3>&-' &
setsid sh -c 'echo $$ >moved; cd /; exec sleep 600' &
setsid env -i sh -c 'echo $$ >cleared; exec sleep 600 >/dev/null 2>&1 3>&-' &
echo $$ >leader
while [ ! -s child -o ! -s session -o ! -s daemon -o ! -s moved -o ! -s cleared ]; do :; done
echo "$PWD" >"$WITNESS"
while :; do sleep 1; done`

// killEngine starts an engine, waits until its attempt has said something (to the file or as its end), and
// kills it.
func killEngine(t *testing.T, dir, script string, said func(stdout *bufio.Reader, witness string) string) string {
	t.Helper()
	witness := filepath.Join(t.TempDir(), "witness")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperDir+"="+dir, "TEST_SCRIPT="+script, "WITNESS="+witness)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	text := said(bufio.NewReader(out), witness)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	return text
}

// atWork waits for the attempt's working directory and reads the pids in it.
func atWork(t *testing.T) func(*bufio.Reader, string) string {
	return func(_ *bufio.Reader, witness string) (work string) {
		require.Eventually(t, func() bool {
			text, err := os.ReadFile(witness)
			work = strings.TrimSpace(string(text))
			return err == nil && strings.HasSuffix(string(text), "\n")
		}, 20*time.Second, 5*time.Millisecond)
		return work
	}
}

func pidsIn(t *testing.T, work string) map[string]int {
	t.Helper()
	pids := map[string]int{}
	for _, name := range list(t, work) {
		text, err := os.ReadFile(filepath.Join(work, name))
		require.NoError(t, err)
		pids[name], err = strconv.Atoi(strings.TrimSpace(string(text)))
		require.NoError(t, err)
	}
	return pids
}

func executes(pid int) bool {
	p, ok := procgroup.Lookup(strconv.Itoa(pid))
	return ok && !p.Zombie
}

func TestReapEndsWhatAKilledEngineLeft(t *testing.T) {
	b, elsewhere := newBed(t), newBed(t)
	work := killEngine(t, b.cfg.Dir, strays, atWork(t))
	pids := pidsIn(t, work)
	require.Len(t, pids, 6)
	for name, pid := range pids {
		require.True(t, executes(pid), name)
	}
	stop := map[string]func(){"r2": b.hold("r2"), "r1 elsewhere": elsewhere.hold("r1")}

	ended, err := b.Reap("r1")
	require.NoError(t, err)
	require.GreaterOrEqual(t, ended, len(pids))
	for name, pid := range pids {
		require.False(t, executes(pid), "%s lives on", name)
	}
	require.NoDirExists(t, filepath.Join(b.cfg.Dir, "work", "r1"))
	for name, end := range stop {
		require.NotPanics(t, end, "%s was ended, too", name)
	}
	ended, err = b.Reap("r1")
	require.NoError(t, err)
	require.Zero(t, ended)

	again := helperInvocation("echo again", "")
	require.Equal(t, "again\n", b.run(again).LogTail, "the attempt may execute again")
}

// hold executes an attempt of a run until the returned function ends it; that panics when the attempt was
// ended by others.
func (b *bed) hold(run string) (end func()) {
	b.t.Helper()
	inv := b.invocation(`echo begun; sleep 600`)
	inv.Envelope.Run = run
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan providers.Result, 1)
	go func() { result <- b.Execute(ctx, inv) }()
	log := LogPath(b.cfg.Dir, run, inv.Envelope.Attempt)
	require.Eventually(b.t, func() bool {
		info, err := os.Stat(log)
		return err == nil && info.Size() > 0
	}, 20*time.Second, 5*time.Millisecond)
	b.t.Cleanup(cancel)
	return func() {
		select {
		case r := <-result:
			panic(fmt.Sprint(r.Err, r.Manifest.Failure))
		default:
		}
		cancel()
		if r := <-result; r.Manifest.Failure.Class != envelope.FailCanceled {
			panic(r.Manifest.Failure.Message)
		}
	}
}

// An engine that is killed between an attempt's end and its answer leaves the manifest.
func TestResultsSurviveTheEngine(t *testing.T) {
	b := newBed(t)
	killEngine(t, b.cfg.Dir, "exit 9", func(out *bufio.Reader, _ string) string {
		line, err := out.ReadString('\n')
		require.NoError(t, err)
		return line
	})
	m, err := b.Manifest("r1", "r1.0.1")
	require.NoError(t, err)
	require.Equal(t, 9, m.ExitCode)
	ended, err := b.Reap("r1")
	require.NoError(t, err)
	require.Zero(t, ended)
	require.NoDirExists(t, filepath.Join(b.cfg.Dir, "work", "r1"))
	found, err := b.Manifest("r1", "r1.0.1")
	require.NoError(t, err)
	require.Equal(t, m, found)
}

func TestReapRefusesWhatItExecutes(t *testing.T) {
	b := newBed(t)
	end := b.hold("r1")
	_, err := b.Reap("r1")
	require.ErrorContains(t, err, "this engine itself executes 1 attempts")
	require.NotPanics(t, end)
	_, err = b.Reap("..")
	require.ErrorContains(t, err, "not the name of a file")
}

// Nothing of the engine's environment reaches a task through the site.
func TestEnvironmentOfTasks(t *testing.T) {
	t.Setenv("SPILLWAY_DATABASE_URL", "postgres://secret")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	b := newBed(t)
	inv := b.invocation("")
	inv.Envelope.Command.Args = []string{"env"}
	text := b.run(inv).LogTail
	require.NotContains(t, text, "secret")
	var names []string
	for line := range strings.Lines(text) {
		name, _, _ := strings.Cut(line, "=")
		names = append(names, name)
	}
	require.ElementsMatch(t, []string{"HOME", "TMPDIR", "LANG", "PATH", "SPILLWAY_RUN", "SPILLWAY_TASK",
		"SPILLWAY_ATTEMPT", "SPILLWAY_MARK", "SPILLWAY_WORK"}, names)
}
