package sandbox

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ownConfig describes a sandbox that the test program serves in a process of its own.
func ownConfig(t testing.TB) Config {
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	return Config{Dir: dir, Command: []string{self, "serve", dir}, Rates: testRates, Book: "test"}
}

func ensureForTest(t testing.TB, cfg Config) *Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := Ensure(ctx, cfg)
	require.NoError(t, err)
	return c
}

// stopAtEnd ends the sandbox with the test.
func stopAtEnd(t testing.TB, c *Client) *Client {
	t.Cleanup(func() { require.NoError(t, c.Stop(context.Background())) })
	return c
}

func TestEnsureOfManyStartsOne(t *testing.T) {
	cfg := ownConfig(t)
	var all sync.WaitGroup
	clients := make([]*Client, 6)
	for i := range clients {
		all.Go(func() { clients[i] = ensureForTest(t, cfg) })
	}
	all.Wait()
	stopAtEnd(t, clients[0])
	for _, c := range clients[1:] {
		require.Equal(t, clients[0].PID, c.PID)
		c.Close()
	}
	require.NotEqual(t, os.Getpid(), clients[0].PID)
	require.Equal(t, clients[0].URL, fmt.Sprintf("%+v", clients[0]), "secrets are not printed")
}

func TestStateIsTheOwnersAlone(t *testing.T) {
	cfg := ownConfig(t)
	stopAtEnd(t, ensureForTest(t, cfg))
	for _, path := range []string{statePath(cfg.Dir), ledgerPath(cfg.Dir), configPath(cfg.Dir)} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), path)
	}
	err := Serve(context.Background(), cfg.Dir, noObjects)
	require.ErrorContains(t, err, "already served")
}

// A sandbox is killed in the middle of an invocation: its client starts it anew at the same address with the same
// keys and functions; no process is left of the old one; the invocation is on the ledger, billed at what it can
// have taken at most.
func TestKilledSandboxComesBack(t *testing.T) {
	cfg := ownConfig(t)
	c := stopAtEnd(t, ensureForTest(t, cfg))
	b := &box{t: t, dir: cfg.Dir, end: c.Endpoint, client: sdkClient(t, c.Endpoint)}
	b.deploy("f", 512, 60, nil)
	lost := make(chan error, 1)
	go func() {
		_, _, err := b.call("f", "sleep", "", 60_000)
		lost <- err
	}()
	eventually(t, "the invocation is on the ledger", func() bool {
		entries, err := ReadLedger(cfg.Dir)
		return err == nil && len(entries) == 1 && entries[0].Status == StatusStarted && instancesOf(cfg.Dir) == 1
	})
	require.NoError(t, syscall.Kill(c.PID, syscall.SIGKILL))
	require.Error(t, <-lost)
	var again Endpoint
	eventually(t, "it is back", func() (ok bool) {
		var err error
		again, err = attach(context.Background(), cfg.Dir)
		return err == nil
	})
	require.NotEqual(t, c.PID, again.PID)
	again.PID = c.PID
	require.Equal(t, c.Endpoint, again, "address, keys and settings")
	require.Zero(t, instancesOf(cfg.Dir), "instances of the killed one")
	require.Equal(t, 1, b.must("f", "echo", "", 0).Calls)
	entries, err := c.Ledger(context.Background(), "")
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.Equal(t, StatusLost, entries[0].Status)
	require.True(t, entries[0].Estimated)
	require.Positive(t, entries[0].Cost)
	require.LessOrEqual(t, entries[0].Duration, entries[0].TimeoutUs)
}

func TestStaleStateFile(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	foreign := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("1"))
	})}
	go func() { _ = foreign.Serve(other) }()
	defer foreign.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, free.Close())
	for name, url := range map[string]string{
		"nobody listens":            "http://" + free.Addr().String(),
		"another program listens":   "http://" + other.Addr().String(),
		"the address is no address": "nonsense",
		"the file has no address":   "",
	} {
		t.Run(name, func(t *testing.T) {
			cfg := ownConfig(t)
			require.NoError(t, saveJSON(statePath(cfg.Dir), Endpoint{URL: url, Region: "local", PID: 7}))
			_, err := attach(context.Background(), cfg.Dir)
			require.ErrorIs(t, err, errNotRunning)
			c := stopAtEnd(t, ensureForTest(t, cfg))
			require.NotEqual(t, 7, c.PID)
		})
	}
}

func TestOtherSettings(t *testing.T) {
	cfg := ownConfig(t)
	first := ensureForTest(t, cfg)
	cfg.Quota = 3
	_, err := Ensure(context.Background(), cfg)
	require.ErrorContains(t, err, "in use", "somebody is attached")
	require.ErrorContains(t, err, "wait until nobody uses it", "what to do")
	first.Close()
	var second *Client
	eventually(t, "it is replaced once nobody uses it", func() bool {
		second, err = Ensure(context.Background(), cfg)
		return err == nil
	})
	stopAtEnd(t, second)
	require.NotEqual(t, first.PID, second.PID)
	require.Equal(t, 3, second.Settings.Quota)
	require.Equal(t, first.SecretKey, second.SecretKey)
}

func TestIdleExit(t *testing.T) {
	cfg := ownConfig(t)
	cfg.IdleExit = 100 * time.Millisecond
	c := ensureForTest(t, cfg)
	b := &box{t: t, client: sdkClient(t, c.Endpoint)}
	b.deploy("f", 512, 5, nil)
	b.must("f", "sleep", "", 300) // longer than the idle time: a warm instance does not keep it
	c.Close()
	lock, err := lockFileContext(t.Context(), serveLock(cfg.Dir)) // freed by the process's end alone
	require.NoError(t, err)
	require.NoError(t, lock.Close())
	require.Zero(t, instancesOf(cfg.Dir))
}

func TestStartThatFails(t *testing.T) {
	cfg := ownConfig(t)
	cfg.Command = []string{"/bin/sh", "-c", "echo no space >&2; exit 3"}
	_, err := Ensure(context.Background(), cfg)
	require.ErrorContains(t, err, "exit status 3")
	require.ErrorContains(t, err, "no space")
	cfg.Book = "another"
	cfg.Rates = Config{}.Rates
	_, err = Ensure(context.Background(), cfg)
	require.ErrorContains(t, err, `no price book "another"`)
}
