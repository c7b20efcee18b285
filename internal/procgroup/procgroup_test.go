//go:build linux

package procgroup

import (
	"bufio"
	"context"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shell is a command under test: its output can be read line by line while it runs.
type shell struct {
	t      *testing.T
	cmd    Command
	output *os.File
	lines  *bufio.Reader
	cancel context.CancelFunc
	exit   chan Exit
}

// start runs script in the background.
func start(t *testing.T, script string, change ...func(*Command)) *shell {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	marker := "SPILLWAY_ATTEMPT=" + t.Name() + strconv.Itoa(os.Getpid())
	s := &shell{t: t, output: r, lines: bufio.NewReader(r), exit: make(chan Exit, 1)}
	s.cmd = Command{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Dir: t.TempDir(), Output: w, Marker: marker,
		Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin", marker}}
	for _, f := range change {
		f(&s.cmd)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	t.Cleanup(func() {
		cancel()
		End(marker, s.cmd.Dir)
		_ = r.Close()
	})
	go func() {
		exit, err := Run(ctx, s.cmd)
		if err != nil {
			t.Error(err)
		}
		_ = w.Close()
		s.exit <- exit
	}()
	return s
}

// pid reads a line that is one.
func (s *shell) pid() int {
	s.t.Helper()
	line, err := s.lines.ReadString('\n')
	require.NoError(s.t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(s.t, err)
	return pid
}

func (s *shell) wait() Exit {
	s.t.Helper()
	select {
	case e := <-s.exit:
		return e
	case <-time.After(20 * time.Second):
		s.t.Fatal("the command did not end")
		return Exit{}
	}
}

func TestRunTellsHowACommandEnded(t *testing.T) {
	for script, want := range map[string]Exit{
		"exit 0":        {},
		"exit 3":        {Code: 3},
		"kill -TERM $$": {Code: 143, Signal: syscall.SIGTERM},
		"kill -KILL $$": {Code: 137, Signal: syscall.SIGKILL},
	} {
		got := start(t, script).wait()
		got.PeakMemoryBytes = 0
		require.Equal(t, want, got, script)
	}
}

func TestRunSaysWhyACommandDidNotStart(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/plain", []byte("text"), 0o644))
	for _, path := range []string{dir + "/missing", dir + "/plain", dir} {
		_, err := Run(context.Background(), Command{Path: path, Args: []string{path}, Output: os.Stderr})
		var at *os.PathError
		require.ErrorAs(t, err, &at)
		require.Equal(t, path, at.Path)
	}
}

// What TERM cannot end, and what went into other groups and sessions, ends with the command.
func TestCancelEndsEverything(t *testing.T) {
	for name, script := range map[string]string{
		"ignores SIGTERM":             `trap '' TERM HUP INT; sh -c 'trap "" TERM HUP INT; echo $$; while :; do sleep 1; done' & wait`,
		"grandchild":                  `sh -c 'sh -c "echo \$\$; sleep 60" & wait' & wait`,
		"own group":                   `bash -c 'set -m; sh -c "echo \$\$; exec sleep 60" & wait'`,
		"own session":                 `setsid sh -c 'echo $$; exec sleep 60' & wait`,
		"daemon with output closed":   `setsid sh -c 'echo $$; exec sleep 60 >/dev/null 2>&1 3>&-' & wait`,
		"session without environment": `env -i setsid sh -c 'echo $$; exec sleep 60' & wait`,
		"moved away":                  `cd /; setsid sh -c 'echo $$; exec sleep 60' & wait`,
		"child of a cleared leader":   `setsid sh -c 'env -i sh -c "cd /; echo \$\$; exec sleep 60" & wait' & wait`,
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, script)
			pid := s.pid()
			require.True(t, alive(pid))
			s.cancel()
			require.Equal(t, syscall.SIGKILL, s.wait().Signal)
			require.False(t, alive(pid), "process %d outlived the command", pid)
		})
	}
}

func TestTheEndOfACommandEndsItsSession(t *testing.T) {
	s := start(t, `sleep 60 & echo $!`)
	pid := s.pid()
	require.Zero(t, s.wait().Code)
	require.Eventually(t, func() bool { return !alive(pid) }, 5*time.Second, time.Millisecond)
}

// A daemon that closed what it inherited as output still shows at descriptor 3.
func TestOutputStaysOpenWhileADaemonLives(t *testing.T) {
	s := start(t, `setsid sh -c 'echo $$; : >up; exec sleep 60 >/dev/null 2>&1' & while [ ! -e up ]; do :; done`)
	pid := s.pid()
	require.Zero(t, s.wait().Code)
	require.True(t, alive(pid))
	require.False(t, s.ended())
	ended, left := End(s.cmd.Marker, "")
	require.Equal(t, 1, ended)
	require.Empty(t, left)
	require.True(t, s.ended())
}

// ended tells whether nobody holds the output any more.
func (s *shell) ended() bool {
	s.t.Helper()
	conn, err := s.output.SyscallConn()
	require.NoError(s.t, err)
	var n int
	var readErr error
	require.NoError(s.t, conn.Read(func(fd uintptr) bool {
		n, readErr = syscall.Read(int(fd), make([]byte, 1))
		return true
	}))
	return n == 0 && readErr == nil
}

func TestMemoryLimitEndsTheWhole(t *testing.T) {
	hog := `x=$(head -c 80000000 /dev/zero | tr '\0' x); echo done; sleep 60`
	for name, script := range map[string]string{
		"leader":        hog,
		"child":         `sh -c '` + strings.ReplaceAll(hog, `'`, `'\''`) + `'; exit 0`,
		"other session": `setsid sh -c '` + strings.ReplaceAll(hog, `'`, `'\''`) + `'; exit 0`,
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t, script, func(c *Command) { c.MemoryBytes = 48 << 20 }).wait()
			require.True(t, e.OutOfMemory)
			require.Equal(t, syscall.SIGKILL, e.Signal)
			require.Greater(t, e.PeakMemoryBytes, int64(48<<20))
		})
	}
}

// Commands that come and go more often than the watch looks do not keep it from looking.
func TestTheWatchLooksWhileOthersComeAndGo(t *testing.T) {
	self, ok := Lookup("self")
	require.True(t, ok)
	forget := func() {
		require.Eventually(t, func() bool {
			watched.Lock()
			defer watched.Unlock()
			watched.groups = nil // its channel belongs to the clock it was made under
			return !watched.looking
		}, 5*time.Second, time.Millisecond)
	}
	forget()
	defer forget()
	synctest.Test(t, func(t *testing.T) {
		mine := &group{pid: self.Session, limit: 1 << 60}
		unwatch := watch(mine)
		for range 10 * fast / time.Millisecond {
			time.Sleep(time.Millisecond)
			watch(&group{pid: -1, limit: 1 << 60})()
		}
		unwatch()
		mine.mu.Lock()
		defer mine.mu.Unlock()
		require.Positive(t, mine.peak)
	})
}

func TestACommandBelowItsMemoryLimitGoesOn(t *testing.T) {
	e := start(t, `x=$(head -c 1000000 /dev/zero | tr '\0' x)`, func(c *Command) { c.MemoryBytes = 1 << 30 }).wait()
	require.Zero(t, e.Code)
	require.False(t, e.OutOfMemory)
}

func TestEndLeavesOthersAlone(t *testing.T) {
	mine, other := start(t, `echo $$; exec sleep 60`), start(t, `echo $$; exec sleep 60`,
		func(c *Command) { c.Env = append(c.Env[:1:1], "SPILLWAY_ATTEMPT=other") })
	minePID, otherPID := mine.pid(), other.pid()
	ended, left := End(mine.cmd.Marker, mine.cmd.Dir)
	require.Equal(t, 1, ended)
	require.Empty(t, left)
	require.False(t, alive(minePID))
	require.True(t, alive(otherPID))
}

func TestEndWithoutMarkerDoesNothing(t *testing.T) {
	s := start(t, `echo $$; exec sleep 60`)
	pid := s.pid()
	ended, left := End("", s.cmd.Dir)
	require.Zero(t, ended)
	require.Empty(t, left)
	require.True(t, alive(pid))
}

func TestHasEntry(t *testing.T) {
	env := []byte("A=1\x00SPILLWAY_ATTEMPT=r.1.1\x00B=\x00")
	require.True(t, HasEntry(env, "SPILLWAY_ATTEMPT=r.1.1"))
	require.True(t, HasEntry(env, "B="))
	require.False(t, HasEntry(env, "SPILLWAY_ATTEMPT=r.1"))
	require.False(t, HasEntry(env, "ATTEMPT=r.1.1"))
	require.False(t, HasEntry(nil, "A=1"))
}

func TestWorksBelow(t *testing.T) {
	s := start(t, `echo $$; exec sleep 60`)
	pid := s.pid()
	dir, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
	require.NoError(t, err)
	require.True(t, worksBelow(pid, dir))
	require.True(t, worksBelow(pid, dir[:strings.LastIndexByte(dir, '/')]))
	require.False(t, worksBelow(pid, dir[:len(dir)-1]), "half a name")
	require.False(t, worksBelow(pid, ""))
	require.NoError(t, os.Remove(dir))
	require.True(t, worksBelow(pid, dir), "a removed folder")
}

func TestLookupReadsStrangeNames(t *testing.T) {
	self, ok := Lookup("self")
	require.True(t, ok)
	require.Equal(t, os.Getpid(), self.PID)
	require.Equal(t, os.Getppid(), self.Parent)
	require.Positive(t, self.ResidentBytes)
	require.Positive(t, self.Started)

	dir := t.TempDir()
	strange := dir + "/a) Z 1 (b"
	text, err := os.ReadFile("/bin/sleep")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(strange, text, 0o755))
	s := start(t, `echo $$; exec "$0" 60`, func(c *Command) { c.Args = append(c.Args, strange) })
	pid := s.pid()
	require.Eventually(t, func() bool {
		p, ok := Lookup(strconv.Itoa(pid))
		return ok && p.PID == pid && p.Parent == os.Getpid() && p.Session == pid && !p.Zombie
	}, 5*time.Second, time.Millisecond)
}
