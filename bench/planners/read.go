package planners

import (
	"github.com/spillway/spillway/estimate"
	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/workflow"
)

// Parse reads an instance: a WfFormat trace, or a Spillway YAML with the
// defaults of its params. The file's name is for messages, and the instance's
// until the caller has a better one. The error is of package workflow.
func Parse(file string, text []byte) (Instance, error) {
	spec, err := workflow.ParseAny(file, text)
	if err != nil {
		return Instance{}, err
	}
	params, err := workflow.Bind(spec, nil)
	if err != nil {
		return Instance{}, err
	}
	g, err := workflow.Expand(spec, params)
	if err != nil {
		return Instance{}, err
	}
	return Instance{Name: file, On: func(pf offload.Platform) (*offload.Problem, error) {
		model := estimate.Model{Platform: pf, MarginFraction: -1}
		p, _, err := model.Problem(g, 0)
		return p, err
	}}, nil
}
