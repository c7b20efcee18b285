package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/store/sqlite"
	"github.com/spillway/spillway/workflow"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("SPILLWAY_TEST_COMMIT_TO"); path != "" {
		if err := commitForever(path, os.Getenv("SPILLWAY_TEST_RUN")); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func TestPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	dir := filepath.Join(t.TempDir(), "new", "folder")
	s := openAt(t, filepath.Join(dir, "runs.db"))
	require.NoError(t, s.Submit(t.Context(), run("r1"), nil))
	require.Equal(t, fs.FileMode(0o700), mode(t, dir))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		require.Equal(t, fs.FileMode(0o600), mode(t, filepath.Join(dir, "runs.db"+suffix)))
	}
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Mode().Perm()
}

func run(id string) workflow.Record {
	return workflow.Record{Run: workflow.RunRecord{ID: id, State: workflow.RunRunning}}
}

func TestStrangePaths(t *testing.T) {
	for _, name := range []string{"a b.db", "q?mode=ro&x=%20.db", "hash#.db", "ünï.db", ":memory:"} {
		path := filepath.Join(t.TempDir(), name)
		s := openAt(t, path)
		require.NoError(t, s.Submit(t.Context(), run("r1"), nil))
		require.FileExists(t, path)
	}
}

func TestRefusedFiles(t *testing.T) {
	dir := t.TempDir()
	_, err := sqlite.Open(t.Context(), dir)
	require.Error(t, err, "a folder")

	text := filepath.Join(dir, "notes.txt")
	require.NoError(t, os.WriteFile(text, []byte(strings.Repeat("not a database\n", 100)), 0o600))
	_, err = sqlite.Open(t.Context(), text)
	require.ErrorContains(t, err, text)
	require.ErrorContains(t, err, "not a database")

	newer := filepath.Join(dir, "newer.db")
	require.NoError(t, openAt(t, newer).Close())
	db, err := sql.Open("sqlite", newer)
	require.NoError(t, err)
	_, err = db.Exec("PRAGMA user_version = 9999")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = sqlite.Open(t.Context(), newer)
	require.ErrorContains(t, err, "use a newer spillway")
}

func TestClosed(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "runs.db"))
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "again")
	require.ErrorContains(t, s.Submit(t.Context(), run("r1"), nil), "closed")
	_, err := s.Load(t.Context(), "r1")
	require.ErrorContains(t, err, "closed")
}

// TestOpenTogether has many programs find no file at the same moment, and then write to it at once.
func TestOpenTogether(t *testing.T) {
	const programs, commits = 4, 10
	path := filepath.Join(t.TempDir(), "runs.db")
	var wg sync.WaitGroup
	for i := range programs {
		wg.Go(func() {
			s, err := sqlite.Open(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = s.Close() }()
			id := fmt.Sprint("r", i)
			if err := s.Submit(t.Context(), run(id), nil); err != nil {
				t.Error(err)
			}
			for n := range int64(commits) {
				_, err := s.Commit(t.Context(), engine.Change{RunID: id, Revision: n})
				if err := errors.Join(err, s.Signal(t.Context(), id, engine.Signals{Cancel: true})); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	runs, err := openAt(t, path).Runs(t.Context(), engine.RunFilter{})
	require.NoError(t, err)
	require.Len(t, runs, programs)
	for _, r := range runs {
		require.EqualValues(t, commits, r.Revision)
	}
}

// TestKilled kills processes that share a file while they commit. What they said was committed is there,
// whole, and the others never notice.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	s := openAt(t, path)
	require.NoError(t, s.Submit(t.Context(), run("mine"), nil))
	for round := range 4 {
		id := fmt.Sprint("r", round)
		require.NoError(t, s.Submit(t.Context(), run(id), nil))
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "SPILLWAY_TEST_COMMIT_TO="+path, "SPILLWAY_TEST_RUN="+id)
		cmd.Stderr = os.Stderr
		said, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		var last int64
		lines := bufio.NewScanner(said)
		for lines.Scan() {
			last, err = strconv.ParseInt(lines.Text(), 10, 64)
			require.NoError(t, err)
			if last == 40 {
				_, err := s.Commit(t.Context(), engine.Change{RunID: "mine", Revision: int64(round)})
				require.NoError(t, err, "the file is shared")
				require.NoError(t, cmd.Process.Kill())
			}
		}
		_ = cmd.Wait()
		require.GreaterOrEqual(t, last, int64(40))
		got, err := s.Load(t.Context(), id)
		require.NoError(t, err)
		require.GreaterOrEqual(t, got.Run.Revision, last)
		require.LessOrEqual(t, got.Run.Revision, last+1)
		require.Equal(t, got.Run.Revision, got.EventSeq, "a commit is there as a whole")
		require.Len(t, got.Tasks, int(got.Run.Revision))
	}
	require.NoError(t, s.Close())
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer func() { _ = db.Close() }()
	var check string
	require.NoError(t, db.QueryRow("PRAGMA integrity_check").Scan(&check))
	require.Equal(t, "ok", check)
}

// commitForever is the process that TestKilled kills; each line it prints is a revision that it was told is kept.
func commitForever(path, id string) error {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, path)
	for n := int64(0); err == nil; n++ {
		_, err = s.Commit(ctx, engine.Change{
			RunID: id, Revision: n,
			Tasks:  []workflow.TaskRecord{{Index: int(n), State: workflow.TaskSucceeded}},
			Events: []workflow.EventRecord{{Seq: n + 1, At: time.Unix(n, 0)}},
		})
		if err == nil {
			fmt.Fprintln(os.Stdout, n+1)
		}
	}
	return err
}
