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
	statements map[string]*sql.Stmt // by query
	inserts    map[insertKey]string // queries
}

type insertKey struct {
	table string
	rows  int
}

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &writer{conn: conn, statements: map[string]*sql.Stmt{}, inserts: map[insertKey]string{}}, nil
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
	s, err := w.prepared(query) //nolint:sqlclosecheck // kept for the next time, closed with the writer
	if err != nil {
		return err
	}
	_, err = s.ExecContext(ctx, args...)
	return err
}

// changed is exec that says how many rows there were to change.
func (w *writer) changed(query string, args ...any) (int64, error) {
	s, err := w.prepared(query) //nolint:sqlclosecheck // kept for the next time, closed with the writer
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
	s, err := w.prepared(query) //nolint:sqlclosecheck // kept for the next time, closed with the writer
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
	for len(rows) > 0 && b.err == nil {
		n := 1
		if len(rows) >= chunk {
			n = chunk
		}
		b.err = putRows(b, t, rows[:n])
		rows = rows[n:]
	}
}

// chunk rows go into one statement where there are so many: it took an eighth off a commit of 64 tasks.
// Larger chunks gained nothing more.
const chunk = 8

func putRows[T any](b *batch, t table.Table[T], rows []T) error {
	key := insertKey{t.Name, len(rows)}
	columns := 1 + len(t.Fields(&rows[0]))
	query := b.w.inserts[key]
	if query == "" {
		query = "INSERT INTO " + t.Name + " (run, " + strings.Join(t.Columns(), ", ") + ") VALUES " +
			list(len(rows), "("+list(columns, "?")+")") + t.OnConflict()
		b.w.inserts[key] = query
	}
	args := make([]any, 0, len(rows)*columns)
	for i := range rows {
		args = table.AppendValues(append(args, b.run), t.Fields(&rows[i]))
	}
	if err := b.w.exec(context.Background(), query, args...); err != nil {
		return fmt.Errorf("%s: %w", t.Name, err)
	}
	return nil
}

// list is n times an element, between commas.
func list(n int, element string) string {
	return strings.TrimPrefix(strings.Repeat(", "+element, n), ", ")
}
