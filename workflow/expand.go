package workflow

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Expand makes the instances and files of a run from a spec and the values of Bind. Instances stand in the order of
// the tasks, files in the order of their first appearance: all outputs, then all inputs. A foreach whose elements are
// not known yet gets estimate.count provisional instances, which Resolve replaces. The error is an Errors.
func Expand(spec *Spec, params map[string]any) (*Graph, error) {
	if spec.trace != nil {
		return spec.trace.graph(spec), nil
	}
	g := newGraph(spec, params)
	m := &meter{}
	all, errs := g.allElements(m)
	if len(errs) == 0 {
		counts := make([]int, len(all))
		for t := range all {
			counts[t] = len(all[t])
		}
		errs = g.admit(counts)
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	names := make([][]names, len(spec.Tasks))
	for t := range spec.Tasks {
		var err error
		if names[t], err = g.names(t, all[t], m); err != nil {
			errs = append(errs, g.finding(t, err))
		}
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	for t := range spec.Tasks {
		g.grow(t, names[t])
		g.resolved[t] = !spec.Tasks[t].dynamic
	}
	for t := range spec.Tasks {
		g.link(t)
	}
	g.relabel()
	return g, g.homeless().err()
}

// allElements are the elements of every task, as long as they are not too many.
func (g *Graph) allElements(m *meter) (all [][]element, errs Errors) {
	all = make([][]element, len(g.Spec.Tasks))
	total := 0
	for t := range all {
		items, err := g.elements(t, m)
		if total += len(items); err == nil && total > MaxInstances {
			return nil, append(errs, g.finding(t, errTooWide))
		}
		if all[t] = items; err != nil {
			errs = append(errs, g.finding(t, err))
		}
	}
	return all, errs
}

var errTooWide = ruledError{
	fmt.Errorf("with it the workflow grows to more than %d instances, %d files or %d dependencies", MaxInstances, MaxFiles, MaxEdges),
	RuleTooLarge, "use each: true, or a task between two large ones",
}

// ruledError is an error that knows its rule and the way out.
type ruledError struct {
	error
	rule Rule
	fix  string
}

// finding tells an error at a task.
func (g *Graph) finding(task int, err error) Error {
	rule, fix := RuleExpression, "mend the task or the parameters of the run"
	if own := (ruledError{}); errors.As(err, &own) {
		rule, fix = own.rule, own.fix
	}
	t := &g.Spec.Tasks[task]
	return Error{
		File: g.Spec.File, Line: t.pos.Line, Col: t.pos.Col, Path: "tasks." + t.ID,
		Rule: rule, Message: fmt.Sprintf("task %s: %v", t.ID, err), Fix: fix,
	}
}

// element is one element of a foreach; an unknown one stands for what is not known yet.
type element struct {
	item    any
	index   int // -1 without foreach
	unknown bool
}

// elements are what a task's foreach gives before the run starts.
func (g *Graph) elements(task int, m *meter) ([]element, error) {
	t := &g.Spec.Tasks[task]
	switch {
	case t.Foreach == nil:
		return []element{{index: -1}}, nil
	case t.dynamic:
		return unknown(t.Estimate.Count), nil
	case t.Foreach.Expr == "":
		return known(t.Foreach.List), nil
	}
	e, err := g.Spec.exprs.whole(t.Foreach.Expr)
	if err != nil {
		return nil, err
	}
	items, err := g.list(t, e, fixed(map[string]any{"params": g.Params}), m)
	return known(items), err
}

func known(items []any) []element {
	out := make([]element, len(items))
	for i, item := range items {
		out[i] = element{item: item, index: i}
	}
	return out
}

func unknown(count int) []element {
	out := make([]element, count)
	for i := range out {
		out[i] = element{index: i, unknown: true}
	}
	return out
}

// list evaluates a foreach.
func (g *Graph) list(t *Task, e *expression, look lookup, m *meter) ([]any, error) {
	value, err := evaluator{g.Spec.exprs, look, m}.value(e)
	if err != nil {
		return nil, err
	}
	items, ok := value.([]any)
	switch {
	case !ok:
		return nil, fmt.Errorf("foreach must be a list, not %s", showValue(value))
	case len(items) > t.MaxItems:
		return nil, t.tooMany(len(items))
	}
	return items, nil
}

func (t *Task) tooMany(elements int) error {
	return ruledError{fmt.Errorf("foreach has %d elements; at most %d are allowed", elements, t.MaxItems), RuleTooLarge, "use fewer, larger elements"}
}

// names are the paths of one instance, which must all be known before anything of the graph changes.
type names struct {
	element
	out []string // by output
	in  []string // by input; empty where it is no initial file, or not known yet
}

func (g *Graph) names(task int, elements []element, m *meter) ([]names, error) {
	t := &g.Spec.Tasks[task]
	all := make([]names, len(elements))
	for i, e := range elements {
		n := names{element: e, out: make([]string, len(t.Outputs)), in: make([]string, len(t.Inputs))}
		var err error
		for k := range t.Outputs {
			if n.out[k], err = g.fileName(t.Outputs[k].Path, e, m); err != nil {
				return nil, fmt.Errorf("output %d: %w", k+1, err)
			}
			if n.out[k] == "" {
				n.out[k] = "output-" + strconv.Itoa(k+1)
			}
		}
		for k := range t.Inputs {
			if t.Inputs[k].From != "params" {
				continue
			}
			if n.in[k], err = g.fileName(t.Inputs[k].Path, e, m); err != nil {
				return nil, fmt.Errorf("input %d: %w", k+1, err)
			}
		}
		if twice := firstTwice(n.out); twice != "" && !e.unknown {
			return nil, ruledError{fmt.Errorf("two outputs have the path %s", quoteShort(twice)), RuleDuplicate, "name them apart"}
		}
		all[i] = n
	}
	return all, nil
}

func firstTwice(list []string) string {
	if len(list) < 2 {
		return ""
	}
	seen := make(map[string]bool, len(list))
	for _, s := range list {
		if seen[s] {
			return s
		}
		seen[s] = true
	}
	return ""
}

// fileName evaluates a path; it is empty where it depends on an element that is not known yet.
func (g *Graph) fileName(path Text, e element, m *meter) (string, error) {
	segments, err := g.Spec.exprs.segments(path)
	if err != nil {
		return "", err
	}
	for _, s := range segments {
		if s.expr != nil && s.expr.uses&rootItem != 0 && e.unknown {
			return "", nil
		}
	}
	vars := map[string]any{"params": g.Params, "item": e.item, "index": int64(e.index)}
	name, err := evaluator{g.Spec.exprs, fixed(vars), m}.text(path)
	if err != nil {
		return "", err
	}
	if err := checkPath(name); err != nil {
		return "", ruledError{fmt.Errorf("%s %w", quoteShort(name), err), RulePath, workingFix}
	}
	return name, nil
}

// admit checks counts of instances, by task, against the limits and against one another.
func (g *Graph) admit(counts []int) Errors {
	var errs Errors
	instances, files, edges := 0, 0, 0
	for i := range g.Spec.Tasks {
		t := &g.Spec.Tasks[i]
		instances += counts[i]
		files += counts[i] * (len(t.Outputs) + len(t.Inputs))
		for _, d := range t.after {
			from := &g.Spec.Tasks[d.task]
			if d.aligned && counts[i] != counts[d.task] {
				errs = append(errs, g.finding(i, ruledError{
					fmt.Errorf("its foreach has %d elements and that of %s has %d", counts[i], from.ID, counts[d.task]),
					RuleConflict, "with each: true they must be as many",
				}))
			}
			sources := counts[d.task]
			if d.each {
				sources = 1
			}
			if edges += counts[i] * sources * (1 + len(from.Outputs)); edges > MaxEdges {
				break
			}
		}
		if instances > MaxInstances || files > MaxFiles || edges > MaxEdges {
			return append(errs, g.finding(i, errTooWide))
		}
	}
	return errs
}

// grow gives a task its instances and their files: it renews those that are there, appends what is missing and
// retires what is too many.
func (g *Graph) grow(task int, all []names) {
	t := &g.Spec.Tasks[task]
	had := g.of[task]
	g.of[task] = make([]int32, len(all))
	for k, n := range all {
		i := int32(len(g.Instances))
		if k < len(had) {
			i = had[k]
		} else {
			g.Instances = append(g.Instances, Instance{ID: instanceID(t.ID, n.index), Task: task, Index: n.index})
			g.reads = append(g.reads, nil)
		}
		g.of[task][k] = i
		g.reads[i] = n.in
		inst := &g.Instances[i]
		inst.Item, inst.Provisional = n.item, n.unknown
		g.outputs(i, n.out)
	}
	for _, i := range had[min(len(all), len(had)):] {
		g.retire(i)
	}
}

func instanceID(task string, index int) string {
	if index < 0 {
		return task
	}
	return task + "[" + strconv.Itoa(index) + "]"
}

// outputs names the files that an instance makes.
func (g *Graph) outputs(i int32, paths []string) {
	inst := &g.Instances[i]
	t := &g.Spec.Tasks[inst.Task]
	plain := t.plainOutputs()
	for k, path := range paths {
		if k == len(inst.Out) {
			inst.Out = append(inst.Out, int32(len(g.Files)))
			g.Files = append(g.Files, File{Producer: i, Output: k, Size: t.outputSize(k, plain)})
		}
		f := &g.Files[inst.Out[k]]
		f.Path, f.Name = path, inst.ID+"/"+path
	}
}

// plainOutputs counts the outputs that are no values.
func (t *Task) plainOutputs() (n int) {
	for i := range t.Outputs {
		if t.Outputs[i].Value == "" {
			n++
		}
	}
	return n
}

// outputSize splits estimate.output evenly over the plain output files; values do not count, unless they are all.
func (t *Task) outputSize(k, plain int) int64 {
	switch {
	case plain == 0:
		return t.Estimate.Output / int64(len(t.Outputs))
	case t.Outputs[k].Value != "":
		return 0
	}
	return t.Estimate.Output / int64(plain)
}

func (g *Graph) retire(i int32) {
	inst := &g.Instances[i]
	inst.Retired, inst.Provisional = true, false
	inst.Parents = nil
	for _, f := range inst.Out {
		g.Files[f].Retired, g.Files[f].Readers = true, nil
	}
	inst.Out, g.reads[i] = nil, nil
}

// link makes the dependencies of a task's instances, and what they read, anew.
func (g *Graph) link(task int) {
	t := &g.Spec.Tasks[task]
	all := g.sharedParents(t)
	for k, i := range g.of[task] {
		inst := &g.Instances[i]
		inst.Parents = all
		for _, d := range t.after {
			if d.each {
				inst.Parents = append(slices.Clip(inst.Parents), g.of[d.task][k])
			}
		}
		if len(inst.Parents) > len(all) {
			slices.Sort(inst.Parents)
		}
		inst.In = g.inputs(t, k, i)
		for _, f := range inst.In {
			g.Files[f].Readers = append(g.Files[f].Readers, i)
		}
	}
}

// sharedParents are the instances that all instances of a task wait for.
func (g *Graph) sharedParents(t *Task) []int32 {
	var all []int32
	for _, d := range t.after {
		if !d.each {
			all = append(all, g.of[d.task]...)
		}
	}
	slices.Sort(all)
	return all
}

// unlink takes the instances of some tasks off the files they read.
func (g *Graph) unlink(tasks map[int]bool) {
	touched := map[int32]bool{}
	for i := range g.Instances {
		inst := &g.Instances[i]
		if !tasks[inst.Task] {
			continue
		}
		for _, f := range inst.In {
			touched[f] = true
		}
		inst.In = nil
	}
	for f := range touched {
		file := &g.Files[f]
		file.Readers = slices.DeleteFunc(file.Readers, func(i int32) bool { return tasks[g.Instances[i].Task] })
		if file.Producer < 0 {
			file.Retired = len(file.Readers) == 0
		}
	}
}

// inputs lists the files that instance i, the k-th of its task, reads.
func (g *Graph) inputs(t *Task, k int, i int32) []int32 {
	var in []int32
	for _, path := range t.Files {
		in = append(in, g.initialFile(path, LabelUnset))
	}
	for n := range t.Inputs {
		input := &t.Inputs[n]
		if input.From == "params" {
			if path := g.reads[i][n]; path != "" {
				in = append(in, g.initialFile(path, input.Data))
			}
			continue
		}
		from := g.of[g.Spec.byID[input.From]]
		if input.Each {
			from = from[k : k+1]
		}
		for _, p := range from {
			if out := g.Instances[p].Out; input.output < 0 {
				in = append(in, out...)
			} else {
				in = append(in, out[input.output])
			}
		}
	}
	if len(t.Inputs)+len(t.Files) > 1 {
		in = unique(in)
	}
	return in
}

// initialFile finds or adds a file of the submitter. Of several labels the highest counts.
func (g *Graph) initialFile(path string, label Label) int32 {
	f, known := g.initial[path]
	if !known {
		f = int32(len(g.Files))
		g.initial[path] = f
		g.Files = append(g.Files, File{Name: path, Path: path, Producer: -1, Output: -1})
	}
	file := &g.Files[f]
	file.Label, file.Retired = max(file.Label, label.orInternalIfUnset(file.Label)), false
	return f
}

// Dynamic says whether a task's elements come from the output of another task.
func (g *Graph) Dynamic(task int) bool { return g.Spec.Tasks[task].dynamic }

// Unresolved lists the tasks whose elements are not known yet.
func (g *Graph) Unresolved() []int {
	var out []int
	for t, ok := range g.resolved {
		if !ok {
			out = append(out, t)
		}
	}
	return out
}

// Resolve replaces the provisional instances of a task by one instance an element. Indexes of instances and files
// keep their meaning: more elements than estimated are appended, missing ones retired. Tasks that stand element-wise
// before or behind the task and are not known either grow or shrink with it. After an error the graph is as before.
func (g *Graph) Resolve(task int, items []any) error {
	t := &g.Spec.Tasks[task]
	switch {
	case g.resolved[task]:
		return fmt.Errorf("the elements of %s are known already", t.ID)
	case len(items) > t.MaxItems:
		return g.finding(task, t.tooMany(len(items)))
	}
	changed := map[int][]element{task: known(items)}
	g.follow(task, len(items), changed)
	counts := make([]int, len(g.of))
	for u := range g.of {
		if counts[u] = len(g.of[u]); changed[u] != nil {
			counts[u] = len(changed[u])
		}
	}
	if err := g.admit(counts).err(); err != nil {
		return err
	}
	next := g.clone()
	if err := next.replace(changed); err != nil {
		return err
	}
	next.resolved[task] = true
	*g = *next
	return nil
}

// clone copies what replace changes.
func (g *Graph) clone() *Graph {
	c := *g
	c.Instances, c.Files = slices.Clone(g.Instances), slices.Clone(g.Files)
	for f := range c.Files {
		c.Files[f].Readers = slices.Clone(c.Files[f].Readers)
	}
	c.of, c.reads = slices.Clone(g.of), slices.Clone(g.reads)
	c.resolved, c.initial = slices.Clone(g.resolved), maps.Clone(g.initial)
	return &c
}

// replace gives some tasks other elements, and makes all links from and to them anew.
func (g *Graph) replace(changed map[int][]element) error {
	stale, m := map[int]bool{}, &meter{}
	for u := range g.Spec.Tasks {
		elements, ok := changed[u]
		if stale[u] = ok || g.readsFrom(u, changed); !ok {
			continue
		}
		all, err := g.names(u, elements, m)
		if err != nil {
			return g.finding(u, err)
		}
		g.grow(u, all)
	}
	g.unlink(stale)
	for u := range g.Spec.Tasks {
		if stale[u] {
			g.link(u)
		}
	}
	g.relabel()
	return g.homeless().err()
}

// follow adds the unknown tasks that stand element-wise beside a task, with as many provisional elements.
func (g *Graph) follow(task, count int, changed map[int][]element) {
	for u := range g.Spec.Tasks {
		if changed[u] != nil || g.resolved[u] || !g.aligned(task, u) {
			continue
		}
		changed[u] = unknown(count)
		g.follow(u, count, changed)
	}
}

// aligned says whether instance i of one of two tasks means instance i of the other.
func (g *Graph) aligned(t, u int) bool {
	stands := func(on int) func(dependency) bool {
		return func(d dependency) bool { return int(d.task) == on && d.aligned }
	}
	return slices.ContainsFunc(g.Spec.Tasks[u].after, stands(t)) || slices.ContainsFunc(g.Spec.Tasks[t].after, stands(u))
}

func (g *Graph) readsFrom(task int, changed map[int][]element) bool {
	return slices.ContainsFunc(g.Spec.Tasks[task].after, func(d dependency) bool {
		_, ok := changed[int(d.task)]
		return ok
	})
}
