package workflow

import (
	"slices"
	"strconv"
)

// dependency is one task that must have ended before another.
type dependency struct {
	task    int32
	each    bool // instance i only waits for instance i
	aligned bool // instance i means instance i somewhere, so that both have as many
}

// links checks what a task says of others, and compiles its expressions.
func (v *validator) links(t *Task) {
	v.known = map[int32]int{}
	for i := range t.Needs {
		n := &t.Needs[i]
		v.in(".needs["+strconv.Itoa(i)+"]", func() { v.need(t, n) })
	}
	for i := range t.Inputs {
		v.in(".inputs["+strconv.Itoa(i)+"]", func() { v.input(t, &t.Inputs[i]) })
	}
	v.foreachSource(t)
	v.compile(t)
	v.estimate(t)
}

// depend adds a dependency. Waiting for all instances covers waiting for one.
func (v *validator) depend(t *Task, on int, each bool) {
	i, known := v.known[int32(on)]
	if !known {
		v.known[int32(on)] = len(t.after)
		t.after = append(t.after, dependency{int32(on), each, each})
		return
	}
	d := &t.after[i]
	d.each, d.aligned = d.each && each, d.aligned || each
}

// other finds a task that t names, or says that it cannot be named.
func (v *validator) other(t *Task, at Pos, id string) (index int, ok bool) {
	index, ok = v.spec.byID[id]
	switch {
	case id == "":
		return 0, false
	case !ok:
		fix := "add the task or mend the name"
		if len(v.spec.Tasks) <= 1000 { // a suggestion is not worth a slow answer
			if near := nearest(id, v.ids()); near != "" {
				fix = "did you mean " + near + "?"
			}
		}
		v.failAt(at, RuleReference, fix, "there is no task %s", quoteShort(id))
	case id == t.ID:
		v.failAt(at, RuleCycle, "remove it", "task %s needs itself", id)
		return 0, false
	}
	return index, ok
}

func (v *validator) ids() []string {
	ids := make([]string, len(v.spec.Tasks))
	for i := range ids {
		ids[i] = v.spec.Tasks[i].ID
	}
	return ids
}

func (v *validator) need(t *Task, n *Need) {
	on, ok := v.other(t, n.Position("task"), n.Task)
	if !ok {
		return
	}
	if _, twice := v.known[int32(on)]; twice {
		v.failAt(n.Position("task"), RuleDuplicate, "keep one of them", "%s is needed twice", short(n.Task))
		return
	}
	v.elementWise(t, on, n.Each, n.Position("each"))
	v.depend(t, on, n.Each)
}

// elementWise checks that each: true stands between two tasks with foreach.
func (v *validator) elementWise(t *Task, on int, each bool, at Pos) {
	if each && (t.Foreach == nil || v.spec.Tasks[on].Foreach == nil) {
		v.failAt(at, RuleConflict, "give both the same foreach, or remove each", "each stands between two tasks with foreach; %s and %s are not", t.ID, v.spec.Tasks[on].ID)
	}
}

func (v *validator) input(t *Task, in *Input) {
	in.output = -1
	if in.From == "params" {
		v.initial(in)
		return
	}
	if in.Data != LabelUnset {
		v.at(&in.source, "data", RuleConflict, "remove it; what a task makes has the task's label", "only files of the submitter can be given a label here")
	}
	on, ok := v.other(t, in.Position("from"), in.From)
	if !ok {
		return
	}
	v.elementWise(t, on, in.Each, in.Position("each"))
	v.depend(t, on, in.Each)
	from := &v.spec.Tasks[on]
	if len(from.Outputs) == 0 {
		v.at(&in.source, "from", RuleReference, "add outputs to it, or use needs", "task %s has no outputs", from.ID)
		return
	}
	if in.Has("path") {
		in.output = slices.IndexFunc(from.Outputs, func(o Output) bool { return o.Path == in.Path })
		if in.output < 0 {
			v.at(&in.source, "path", RuleReference, "write the path as in its outputs", "task %s has no output %s", from.ID, quoteShort(string(in.Path)))
		}
	}
}

// initial checks an input that the submitter brings.
func (v *validator) initial(in *Input) {
	if !in.Has("path") {
		v.failAt(in.pos, RuleMissing, "add path", "a file of the submitter needs a path")
		return
	}
	if in.Each {
		v.at(&in.source, "each", RuleConflict, "remove it; use item or index in the path", "each stands between two tasks with foreach")
	}
	v.path(in.Position("path"), string(in.Path))
}

// foreachSource makes the tasks that a foreach reads from into dependencies.
func (v *validator) foreachSource(t *Task) {
	if t.Foreach == nil || t.Foreach.Expr == "" {
		return
	}
	e, err := v.spec.exprs.whole(t.Foreach.Expr)
	if err != nil {
		v.expression(&t.source, "foreach", err)
		return
	}
	for _, r := range e.tasks {
		if on, ok := v.other(t, t.Position("foreach"), r.id); ok {
			v.depend(t, on, false)
		}
	}
	t.dynamic = len(e.tasks) > 0
	v.uses(t, &t.source, "foreach", e, rootsForeach)
	if e.ast != nil {
		if kind := e.ast.OutputType().String(); kind != "dyn" && !isListType(kind) {
			v.at(&t.source, "foreach", RuleExpression, "make it a list, as in ${{ range(3) }}", "foreach must be a list, not %s", kind)
		}
	}
}

func isListType(kind string) bool { return len(kind) >= 4 && kind[:4] == "list" }

// expression records a failed compilation, one finding an expression.
func (v *validator) expression(s *source, key string, err error) {
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for _, e := range all {
		v.at(s, key, RuleExpression, "see the expressions in the documentation", "%v", e)
	}
}

// compile checks the expressions of a task that are evaluated when it is dispatched or when its files are named.
func (v *validator) compile(t *Task) {
	if t.Has("if") {
		v.condition(t)
	}
	if segments, ok := v.textAt(t, &t.source, "run", t.Run, rootsDispatch); ok && t.Has("run") {
		compiled, err := compileShell(segments)
		if err != nil {
			v.at(&t.source, "run", RuleExpression, "see how run treats expressions in the documentation", "%v", err)
		}
		t.script = compiled
	}
	for _, arg := range t.Args {
		v.textAt(t, &t.source, "args", arg, rootsDispatch)
	}
	for i := range t.Env {
		v.envValue(t, &t.Env[i])
	}
	for i := range t.Inputs {
		if in := &t.Inputs[i]; in.From == "params" {
			v.in(".inputs["+strconv.Itoa(i)+"]", func() { v.textAt(t, &in.source, "path", in.Path, rootsNames) })
		}
	}
	for i := range t.Outputs {
		o := &t.Outputs[i]
		v.in(".outputs["+strconv.Itoa(i)+"]", func() { v.textAt(t, &o.source, "path", o.Path, rootsNames) })
	}
}

// condition compiles an if, which must be true or false.
func (v *validator) condition(t *Task) {
	e, err := v.spec.exprs.condition(t.If)
	if err != nil {
		v.expression(&t.source, "if", err)
		return
	}
	v.uses(t, &t.source, "if", e, rootsDispatch)
	if e.ast == nil {
		return
	}
	if kind := e.ast.OutputType().String(); kind != "bool" && kind != "dyn" {
		v.at(&t.source, "if", RuleExpression, "compare it with something", "a condition must be true or false, not %s", kind)
	}
}

func (v *validator) textAt(t *Task, s *source, key string, text Text, allowed roots) ([]segment, bool) {
	segments, err := v.spec.exprs.segments(text)
	if err != nil {
		v.expression(s, key, err)
		return nil, false
	}
	for _, seg := range segments {
		if seg.expr != nil {
			v.uses(t, s, key, seg.expr, allowed)
		}
	}
	return segments, true
}

// envValue compiles an environment variable, the one place where a secret may stand, and only alone.
func (v *validator) envValue(t *Task, e *EnvVar) {
	v.in(".env", func() {
		segments, err := v.spec.exprs.segments(e.Value)
		if err == nil && len(segments) == 3 && segments[0].literal+segments[2].literal == "" {
			if m := secretForm.FindStringSubmatch(segments[1].expr.source); m != nil {
				t.secrets = append(t.secrets, secretRef{env: e.Name, name: m[1]})
				return
			}
		}
		v.textAt(t, &e.source, e.Name, e.Value, rootsDispatch)
	})
}

// uses checks what an expression looks at against where it stands.
func (v *validator) uses(t *Task, s *source, key string, e *expression, allowed roots) {
	switch {
	case e.uses&rootSecrets != 0:
		v.at(s, key, RuleExpression, "pass it in env, as in TOKEN: ${{ secrets.NAME }}", "a secret may only stand alone as the value of an environment variable")
		return
	case e.uses&rootItem&allowed != 0 && t.Foreach == nil:
		v.at(s, key, RuleExpression, "add foreach to the task", "item and index exist only in a task with foreach")
	case e.uses&^allowed != 0:
		v.at(s, key, RuleExpression, "use "+allowed.names(), "%s cannot be used here", (e.uses &^ allowed).names())
	}
	for _, r := range e.tasks {
		v.taskRef(t, s, key, r)
	}
}

func (r roots) names() string {
	out := ""
	for _, name := range []string{"params", "item", "index", "tasks", "run"} {
		if r&rootBits[name] != 0 {
			if out != "" {
				out += ", "
			}
			out += name
		}
	}
	return out
}

// taskRef checks that an expression looks at a task that has ended by then, and at an output it has.
func (v *validator) taskRef(t *Task, s *source, key string, r taskRef) {
	on, ok := v.other(t, s.Position(key), r.id)
	if _, needed := v.known[int32(on)]; ok && needed {
		v.outputRef(t, s, key, on, r)
	} else if ok {
		v.at(s, key, RuleReference, "add "+r.id+" to needs", "task %s is not needed by %s, so nothing is known of it here", r.id, t.ID)
	}
}

func (v *validator) outputRef(t *Task, s *source, key string, on int, r taskRef) {
	if r.output == "" {
		return
	}
	from, names := &v.spec.Tasks[on], []string{}
	for _, o := range from.Outputs {
		if o.Value == "" {
			continue
		}
		if names = append(names, o.Name); o.Name == r.output {
			if !slices.Contains(t.reads, int32(on)) {
				t.reads = append(t.reads, int32(on))
			}
			return
		}
	}
	fix := "add it to the outputs of " + r.id + " with value: json"
	if near := nearest(r.output, names); near != "" {
		fix = "did you mean " + near + "?"
	}
	v.at(s, key, RuleReference, fix, "task %s has no value %s", r.id, quoteShort(r.output))
}

func (v *validator) estimate(t *Task) {
	switch {
	case t.dynamic && t.Estimate.Count == 0:
		v.at(&t.source, "foreach", RuleMissing, "add estimate: {count: N}", "a foreach over a task's output needs an estimate of its elements")
	case t.Estimate.Count > 0 && !t.dynamic:
		v.at(&t.Estimate.source, "count", RuleConflict, "remove it", "count belongs to a foreach over a task's output")
	case t.Estimate.Count > t.MaxItems:
		v.at(&t.Estimate.source, "count", RuleConflict, "make max_items the larger one", "count %d is above max_items %d", t.Estimate.Count, t.MaxItems)
	}
}

// labels refuses a task that can run nowhere: private data with a placement that has no private site.
func (v *validator) labels(t *Task) {
	if t.Data == LabelPrivate && !t.Placement.Allows(SitePrivate) {
		v.at(&t.source, "data", RuleLabel, "add private to placement.allow, or change data", "private data never leaves the private site, and placement does not allow that site")
	}
}
