package engine

import (
	"context"
	"errors"
	"time"

	"github.com/spillway/spillway/estimate"
	"github.com/spillway/spillway/workflow"
)

// Errors that every store returns, wrapped or bare.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("exists already")
	ErrLeased   = errors.New("another engine holds the lease")
	ErrStale    = errors.New("the run was changed by another engine") // revision or epoch is not the one read
)

// Store keeps runs. Each method is one transaction. storetest holds the suite that every store passes.
type Store interface {
	// Submit keeps a new run with its definition, tasks, files and first events. A run id that exists is ErrExists.
	Submit(ctx context.Context, r workflow.Record, events []workflow.EventRecord) error
	// Lease makes owner the only writer of the run until until, and returns the epoch that fences earlier
	// owners. A lease of another owner that has not ended by now is ErrLeased.
	Lease(ctx context.Context, run, owner string, now, until time.Time) (epoch int64, err error)
	// Renew prolongs a lease; ErrStale when the epoch is no longer the run's.
	Renew(ctx context.Context, run string, epoch int64, until time.Time) error
	// Release ends a lease early, so that the next engine need not wait.
	Release(ctx context.Context, run string, epoch int64) error
	// Load reads everything kept of a run, except its events.
	Load(ctx context.Context, run string) (workflow.Record, error)
	// Commit applies c as one transaction and returns the new revision. ErrStale when revision or epoch differ
	// from the run's: nothing is written, the caller loads again.
	Commit(ctx context.Context, c Change) (revision int64, err error)
	// Signal leaves a wish for the engine that owns the run: cancel, or another budget.
	Signal(ctx context.Context, run string, s Signals) error
	// Signals reads what has been wished for.
	Signals(ctx context.Context, run string) (Signals, error)
	// Runs lists runs, newest first.
	Runs(ctx context.Context, f RunFilter) ([]workflow.RunRecord, error)
	// Events reads the history of a run after seq, oldest first, at most limit.
	Events(ctx context.Context, run string, after int64, limit int) ([]workflow.EventRecord, error)
	// History reads how long the tasks of a workflow took, newest first, at most limit samples a task.
	History(ctx context.Context, wf string, limit int) ([]Sample, error)
	Close() error
}

// Change is one commit: rows to insert or replace by key, rows to append, commands settled.
type Change struct {
	RunID    string
	Revision int64 // as read
	Epoch    int64

	Run        *workflow.RunRecord // nil: unchanged. Revision, epoch, lease and signals are the store's own
	Tasks      []workflow.TaskRecord
	Attempts   []workflow.AttemptRecord
	Files      []workflow.FileRecord
	Transfers  []workflow.TransferRecord
	Items      []workflow.ItemRecord  // appended
	Events     []workflow.EventRecord // appended
	Outbox     []workflow.OutboxRecord
	OutboxDone []int64 // ids to remove
}

// Signals are wishes of people to a run that is under way.
type Signals struct {
	Cancel    bool
	BudgetMax int64 // pico-USD, 0: as submitted
}

// RunFilter narrows a list of runs. Zero values do not filter.
type RunFilter struct {
	Project    string
	Workflow   string
	States     []workflow.RunState
	Before     string // run id: older than this one; ids sort by time of submission
	Limit      int    // 0: 50
	Unfinished bool
}

// Sample is what one successful attempt took.
type Sample = estimate.Sample
