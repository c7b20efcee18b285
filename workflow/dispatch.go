package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
)

// View is what has happened in a run, as expressions see it.
type View interface {
	RunID() string
	State(instance int) TaskState
	// Value is the content of an output with value: json, or false while there is none.
	Value(instance, output int) (json.RawMessage, bool)
}

// maxGroupValue bounds what one expression reads of all instances of a task together.
const maxGroupValue = 4 << 20

// Command is what one attempt executes. Exactly one of Shell, Args and Work is set.
type Command struct {
	Shell   string            // for sh -c; expressions in it are references to Env
	Args    []string          // a program and its arguments
	Work    *Work             // synthetic work of a trace
	Env     map[string]string // values
	Secrets map[string]string // environment variable -> name of the secret, resolved where the attempt is sent
}

// maxCommandBytes bounds the environment and arguments of one attempt; Linux takes twice as much.
const maxCommandBytes = 1 << 20

var errProvisional = errors.New("its foreach is not resolved yet")

// Command evaluates what an attempt of an instance executes. All that the instance waits for must have ended.
func (g *Graph) Command(i int, view View) (Command, error) {
	inst := &g.Instances[i]
	t := &g.Spec.Tasks[inst.Task]
	if t.Work != nil {
		return Command{Work: t.Work}, nil
	}
	if inst.Provisional || inst.Retired {
		return Command{}, fmt.Errorf("%s: %w", inst.ID, errProvisional)
	}
	c, err := g.command(inst, t, view)
	if err != nil {
		return Command{}, fmt.Errorf("%s: %w", inst.ID, err)
	}
	return c, nil
}

func (g *Graph) command(inst *Instance, t *Task, view View) (Command, error) {
	c := Command{Shell: t.script.text, Env: make(map[string]string, len(t.Env)+len(t.script.exprs)), Secrets: map[string]string{}}
	for _, s := range t.secrets {
		c.Secrets[s.env] = s.name
	}
	eval, size := g.scope(inst, t, view).evaluator(), 0
	take := func(value string, err error) (string, error) {
		if size += len(value); err == nil && size > maxCommandBytes {
			err = fmt.Errorf("the values of the command have more than %d bytes together: pass them as files", maxCommandBytes)
		}
		return value, err
	}
	for _, e := range t.Env {
		if _, secret := c.Secrets[e.Name]; secret {
			continue
		}
		value, err := take(eval.text(e.Value))
		if err != nil {
			return c, fmt.Errorf("env %s: %w", e.Name, err)
		}
		c.Env[e.Name] = value
	}
	for k, e := range t.script.exprs {
		value, err := take(eval.exprText(e))
		if err != nil {
			return c, err
		}
		c.Env[exprVar(k)] = value
	}
	for _, arg := range t.Args {
		value, err := take(eval.text(arg))
		if err != nil {
			return c, fmt.Errorf("args: %w", err)
		}
		c.Args = append(c.Args, value)
	}
	return c, nil
}

// Condition says whether an instance runs, when all it waits for has ended: without if, when all of that succeeded;
// with if, when the condition says so, whatever became of it.
func (g *Graph) Condition(i int, view View) (bool, error) {
	inst := &g.Instances[i]
	t := &g.Spec.Tasks[inst.Task]
	if t.If == "" {
		for _, p := range inst.Parents {
			if view.State(int(p)) != TaskSucceeded {
				return false, nil
			}
		}
		return true, nil
	}
	if inst.Provisional || inst.Retired {
		return false, fmt.Errorf("%s: %w", inst.ID, errProvisional)
	}
	value, err := g.evaluate(inst, t, view)
	if err != nil {
		return false, fmt.Errorf("%s: if: %w", inst.ID, err)
	}
	run, ok := value.(bool)
	if !ok {
		return false, fmt.Errorf("%s: if: the condition is %s, not true or false", inst.ID, showValue(value))
	}
	return run, nil
}

func (g *Graph) evaluate(inst *Instance, t *Task, view View) (any, error) {
	e, err := g.Spec.exprs.condition(t.If)
	if err != nil {
		return nil, err
	}
	return g.scope(inst, t, view).evaluator().value(e)
}

// Elements evaluates the foreach of an unresolved task, for Resolve. It says false while a task that the foreach
// reads has not ended.
func (g *Graph) Elements(task int, view View) (items []any, ready bool, err error) {
	t := &g.Spec.Tasks[task]
	e, err := g.Spec.exprs.whole(t.Foreach.Expr)
	if err != nil {
		return nil, false, err
	}
	for _, r := range e.tasks {
		source := g.Spec.byID[r.id]
		if !g.resolved[source] {
			return nil, false, nil
		}
		for _, i := range g.of[source] {
			if !view.State(int(i)).Terminal() {
				return nil, false, nil
			}
		}
	}
	s := scope{g: g, view: view, task: t, index: -1, values: map[taskRef]any{}}
	if items, err = g.list(t, e, s.vars, &meter{}); err != nil {
		return nil, true, fmt.Errorf("%s: foreach: %w", t.ID, err)
	}
	return items, true, nil
}

// scope is what the expressions of one instance see.
type scope struct {
	g      *Graph
	view   View
	task   *Task
	item   any
	index  int
	values map[taskRef]any // what was looked up already
}

func (g *Graph) scope(inst *Instance, t *Task, view View) *scope {
	return &scope{g: g, view: view, task: t, item: inst.Item, index: inst.Index, values: map[taskRef]any{}}
}

func (s *scope) evaluator() evaluator { return evaluator{s.g.Spec.exprs, s.vars, &meter{}} }

// vars are the variables that one expression looks at.
func (s *scope) vars(e *expression) (map[string]any, error) {
	vars := map[string]any{"params": s.g.Params, "item": s.item, "index": int64(s.index)}
	if e.uses&rootRun != 0 {
		vars["run"] = map[string]any{"id": s.view.RunID(), "workflow": s.g.Spec.Name}
	}
	tasks := map[string]any{}
	for _, r := range e.tasks {
		members, seen := tasks[r.id].(map[string]any)
		if !seen {
			members = s.members(r.id)
			tasks[r.id] = members
		}
		if r.output == "" {
			continue
		}
		value, ok, err := s.value(r)
		if err != nil {
			return nil, err
		}
		if ok {
			members["outputs"].(map[string]any)[r.output] = value
		}
	}
	vars["tasks"] = tasks
	return vars, nil
}

// members are the counts and the state of a task.
func (s *scope) members(id string) map[string]any {
	instances, _ := s.group(id)
	succeeded, failed := int64(0), int64(0)
	for _, i := range instances {
		switch s.view.State(int(i)) {
		case TaskSucceeded:
			succeeded++
		case TaskFailed:
			failed++
		}
	}
	return map[string]any{
		"state": string(groupState(s.view, instances)), "succeeded": succeeded, "failed": failed, "outputs": map[string]any{},
	}
}

// group are the instances of a task that a scope sees: all of them, or with each: true the one of its own index.
func (s *scope) group(id string) (instances []int32, single bool) {
	task := s.g.Spec.byID[id]
	all := s.g.of[task]
	for _, d := range s.task.after {
		if int(d.task) == task && d.each && s.index >= 0 && s.index < len(all) {
			return all[s.index : s.index+1], true
		}
	}
	return all, s.g.Spec.Tasks[task].Foreach == nil
}

// groupState sums up the states of instances: the worst one, or succeeded if there is nothing worse.
func groupState(view View, instances []int32) TaskState {
	seen := map[TaskState]int{}
	for _, i := range instances {
		state := view.State(int(i))
		if !state.Terminal() {
			return TaskRunning
		}
		seen[state]++
	}
	switch {
	case seen[TaskFailed] > 0:
		return TaskFailed
	case seen[TaskCancelled] > 0:
		return TaskCancelled
	case seen[TaskSkipped] > 0 && seen[TaskSkipped] == len(instances):
		return TaskSkipped
	}
	return TaskSucceeded
}

// value is tasks.ID.outputs.NAME: the value, or a list of them with null where an instance left none.
func (s *scope) value(r taskRef) (value any, ok bool, err error) {
	if value, ok = s.values[r]; ok {
		return value, true, nil
	}
	instances, single := s.group(r.id)
	output := -1
	for k, o := range s.g.Spec.Tasks[s.g.Spec.byID[r.id]].Outputs {
		if o.Name == r.output {
			output = k
		}
	}
	list, size := make([]any, len(instances)), 0
	for k, i := range instances {
		raw, there := s.view.Value(int(i), output)
		if size += len(raw); size > maxGroupValue {
			return nil, false, fmt.Errorf("the values %s.outputs.%s have more than %d bytes together: pass them as files", r.id, r.output, maxGroupValue)
		}
		if !there {
			continue
		}
		ok = true
		if list[k], err = ParseValue(raw); err != nil {
			return nil, false, fmt.Errorf("%s.outputs.%s: %w", r.id, r.output, err)
		}
	}
	switch {
	case !single:
		value = list
	case ok:
		value = list[0]
	default:
		return nil, false, nil
	}
	s.values[r] = value
	return value, true, nil
}
