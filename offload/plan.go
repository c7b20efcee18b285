package offload

import (
	"math"

	"github.com/spillway/spillway/pricing"
)

// Never is the makespan of a plan that some task cannot finish.
const Never = math.MaxInt64

// Plan is a decision for every task.
type Plan struct {
	Planner    string
	Order      []int32 // task indexes, most urgent first
	Placements []Placement
	Copies     []Copy // to make now, of tasks that run at home
	Predicted  Outcome
	LowerBound Bound
}

// Placement says where a task runs and what is expected of it.
type Placement struct {
	Target      int   // Private or a provider index
	Config      int   // the provider's configuration
	Node        int   // private node it is bound to; -1: any
	NotBeforeUs int64 // the executor holds it until then
	StartUs     int64 // predicted
	FinishUs    int64
	Cold        bool
	Reason      Reason
}

// Reason is why a placement was chosen. It names its targets, because it is
// stored with the placement, as a ReasonDoc, and read long after the platform
// has changed.
type Reason struct {
	Considered    []Considered
	ChosenBecause string
}

// Considered is one alternative of a placement as the planner saw it.
type Considered struct {
	Target   string // "private" or a provider's name
	MemMiB   int    // 0 for private
	FinishUs int64  // Never when it can never finish
	Cost     pricing.Money
	RuledOut string // empty when it was possible
}

// Bound is a certificate: no plan that meets the deadline costs less.
type Bound struct {
	Cost       pricing.Money
	Infeasible bool   // no plan can meet the deadline at all
	Why        string // when infeasible: NoSite, NoWindow or NoCapacity
}

// Why no plan can meet a deadline.
const (
	NoSite     = "site"     // some task can run nowhere
	NoWindow   = "window"   // some chain of tasks takes longer, even with nothing in the way
	NoCapacity = "capacity" // what must run at home is more than its cores can do
)

// Outcome is what executing a plan takes and costs.
type Outcome struct {
	MakespanUs  int64   // last finish or returned output; Never when a task never ran
	DeadlineMet bool    // in time and without violation
	Ends        []int64 // by workflow, where the problem names some: its last finish or returned output
	Violations  []Violation

	Cost    pricing.Money // sum of the four below
	FaaS    pricing.Money // compute and requests
	Egress  pricing.Money
	Storage pricing.Money
	Private pricing.Money

	Offloaded   int
	ColdStarts  int
	QuotaWaitUs int64 // ready tasks waiting for quota, summed
	UpBytes     int64
	DownBytes   int64
	CrossBytes  int64 // between providers
	PrivateUtil float64

	Tasks     []TaskOutcome
	Transfers []Transfer // only when asked for
	Copies    []CopyRun  // of Problem and Plan
}

// TaskOutcome is one task's execution. StartUs and FinishUs are Never when it
// never ran.
type TaskOutcome struct {
	StartUs   int64
	FinishUs  int64
	HandlerUs int64 // FaaS only
	Node      int   // private node; -1 at a provider
	Cold      bool
	Cost      pricing.Money // compute and request of a FaaS task; private core time; with a Copy, of the first to finish
}

// Transfer is one staged file.
type Transfer struct {
	File     int32
	From, To int // domains
	StartUs  int64
	ArriveUs int64
}

// moved counts the bytes of a transfer.
func (o *Outcome) moved(t *Transfer, size int64) {
	switch {
	case t.From == Private:
		o.UpBytes += size
	case t.To == Private:
		o.DownBytes += size
	default:
		o.CrossBytes += size
	}
}

// Violation is a limit that a plan breaks; the simulation goes on as if the
// limit were not there.
type Violation struct {
	Kind   string // capacity, memory, duration, data, denied, never-ran, unknown-..., missing-task
	Task   string // task id
	Detail string
}
