//go:build linux || darwin

package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is no file is refused, a pipe that nobody writes to as well: opening it must not wait.
func TestOpenInput(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("text"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link")))

	f, err := openInput(dir, "file")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	for name, want := range map[string]string{"folder": "not a regular file", "pipe": "not a regular file",
		"link": "escapes", "none": "no such file", "../x": "escapes"} {
		_, err := openInput(dir, name)
		require.ErrorContains(t, err, want, name)
	}
}

// A trace's file of a petabyte is not read to its end when nobody waits for it any more.
func TestKeepFileStopsWithItsContext(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err := (&embedded{}).keepFile(ctx, func() (io.ReadCloser, error) { return madeUp("huge", 1<<50), nil })
	require.ErrorIs(t, err, context.Canceled)
}
