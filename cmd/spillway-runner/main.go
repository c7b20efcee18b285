//go:build linux || darwin

// Spillway-runner is the small program that executes one attempt inside a function, a pod or a batch job.
// Under Lambda it serves invocations; otherwise its arguments say what to do.
package main

import (
	"os"

	"github.com/spillway/spillway/artifact"
	"github.com/spillway/spillway/runner"
	"github.com/spillway/spillway/runner/lambdafn"
)

func main() {
	opt := runner.Options{Objects: artifact.Client{}}
	if len(os.Args) == 1 && lambdafn.Inside() {
		lambdafn.Start(opt)
	}
	os.Exit(runner.Main(os.Args[1:], opt))
}
