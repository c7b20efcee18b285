//go:build linux || darwin

package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spillway/spillway/workflow"
)

// stdinName is how standard input is named in messages.
const stdinName = "stdin"

// readFile reads a file, or standard input for "-", up to limit bytes. It
// returns the name to use in messages.
func (a *app) readFile(path string, limit int64) (name string, text []byte, err error) {
	source := a.in
	if name = path; path == "-" {
		name = stdinName
	} else {
		f, err := os.Open(path)
		if err != nil {
			return name, nil, err
		}
		defer f.Close()
		source = f
	}
	text, err = io.ReadAll(io.LimitReader(source, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s: more than %d bytes", name, limit)
	}
	return name, text, err
}

// readSpec reads a definition: Spillway YAML or a WfFormat trace. Its findings
// are workflow.Errors.
func (a *app) readSpec(path string) (*workflow.Spec, error) {
	name, text, err := a.readFile(path, workflow.MaxTraceBytes)
	if err != nil {
		return nil, err
	}
	return workflow.ParseAny(name, text)
}

// readGraph reads a definition and expands it with the parameters given.
func (a *app) readGraph(path string, pairs []string) (*workflow.Graph, error) {
	given, err := parseParams(pairs)
	if err != nil {
		return nil, err
	}
	spec, err := a.readSpec(path)
	if err != nil {
		return nil, err
	}
	params, err := workflow.Bind(spec, given)
	if err != nil {
		return nil, err
	}
	return workflow.Expand(spec, params)
}
