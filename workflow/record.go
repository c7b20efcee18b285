package workflow

import (
	"encoding/json"
	"time"

	"github.com/spillway/spillway/pricing"
)

// The records are a run as it is kept: what the engine writes in its transactions, what every store reads
// back, and what reports are made of. Instants are UTC, cut to microseconds; a zero time means "not yet".

// RunRecord is one execution of a workflow.
type RunRecord struct {
	ID       string
	Project  string
	Workflow string // name of the definition
	State    RunState
	Reason   string // why it is held or failed; empty otherwise

	SubmittedAt time.Time
	StartedAt   time.Time
	FinishedAt  time.Time
	DeadlineAt  time.Time     // zero: no deadline, or not before the start tells
	DeadlineIn  time.Duration // after the start, instead of the definition's; 0: as the definition says
	DeadlineRaw string        // as the user wrote it

	Planner   string
	Seed      int64
	TimeScale float64 // trace replay divides times and bytes by it; 1 otherwise
	Params    json.RawMessage
	Options   json.RawMessage // what the submitter chose besides (sites, margin); opaque to stores

	BudgetMax     pricing.Money // 0: none
	PlannedFinish time.Time     // of the first plan
	PlannedCost   pricing.Money // of the first plan
	PrivateFinish time.Time     // finish of the all-private plan when the run was planned first
	LowerBound    pricing.Money // of cost, by the first plan

	DeadlinePassed  bool   // it was reported that the deadline passed with work still open
	BudgetRefused   bool   // a task failed because the budget did not allow it
	Resolved        string // ids of the tasks whose foreach was resolved, in that order, parted by spaces
	CancelRequested bool
	Revision        int64 // counts commits; a commit names the one it read
	Epoch           int64 // counts leases; fences an owner that lost its lease
	LeaseOwner      string
	LeaseUntil      time.Time
}

// TaskRecord is one task instance of a run; one row each.
type TaskRecord struct {
	Index    int    // in Graph.Instances
	ID       string // as in project[3]
	Task     string // id in the definition, as in project
	State    TaskState
	Attempts int // counted when dispatched

	Site          string // where the current plan puts it, or where it ran
	MemoryMiB     int    // the offering's size at a FaaS site, else 0
	Order         int    // urgency in the current plan, 0 first
	PlannedStart  time.Time
	PlannedFinish time.Time
	ReadyAt       time.Time
	StartedAt     time.Time // of the accepted attempt
	FinishedAt    time.Time
	NotBefore     time.Time       // next retry
	Reason        json.RawMessage // offload.Reason of the placement, as data
	Message       string          // last failure
}

// AttemptRecord is one execution of a task. It is written before the attempt is sent to its site.
type AttemptRecord struct {
	ID        string // idempotency key at every site
	Task      int    // instance index
	Number    int    // 1, 2, ...
	State     AttemptState
	Site      string
	MemoryMiB int
	Node      int // private node, -1 elsewhere
	Cores     int
	Timeout   time.Duration

	DispatchedAt time.Time
	StartedAt    time.Time
	FinishedAt   time.Time
	ExitCode     int
	Class        string // class of the failure, empty on success
	Message      string
	Cold         bool
	Billed       time.Duration
	RequestID    string
	PeakMemory   int64         // bytes
	Command      time.Duration // of the command alone, without staging
	OutputBytes  int64
	Reserved     pricing.Money // upper bound claimed from the budget while in flight
	Cost         pricing.Money // sum of its line items
	Estimated    bool          // the cost is an upper bound: no usage was ever told
	LogTail      string
}

// FileRecord is a file of the run's graph that exists, and where.
type FileRecord struct {
	Index   int    // in Graph.Files
	Key     string // in the object store of each site that holds it
	SHA256  string
	Size    int64
	Site    string // where it was produced; copies are transfers
	Attempt string // producer, empty for initial files
	Value   json.RawMessage
}

// TransferRecord is one file on its way to, or arrived at, another site.
type TransferRecord struct {
	File       int
	From, To   string
	State      TransferState
	Tries      int
	Bytes      int64
	StartedAt  time.Time
	FinishedAt time.Time
	Cost       pricing.Money
	Message    string
}

// TransferState is where a transfer stands.
type TransferState string

// States of a transfer.
const (
	TransferPending TransferState = "pending"
	TransferDone    TransferState = "done"
	TransferFailed  TransferState = "failed"
)

// ItemRecord is one line of the bill.
type ItemRecord struct {
	Seq       int64
	At        time.Time
	Task      int // instance index, -1 for none
	Attempt   string
	File      int // of a transfer, -1 for none
	Site      string
	Category  string // pricing categories
	Quantity  float64
	Unit      string
	UnitPrice pricing.Money
	Amount    pricing.Money
	Estimated bool
	Note      string
}

// EventRecord is one entry of the append-only history of a run.
type EventRecord struct {
	Seq     int64
	At      time.Time
	Kind    string
	Task    int // instance index, -1 for none
	Attempt string
	Data    json.RawMessage
}

// OutboxRecord is a command that was decided and has not been confirmed as carried out. It holds
// references, never secrets or signed URLs.
type OutboxRecord struct {
	ID      int64
	Kind    string // start, cancel, transfer
	Attempt string
	File    int
	From    string
	To      string
}

// Record is everything kept of one run.
type Record struct {
	Run       RunRecord
	Source    []byte // the definition as submitted
	Filename  string
	Tasks     []TaskRecord // by index, without gaps
	Attempts  []AttemptRecord
	Files     []FileRecord
	Transfers []TransferRecord
	Items     []ItemRecord
	Outbox    []OutboxRecord
	EventSeq  int64 // of the newest event, filled by Store.Load
}
