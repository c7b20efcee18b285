// Package sandbox is a small, real function service for one machine: AWS Lambda's public REST API in front of
// its public Runtime API. Every instance is an operating-system process with a memory size, a CPU share, its
// own file system view and a bill in the sandbox's durable ledger. `spillway run` offloads to it when no cloud
// is configured, through the same adapter that speaks to AWS, so a demonstration takes the production path.
//
// The sandbox is a process of its own: it outlives the engine, and an engine that restarts attaches to it by
// the state file in its folder (Ensure, Attach). Programs that serve a sandbox call Init first in main, because
// instances are set up by a re-execution of the program.
//
// What differs from AWS: an Event invocation is tried once, response streaming and versions other than $LATEST
// do not exist, the network is the machine's, and /tmp is bounded by the disk alone.
package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spillway/spillway/pricing"
)

const (
	// MaxPayload bounds one synchronous request and one response, in bytes: 6 MiB as on AWS.
	MaxPayload = 6 << 20

	// MiBPerVCPU is the memory size that comes with one whole vCPU on AWS Lambda.
	MiBPerVCPU = 1769

	maxAsyncPayload = 1 << 20
	maxControlBody  = 70167211 // what AWS accepts for a function's zip in one request
	minMemoryMiB    = 128
	maxMemoryMiB    = 10240
	maxTimeout      = 900 * time.Second
	initTimeout     = 10 * time.Second
	shareWait       = 30 * time.Second // for a CPU share, then the caller is throttled

	// returnGrace is how long an invocation waits for an instance on its way back before it starts a new one:
	// an instance with a small share is stopped for 20 ms at a time.
	returnGrace = 50 * time.Millisecond
)

// defaultIdleExit is how long a sandbox without clients stays: long enough for the next run to find it warm.
const defaultIdleExit = 5 * time.Minute

// Config says what a sandbox is. Dir is required, and Command for Ensure; zero values have the default given.
type Config struct {
	Dir     string   `json:"-"` // state, functions, objects, ledger; created with mode 0700
	Command []string `json:"-"` // starts a process that calls Serve for Dir

	Region    string        `json:"region"`         // default "local"
	Quota     int           `json:"quota"`          // concurrent invocations of the account; default 1000 as on AWS
	VCPU      float64       `json:"vcpu"`           // the sum of shares that may be busy at once; 0: not limited
	ColdStart time.Duration `json:"cold_start_ns"`  // added to each real process start, and metered with it
	KeepAlive time.Duration `json:"keep_alive_ns"`  // an idle instance ends after this; default 5 minutes
	IdleExit  time.Duration `json:"idle_exit_ns"`   // it ends so long after its last client; default 5 minutes, < 0: never
	Book      string        `json:"book"`           // price book of the ledger; default "aws-lambda-x86_64"
	Rates     pricing.Rates `json:"rates,omitzero"` // its prices; default: those of package pricing
}

func (c *Config) setDefaults() error {
	if c.Dir == "" {
		return errors.New("sandbox: Config.Dir is empty")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	c.Dir = dir
	c.Region = cmp.Or(c.Region, "local")
	c.Quota = cmp.Or(c.Quota, 1000)
	c.KeepAlive = cmp.Or(c.KeepAlive, 5*time.Minute)
	c.IdleExit = cmp.Or(c.IdleExit, defaultIdleExit)
	c.Book = cmp.Or(c.Book, "aws-lambda-x86_64")
	if c.Rates != (pricing.Rates{}) {
		return nil
	}
	book, ok := pricing.Lookup(c.Book)
	if !ok {
		return fmt.Errorf("sandbox: there is no price book %q", c.Book)
	}
	c.Rates = book.Rates
	return nil
}

// VCPU is the CPU share that a memory size comes with.
func VCPU(memoryMiB int) float64 { return float64(memoryMiB) / MiBPerVCPU }
