package sandbox

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sleeper is a process in a session of its own.
func sleeper(t *testing.T) (*process, stat) {
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &process{cmd: cmd}, stat{pid: cmd.Process.Pid}
}

// wantStopped waits until the process is stopped, or is not: the kernel takes a moment to do as it is told.
func wantStopped(t *testing.T, pid int, stopped bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		st, err := readStat(pid)
		return err == nil && (st.state == 'T') == stopped
	}, 5*time.Second, time.Millisecond, "stopped: %v", stopped)
}

// Where no cgroup holds the CPU share, an instance above its share is stopped, and goes on once the share has grown
// again; what it saved up is bounded.
func TestGovernorHoldsTheShare(t *testing.T) {
	p, member := sleeper(t)
	begin := time.Now()
	w := &watched{proc: p, share: 0.5, balance: governorBurst, lastTick: begin}
	tick := func(after time.Duration, usedTicks uint64, stopped bool) {
		t.Helper()
		member.ticks = usedTicks
		w.checkCPU([]stat{member}, begin.Add(after))
		wantStopped(t, member.pid, stopped)
	}
	tick(20*time.Millisecond, 2, false)   // 20 ms of 100 saved ones
	tick(40*time.Millisecond, 14, true)   // 140 ms used of 110 allowed
	tick(60*time.Millisecond, 14, true)   // still 20 over
	tick(120*time.Millisecond, 14, false) // its share has grown by 30 ms
	tick(time.Hour, 14, false)
	require.LessOrEqual(t, w.balance, governorBurst)
	tick(time.Hour+time.Millisecond, 26, true) // a long rest saved no more than the burst
}

func TestGovernorHoldsTheMemory(t *testing.T) {
	p, member := sleeper(t)
	w := &watched{proc: p, limit: 100 << 20}
	member.rss = 60 << 20
	w.checkMemory([]stat{member})
	require.False(t, w.exceeded())
	w.checkMemory([]stat{member, member})
	require.True(t, w.exceeded())
	require.EqualValues(t, 120<<20, w.peakBytes())
	require.Error(t, p.cmd.Wait(), "killed")
}

// The loop finds the processes of a session, and what they use.
func TestGovernorSeesSessions(t *testing.T) {
	p, member := sleeper(t)
	members := sessionMembers()[p.cmd.Process.Pid]
	require.Len(t, members, 1)
	require.Equal(t, member.pid, members[0].pid)
	own, err := readStat(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, own.rss, int64(1<<20))
	require.Positive(t, own.start)
	g := &governor{cpu: true, all: make(map[*watched]struct{})}
	w := g.watch(p, 128)
	w.balance = -time.Second
	g.tick(w.lastTick)
	wantStopped(t, member.pid, true)
	g.forget(w)
	require.Empty(t, g.all)
}
