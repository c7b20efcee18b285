//go:build linux || darwin

package runner

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/internal/envelope"
)

func TestHowCommandsEnd(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	require.NoError(t, os.WriteFile(plain, []byte("no program"), 0o644))
	for _, c := range []struct {
		name    string
		command envelope.Command
		code    int
		class   envelope.FailureClass
		text    string
	}{
		{"shell", envelope.Command{Shell: "exit 0"}, 0, "", ""},
		{"arguments are no shell", envelope.Command{Args: []string{"test", "$A; false", "=", "$A; false"}}, 0, "", ""},
		{"exit code", envelope.Command{Shell: "exit 3"}, 3, envelope.FailExit, "exit code 3"},
		{"signal", envelope.Command{Shell: "kill -TERM $$"}, 143, envelope.FailExit, "signal 15"},
		{"its own SIGKILL is no time limit", envelope.Command{Shell: "kill -KILL $$"}, 137, envelope.FailExit, "signal 9"},
		{"unknown program", envelope.Command{Args: []string{"no-such-program"}}, 127, envelope.FailExit, "no-such-program"},
		{"unknown path", envelope.Command{Args: []string{"./no-such"}}, 127, envelope.FailExit, "no-such"},
		{"not executable", envelope.Command{Args: []string{plain}}, 126, envelope.FailExit, "permission denied"},
		{"a zero byte", envelope.Command{Args: []string{"echo", "a\x00b"}}, 126, envelope.FailExit, "invalid argument"},
		{"nothing", envelope.Command{}, 0, envelope.FailInternal, "no command"},
		{"empty program", envelope.Command{Args: []string{"", "x"}}, 0, envelope.FailInternal, "no command"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, "")
			b.inv.Command = c.command
			m := b.run(context.Background())
			require.Equal(t, c.code, m.ExitCode)
			require.Equal(t, m, b.stored())
			if c.class == "" {
				require.Nil(t, m.Failure)
			} else {
				requireFailure(t, m, c.class, c.text)
			}
		})
	}
}

// Nothing of the engine's environment reaches a task, and a task cannot replace what is Spillway's.
func TestEnvironmentIsClean(t *testing.T) {
	for _, name := range []string{"SPILLWAY_DATABASE_URL", "SPILLWAY_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE",
		"GOOGLE_APPLICATION_CREDENTIALS", "LD_PRELOAD_OF_ENGINE", "SSH_AUTH_SOCK"} {
		t.Setenv(name, "secret")
	}
	b := newBed(t, "")
	b.inv.Command.Args = []string{"env"}
	b.inv.Env = map[string]string{"MINE": "a=b c", "SPILLWAY_RUN": "other", "SPILLWAY_WORK": "x", "LANG": "pt_PT",
		"SPILLWAY_EXPR_0": "$(item)"}
	b.opt.Env = []string{"SPILLWAY_WORK=/w"}
	got := strings.Split(strings.TrimSpace(b.run(context.Background()).LogTail), "\n")
	slices.Sort(got)
	require.Equal(t, []string{"HOME=" + b.opt.WorkDir, "LANG=pt_PT", "MINE=a=b c", "PATH=" + usualPath,
		"SPILLWAY_ATTEMPT=r1.0.1", "SPILLWAY_EXPR_0=$(item)",
		"SPILLWAY_MARK=r1.0.1:" + b.opt.WorkDir, "SPILLWAY_RUN=r1", "SPILLWAY_TASK=t[0]", "SPILLWAY_WORK=/w",
		"TMPDIR=" + b.opt.WorkDir}, got)
}

func TestPathOfTheTaskBeatsThePlaces(t *testing.T) {
	b := newBed(t, `echo "$PATH"`)
	b.opt.Path = "/bin:/usr/bin"
	require.Equal(t, "/bin:/usr/bin\n", b.run(context.Background()).LogTail)
	b = newBed(t, `echo "$PATH"`)
	b.opt.Path, b.inv.Env = "/nowhere", map[string]string{"PATH": "/usr/bin:/bin"}
	require.Equal(t, "/usr/bin:/bin\n", b.run(context.Background()).LogTail)
}

// A task holds its standard input, its output and nothing of the engine's, nor of who started the engine.
func TestNoDescriptorLeaks(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer f.Close()
	cmd := exec.Command(os.Args[0], "run", "-")
	cmd.Env = []string{asRunner + "=1"}
	cmd.ExtraFiles = []*os.File{f, f, f} // inherited, and not marked to be closed
	cmd.Stdin = strings.NewReader(`{"protocol": 1, "run": "r1", "attempt": "a",
		"command": {"shell": "for f in /proc/$$/fd/*; do readlink $f; done; true"}, "manifest": {"key": "m"}}`)
	text, err := cmd.Output()
	require.NoError(t, err)
	var m envelope.Manifest
	require.NoError(t, json.Unmarshal(text, &m))
	var kinds []string
	for _, target := range strings.Fields(m.LogTail) {
		kind, _, _ := strings.Cut(target, ":")
		kinds = append(kinds, kind)
	}
	require.Equal(t, []string{"/dev/null", "pipe", "pipe", "pipe"}, kinds)
}

func TestTimeLimitEndsTheWhole(t *testing.T) {
	b := newBed(t, `trap '' TERM; (trap '' TERM INT HUP; while :; do sleep 1; done) & `+
		`setsid sh -c 'trap "" TERM; while :; do sleep 1; done' & echo begun; wait`)
	b.inv.TimeoutMillis = 300
	m := b.run(context.Background())
	requireFailure(t, m, envelope.FailTimeout, "time limit of 300ms")
	require.Equal(t, 137, m.ExitCode)
	require.Equal(t, "begun\n", m.LogTail)
	require.Equal(t, m, b.stored())
	b.requireGone()
}

func TestWithdrawnAttempt(t *testing.T) {
	b := newBed(t, `echo begun; sleep 60`)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.opt.Log = func() (io.WriteCloser, error) { // the first byte of output: it runs
		cancel()
		return nopLog{}, nil
	}
	m := b.run(ctx)
	requireFailure(t, m, envelope.FailCanceled, "withdrawn")
	require.Equal(t, m, b.stored(), "what happened has happened")
	b.requireGone()
}

func TestDeadlineOfTheWholeAttempt(t *testing.T) {
	b := newBed(t, `sleep 60`)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	requireFailure(t, b.run(ctx), envelope.FailTimeout, "stopped at its time limit")
}

func TestMemoryLimit(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("memory is not watched here")
	}
	b := newBed(t, `x=$(head -c 80000000 /dev/zero | tr '\0' x); sleep 60`)
	b.inv.MemoryBytes = 32 << 20
	m := b.run(context.Background())
	requireFailure(t, m, envelope.FailMemory, "memory limit of 32 MiB")
	require.Greater(t, m.PeakMemoryBytes, int64(32<<20))
}

// A daemon does not outlive its attempt, also when the attempt succeeds and the daemon closed its output.
func TestDaemonsEndWithTheirAttempt(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("daemons are not found here")
	}
	for _, script := range []string{
		`setsid sh -c ': >up; exec sleep 60' & while [ ! -e up ]; do :; done`,
		`setsid sh -c ': >up; exec sleep 60 >/dev/null 2>&1' & while [ ! -e up ]; do :; done`,
		`setsid env -i sh -c ': >up; exec sleep 60 >/dev/null 2>&1' & while [ ! -e up ]; do :; done`,
	} {
		b := newBed(t, script)
		require.Nil(t, b.run(context.Background()).Failure)
		b.requireGone()
	}
}

func TestOwnNameStandsForTheRunner(t *testing.T) {
	b := newBed(t, "")
	b.inv.Command.Args = []string{selfName, "a b"}
	b.opt.Self = []string{"/bin/echo", "runner"}
	require.Equal(t, "runner a b\n", b.run(context.Background()).LogTail)

	b = newBed(t, "")
	b.inv.Command.Args = []string{selfName, "version"}
	b.inv.Env = map[string]string{asRunner: "1"}
	require.Equal(t, version()+"\n", b.run(context.Background()).LogTail, "this executable")
}

func TestLookUp(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"bin/tool", "other/tool", "here"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o755))
	}
	require.NoError(t, os.MkdirAll(dir+"/first/tool", 0o755)) // a folder is no program
	require.NoError(t, os.WriteFile(dir+"/first/here", nil, 0o644))
	for _, c := range [][3]string{
		{"tool", dir + "/first:" + dir + "/bin:" + dir + "/other", dir + "/bin/tool"},
		{"tool", "other", dir + "/other/tool"},
		{"here", dir + "/first::", dir + "/here"},
		{"./here", "/bin", dir + "/here"},
		{"bin/tool", "", dir + "/bin/tool"},
		{"/bin/sh", "", "/bin/sh"},
	} {
		got, err := lookUp(c[0], dir, c[1])
		require.NoError(t, err)
		require.Equal(t, c[2], got)
	}
	_, err := lookUp("tool", dir, "/bin")
	require.ErrorIs(t, err, os.ErrNotExist)
}
