package pgtest_test

import (
	"os"
	osexec "os/exec"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func exec(t *testing.T, url, query string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		return err
	}
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	_, err = conn.Exec(t.Context(), query)
	return err
}

func TestDatabasesAreApart(t *testing.T) {
	a, b := pgtest.Database(t), pgtest.Database(t)
	require.NoError(t, exec(t, a, "CREATE TABLE x (n int)"))
	require.ErrorContains(t, exec(t, b, "INSERT INTO x VALUES (1)"), "does not exist")
}

func TestRestartKeepsWhatWasCommitted(t *testing.T) {
	s := pgtest.New(t)
	url := s.Database(t)
	require.NoError(t, exec(t, url, "CREATE TABLE x (n int)"))
	for _, end := range []func(){s.Kill9, s.Stop, s.Kill9, s.Kill9} {
		require.NoError(t, exec(t, url, "INSERT INTO x VALUES (1)"))
		end()
		require.Error(t, exec(t, url, "SELECT 1"), "the server is gone")
		require.NoError(t, s.Restart())
	}
	require.NoError(t, exec(t, url, "DO $$ BEGIN ASSERT (SELECT count(*) FROM x) = 4; END $$"))
}

// TestMissing runs a test of this package as on a machine without a server.
func TestMissing(t *testing.T) {
	for mandatory, want := range map[string]string{"": "--- SKIP", "1": "--- FAIL"} {
		cmd := osexec.Command(os.Args[0], "-test.run=^TestDatabasesAreApart$", "-test.v")
		cmd.Env = append(os.Environ(), "CI=", "SPILLWAY_REQUIRE_POSTGRES="+mandatory, "SPILLWAY_PG_BIN="+t.TempDir())
		out, err := cmd.CombinedOutput()
		require.Equal(t, mandatory != "", err != nil)
		require.Contains(t, string(out), want)
		require.Contains(t, string(out), "apt-get install postgresql")
	}
}
