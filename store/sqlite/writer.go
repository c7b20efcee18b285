package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/spillway/spillway/store/internal/table"
)

// writer is the one connection that writes, with its statements prepared.
type writer struct {
	conn       *sql.Conn
	statements map[string]*sql.Stmt
}

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &writer{conn: conn, statements: map[string]*sql.Stmt{}}, nil
}

func (w *writer) close() {
	for _, s := range w.statements {
		_ = s.Close()
	}
	_ = w.conn.Close()
}

// write runs f inside a transaction that is the only one to write, and commits when f returns nil. Waiting
// ends with ctx; once begun, a transaction is not interrupted, so that an error never leaves open whether
// it was kept.
func (s *Store) write(ctx context.Context, f func(w *writer) error) error {
	select {
	case _, open := <-s.turn:
		if !open {
			return errClosed
		}
		defer func() { s.turn <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	w := s.writer
	err := w.exec(ctx, "BEGIN IMMEDIATE")
	if err == nil {
		if err = f(w); err == nil {
			err = w.exec(context.Background(), "COMMIT")
		}
	}
	if err != nil {
		_ = w.exec(context.Background(), "ROLLBACK") // fails when nothing was begun, or SQLite has undone it
	}
	return err
}

// prepared gives the statement for a query, prepared once.
func (w *writer) prepared(query string) (*sql.Stmt, error) {
	if s := w.statements[query]; s != nil {
		return s, nil
	}
	s, err := w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("%w in %s", err, query)
	}
	w.statements[query] = s
	return s, nil
}

func (w *writer) exec(ctx context.Context, query string, args ...any) error {
	s, err := w.prepared(query)
	if err != nil {
		return err
	}
	_, err = s.ExecContext(ctx, args...)
	return err
}

// changed is exec that says how many rows there were to change.
func (w *writer) changed(query string, args ...any) (int64, error) {
	s, err := w.prepared(query)
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// row reads one row.
func (w *writer) row(query string, args []any, targets ...any) error {
	s, err := w.prepared(query)
	if err != nil {
		return err
	}
	return s.QueryRowContext(context.Background(), args...).Scan(targets...)
}

// batch writes the rows of one run, up to the first error: SQLite undoes the transaction by itself at some
// errors, and what came after would be written outside of one.
type batch struct {
	w   *writer
	run int64
	err error
}

func put[T any](b *batch, t table.Table[T], rows []T) {
	if len(rows) == 0 || b.err != nil {
		return
	}
	query := insert(t.Name, t.Columns()) + t.OnConflict()
	for i := range rows {
		args := append([]any{b.run}, t.Values(&rows[i])...)
		if err := b.w.exec(context.Background(), query, args...); err != nil {
			b.err = fmt.Errorf("%s: %w", t.Name, err)
			return
		}
	}
}

func insert(name string, columns []string) string {
	return "INSERT INTO " + name + " (run, " + strings.Join(columns, ", ") + ") VALUES (?" +
		strings.Repeat(", ?", len(columns)) + ")"
}
