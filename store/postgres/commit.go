package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/store/internal/table"
	"github.com/spillway/spillway/workflow"
)

// Submit implements engine.Store.
func (s *Store) Submit(ctx context.Context, r workflow.Record, events []workflow.EventRecord) error {
	return again(ctx, func() error {
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			if err := addRun(ctx, tx, &r); err != nil {
				return err
			}
			var b pgx.Batch
			run := table.Text(r.Run.ID)
			put(&b, table.Tasks, run, r.Tasks)
			put(&b, table.Attempts, run, r.Attempts)
			put(&b, table.Files, run, r.Files)
			put(&b, table.Transfers, run, r.Transfers)
			put(&b, table.Items, run, r.Items)
			put(&b, table.Outbox, run, r.Outbox)
			put(&b, table.Events, run, events)
			return tx.SendBatch(ctx, &b).Close()
		})
	})
}

func addRun(ctx context.Context, tx pgx.Tx, r *workflow.Record) error {
	source := append([]byte{}, r.Source...) // nil would be NULL
	sum := sha256.Sum256(source)
	digest := hex.EncodeToString(sum[:])
	if _, err := tx.Exec(ctx, "INSERT INTO specs (digest, source) VALUES ($1, $2) ON CONFLICT DO NOTHING", digest, source); err != nil {
		return err
	}
	fields := table.Run(&r.Run)
	args := table.AppendValues([]any{digest, table.Text(r.Filename)}, fields)
	tag, err := tx.Exec(ctx, "INSERT INTO runs (spec, filename, "+strings.Join(table.Columns(fields), ", ")+") VALUES ("+
		parameters(len(args))+") ON CONFLICT (id) DO NOTHING", args...)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("run %s: %w", r.Run.ID, engine.ErrExists)
	}
	_, err = tx.Exec(ctx, "INSERT INTO heads (run) VALUES ("+runNumber+")", table.Text(r.Run.ID))
	return err
}

func parameters(n int) string {
	var b strings.Builder
	for i := range n {
		_, _ = fmt.Fprintf(&b, ", $%d", i+1)
	}
	return strings.TrimPrefix(b.String(), ", ")
}

// Commit implements engine.Store. The statements form one transaction without BEGIN and COMMIT, because
// they are sent before the server is asked to answer.
func (s *Store) Commit(ctx context.Context, c engine.Change) (revision int64, err error) {
	err = again(ctx, func() error {
		results := s.pool.SendBatch(ctx, statements(&c)) // new each time: a batch remembers its connection
		err := results.QueryRow().Scan(&revision)
		if closed := results.Close(); err == nil {
			err = closed
		}
		return err
	})
	if err != nil {
		return 0, domain(err)
	}
	return revision, nil
}

func statements(c *engine.Change) *pgx.Batch {
	b, run := new(pgx.Batch), table.Text(c.RunID)
	b.Queue("SELECT advance_run($1, $2, $3)", run, c.Revision, c.Epoch)
	if c.Run != nil {
		updateRun(b, run, c.Run)
	}
	put(b, table.Tasks, run, c.Tasks)
	put(b, table.Attempts, run, c.Attempts)
	put(b, table.Files, run, c.Files)
	put(b, table.Transfers, run, c.Transfers)
	put(b, table.Items, run, c.Items)
	put(b, table.Events, run, c.Events)
	put(b, table.Outbox, run, c.Outbox)
	if len(c.OutboxDone) > 0 {
		b.Queue("DELETE FROM outbox WHERE run = "+runNumber+" AND id = ANY($2)", run, c.OutboxDone)
	}
	return b
}

func updateRun(b *pgx.Batch, run string, r *workflow.RunRecord) {
	fields := table.Run(r)[1:] // all but the id
	set := make([]string, len(fields))
	for i, f := range fields {
		set[i] = fmt.Sprintf("%s = $%d", f.Column, i+2)
	}
	b.Queue("UPDATE runs SET "+strings.Join(set, ", ")+" WHERE id = $1", table.AppendValues([]any{run}, fields)...)
}

// Lease implements engine.Store.
func (s *Store) Lease(ctx context.Context, run, owner string, now, until time.Time) (epoch int64, err error) {
	err = again(ctx, func() error {
		return s.pool.QueryRow(ctx, `UPDATE heads SET epoch = epoch + 1, lease_owner = $2, lease_until = $3
			WHERE run = `+runNumber+` AND (lease_owner IN ('', $2) OR lease_until <= $4) RETURNING epoch`,
			table.Text(run), table.Text(owner), table.Micros(until), table.Micros(now)).Scan(&epoch)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, s.refused(ctx, run, engine.ErrLeased)
	}
	return epoch, err
}

// refused is why an update found no row: there is no such run, or the reason given.
func (s *Store) refused(ctx context.Context, run string, reason error) error {
	var exists bool
	if err := s.pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM runs WHERE id = $1)", table.Text(run)).Scan(&exists); err != nil {
		return err
	}
	if !exists {
		reason = engine.ErrNotFound
	}
	return fmt.Errorf("run %s: %w", run, reason)
}

// update changes the head of a run, or says why it may not.
func (s *Store) update(ctx context.Context, run string, reason error, query string, args ...any) error {
	return again(ctx, func() error {
		tag, err := s.pool.Exec(ctx, query, append([]any{table.Text(run)}, args...)...)
		if err == nil && tag.RowsAffected() == 0 {
			err = s.refused(ctx, run, reason)
		}
		return err
	})
}

// Renew implements engine.Store.
func (s *Store) Renew(ctx context.Context, run string, epoch int64, until time.Time) error {
	return s.update(ctx, run, engine.ErrStale,
		"UPDATE heads SET lease_until = $3 WHERE run = "+runNumber+" AND epoch = $2 AND lease_owner <> ''", epoch, table.Micros(until))
}

// Release implements engine.Store.
func (s *Store) Release(ctx context.Context, run string, epoch int64) error {
	return s.update(ctx, run, engine.ErrStale,
		"UPDATE heads SET lease_owner = '', lease_until = NULL WHERE run = "+runNumber+" AND epoch = $2", epoch)
}

// Signal implements engine.Store. A wish is added to earlier ones: nothing takes a cancel back.
func (s *Store) Signal(ctx context.Context, run string, wish engine.Signals) error {
	return s.update(ctx, run, engine.ErrNotFound, `UPDATE heads SET cancel_requested = cancel_requested OR $2,
		budget_wish = CASE WHEN $3::bigint = 0 THEN budget_wish ELSE $3 END WHERE run = `+runNumber, wish.Cancel, wish.BudgetMax)
}
