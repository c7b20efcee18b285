//go:build linux || darwin

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/spillway/spillway/workflow"
)

func (a *app) validateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "Check workflow files, all findings at once",
		Long: "Checks Spillway YAML and WfFormat files (\"-\" is standard input). Each finding is\n" +
			"one line, file:line:col: message [rule]; with any of them the exit code is 3.",
		Example: "  spillway validate nightly.yaml\n  spillway validate -o sarif *.yaml > findings.sarif",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageErrorf("FILE is missing")
			}
			return nil
		},
	}
	params := paramFlag(cmd)
	output := outputFlag(cmd, "text", "json", "sarif", "name")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		given, err := parseParams(*params)
		if err != nil {
			return err
		}
		checks := make([]check, 0, len(args))
		for _, path := range args {
			c, err := a.validate(path, given)
			if err != nil {
				return err
			}
			checks = append(checks, c)
		}
		return a.printChecks(checks, output.value)
	}
	return cmd
}

// check is what validate found in one file.
type check struct {
	File      string       `json:"file"`
	Valid     bool         `json:"valid"`
	Workflow  string       `json:"workflow,omitempty"`
	Tasks     int          `json:"tasks"`
	Instances int          `json:"instances,omitempty"` // known when all parameters have values
	Pinned    int          `json:"pinned,omitempty"`    // instances whose data may not leave the private site
	Errors    []findingDoc `json:"errors"`

	findings workflow.Errors
}

// findingDoc is one finding in machine-readable form.
type findingDoc struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Col     int    `json:"col"`
	Path    string `json:"path,omitempty"`
	Rule    string `json:"rule"`
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`
}

// validate checks one file. The error is for a file that cannot be read.
func (a *app) validate(path string, given map[string]any) (check, error) {
	c := check{File: path, Errors: []findingDoc{}}
	spec, err := a.readSpec(path)
	if err == nil {
		c.Workflow, c.Tasks = spec.Name, len(spec.Tasks)
		err = c.expand(spec, given)
	}
	if err != nil && !errors.As(err, &c.findings) {
		return c, err
	}
	c.Valid = len(c.findings) == 0
	for _, e := range c.findings {
		c.Errors = append(c.Errors, findingDoc{e.File, e.Line, e.Col, e.Path, string(e.Rule), e.Message, e.Fix})
	}
	return c, nil
}

// expand goes on to the instances, unless a parameter has no value yet.
func (c *check) expand(spec *workflow.Spec, given map[string]any) error {
	for i := range spec.Params {
		p := &spec.Params[i]
		if _, ok := given[p.Name]; !ok && p.Required() {
			return nil
		}
	}
	params, err := workflow.Bind(spec, given)
	if err != nil {
		return err
	}
	graph, err := workflow.Expand(spec, params)
	if err != nil {
		return err
	}
	c.Instances = len(graph.Instances)
	for i := range graph.Instances {
		if graph.Label(i) == workflow.LabelPrivate {
			c.Pinned++
		}
	}
	return nil
}

func (c *check) String() string {
	s := fmt.Sprintf("%s: valid: %s, %s", c.File, c.Workflow, count(c.Tasks, "task"))
	if c.Instances > 0 && c.Instances != c.Tasks {
		s += ", " + count(c.Instances, "instance")
	}
	if c.Pinned > 0 {
		s += fmt.Sprintf(", %d of them pinned to the private site by their data", c.Pinned)
	}
	return s
}

func (a *app) printChecks(checks []check, format string) error {
	var all workflow.Errors
	for i := range checks {
		all = append(all, checks[i].findings...)
	}
	var err error
	switch format {
	case "json":
		err = a.printJSON(map[string]any{"valid": len(all) == 0, "files": checks})
	case "sarif":
		err = a.printJSON(sarif(all))
	default:
		for i := range checks {
			if c := &checks[i]; c.Valid && format == "name" {
				fmt.Fprintln(a.out, c.Workflow)
			} else if c.Valid {
				fmt.Fprintln(a.out, c)
			}
		}
		if len(all) > 0 {
			return all
		}
	}
	if err == nil && len(all) > 0 {
		return &exitError{code: exitInvalid}
	}
	return err
}

// count is a number with its noun, as in "1 task" and "2 tasks".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
