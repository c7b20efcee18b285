// Package envelope holds the values that the engine and spillway-runner exchange: the invocation of one
// attempt and the manifest of its result. Both ends import it and nothing else of each other, so that the
// same protocol serves private slots, pods and functions.
package envelope

import "encoding/json"

// Protocol is the version of the exchange; a runner refuses an invocation of another version.
const Protocol = 1

// Invocation asks a runner to execute one attempt of one task. It carries everything the runner needs and
// no credentials of the engine: objects are reached by URLs that were signed for this attempt alone.
type Invocation struct {
	Protocol int    `json:"protocol"`
	Run      string `json:"run"`
	Task     string `json:"task"`    // instance id, as in project[3]
	Attempt  string `json:"attempt"` // idempotency key, unique over all runs

	Command Command           `json:"command"`
	Env     map[string]string `json:"env,omitempty"`
	Inputs  []Input           `json:"inputs,omitempty"`
	Outputs []Output          `json:"outputs,omitempty"`

	// Manifest is where the result goes, first writer wins. A runner that finds one there answers with it
	// and runs nothing.
	Manifest Object `json:"manifest"`

	TimeoutMillis int64 `json:"timeout_ms,omitempty"`   // of the command; 0: none
	MemoryBytes   int64 `json:"memory_bytes,omitempty"` // limit of the command; 0: none
}

// Command is what the attempt executes: a line for `sh -c`, or an argument vector without a shell.
// An Args[0] of "spillway-runner" names the runner's own executable.
type Command struct {
	Shell string   `json:"shell,omitempty"`
	Args  []string `json:"args,omitempty"`
}

// Object is one stored object as a runner reaches it. URLs have scheme file, http or https.
type Object struct {
	Key string `json:"key"`
	Get string `json:"get,omitempty"`
	Put string `json:"put,omitempty"`
}

// Input is a file laid at Path, relative to the working directory, before the command starts.
type Input struct {
	Path       string `json:"path"`
	SHA256     string `json:"sha256,omitempty"` // hex; checked when set
	Size       int64  `json:"size"`
	Executable bool   `json:"executable,omitempty"`
	Object     Object `json:"object"`
}

// Output is a file that the command must leave at Path.
type Output struct {
	Name   string `json:"name,omitempty"`
	Path   string `json:"path"`
	Value  bool   `json:"value,omitempty"` // its JSON text (up to MaxValueBytes) travels in the manifest
	Object Object `json:"object"`
}

// MaxValueBytes bounds the JSON of an output that is passed as a value.
const MaxValueBytes = 64 << 10

// FailureClass says why an attempt did not succeed, as seen by the runner.
type FailureClass string

const (
	FailExit     FailureClass = "exit"     // the command ended with a non-zero code or by a signal
	FailTimeout  FailureClass = "timeout"  // it was stopped at its time limit
	FailMemory   FailureClass = "memory"   // it was stopped at its memory limit
	FailInput    FailureClass = "input"    // an input is missing or its digest differs
	FailOutput   FailureClass = "output"   // a declared output is missing, too large or not JSON
	FailCanceled FailureClass = "canceled" // the engine withdrew the attempt
	FailInternal FailureClass = "internal" // the runner itself could not go on (disk full, no exec)
)

// Failure is the reason of an unsuccessful attempt.
type Failure struct {
	Class   FailureClass `json:"class"`
	Message string       `json:"message"`
}

// Manifest is the result of one attempt, written once under the attempt's key.
type Manifest struct {
	Protocol int    `json:"protocol"`
	Run      string `json:"run"`
	Task     string `json:"task"`
	Attempt  string `json:"attempt"`

	ExitCode int      `json:"exit_code"`
	Failure  *Failure `json:"failure,omitempty"` // nil: success
	Outputs  []Stored `json:"outputs,omitempty"`

	StartedAt  int64 `json:"started_us"`  // Unix microseconds, by the runner's clock
	FinishedAt int64 `json:"finished_us"` // after the outputs were stored
	FetchUs    int64 `json:"fetch_us"`
	CommandUs  int64 `json:"command_us"`
	StoreUs    int64 `json:"store_us"`

	PeakMemoryBytes int64  `json:"peak_memory_bytes,omitempty"`
	Cold            bool   `json:"cold,omitempty"` // first invocation of this environment
	LogTail         string `json:"log_tail,omitempty"`
}

// Stored is an output as it was stored.
type Stored struct {
	Name   string          `json:"name,omitempty"`
	Path   string          `json:"path"`
	Key    string          `json:"key"`
	SHA256 string          `json:"sha256"`
	Size   int64           `json:"size"`
	Value  json.RawMessage `json:"value,omitempty"`
}
