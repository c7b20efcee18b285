//go:build linux || darwin

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spillway/spillway/workflow"
)

// The exit codes, as documented for scripts.
const (
	exitOK         = 0
	exitFailure    = 1
	exitUsage      = 2
	exitInvalid    = 3 // validation failed
	exitRunFailed  = 4
	exitCancelled  = 5
	exitLate       = 6 // deadline missed
	exitBudget     = 7 // budget refused
	exitInfeasible = 8 // a bound proves that no plan meets the deadline
)

// exitError is an error with an exit code of its own. Without err there is
// nothing left to say: what was printed already tells it.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usageErrorf is a mistake in how the program was called.
func usageErrorf(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// invalidFile says what is wrong with a file, its name before each line.
func invalidFile(name string, err error) error {
	text := strings.ReplaceAll(err.Error(), "\n", "\n"+name+": ")
	return &exitError{exitInvalid, errors.New(name + ": " + text)}
}

// exitCode is the one place that maps errors to codes.
func exitCode(err error) int {
	var coded *exitError
	var findings workflow.Errors
	var finding workflow.Error
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &findings), errors.As(err, &finding):
		return exitInvalid
	}
	return exitFailure
}

// explainFailure prints an error on stderr: findings as they are, one a line,
// anything else under the program's name.
func (a *app) explainFailure(err error, command string) {
	var coded *exitError
	if errors.As(err, &coded) && coded.err == nil {
		return
	}
	switch exitCode(err) {
	case exitInvalid:
		a.notef("%v", err)
	case exitUsage:
		a.notef("spillway: %v\nRun '%s --help' for usage.", err, command)
	default:
		a.notef("spillway: %v", err)
	}
}
