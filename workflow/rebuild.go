package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Rebuild makes the graph of a kept run again: from its definition and its parameters, and from the values that each
// foreach over a task's output read, in the order in which they became known.
func Rebuild(r *Record) (*Graph, error) {
	spec, err := ParseAny(r.Filename, r.Source)
	if err != nil {
		return nil, err
	}
	given := map[string]any{}
	if len(r.Run.Params) > 0 {
		value, err := ParseValue(r.Run.Params) // which keeps whole numbers whole
		if err != nil {
			return nil, fmt.Errorf("parameters of the run: %w", err)
		}
		given, _ = value.(map[string]any)
	}
	params, err := Bind(spec, given)
	if err != nil {
		return nil, err
	}
	g, err := Expand(spec, params)
	if err != nil {
		return nil, err
	}
	v := &recordView{r: r, g: g, files: make(map[int]int, len(r.Files))}
	for k := range r.Files {
		v.files[r.Files[k].Index] = k
	}
	for _, id := range strings.Fields(r.Run.Resolved) {
		if err := v.resolve(id); err != nil {
			return nil, fmt.Errorf("foreach of %s: %w", id, err)
		}
	}
	return g, nil
}

// recordView shows a kept run to expressions.
type recordView struct {
	r     *Record
	g     *Graph
	files map[int]int // index in the graph -> in the record
}

func (v *recordView) resolve(id string) error {
	task, ok := v.g.Spec.Task(id)
	if !ok {
		return errors.New("the definition has no such task")
	}
	items, ready, err := v.g.Elements(task, v)
	if err != nil {
		return err
	}
	if !ready {
		return errors.New("the output that it reads is not kept")
	}
	return v.g.Resolve(task, items)
}

// RunID is the run's id.
func (v *recordView) RunID() string { return v.r.Run.ID }

// State is where an instance stood.
func (v *recordView) State(instance int) TaskState {
	if instance >= len(v.r.Tasks) {
		return TaskWaiting
	}
	return v.r.Tasks[instance].State
}

// Value is the content of an output that was passed as a value.
func (v *recordView) Value(instance, output int) (json.RawMessage, bool) {
	for _, f := range v.g.Instances[instance].Out {
		if k, ok := v.files[int(f)]; ok && v.g.Files[f].Output == output {
			return v.r.Files[k].Value, len(v.r.Files[k].Value) > 0
		}
	}
	return nil, false
}
