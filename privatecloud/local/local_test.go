//go:build linux || darwin

package local

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spillway/spillway/artifact"
	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/providers"
)

// helperDir, in the environment, makes the test binary an engine that executes one attempt of run r1 at
// the site in that folder, says so, and is then killed.
const helperDir = "TEST_SITE_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		os.Exit(engineThatDies(dir))
	}
	goleak.VerifyTestMain(m)
}

// bed is a site with its object store.
type bed struct {
	*Site
	t     testing.TB
	store *artifact.FS
}

// attempts makes their ids unique, as the engine's are.
var attempts atomic.Int64

func newBed(t testing.TB, nodes ...Node) *bed {
	t.Helper()
	dir := t.TempDir()
	if len(nodes) == 0 {
		nodes = []Node{{Name: "n0", Cores: 2, MemoryMiB: 1024}}
	}
	store, err := artifact.NewFS(dir + "/objects")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	site, err := Open(Config{Dir: dir + "/site", Nodes: nodes, Objects: artifact.Client{}})
	require.NoError(t, err)
	return &bed{Site: site, t: t, store: store}
}

// invocation is an attempt of its own of run r1.
func (b *bed) invocation(shell string) providers.Invocation {
	attempt := "r1." + strconv.FormatInt(attempts.Add(1), 10) + ".1"
	return providers.Invocation{Node: -1, Cores: 1, Envelope: envelope.Invocation{Protocol: envelope.Protocol,
		Run: "r1", Task: "t", Attempt: attempt, Command: envelope.Command{Shell: shell},
		Manifest: b.object("runs/r1/" + attempt + "/manifest.json")}}
}

// object is a stored object that may be read and written.
func (b *bed) object(key string) envelope.Object {
	o := envelope.Object{Key: key}
	var err error
	if o.Get, err = b.store.Sign(context.Background(), "GET", key, time.Hour); err == nil {
		o.Put, err = b.store.Sign(context.Background(), "PUT", key, time.Hour)
	}
	require.NoError(b.t, err)
	return o
}

// run executes an attempt that must begin, and returns its manifest.
func (b *bed) run(inv providers.Invocation) *envelope.Manifest {
	b.t.Helper()
	r := b.Execute(context.Background(), inv)
	require.Nil(b.t, r.Err)
	require.NotNil(b.t, r.Manifest)
	return r.Manifest
}

// engineThatDies executes the script of TEST_SCRIPT.
func engineThatDies(dir string) int {
	site, err := Open(Config{Dir: dir, Nodes: []Node{{Name: "n0", Cores: 2}}, Objects: artifact.Client{}})
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		return 1
	}
	r := site.Execute(context.Background(), helperInvocation(os.Getenv("TEST_SCRIPT"), os.Getenv("WITNESS")))
	fmt.Fprintln(os.Stdout, "ended", r.Err, r.Manifest)
	select {}
}

func helperInvocation(script, witness string) providers.Invocation {
	return providers.Invocation{Node: 0, Cores: 1, Envelope: envelope.Invocation{Protocol: envelope.Protocol,
		Run: "r1", Task: "t", Attempt: "r1.0.1", Command: envelope.Command{Shell: script},
		Env: map[string]string{"WITNESS": witness}, Manifest: envelope.Object{Key: "m"}}}
}
