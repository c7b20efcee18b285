package engine

import (
	"encoding/json"
	"time"

	"github.com/spillway/spillway/providers"
)

// Event is something that happened to a run.
type Event interface{ kind() string }

// Opened says that an engine took the run over, for the first time or after another one.
type Opened struct{ Owner string }

// Planned says that a plan was made for what has not started yet.
type Planned struct{ Plan Plan }

// Started says that an attempt left the queue of its site and executes.
type Started struct {
	Attempt string
	At      time.Time
}

// Ended says that a site answered for an attempt, or its manifest was found.
type Ended struct {
	Attempt string
	Result  providers.Result
}

// Moved says that a transfer arrived, or failed when Err is not empty.
type Moved struct {
	File  int
	To    string
	Bytes int64
	Err   string
}

// CancelAsked says that a person wants the run to end.
type CancelAsked struct{}

// BudgetSet says that a person gave the run another budget, in pico-USD.
type BudgetSet struct{ Max int64 }

// Tick says that time has passed: due retries, drift and the deadline are looked at.
type Tick struct{}

func (Opened) kind() string      { return "opened" }
func (Planned) kind() string     { return "planned" }
func (Started) kind() string     { return "attempt_started" }
func (Ended) kind() string       { return "attempt_ended" }
func (Moved) kind() string       { return "file_moved" }
func (CancelAsked) kind() string { return "cancel_asked" }
func (BudgetSet) kind() string   { return "budget_set" }
func (Tick) kind() string        { return "tick" }

// Command is what the shell must do after the commit.
type Command interface{ command() }

// Start asks to send the attempt to its site.
type Start struct{ Attempt string }

// Stop asks the site to end an attempt whose result is no longer wanted.
type Stop struct{ Attempt string }

// Transfer asks to copy a file between the stores of two sites.
type Transfer struct {
	File     int
	From, To string
}

func (Start) command()    {}
func (Stop) command()     {}
func (Transfer) command() {}

// Plan is the part of an offload plan that the engine acts on, one placement an instance. Order is the
// urgency, 0 first.
type Plan struct {
	Planner    string
	Why        string // what made it necessary
	Placements []Placement
	Cost       int64 // pico-USD of the whole run as predicted, what was spent included
	Finish     time.Time
	OnTime     bool
	LowerBound int64     // pico-USD, of the first plan
	Private    time.Time // finish of the all-private plan, of the first plan
}

// Placement says where and when an instance is to run.
type Placement struct {
	Site          int // in the catalogue
	MemoryMiB     int
	Order         int
	Start, Finish time.Time
	NotBefore     time.Time
	Cost          int64           // pico-USD expected, what a budget reserves
	Reason        json.RawMessage // offload.ReasonDoc
}
