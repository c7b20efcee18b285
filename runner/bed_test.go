//go:build linux || darwin

package runner

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/internal/procgroup"
)

// asRunner lets the test binary be spillway-runner.
const asRunner = "TEST_AS_RUNNER"

func TestMain(m *testing.M) {
	if os.Getenv(asRunner) != "" {
		os.Exit(Main(os.Args[1:], Options{Objects: newMemory()}))
	}
	goleak.VerifyTestMain(m)
}

// memory keeps objects by key; URLs do not matter.
type memory struct {
	mu      sync.Mutex
	objects map[string][]byte
	failing map[string]error // of calls about a key
	once    func()           // called by StoreOnce before it looks
}

func newMemory() *memory { return &memory{objects: map[string][]byte{}, failing: map[string]error{}} }

func (m *memory) Fetch(_ context.Context, o envelope.Object, w io.Writer) (int64, string, error) {
	m.mu.Lock()
	data, ok := m.objects[o.Key]
	err := m.failing[o.Key]
	m.mu.Unlock()
	if err != nil {
		return 0, "", err
	}
	if !ok {
		return 0, "", fmt.Errorf("fetch %s: %w", o.Key, fs.ErrNotExist)
	}
	n, err := w.Write(data)
	return int64(n), digest(data), err
}

func (m *memory) Store(_ context.Context, o envelope.Object, r io.ReadSeeker) (int64, string, error) {
	data, err := io.ReadAll(r)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		err = m.failing[o.Key]
	}
	if err != nil {
		return 0, "", err
	}
	m.objects[o.Key] = data
	return int64(len(data)), digest(data), nil
}

func (m *memory) StoreOnce(ctx context.Context, o envelope.Object, data []byte) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if m.once != nil {
		m.once()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failing["once:"+o.Key]; err != nil {
		return err
	}
	if _, ok := m.objects[o.Key]; ok {
		return fs.ErrExist
	}
	m.objects[o.Key] = bytes.Clone(data)
	return nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// bed is a place where attempts execute.
type bed struct {
	t       *testing.T
	objects *memory
	opt     Options
	inv     envelope.Invocation
}

const manifestKey = "runs/r1/r1.0.1/manifest.json"

func newBed(t *testing.T, shell string) *bed {
	b := &bed{t: t, objects: newMemory()}
	b.opt = Options{Objects: b.objects, WorkDir: filepath.Join(t.TempDir(), "work")}
	b.inv = envelope.Invocation{Protocol: envelope.Protocol, Run: "r1", Task: "t[0]", Attempt: "r1.0.1",
		Command: envelope.Command{Shell: shell}, Manifest: envelope.Object{Key: manifestKey}}
	return b
}

// run executes the attempt and checks what holds for every attempt.
func (b *bed) run(ctx context.Context) envelope.Manifest {
	b.t.Helper()
	m := Run(ctx, b.inv, b.opt)
	require.Equal(b.t, [...]any{envelope.Protocol, "r1", "t[0]", "r1.0.1"},
		[...]any{m.Protocol, m.Run, m.Task, m.Attempt})
	require.LessOrEqual(b.t, m.StartedAt, m.FinishedAt)
	require.LessOrEqual(b.t, m.FinishedAt, time.Now().UnixMicro())
	if !b.opt.KeepWorkDir {
		require.NoDirExists(b.t, b.opt.WorkDir)
	}
	return m
}

// stored is the manifest in the store.
func (b *bed) stored() (m envelope.Manifest) {
	b.t.Helper()
	require.NoError(b.t, json.Unmarshal(b.objects.objects[manifestKey], &m))
	return m
}

func (b *bed) input(path, content string) *envelope.Input {
	b.objects.objects["in/"+path] = []byte(content)
	b.inv.Inputs = append(b.inv.Inputs, envelope.Input{Path: path, SHA256: digest([]byte(content)),
		Size: int64(len(content)), Object: envelope.Object{Key: "in/" + path}})
	return &b.inv.Inputs[len(b.inv.Inputs)-1]
}

func (b *bed) output(path string) *envelope.Output {
	b.inv.Outputs = append(b.inv.Outputs, envelope.Output{Path: path,
		Object: envelope.Object{Key: "out/" + path, Put: "put"}})
	return &b.inv.Outputs[len(b.inv.Outputs)-1]
}

// requireFailure demands a failure of class whose message holds text.
func requireFailure(t *testing.T, m envelope.Manifest, class envelope.FailureClass, text string) {
	t.Helper()
	require.NotNil(t, m.Failure)
	require.Equal(t, class, m.Failure.Class, m.Failure.Message)
	require.Contains(t, m.Failure.Message, text)
	require.Empty(t, m.Outputs)
}

// requireGone demands that no process of the attempt lives, nor any in its working directory.
func (b *bed) requireGone() {
	b.t.Helper()
	require.Empty(b.t, procgroup.Marked("SPILLWAY_MARK="+b.inv.Attempt+":"+b.opt.WorkDir, b.opt.WorkDir))
}

// nopLog is a log that keeps nothing.
type nopLog struct{}

func (nopLog) Write(p []byte) (int, error) { return len(p), nil }
func (nopLog) Close() error                { return nil }
