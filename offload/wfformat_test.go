package offload

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
)

// trace is what these tests read of a WfFormat 1.5 document.
type trace struct {
	Name     string `json:"name"`
	Workflow struct {
		Specification struct {
			Tasks []traceTask `json:"tasks"`
			Files []traceFile `json:"files"`
		} `json:"specification"`
		Execution struct {
			Tasks []traceRun `json:"tasks"`
		} `json:"execution"`
	} `json:"workflow"`
}

type traceTask struct {
	Name        string   `json:"name"`
	ID          string   `json:"id"`
	Parents     []string `json:"parents"`
	Children    []string `json:"children"`
	InputFiles  []string `json:"inputFiles"`
	OutputFiles []string `json:"outputFiles"`
}

type traceFile struct {
	ID   string `json:"id"`
	Size int64  `json:"sizeInBytes"`
}

type traceRun struct {
	ID      string  `json:"id"`
	Runtime float64 `json:"runtimeInSeconds"`
	Cores   float64 `json:"coreCount,omitempty"`
	Mem     float64 `json:"memoryInBytes,omitempty"`
}

// problem turns a trace into a Problem by the reference evaluator's rules. The
// product's reader of traces is another package; this one serves the tests.
func (tr *trace) problem(t testing.TB, pf Platform) *Problem {
	t.Helper()
	spec := &tr.Workflow.Specification
	runs, sizes, ids := map[string]traceRun{}, map[string]int64{}, map[string]int32{}
	for _, r := range tr.Workflow.Execution.Tasks {
		runs[r.ID] = r
	}
	for _, f := range spec.Files {
		sizes[f.ID] = f.Size
	}
	for i, k := range spec.Tasks {
		ids[k.ID] = int32(i)
	}
	p := &Problem{Platform: pf, Tasks: make([]Task, len(spec.Tasks))}
	files := map[string]int32{}
	index := func(names []string) (list []int32) {
		for _, name := range names {
			f, ok := files[name]
			if !ok {
				f = int32(len(p.Files))
				files[name] = f
				p.Files = append(p.Files, File{Name: name, Size: sizes[name]})
			}
			list = append(list, f)
		}
		return list
	}
	for i, k := range spec.Tasks {
		p.Tasks[i].Out = index(k.OutputFiles)
	}
	for i, k := range spec.Tasks {
		task := &p.Tasks[i]
		task.ID, task.In = k.ID, index(k.InputFiles)
		for _, parent := range k.Parents {
			if at, ok := ids[parent]; ok && at != int32(i) {
				task.Parents = append(task.Parents, at)
			}
		}
		for _, child := range k.Children {
			if at, ok := ids[child]; ok && at != int32(i) {
				p.Tasks[at].Parents = append(p.Tasks[at].Parents, int32(i))
			}
		}
		fillRun(task, runs[k.ID], pf.Defaults)
	}
	if err := p.Prepare(); err != nil {
		t.Fatal(err)
	}
	return p
}

func fillRun(task *Task, r traceRun, d Defaults) {
	task.RuntimeS = max(0, r.Runtime)
	cores, mem := r.Cores, r.Mem
	if cores == 0 {
		if cores = d.Cores; cores == 0 {
			cores = 1
		}
	}
	if mem <= 0 {
		if mem = d.MemMiB * mib; mem == 0 {
			mem = 512 * mib
		}
	}
	task.Cores, task.MemBytes = max(1, int(math.Ceil(cores))), mem
}

func readTrace(t testing.TB, text []byte) *trace {
	t.Helper()
	var tr trace
	if err := json.Unmarshal(text, &tr); err != nil {
		t.Fatal(err)
	}
	return &tr
}

func mustPlatform(t testing.TB, text []byte) Platform {
	t.Helper()
	pf, err := ParsePlatform(text)
	if err != nil {
		t.Fatal(err)
	}
	return pf
}

// kinds are the violations' kinds and tasks, for comparison.
func kinds(vs []Violation) (out []string) {
	for _, v := range vs {
		out = append(out, v.Kind+" "+v.Task)
	}
	slices.Sort(out)
	return out
}
