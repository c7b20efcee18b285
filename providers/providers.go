// Package providers is the contract between the engine and whatever executes attempts: the private cluster
// and every FaaS provider. An adapter translates its vendor's answers into these values; the engine knows
// no vendor. providertest holds the conformance suite that every adapter passes.
package providers

import (
	"context"
	"fmt"
	"time"

	"github.com/spillway/spillway/internal/envelope"
)

// Executor runs attempts at one site.
type Executor interface {
	// Execute runs one attempt to its end and returns what is known of it. It blocks; cancelling ctx asks
	// the site to end the attempt where it can (a function that was invoked runs on and bills). It never
	// retries: the engine owns retries. Execute is safe for concurrent use.
	Execute(ctx context.Context, inv Invocation) Result

	// Offerings lists the shapes this site has, in a fixed order.
	Offerings(ctx context.Context) ([]Offering, error)
}

// Invocation is one attempt as handed to a site.
type Invocation struct {
	Envelope  envelope.Invocation
	MemoryMiB int           // the offering's size (FaaS); 0 at the private site
	Node      int           // the node the engine claimed (private), -1: any
	Cores     int           // cores the task holds
	Timeout   time.Duration // of the whole attempt at the site; 0: the site's maximum

	// Started, where set, is called once when the attempt begins to execute after waiting for a slot.
	Started func(at time.Time)
}

// Result is the end of an attempt. Manifest is nil when the site gave no answer from the runner; Err is nil
// exactly when a manifest was received (the manifest may still report a failed command).
type Result struct {
	Manifest *envelope.Manifest
	Err      *Error
	Usage    Usage
}

// Usage is what the site metered, as far as its answer tells.
type Usage struct {
	Billed     time.Duration // as the provider rounded it; 0: not told
	Init       time.Duration // cold start as reported
	Cold       bool
	RequestID  string
	MemoryMiB  int
	Executed   bool // the site accepted the attempt: it may bill
	SandboxRun bool // billed by the sandbox, not by a cloud
}

// Class is the engine's view of what went wrong at a site. It decides what happens next.
type Class string

const (
	Throttled       Class = "throttled"         // not started; try again later or elsewhere
	Transient       Class = "transient"         // not started or failed by the provider's fault; retry
	FunctionError   Class = "function_error"    // the function itself failed (crash, exit, out of memory)
	TimedOut        Class = "timed_out"         // ended at the function's time limit
	PayloadTooLarge Class = "payload_too_large" // will never work by this path
	Denied          Class = "denied"            // credentials or policy; a person must act
	NotFound        Class = "not_found"         // function not deployed; a person must act
	UnknownOutcome  Class = "unknown"           // it may have run: ask the manifest before anything else
	Canceled        Class = "canceled"          // ended because the engine asked
	Refused         Class = "refused"           // cannot be carried out as written; never tried again
	Lost            Class = "lost"              // the site is certain that it did not finish and will not
)

// Error is a failure at a site.
type Error struct {
	Class      Class
	Message    string
	RetryAfter time.Duration // the provider's hint; 0: none
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Class, e.Message) }

// Offering is a shape at a site.
type Offering struct {
	Site        string // as in "private", "sandbox:local", "aws:us-east-1"
	Name        string // as in "1769MiB"
	Class       string // function class: "base" or the name of a deployed image
	MemoryMiB   int
	VCPU        float64
	MaxDuration time.Duration
	MaxPayload  int64 // bytes of one request or answer
	Quota       int   // concurrent attempts of the site; 0: unlimited
}
