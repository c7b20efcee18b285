package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/store/internal/table"
	"github.com/spillway/spillway/workflow"
)

var errClosed = errors.New("the store is closed")

// Submit implements engine.Store.
func (s *Store) Submit(ctx context.Context, r workflow.Record, events []workflow.EventRecord) error {
	return s.write(ctx, func(w *writer) error {
		run, err := addRun(w, &r)
		if err != nil {
			return err
		}
		b := &batch{w: w, run: run}
		put(b, table.Tasks, r.Tasks)
		put(b, table.Attempts, r.Attempts)
		put(b, table.Files, r.Files)
		put(b, table.Transfers, r.Transfers)
		put(b, table.Items, r.Items)
		put(b, table.Outbox, r.Outbox)
		put(b, table.Events, events)
		return b.err
	})
}

func addRun(w *writer, r *workflow.Record) (run int64, err error) {
	sum := sha256.Sum256(r.Source)
	digest := hex.EncodeToString(sum[:])
	if err := w.exec(context.Background(), "INSERT INTO specs (digest, source) VALUES (?, ?) ON CONFLICT DO NOTHING",
		digest, append([]byte{}, r.Source...)); err != nil {
		return 0, err
	}
	fields := table.Run(&r.Run)
	query := "INSERT INTO runs (spec, filename, " + strings.Join(table.Columns(fields), ", ") + ") VALUES (" +
		list(2+len(fields), "?") + ") ON CONFLICT (id) DO NOTHING RETURNING run"
	args := table.AppendValues([]any{digest, table.Text(r.Filename)}, fields)
	err = w.row(query, args, &run)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("run %s: %w", r.Run.ID, engine.ErrExists)
	}
	if err != nil {
		return 0, err
	}
	return run, w.exec(context.Background(), "INSERT INTO heads (run) VALUES (?)", run)
}

// Commit implements engine.Store.
func (s *Store) Commit(ctx context.Context, c engine.Change) (revision int64, err error) {
	err = s.write(ctx, func(w *writer) error {
		run, err := advance(w, &c)
		if err != nil {
			return err
		}
		revision = c.Revision + 1
		if c.Run != nil {
			if err := updateRun(w, run, c.Run); err != nil {
				return err
			}
		}
		return putAll(w, run, &c)
	})
	if err != nil {
		return 0, err
	}
	return revision, nil
}

// advance counts the commit, unless the run is no longer as the writer read it.
func advance(w *writer, c *engine.Change) (run int64, err error) {
	err = w.row(`UPDATE heads SET revision = revision + 1
		WHERE run = (SELECT run FROM runs WHERE id = ?) AND revision = ? AND epoch = ? RETURNING run`,
		[]any{table.Text(c.RunID), c.Revision, c.Epoch}, &run)
	if !errors.Is(err, sql.ErrNoRows) {
		return run, err
	}
	if _, err := runNumber(w, c.RunID); err != nil {
		return 0, err
	}
	return 0, fmt.Errorf("run %s at revision %d, epoch %d: %w", c.RunID, c.Revision, c.Epoch, engine.ErrStale)
}

func runNumber(w *writer, id string) (run int64, err error) {
	err = w.row("SELECT run FROM runs WHERE id = ?", []any{table.Text(id)}, &run)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("run %s: %w", id, engine.ErrNotFound)
	}
	return run, err
}

func updateRun(w *writer, run int64, r *workflow.RunRecord) error {
	fields := table.Run(r)[1:] // all but the id
	query := "UPDATE runs SET " + strings.Join(table.Columns(fields), " = ?, ") + " = ? WHERE run = ?"
	return w.exec(context.Background(), query, append(table.AppendValues(nil, fields), run)...)
}

func putAll(w *writer, run int64, c *engine.Change) error {
	b := &batch{w: w, run: run}
	put(b, table.Tasks, c.Tasks)
	put(b, table.Attempts, c.Attempts)
	put(b, table.Files, c.Files)
	put(b, table.Transfers, c.Transfers)
	put(b, table.Items, c.Items)
	put(b, table.Events, c.Events)
	put(b, table.Outbox, c.Outbox)
	for _, id := range c.OutboxDone {
		if b.err == nil {
			b.err = w.exec(context.Background(), "DELETE FROM outbox WHERE run = ? AND id = ?", run, id)
		}
	}
	return b.err
}

// Lease implements engine.Store.
func (s *Store) Lease(ctx context.Context, id, owner string, now, until time.Time) (epoch int64, err error) {
	err = s.write(ctx, func(w *writer) error {
		run, err := runNumber(w, id)
		if err != nil {
			return err
		}
		owner := table.Text(owner)
		err = w.row(`UPDATE heads SET epoch = epoch + 1, lease_owner = ?, lease_until = ?
			WHERE run = ? AND (lease_owner IN ('', ?) OR lease_until <= ?) RETURNING epoch`,
			[]any{owner, table.Micros(until), run, owner, table.Micros(now)}, &epoch)
		if errors.Is(err, sql.ErrNoRows) {
			err = fmt.Errorf("run %s: %w", id, engine.ErrLeased)
		}
		return err
	})
	return epoch, err
}

// Renew implements engine.Store.
func (s *Store) Renew(ctx context.Context, id string, epoch int64, until time.Time) error {
	return s.leased(ctx, id, epoch, "UPDATE heads SET lease_until = ? WHERE run = ? AND epoch = ? AND lease_owner <> ''",
		table.Micros(until))
}

// Release implements engine.Store.
func (s *Store) Release(ctx context.Context, id string, epoch int64) error {
	return s.leased(ctx, id, epoch, "UPDATE heads SET lease_owner = '', lease_until = ? WHERE run = ? AND epoch = ?", nil)
}

func (s *Store) leased(ctx context.Context, id string, epoch int64, query string, until any) error {
	return s.write(ctx, func(w *writer) error {
		run, err := runNumber(w, id)
		if err != nil {
			return err
		}
		n, err := w.changed(query, until, run, epoch)
		if err == nil && n == 0 {
			err = fmt.Errorf("run %s, epoch %d: %w", id, epoch, engine.ErrStale)
		}
		return err
	})
}

// Signal implements engine.Store. A wish is added to earlier ones: nothing takes a cancel back.
func (s *Store) Signal(ctx context.Context, id string, wish engine.Signals) error {
	return s.write(ctx, func(w *writer) error {
		run, err := runNumber(w, id)
		if err != nil {
			return err
		}
		return w.exec(context.Background(), `UPDATE heads SET cancel_requested = cancel_requested OR ?1,
			budget_wish = CASE WHEN ?2 = 0 THEN budget_wish ELSE ?2 END WHERE run = ?3`, wish.Cancel, wish.BudgetMax, run)
	})
}
