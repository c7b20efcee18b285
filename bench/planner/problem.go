//go:build linux || darwin

package main

import (
	"github.com/spillway/spillway/bench/gen"
	"github.com/spillway/spillway/offload"
)

// problem states a generated workflow without a detour over its JSON, which
// takes longer than planning at a million tasks.
func problem(in *gen.Instance, pf offload.Platform) *offload.Problem {
	spec := &in.Workflow.Specification
	p := &offload.Problem{Platform: pf, Tasks: make([]offload.Task, len(spec.Tasks)), Files: make([]offload.File, 0, len(spec.Files))}
	files := make(map[string]int32, len(spec.Files))
	sizes := make(map[string]int64, len(spec.Files))
	for _, f := range spec.Files {
		sizes[f.ID] = f.SizeInBytes
	}
	index := func(names []string) []int32 { // in order of appearance, as a trace's reader numbers them
		list := make([]int32, len(names))
		for k, name := range names {
			f, known := files[name]
			if !known {
				f = int32(len(p.Files))
				files[name] = f
				p.Files = append(p.Files, offload.File{Name: name, Size: sizes[name]})
			}
			list[k] = f
		}
		return list
	}
	for i := range spec.Tasks {
		p.Tasks[i].Out = index(spec.Tasks[i].OutputFiles)
	}
	for i := range spec.Tasks {
		m := &in.Workflow.Execution.Tasks[i]
		t := &p.Tasks[i]
		t.ID, t.In, t.Cores = m.ID, index(spec.Tasks[i].InputFiles), m.CoreCount
		t.RuntimeS, t.MemBytes = m.RuntimeInSeconds, float64(m.MemoryInBytes)
	}
	return p
}
