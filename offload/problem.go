package offload

import "github.com/spillway/spillway/pricing"

// Problem is everything a planner may know. Tasks, Files and Platform must not
// change once Prepare has been called; the other fields may.
type Problem struct {
	Tasks    []Task
	Files    []File // order breaks ties between transfers
	Platform Platform

	DeadlineUs int64 // 0: none
	MarginUs   int64 // planners aim this much before each deadline
	NowUs      int64 // nothing that is not Fixed starts earlier
	Seed       int64

	Fixed    []FixedPlacement // what has started or finished
	Present  []FilePresence   // copies staged, or on their way
	Reserved []Reservation    // capacity that other runs hold
	Copies   []CopyRun        // of tasks that started at home: asked for, running or over

	// Workflows that are planned together; empty: all tasks are one, with DeadlineUs.
	Workflows []Workflow
	// Incumbent is the plan in force, by task: planners that search start from it too.
	Incumbent *Plan

	*index // derived by Prepare
}

// Workflow is one of several that share the platform.
type Workflow struct {
	Name       string
	Project    string  // whose share of the private cluster it uses
	ReleaseUs  int64   // nothing of it starts, and no file of it moves, before
	DeadlineUs int64   // 0: none
	Weight     float64 // of its lateness, when not all can be in time; 0: 1
}

// Task is one node of the workflow. The zero value of each optional field
// leaves the model of Simulate as it is.
type Task struct {
	ID       string
	Cores    int     // at least 1
	MemBytes float64 // memory it needs
	RuntimeS float64 // seconds on Cores reference cores
	Spread   float64 // standard deviation of the logarithm of the run time; 0: as stated
	Workflow int32   // index in Workflows
	Parents  []int32 // besides the producers of In
	In, Out  []int32 // file indexes; what it writes itself is no input

	PrivateOnly bool
	PublicOnly  bool
	Idempotent  bool              // running it twice at once does no harm: it may have a Copy
	Deny        []bool            // by provider index; shorter than the providers: the rest is allowed
	WhyNot      []string          // by domain, home first: why it must not run there, in words; may be shorter
	RuntimeOn   []OfferingRuntime // measured run times that replace the model
}

// OfferingRuntime is the run time of a task on one offering, without I/O and
// start-up.
type OfferingRuntime struct {
	Target  int // provider index, or Private: the same on every node
	Config  int // configuration index; negative: all of the target's
	Seconds float64
}

// File is an artefact that tasks exchange.
type File struct {
	Name     string
	Size     int64 // bytes
	Producer int32 // set by Prepare: the first task with it in Out, or -1 for an initial file
}

// FixedPlacement pins a task that has started: planners keep it and Simulate
// takes its times as given.
type FixedPlacement struct {
	Task     int32
	Target   int
	Config   int
	Node     int   // private node, or -1 when unknown
	StartUs  int64 // at most NowUs
	FinishUs int64 // expected, or actual when Done; 0: as the model says, not before NowUs
	Done     bool
	Cold     bool
	Cost     pricing.Money // known bill; 0 for a running task: as the model says
}

// FilePresence is a copy of a file outside its producer's domain.
type FilePresence struct {
	File   int32
	Target int   // domain: Private or a provider index
	AtUs   int64 // when it is, or will be, there
	Cost   pricing.Money
}

// Reservation is capacity in use by others until UntilUs.
type Reservation struct {
	Target   int // Private or a provider index
	Node     int // private only
	Cores    int // private cores, or invocations of the provider's quota
	MemBytes float64
	UntilUs  int64
}
