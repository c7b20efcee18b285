//go:build linux || darwin

package runner

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/internal/procgroup"
)

// nopLog is a log that keeps nothing.
type nopLog struct{}

func (nopLog) Write(p []byte) (int, error) { return len(p), nil }
func (nopLog) Close() error                { return nil }

// requireGone demands that no process with the entry lives.
func requireGone(t *testing.T, entry string) {
	t.Helper()
	require.Empty(t, procgroup.Marked(entry, ""))
}

// requireNobodyBelow demands that no process works in dir, which may be gone.
func requireNobodyBelow(t *testing.T, dir string) {
	t.Helper()
	if runtime.GOOS == "linux" {
		require.Empty(t, procgroup.Marked("NO=", dir))
	}
}
