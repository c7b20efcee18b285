package workflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/spillway/spillway/dag"
)

// What a trace does not say. The reference evaluator uses the same values.
const (
	defaultTraceCores  = 1
	defaultTraceMemory = 512 << 20 // bytes
)

// Bounds beyond which a trace is not believed.
const (
	maxTraceSeconds = 1e10
	maxTraceCores   = 1e6
	maxTraceBytes   = 1e18
)

// trace is the graph of a WfFormat file, complete as it stands: it has no parameters and no foreach.
type trace struct {
	parents [][]int32
	in, out [][]int32
	files   []File
}

// optional is a JSON number that may be absent or null, which the format tells apart: a null hides an older field of
// the same meaning.
type optional struct {
	present bool
	value   float64
}

func (o *optional) UnmarshalJSON(src []byte) error {
	o.present = true
	if string(src) == "null" {
		return nil
	}
	return json.Unmarshal(src, &o.value)
}

// or gives the first of two fields that is present.
func (o optional) or(older optional) float64 {
	if o.present {
		return o.value
	}
	return older.value
}

// traceDoc is WfFormat 1.5, and 1.3 and 1.4, which keep files and measurements within the tasks.
type traceDoc struct {
	Name     string `json:"name"`
	Workflow *struct {
		Specification *struct {
			Tasks []traceTask `json:"tasks"`
			Files []traceFile `json:"files"`
		} `json:"specification"`
		Execution struct {
			Tasks []traceTask `json:"tasks"`
		} `json:"execution"`
		Tasks []traceTask `json:"tasks"`
	} `json:"workflow"`
}

type traceTask struct {
	ID          *string     `json:"id"`
	Name        *string     `json:"name"`
	Parents     []string    `json:"parents"`
	Children    []string    `json:"children"`
	InputFiles  []string    `json:"inputFiles"`
	OutputFiles []string    `json:"outputFiles"`
	Files       []traceFile `json:"files"`

	RuntimeInSeconds optional `json:"runtimeInSeconds"`
	Runtime          optional `json:"runtime"`
	CoreCount        optional `json:"coreCount"`
	Cores            optional `json:"cores"`
	MemoryInBytes    optional `json:"memoryInBytes"`
	Memory           optional `json:"memory"` // kilobytes
}

type traceFile struct {
	ID          *string  `json:"id"`
	Name        *string  `json:"name"`
	Link        string   `json:"link"`
	SizeInBytes optional `json:"sizeInBytes"`
	Size        optional `json:"size"`
}

// traceRow is a task in the form that all versions are brought to.
type traceRow struct {
	id                string
	parents, children []string
	in, out           []string
	measured          *traceTask
}

// looksLikeTrace says whether src is JSON with the top of a WfFormat file, without reading further than it must.
func looksLikeTrace(src []byte) bool {
	if trimmed := bytes.TrimLeft(src, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(src))
	if _, err := d.Token(); err != nil {
		return false
	}
	for d.More() {
		key, err := d.Token()
		switch {
		case err != nil || key == "apiVersion" || key == "tasks":
			return false
		case key == "workflow" || key == "schemaVersion":
			return true
		}
		var skipped json.RawMessage
		if d.Decode(&skipped) != nil {
			return false
		}
	}
	return false
}

// ParseWfFormat reads a WfFormat trace of version 1.3, 1.4 or 1.5. Its error is an Errors. Missing run times count
// as 0 s, missing or zero memory as 512 MiB, missing or zero cores as 1. Parents are the declared ones, the inverse of
// declared children, and the producers of input files; the first task that lists a file as output produces it, and a
// task's own outputs are never its inputs.
func ParseWfFormat(filename string, src []byte) (*Spec, error) {
	r := traceReader{file: filename, src: src}
	spec := r.read()
	if err := r.errs.err(); err != nil {
		return nil, err
	}
	return spec, nil
}

type traceReader struct {
	file string
	src  []byte
	errs Errors
	rows []traceRow
	size map[string]float64 // by file, as last said
}

// fail records a finding at the first place of the source where a name is written.
func (r *traceReader) fail(name, at string, rule Rule, fix, format string, args ...any) {
	place := -1
	if len(r.errs) < maxPlaced {
		quoted, _ := json.Marshal(name)
		place = bytes.Index(r.src, quoted)
	}
	r.failAt(int64(place), at, rule, fix, format, args...)
}

// maxPlaced bounds for how many findings the source is searched.
const maxPlaced = 20

// failAt records a finding at an offset in the source, without one at its beginning.
func (r *traceReader) failAt(offset int64, at string, rule Rule, fix, format string, args ...any) {
	before := r.src[:min(max(0, int(offset)), len(r.src))]
	r.errs = append(r.errs, Error{
		File: r.file, Line: 1 + bytes.Count(before, []byte("\n")), Col: len(before) - bytes.LastIndexByte(before, '\n'),
		Path: at, Rule: rule, Message: fmt.Sprintf(format, args...), Fix: fix,
	})
}

func (r *traceReader) read() *Spec {
	if len(r.src) > MaxTraceBytes {
		r.failAt(0, "", RuleTooLarge, "split the trace", "the file has %d bytes; at most %d are read", len(r.src), MaxTraceBytes)
		return nil
	}
	var doc traceDoc
	if err := json.Unmarshal(r.src, &doc); err != nil {
		r.syntax(err)
		return nil
	}
	if doc.Workflow == nil {
		r.fail("workflow", "workflow", RuleMissing, "add the workflow object of WfFormat", "the trace has no workflow")
		return nil
	}
	r.size = map[string]float64{}
	if doc.Workflow.Specification != nil {
		r.rows15(&doc)
	} else {
		r.rows14(&doc)
	}
	if len(r.rows) == 0 && len(r.errs) == 0 {
		r.fail("tasks", "workflow", RuleMissing, "add a task", "the trace has no tasks")
	}
	if len(r.errs) > 0 {
		return nil
	}
	return r.build(traceName(doc.Name, r.file))
}

func traceName(name, file string) string {
	if name == "" {
		name = strings.TrimSuffix(path.Base(strings.ReplaceAll(file, `\`, "/")), ".json")
	}
	clean := strings.Map(func(c rune) rune {
		if c < 0x80 && nameForm.MatchString("a"+string(c)) {
			return c
		}
		return '-'
	}, name)
	if clean = strings.TrimLeft(clean, "-._"); clean == "" {
		return "trace"
	}
	return clean[:min(len(clean), 100)]
}

func (r *traceReader) syntax(err error) {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		r.failAt(syntax.Offset-1, "", RuleSyntax, "mend the JSON", "not valid JSON: %s", short200(err.Error()))
	case errors.As(err, &kind):
		r.failAt(kind.Offset-1, kind.Field, RuleType, "see the WfFormat schema", "%s cannot be a %s", short(kind.Field), short(kind.Value))
	default:
		r.failAt(-1, "", RuleSyntax, "mend the JSON", "not valid JSON: %s", short200(err.Error()))
	}
}

// rows15 reads the tasks of version 1.5: what they are, and apart from it how they ran.
func (r *traceReader) rows15(doc *traceDoc) {
	w := doc.Workflow
	ran := make(map[string]*traceTask, len(w.Execution.Tasks))
	for i := range w.Execution.Tasks {
		if t := &w.Execution.Tasks[i]; t.ID != nil {
			ran[*t.ID] = t
		}
	}
	for i, f := range w.Specification.Files {
		at := fmt.Sprintf("workflow.specification.files[%d]", i)
		if f.ID == nil || !f.SizeInBytes.present {
			r.fail("files", at, RuleMissing, "give it both", "a file has no id or no sizeInBytes")
			continue
		}
		r.size[*f.ID] = f.SizeInBytes.value
	}
	for i := range w.Specification.Tasks {
		t := &w.Specification.Tasks[i]
		if t.ID == nil {
			r.fail("tasks", fmt.Sprintf("workflow.specification.tasks[%d]", i), RuleMissing, "give it one", "a task has no id")
			continue
		}
		measured := ran[*t.ID]
		if measured == nil {
			measured = &traceTask{}
		}
		r.rows = append(r.rows, traceRow{*t.ID, t.Parents, t.Children, t.InputFiles, t.OutputFiles, measured})
	}
}

// rows14 reads the tasks of versions 1.3 and 1.4, where parents and children may be named by name or by id.
func (r *traceReader) rows14(doc *traceDoc) {
	tasks, names := doc.Workflow.Tasks, map[string]string{}
	ids := make([]string, len(tasks))
	for i := range tasks {
		t := &tasks[i]
		if t.Name == nil {
			r.fail("tasks", fmt.Sprintf("workflow.tasks[%d]", i), RuleMissing, "give it one", "a task has no name")
			return
		}
		if ids[i] = *t.Name; t.ID != nil {
			ids[i] = *t.ID
		}
		names[*t.Name], names[ids[i]] = ids[i], ids[i]
	}
	for i := range tasks {
		t := &tasks[i]
		row := traceRow{id: ids[i], measured: t}
		row.parents = r.named(names, t.Parents, ids[i])
		row.children = r.named(names, t.Children, ids[i])
		for k, f := range t.Files {
			r.file14(&row, &f, fmt.Sprintf("workflow.tasks[%d].files[%d]", i, k))
		}
		r.rows = append(r.rows, row)
	}
}

func (r *traceReader) named(names map[string]string, list []string, of string) []string {
	ids := make([]string, 0, len(list))
	for _, name := range list {
		id, ok := names[name]
		if !ok {
			r.fail(name, "workflow.tasks", RuleReference, "add the task or remove the name", "task %s names %s, which is no task", quoteShort(of), quoteShort(name))
			continue
		}
		ids = append(ids, id)
	}
	return ids
}

func (r *traceReader) file14(row *traceRow, f *traceFile, at string) {
	name := f.Name
	if name == nil {
		name = f.ID
	}
	if name == nil {
		r.fail("files", at, RuleMissing, "give it one", "a file has no name")
		return
	}
	r.size[*name] = f.SizeInBytes.or(f.Size)
	if f.Link == "input" {
		row.in = append(row.in, *name)
	} else {
		row.out = append(row.out, *name)
	}
}

// build makes the spec and its graph from the rows.
func (r *traceReader) build(name string) *Spec {
	spec := &Spec{File: r.file, APIVersion: APIVersion, Name: name, byID: make(map[string]int, len(r.rows))}
	spec.Tasks = make([]Task, len(r.rows))
	for i, row := range r.rows {
		if before, twice := spec.byID[row.id]; twice {
			r.fail(row.id, fmt.Sprintf("task %d", i), RuleDuplicate, "rename one of them", "tasks %d and %d have the same id %s", before, i, quoteShort(row.id))
		}
		spec.byID[row.id] = i
		spec.Tasks[i] = Task{ID: row.id, Work: r.work(row)}
	}
	if len(r.errs) > 0 {
		return nil
	}
	spec.trace = r.files()
	r.parents(spec)
	r.order(spec)
	return spec
}

func (r *traceReader) work(row traceRow) *Work {
	m := row.measured
	runtime := m.RuntimeInSeconds.or(m.Runtime)
	cores := m.CoreCount.or(m.Cores)
	memory := m.MemoryInBytes.value
	if memory == 0 {
		memory = m.Memory.value * 1000
	}
	if runtime > maxTraceSeconds || cores > maxTraceCores || memory > maxTraceBytes {
		r.fail(row.id, "task "+short(row.id), RuleValue, "mend the trace", "task %s is not believable: %g s on %g cores with %g bytes", quoteShort(row.id), runtime, cores, memory)
		return nil
	}
	if cores == 0 {
		cores = defaultTraceCores
	}
	if memory <= 0 {
		memory = defaultTraceMemory
	}
	return &Work{RuntimeS: max(0, runtime), Cores: max(1, int(math.Ceil(cores))), Memory: memory}
}

// files numbers the files: first all outputs in the order of the tasks, then all inputs.
func (r *traceReader) files() *trace {
	t := &trace{out: make([][]int32, len(r.rows)), in: make([][]int32, len(r.rows))}
	index := map[string]int32{}
	number := func(names []string) []int32 {
		ids := make([]int32, 0, len(names))
		for _, name := range names {
			id, known := index[name]
			if !known {
				id = int32(len(t.files))
				index[name] = id
				t.files = append(t.files, File{
					Name: name, Producer: -1, Output: -1, Size: r.fileSize(name), Path: fmt.Sprintf("file-%d", id),
				})
			}
			ids = append(ids, id)
		}
		return unique(ids)
	}
	listed := make([][]int32, len(r.rows))
	for i, row := range r.rows {
		listed[i] = number(row.out)
		for _, f := range listed[i] {
			if t.files[f].Producer < 0 {
				t.files[f].Producer, t.files[f].Output = int32(i), len(t.out[i])
				t.out[i] = append(t.out[i], f)
			}
		}
	}
	for i, row := range r.rows {
		own := make(map[int32]bool, len(listed[i]))
		for _, f := range listed[i] {
			own[f] = true
		}
		for _, f := range number(row.in) {
			if !own[f] {
				t.in[i] = append(t.in[i], f)
				t.files[f].Readers = append(t.files[f].Readers, int32(i))
			}
		}
	}
	return t
}

func (r *traceReader) fileSize(name string) int64 {
	size := r.size[name]
	if size > maxTraceBytes {
		r.fail(name, "file "+short(name), RuleValue, "mend the trace", "file %s is not believable: %g bytes", quoteShort(name), size)
		return 0
	}
	return int64(max(0, size))
}

// unique drops repeats and keeps the order of first appearance.
func unique(ids []int32) []int32 {
	seen := make(map[int32]bool, len(ids))
	return slices.DeleteFunc(ids, func(id int32) bool {
		again := seen[id]
		seen[id] = true
		return again
	})
}

// parents joins what the trace declares with what its files imply.
func (r *traceReader) parents(spec *Spec) {
	t := spec.trace
	t.parents = make([][]int32, len(r.rows))
	add := func(task, parent int) {
		if task != parent {
			t.parents[task] = append(t.parents[task], int32(parent))
		}
	}
	for i, row := range r.rows {
		for _, id := range row.parents {
			if p, ok := spec.byID[id]; ok {
				add(i, p)
			}
		}
		for _, id := range row.children {
			if c, ok := spec.byID[id]; ok {
				add(c, i)
			}
		}
		for _, f := range t.in[i] {
			if p := t.files[f].Producer; p >= 0 {
				add(i, int(p))
			}
		}
	}
	for i := range t.parents {
		slices.Sort(t.parents[i])
		t.parents[i] = slices.Compact(t.parents[i])
	}
}

func (r *traceReader) order(spec *Spec) {
	edges := [][2]int{}
	for i, parents := range spec.trace.parents {
		for _, p := range parents {
			edges = append(edges, [2]int{int(p), i})
			spec.Tasks[i].after = append(spec.Tasks[i].after, dependency{task: p})
		}
	}
	g, err := dag.New(len(spec.Tasks), edges)
	var cycle *dag.CycleError
	switch {
	case errors.As(err, &cycle):
		names := make([]string, len(cycle.Cycle))
		for k, i := range cycle.Cycle {
			names[k] = quoteShort(spec.Tasks[i].ID)
		}
		r.fail(spec.Tasks[cycle.Cycle[0]].ID, "workflow", RuleCycle, "remove one of these dependencies", "the tasks wait for one another: %s", cycleText(names))
	case err != nil:
		r.failAt(-1, "workflow", RuleCycle, "report this", "%v", err)
	default:
		spec.order = g.Order()
	}
}

// graph makes a fresh graph of a trace; runs change sizes and readers of their own copy only.
func (t *trace) graph(spec *Spec) *Graph {
	g := newGraph(spec, map[string]any{})
	g.Files = slices.Clone(t.files)
	for i := range spec.Tasks {
		g.Instances = append(g.Instances, Instance{
			ID: spec.Tasks[i].ID, Task: i, Index: -1, Parents: t.parents[i], In: t.in[i], Out: t.out[i],
		})
		g.of[i], g.resolved[i] = []int32{int32(i)}, true
	}
	g.relabel()
	return g
}
