package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/store/internal/table"
	"github.com/spillway/spillway/workflow"
)

// Load implements engine.Store. All of it is read from one snapshot.
func (s *Store) Load(ctx context.Context, id string) (r workflow.Record, err error) {
	tx, err := s.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return r, err
	}
	defer func() { _ = tx.Rollback() }()
	run, err := loadRun(ctx, tx, id, &r)
	if err != nil {
		return r, fmt.Errorf("run %s: %w", id, err)
	}
	err = errors.Join(
		get(ctx, tx, table.Tasks, run, &r.Tasks),
		get(ctx, tx, table.Attempts, run, &r.Attempts),
		get(ctx, tx, table.Files, run, &r.Files),
		get(ctx, tx, table.Transfers, run, &r.Transfers),
		get(ctx, tx, table.Items, run, &r.Items),
		get(ctx, tx, table.Outbox, run, &r.Outbox),
		tx.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM events WHERE run = ?", run).Scan(&r.EventSeq))
	return r, err
}

func loadRun(ctx context.Context, tx *sql.Tx, id string, r *workflow.Record) (run int64, err error) {
	fields := append(table.Run(&r.Run), table.Head(&r.Run)...)
	query := "SELECT run, source, filename, " + strings.Join(table.Columns(fields), ", ") +
		" FROM runs JOIN heads USING (run) JOIN specs ON digest = spec WHERE id = ?"
	targets := append([]any{&run, &r.Source, &r.Filename}, table.Targets(fields)...)
	err = tx.QueryRowContext(ctx, query, table.Text(id)).Scan(targets...)
	if errors.Is(err, sql.ErrNoRows) {
		err = engine.ErrNotFound
	}
	return run, err
}

func get[T any](ctx context.Context, tx *sql.Tx, t table.Table[T], run int64, to *[]T) (err error) {
	*to, err = collect(ctx, tx, t.Targets, t.Select("?"), run)
	return err
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func collect[T any](ctx context.Context, q querier, targets func(*T) []any, query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []T
	for rows.Next() {
		var row T
		if err := rows.Scan(targets(&row)...); err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// Signals implements engine.Store.
func (s *Store) Signals(ctx context.Context, id string) (wish engine.Signals, err error) {
	err = s.reads.QueryRowContext(ctx,
		"SELECT cancel_requested, budget_wish FROM runs JOIN heads USING (run) WHERE id = ?", table.Text(id)).
		Scan(&wish.Cancel, &wish.BudgetMax)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("run %s: %w", id, engine.ErrNotFound)
	}
	return wish, err
}

// Runs implements engine.Store.
func (s *Store) Runs(ctx context.Context, f engine.RunFilter) ([]workflow.RunRecord, error) {
	where, args := []string{"true"}, []any{}
	narrow := func(condition, value string) {
		if value != "" {
			where, args = append(where, condition), append(args, table.Text(value))
		}
	}
	narrow("project = ?", f.Project)
	narrow("workflow = ?", f.Workflow)
	narrow("id < ?", f.Before)
	if states, any := table.States(f); !any {
		where = append(where, "state IN ("+list(len(states), "?")+")")
		for _, state := range states {
			args = append(args, state)
		}
	}
	columns := func(r *workflow.RunRecord) []table.Field { return append(table.Run(r), table.Head(r)...) }
	query := "SELECT " + strings.Join(table.Columns(columns(new(workflow.RunRecord))), ", ") +
		" FROM runs JOIN heads USING (run) WHERE " + strings.Join(where, " AND ") + " ORDER BY id DESC LIMIT ?"
	return collect(ctx, s.reads, func(r *workflow.RunRecord) []any { return table.Targets(columns(r)) },
		query, append(args, table.Limit(f))...)
}

// Events implements engine.Store.
func (s *Store) Events(ctx context.Context, id string, after int64, limit int) ([]workflow.EventRecord, error) {
	var run int64
	err := s.reads.QueryRowContext(ctx, "SELECT run FROM runs WHERE id = ?", table.Text(id)).Scan(&run)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("run %s: %w", id, engine.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	query := "SELECT " + strings.Join(table.Events.Columns(), ", ") +
		" FROM events WHERE run = ? AND seq > ? ORDER BY seq LIMIT ?"
	return collect(ctx, s.reads, table.Events.Targets, query, run, after, max(limit, 0))
}

// History implements engine.Store.
func (s *Store) History(ctx context.Context, wf string, limit int) ([]engine.Sample, error) {
	return collect(ctx, s.reads, func(row *engine.Sample) []any { return table.Targets(table.Sample(row)) },
		table.History("?", "?"), table.Text(wf), max(limit, 0))
}
