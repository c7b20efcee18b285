package postgres_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/engine/storetest"
	"github.com/spillway/spillway/internal/pgtest"
	"github.com/spillway/spillway/store/postgres"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func open(t testing.TB) engine.Store { return openAt(t, pgtest.Database(t)) }

func openAt(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestStore(t *testing.T) { storetest.Run(t, open) }

func TestReopen(t *testing.T) {
	url := pgtest.Database(t)
	storetest.Reopen(t, func(t testing.TB) engine.Store { return openAt(t, url) })
}

// BenchmarkCommit runs on a server with the durability of a real one.
func BenchmarkCommit(b *testing.B) {
	server := pgtest.New(b)
	storetest.Bench(b, func(b testing.TB) engine.Store { return openAt(b, server.Database(b)) })
}
