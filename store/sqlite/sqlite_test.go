package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/engine/storetest"
	"github.com/spillway/spillway/store/sqlite"
)

func open(t testing.TB) engine.Store { return openAt(t, filepath.Join(t.TempDir(), "runs.db")) }

func openAt(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestStore(t *testing.T) { storetest.Run(t, open) }

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	storetest.Reopen(t, func(t testing.TB) engine.Store { return openAt(t, path) })
}

func BenchmarkCommit(b *testing.B) { storetest.Bench(b, open) }
