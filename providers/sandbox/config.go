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
	returnGrace     = 5 * time.Millisecond // wait for an instance on its way back before a cold start
)

// Config says what to serve. Dir and Rates are required; every other zero value has the default given.
type Config struct {
	Dir     string // state, functions, ledger; created with mode 0700
	Address string // host:port to listen on; default: the last one used in Dir, else a free loopback port
	Region  string // default "local"

	Quota     int           // concurrent invocations of the account; default 1000 as on AWS
	VCPU      float64       // the sum of shares that may be busy at once; 0: not limited
	ColdStart time.Duration // added to each real process start, and metered with it
	KeepAlive time.Duration // an idle instance ends after this; default 5 minutes
	IdleExit  time.Duration // Serve returns after this long without requests and instances; 0: never

	Rates     pricing.Rates // prices of the ledger
	PriceBook string        // their name in the ledger

	Warn func(message string) // told what could not be enforced; default: standard error
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
	if c.Region == "" {
		c.Region = "local"
	}
	if c.Quota == 0 {
		c.Quota = 1000
	}
	if c.KeepAlive == 0 {
		c.KeepAlive = 5 * time.Minute
	}
	if c.Warn == nil {
		c.Warn = warnStderr
	}
	return nil
}

// VCPU is the CPU share that a memory size comes with.
func VCPU(memoryMiB int) float64 { return float64(memoryMiB) / MiBPerVCPU }
