// Package sqlite keeps runs in one SQLite file, the engine's default store. It needs no server and no C
// compiler. Several processes may have the file open: one writes at a time, the others wait.
//
// A commit is durable when it returns: write-ahead log, synchronous=FULL, one sync of the log a commit.
package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	driver "modernc.org/sqlite"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/migrations"
)

const (
	busyTimeout  = "10000"    // ms to wait for another process that writes; a commit takes about one
	walSizeLimit = "67108864" // bytes of log kept on disk after a checkpoint
	readers      = 4          // connections; readers block nobody and are blocked by nobody
)

// Store is an engine.Store in one file.
type Store struct {
	reads  *sql.DB
	writes *sql.DB
	writer *writer
	turn   chan struct{} // holds one token: the right to use the writer
	once   sync.Once
}

var _ engine.Store = (*Store)(nil)

// Open opens or creates the file and brings its schema up to date. A file of a newer program is refused. The
// file is readable by its owner alone, for definitions and logs may hold what others should not see.
func Open(ctx context.Context, path string) (_ *Store, err error) {
	if err := create(path); err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	// What SQLite's own builds do on Linux: sync the data of the log, not its time stamps.
	_, _ = driver.Fdatasync(true)
	s := &Store{turn: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			_ = s.Close()
			err = fmt.Errorf("store %s: %w", path, err)
		}
	}()
	if s.writes, err = sql.Open("sqlite", dsn(path, false)); err != nil {
		return nil, err
	}
	s.writes.SetMaxOpenConns(1)
	if err := migrate(ctx, s.writes); err != nil {
		return nil, err
	}
	if s.writer, err = newWriter(ctx, s.writes); err != nil {
		return nil, err
	}
	if s.reads, err = sql.Open("sqlite", dsn(path, true)); err != nil {
		return nil, err
	}
	s.reads.SetMaxOpenConns(readers)
	s.reads.SetMaxIdleConns(readers)
	s.turn <- struct{}{}
	return s, nil
}

// Close ends the connections. Commits under way are finished first.
func (s *Store) Close() (err error) {
	s.once.Do(func() {
		if s.reads != nil {
			<-s.turn
			close(s.turn)
			err = s.reads.Close()
		}
		if s.writer != nil {
			s.writer.close()
		}
		if s.writes != nil {
			if e := s.writes.Close(); err == nil {
				err = e
			}
		}
	})
	return err
}

func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func dsn(path string, readOnly bool) string {
	q := url.Values{
		"_busy_timeout": {busyTimeout},
		"_foreign_keys": {"1"},
		"_dqs":          {"0"},
	}
	if readOnly {
		q.Set("_query_only", "1")
	} else {
		q.Set("_journal_mode", "WAL")
		q.Set("_synchronous", "FULL")
		q.Add("_pragma", "journal_size_limit("+walSizeLimit+")")
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(absolute(path)), RawQuery: q.Encode()}
	return u.String()
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// migrate runs inside one transaction, so that of several programs that open a new file one creates the
// schema and the others find it.
func migrate(ctx context.Context, db *sql.DB) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		}
	}()
	var have int
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return err
	}
	pending, err := migrations.Pending(migrations.SQLite, have)
	if err != nil {
		return err
	}
	for _, m := range pending {
		if _, err := conn.ExecContext(ctx, m.SQL); err != nil {
			return fmt.Errorf("migration %s: %w", m.Name, err)
		}
		if _, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", m.Version)); err != nil {
			return err
		}
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}
