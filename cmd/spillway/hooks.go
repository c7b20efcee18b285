//go:build linux || darwin

package main

import (
	"fmt"
	"os"

	"github.com/spillway/spillway/artifact"
	"github.com/spillway/spillway/providers/sandbox"
	"github.com/spillway/spillway/runner"
	"github.com/spillway/spillway/runner/lambdafn"
)

// dispatchHooks hands the process over when it was started to be something
// else than the command line: the runner of one attempt, or a part of the
// sandbox that has to set itself up before anything else runs.
func dispatchHooks(args []string) (code int, ours bool) {
	sandbox.Init()
	if len(args) == 0 && lambdafn.Inside() {
		self, err := runnerCommand()
		if err != nil {
			fmt.Fprintln(os.Stderr, "spillway:", err)
			return exitFailure, true
		}
		lambdafn.Start(runner.Options{Objects: artifact.Client{}, Self: self})
	}
	if len(args) > 0 && args[0] == "runner" {
		return runner.Main(args[1:], runner.Options{Objects: artifact.Client{}}), true
	}
	return 0, false
}
