//go:build linux || darwin

package local

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/artifact"
	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/providers"
)

var _ providers.Executor = (*Site)(nil)

func TestOpenRefuses(t *testing.T) {
	good := func() Config {
		return Config{Dir: t.TempDir(), Nodes: []Node{{Name: "n0", Cores: 1}}, Objects: artifact.Client{}}
	}
	_, err := Open(good())
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for text, change := range map[string]func(*Config){
		"no folder":          func(c *Config) { c.Dir = "" },
		"no object store":    func(c *Config) { c.Objects = nil },
		"at least one node":  func(c *Config) { c.Nodes = nil },
		"at least one core":  func(c *Config) { c.Nodes[0].Cores = 0 },
		"and -1 MiB":         func(c *Config) { c.Nodes[0].MemoryMiB = -1 },
		"a log of -1 bytes":  func(c *Config) { c.LogBytes = -1 },
		"not a directory":    func(c *Config) { c.Dir = file },
		"private site: node": func(c *Config) { c.Nodes = append(c.Nodes, Node{Name: "n1"}) },
	} {
		cfg := good()
		change(&cfg)
		_, err := Open(cfg)
		require.ErrorContains(t, err, text)
	}
}

func TestOfferings(t *testing.T) {
	b := newBed(t, Node{"n0", 2, 1024}, Node{"n1", 4, 0})
	list, err := b.Offerings(context.Background())
	require.NoError(t, err)
	require.Equal(t, []providers.Offering{
		{Site: "private", Name: "n0", Class: "base", MemoryMiB: 1024, VCPU: 2},
		{Site: "private", Name: "n1", Class: "base", VCPU: 4},
	}, list)
}

func TestAttempt(t *testing.T) {
	b := newBed(t)
	inv := b.invocation(`cat in.txt; cp in.txt out.txt; echo "$SPILLWAY_WORK"; dirname "$PWD"`)
	_, err := b.store.Put(context.Background(), "in", strings.NewReader("hello\n"), artifact.PutOptions{})
	require.NoError(t, err)
	inv.Envelope.Inputs = []envelope.Input{{Path: "in.txt", Object: b.object("in")}}
	inv.Envelope.Outputs = []envelope.Output{{Path: "out.txt", Object: b.object("out")}}
	var started time.Time
	inv.Started = func(at time.Time) { started = at }
	before := time.Now()
	m := b.run(inv)
	require.Nil(t, m.Failure)
	require.WithinRange(t, started, before, time.UnixMicro(m.StartedAt+1))
	require.Equal(t, int64(6), m.Outputs[0].Size)

	work := filepath.Join(b.cfg.Dir, "work", "r1")
	log, err := os.ReadFile(LogPath(b.cfg.Dir, "r1", inv.Envelope.Attempt))
	require.NoError(t, err)
	require.Equal(t, "hello\n"+work+"\n"+work+"\n", string(log))
	require.Empty(t, list(t, work), "a working directory with files in it is not kept")

	found, err := b.Manifest("r1", inv.Envelope.Attempt)
	require.NoError(t, err)
	require.Equal(t, m, found)
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestFailuresOfAttempts(t *testing.T) {
	for _, c := range []struct {
		script string
		change func(*providers.Invocation)
		class  envelope.FailureClass
	}{
		{"exit 3", func(*providers.Invocation) {}, envelope.FailExit},
		{"sleep 60", func(inv *providers.Invocation) { inv.Timeout = 100 * time.Millisecond }, envelope.FailTimeout},
		{"sleep 60", func(inv *providers.Invocation) { inv.Envelope.TimeoutMillis = 100 }, envelope.FailTimeout},
		{"true", func(inv *providers.Invocation) { inv.Envelope.Outputs = make([]envelope.Output, 1) },
			envelope.FailOutput},
		{"true", func(inv *providers.Invocation) { inv.Envelope.Protocol = 9 }, envelope.FailInternal},
	} {
		b := newBed(t)
		inv := b.invocation(c.script)
		c.change(&inv)
		r := b.Execute(context.Background(), inv)
		require.Nil(t, r.Err)
		require.True(t, r.Usage.Executed)
		require.NotNil(t, r.Manifest.Failure)
		require.Equal(t, c.class, r.Manifest.Failure.Class)
	}
}

func TestWithdrawnAttemptHasAManifest(t *testing.T) {
	b := newBed(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	inv := b.invocation("sleep 60")
	inv.Started = func(time.Time) { time.AfterFunc(20*time.Millisecond, cancel) }
	r := b.Execute(ctx, inv)
	require.Nil(t, r.Err)
	require.Equal(t, envelope.FailCanceled, r.Manifest.Failure.Class)
	found, err := b.Manifest("r1", inv.Envelope.Attempt)
	require.NoError(t, err)
	require.Equal(t, r.Manifest, found)
}

func TestRefusedAttempts(t *testing.T) {
	b := newBed(t, Node{"n0", 2, 1024}, Node{"n1", 4, 512})
	for name, change := range map[string]func(*providers.Invocation){
		"no run":               func(inv *providers.Invocation) { inv.Envelope.Run = "" },
		"run that leads out":   func(inv *providers.Invocation) { inv.Envelope.Run = ".." },
		"run in a folder":      func(inv *providers.Invocation) { inv.Envelope.Run = "a/b" },
		"attempt with newline": func(inv *providers.Invocation) { inv.Envelope.Attempt = "a\nb" },
		"attempt with tab":     func(inv *providers.Invocation) { inv.Envelope.Attempt = "a\tb" },
		"too many cores":       func(inv *providers.Invocation) { inv.Cores = 5 },
		"too many for a node":  func(inv *providers.Invocation) { inv.Node, inv.Cores = 0, 3 },
		"no such node":         func(inv *providers.Invocation) { inv.Node = 2 },
		"too much memory":      func(inv *providers.Invocation) { inv.Cores, inv.Envelope.MemoryBytes = 4, 513<<20 },
	} {
		inv := b.invocation("true")
		change(&inv)
		inv.Started = func(time.Time) { t.Errorf("%s: it began", name) }
		r := b.Execute(context.Background(), inv)
		require.NotNil(t, r.Err, name)
		require.Equal(t, providers.Refused, r.Err.Class, name)
		require.Nil(t, r.Manifest)
		require.False(t, r.Usage.Executed)
	}
}

func TestSelfIsTheRunner(t *testing.T) {
	b := newBed(t)
	b.cfg.Self = []string{"/bin/echo", "self"}
	inv := b.invocation("")
	inv.Envelope.Command.Args = []string{"spillway-runner", "work"}
	require.Equal(t, "self work\n", b.run(inv).LogTail)
}
