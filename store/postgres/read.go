package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/store/internal/table"
	"github.com/spillway/spillway/workflow"
)

// Load implements engine.Store. All of it is read from one snapshot.
func (s *Store) Load(ctx context.Context, run string) (r workflow.Record, err error) {
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, s.pool, snapshot, func(tx pgx.Tx) error {
		var b pgx.Batch
		id := table.Text(run)
		queueRun(&b, id, &r)
		get(&b, table.Tasks, id, &r.Tasks)
		get(&b, table.Attempts, id, &r.Attempts)
		get(&b, table.Files, id, &r.Files)
		get(&b, table.Transfers, id, &r.Transfers)
		get(&b, table.Items, id, &r.Items)
		get(&b, table.Outbox, id, &r.Outbox)
		b.Queue("SELECT coalesce(max(seq), 0) FROM events WHERE run = "+runNumber, id).
			QueryRow(func(row pgx.Row) error { return row.Scan(&r.EventSeq) })
		return tx.SendBatch(ctx, &b).Close()
	})
	if errors.Is(err, pgx.ErrNoRows) {
		err = engine.ErrNotFound
	}
	if err != nil {
		return workflow.Record{}, fmt.Errorf("run %s: %w", run, err)
	}
	return r, nil
}

func queueRun(b *pgx.Batch, id string, r *workflow.Record) {
	fields := runFields(&r.Run)
	b.Queue("SELECT source, filename, "+strings.Join(table.Columns(fields), ", ")+
		" FROM runs JOIN heads USING (run) JOIN specs ON digest = spec WHERE id = $1", id).
		QueryRow(func(row pgx.Row) error {
			return row.Scan(append([]any{&r.Source, &r.Filename}, table.Targets(fields)...)...)
		})
}

func runFields(r *workflow.RunRecord) []table.Field { return append(table.Run(r), table.Head(r)...) }

func get[T any](b *pgx.Batch, t table.Table[T], id string, to *[]T) {
	b.Queue(t.Select(runNumber), id).Query(func(rows pgx.Rows) (err error) {
		*to, err = scan(rows, t.Fields)
		return err
	})
}

// Signals implements engine.Store.
func (s *Store) Signals(ctx context.Context, run string) (wish engine.Signals, err error) {
	err = s.pool.QueryRow(ctx, "SELECT cancel_requested, budget_wish FROM heads WHERE run = "+runNumber, table.Text(run)).
		Scan(&wish.Cancel, &wish.BudgetMax)
	if errors.Is(err, pgx.ErrNoRows) {
		err = fmt.Errorf("run %s: %w", run, engine.ErrNotFound)
	}
	return wish, err
}

// Runs implements engine.Store.
func (s *Store) Runs(ctx context.Context, f engine.RunFilter) ([]workflow.RunRecord, error) {
	where, args := []string{"true"}, []any{}
	narrow := func(condition string, value any) {
		args = append(args, value)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	if f.Project != "" {
		narrow("project = $%d", table.Text(f.Project))
	}
	if f.Workflow != "" {
		narrow("workflow = $%d", table.Text(f.Workflow))
	}
	if f.Before != "" {
		narrow("id < $%d", table.Text(f.Before))
	}
	if states, any := table.States(f); !any {
		narrow("state = ANY($%d)", states)
	}
	args = append(args, table.Limit(f))
	return collect(ctx, s.pool, runFields, "SELECT "+strings.Join(table.Columns(runFields(new(workflow.RunRecord))), ", ")+
		" FROM runs JOIN heads USING (run) WHERE "+strings.Join(where, " AND ")+
		fmt.Sprintf(" ORDER BY id DESC LIMIT $%d", len(args)), args...)
}

// Events implements engine.Store.
func (s *Store) Events(ctx context.Context, run string, after int64, limit int) ([]workflow.EventRecord, error) {
	all, err := collect(ctx, s.pool, table.Events.Fields, "SELECT "+strings.Join(table.Events.Columns(), ", ")+
		" FROM events WHERE run = "+runNumber+" AND seq > $2 ORDER BY seq LIMIT $3", table.Text(run), after, max(limit, 0))
	if err == nil && len(all) == 0 {
		if err := s.refused(ctx, run, nil); errors.Is(err, engine.ErrNotFound) {
			return nil, err
		}
	}
	return all, err
}

// History implements engine.Store.
func (s *Store) History(ctx context.Context, wf string, limit int) ([]engine.Sample, error) {
	return collect(ctx, s.pool, table.Sample, table.History("$1", "$2"), table.Text(wf), max(limit, 0))
}
