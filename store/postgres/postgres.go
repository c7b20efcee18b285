// Package postgres keeps runs in PostgreSQL, for engines that are several or on several machines.
//
// A commit is one round trip: its statements go out together and are one transaction, which the first of
// them undoes when the run is no longer as the writer read it. When the answer to a commit is lost, the
// error says so (it is none of the engine's errors) and the revision of the run, read again, decides.
package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/migrations"
)

// migrationLock keeps programs that start together from migrating together: "spillway" as a number.
const migrationLock = 0x7370696c6c776179

// Conditions that the function advance_run raises, and those after which a transaction was undone by the
// server and may be tried again.
const (
	codeStale         = "SW001"
	codeNotFound      = "SW002"
	codeSerialization = "40001"
	codeDeadlock      = "40P01"
)

const tries = 3 // of a transaction that the server undid, or that never reached it

// Store is an engine.Store in a PostgreSQL database.
type Store struct{ pool *pgxpool.Pool }

var _ engine.Store = (*Store)(nil)

// Open connects to the database of a URL or of a keyword string and brings its schema up to date. A
// database of a newer program is refused, and so is one that answers before a commit is durable.
func Open(ctx context.Context, database string) (*Store, error) {
	config, err := pgxpool.ParseConfig(database)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err) // pgx leaves the password out
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "spillway"
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	err = pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		return errors.Join(durable(ctx, c.Conn()), migrate(ctx, c.Conn()))
	})
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("store %s at %s: %w", config.ConnConfig.Database, config.ConnConfig.Host, err)
	}
	return &Store{pool: pool}, nil
}

// Close ends the connections when what is under way has ended.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

func durable(ctx context.Context, c *pgx.Conn) error {
	var setting string
	if err := c.QueryRow(ctx, "SHOW synchronous_commit").Scan(&setting); err != nil {
		return err
	}
	if setting == "off" {
		return errors.New("synchronous_commit is off: a crash of the database would undo commits whose tasks have started; set it to on")
	}
	return nil
}

func migrate(ctx context.Context, c *pgx.Conn) error {
	return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "CREATE TABLE IF NOT EXISTS schema_version (version int NOT NULL)"); err != nil {
			return err
		}
		var have int
		if err := tx.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM schema_version").Scan(&have); err != nil {
			return err
		}
		pending, err := migrations.Pending(migrations.Postgres, have)
		if err != nil {
			return err
		}
		for _, m := range pending {
			if _, err := tx.Exec(ctx, m.SQL); err != nil {
				return fmt.Errorf("migration %s: %w", m.Name, err)
			}
			if _, err := tx.Exec(ctx, "INSERT INTO schema_version VALUES ($1)", m.Version); err != nil {
				return err
			}
		}
		return nil
	})
}

// again runs f until it succeeds or fails for a reason that a second try would not change. It never repeats
// what may have been kept.
func again(ctx context.Context, f func() error) error {
	for try := 1; ; try++ {
		err := f()
		if err == nil || try == tries || ctx.Err() != nil || !repeatable(err) {
			return err
		}
	}
}

func repeatable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == codeSerialization || pg.Code == codeDeadlock
	}
	return pgconn.SafeToRetry(err) // nothing was sent
}

// domain turns the conditions raised by the schema into the engine's errors.
func domain(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	switch pg.Code {
	case codeStale:
		return fmt.Errorf("%s: %w", pg.Message, engine.ErrStale)
	case codeNotFound:
		return fmt.Errorf("%s: %w", pg.Message, engine.ErrNotFound)
	}
	return err
}
