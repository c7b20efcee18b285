package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/internal/pgtest"
	"github.com/spillway/spillway/store/postgres"
	"github.com/spillway/spillway/workflow"
)

func run(id string) workflow.Record {
	return workflow.Record{Run: workflow.RunRecord{ID: id, State: workflow.RunRunning}}
}

func change(revision int64) engine.Change {
	return engine.Change{
		RunID: "r1", Revision: revision,
		Tasks:  []workflow.TaskRecord{{Index: int(revision), State: workflow.TaskSucceeded}},
		Events: []workflow.EventRecord{{Seq: revision + 1}},
	}
}

// TestServerKilled kills the server while an engine commits. What was acknowledged is there; of the one
// commit that failed, the revision says whether it is; the store goes on by itself.
func TestServerKilled(t *testing.T) {
	server := pgtest.New(t)
	s := openAt(t, server.Database(t))
	require.NoError(t, s.Submit(t.Context(), run("r1"), nil))
	var acknowledged int64
	for range 5 {
		var committed atomic.Int64
		kill, failed := make(chan struct{}), make(chan error)
		go func() {
			n := acknowledged
			for {
				if _, err := s.Commit(context.WithoutCancel(t.Context()), change(n)); err != nil {
					failed <- err
					return
				}
				n++
				if committed.Add(1) == 20 {
					close(kill)
				}
			}
		}()
		<-kill
		server.Kill9()
		err := <-failed
		require.NotErrorIs(t, err, engine.ErrStale)
		acknowledged += committed.Load()
		require.NoError(t, server.Restart())

		got := load(t, s)
		require.GreaterOrEqual(t, got.Run.Revision, acknowledged)
		require.LessOrEqual(t, got.Run.Revision, acknowledged+1)
		require.Equal(t, got.Run.Revision, got.EventSeq, "a commit is there as a whole")
		require.Len(t, got.Tasks, int(got.Run.Revision))
		acknowledged = got.Run.Revision
	}
}

// load reads the run; a first attempt may meet a connection that ended with the server.
func load(t *testing.T, s *postgres.Store) workflow.Record {
	t.Helper()
	for try := 0; ; try++ {
		r, err := s.Load(t.Context(), "r1")
		if err == nil {
			return r
		}
		require.Less(t, try, 10, err)
	}
}

// TestAnswerLost cuts the connection after the server has committed and before the answer arrives.
func TestAnswerLost(t *testing.T) {
	database := pgtest.Database(t)
	proxy := newProxy(t, database)
	s := openAt(t, proxy.url)
	require.NoError(t, s.Submit(t.Context(), run("r1"), nil))
	_, err := s.Commit(t.Context(), change(0))
	require.NoError(t, err)

	proxy.cut.Store(true)
	_, err = s.Commit(t.Context(), change(1))
	require.Error(t, err)
	require.NotErrorIs(t, err, engine.ErrStale)
	proxy.cut.Store(false)

	require.EqualValues(t, 2, load(t, s).Run.Revision, "it was kept, and not twice")
	_, err = s.Commit(t.Context(), change(1))
	require.ErrorIs(t, err, engine.ErrStale, "to repeat it does no harm")
	_, err = s.Commit(t.Context(), change(2))
	require.NoError(t, err)
}

// proxy stands between store and server. While cut, it delivers what the store says, waits for the answer
// and drops it with the connection.
type proxy struct {
	url string
	cut atomic.Bool
}

func newProxy(t *testing.T, database string) *proxy {
	target, err := pgx.ParseConfig(database)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(client, target) })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); wg.Wait() })
	u := url.URL{Scheme: "postgres", User: url.User(target.User), Host: listener.Addr().String(), Path: target.Database, RawQuery: "sslmode=disable"}
	p.url = u.String()
	return p
}

func (p *proxy) serve(client net.Conn, target *pgx.ConnConfig) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("unix", filepath.Join(target.Host, fmt.Sprintf(".s.PGSQL.%d", target.Port)))
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	_, _ = io.Copy(answers{client, p}, server)
}

type answers struct {
	client net.Conn
	proxy  *proxy
}

func (a answers) Write(b []byte) (int, error) {
	if a.proxy.cut.Load() {
		return 0, errors.New("cut")
	}
	return a.client.Write(b)
}

func TestRefusedDatabases(t *testing.T) {
	database := pgtest.Database(t)
	require.NoError(t, openAt(t, database).Close())
	exec := func(query string) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), database)
		require.NoError(t, err)
		defer func() { require.NoError(t, conn.Close(t.Context())) }()
		_, err = conn.Exec(t.Context(), query)
		require.NoError(t, err)
	}
	exec("INSERT INTO schema_version VALUES (9999)")
	_, err := postgres.Open(t.Context(), database)
	require.ErrorContains(t, err, "use a newer spillway")
	exec("DELETE FROM schema_version WHERE version = 9999")

	_, err = postgres.Open(t.Context(), database+"&synchronous_commit=off")
	require.ErrorContains(t, err, "synchronous_commit")

	_, err = postgres.Open(t.Context(), "postgres://someone:s3cret@127.0.0.1:1/x?connect_timeout=1")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "s3cret")
	_, err = postgres.Open(t.Context(), "postgres://someone:s3cret@[broken/x")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "s3cret")
}

// TestOpenTogether has many programs find an empty database at the same moment.
func TestOpenTogether(t *testing.T) {
	database := pgtest.Database(t)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			s, err := postgres.Open(t.Context(), database)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = s.Close() }()
			if err := s.Submit(t.Context(), run(fmt.Sprint("r", i)), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
