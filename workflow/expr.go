package workflow

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Limits of expressions. The cost is CEL's own unit, about one a value touched.
const (
	maxExprBytes = 8 << 10
	maxExprCost  = 1_000_000
	maxCallCost  = 20 * maxExprCost // of all expressions of one call together, about a second
	maxExprs     = 2 * MaxTasks     // different ones in a definition
	maxTextBytes = 128<<10 - 64     // what Linux lets one environment variable or argument hold
)

// roots are the names an expression may look at. Which of them depends on where it stands.
type roots uint8

const (
	rootParams roots = 1 << iota
	rootItem         // item and index
	rootTasks
	rootRun
	rootSecrets

	rootsNames    = rootParams | rootItem // known before anything runs
	rootsForeach  = rootParams | rootTasks
	rootsDispatch = rootParams | rootItem | rootTasks | rootRun
)

var rootBits = map[string]roots{
	"params": rootParams, "item": rootItem, "index": rootItem,
	"tasks": rootTasks, "run": rootRun, "secrets": rootSecrets,
}

// expression is one ${{ }}: checked at validation, its program made when it is first evaluated.
type expression struct {
	source string
	uses   roots
	tasks  []taskRef
	ast    *cel.Ast
	err    error // of compiling it

	once    sync.Once // makes the program
	program cel.Program
	broken  error
}

// taskRef is one look at a task: tasks.ID, with the output that is read, if it is one.
type taskRef struct {
	id, member, output string
}

// expressions are all expressions of a Spec by their text, and the environment they were checked in.
type expressions struct {
	env    *cel.Env
	params []string // their names, for suggestions
	byText map[string]*expression
	texts  map[Text][]segment
	consts meter // of what is evaluated while compiling
}

func newExpressions(params []Param) (*expressions, error) {
	base, err := baseEnv()
	if err != nil {
		return nil, err
	}
	env, err := base.Extend(cel.CustomTypeProvider(newProvider(base.CELTypeProvider(), params)))
	if err != nil {
		return nil, err
	}
	x := &expressions{env: env, byText: map[string]*expression{}, texts: map[Text][]segment{}}
	for i := range params {
		x.params = append(x.params, params[i].Name)
	}
	return x, nil
}

// baseEnv is what all definitions share: variables, functions and limits.
var baseEnv = sync.OnceValues(func() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.Variable("params", cel.ObjectType(typeParams)),
		cel.Variable("item", cel.DynType),
		cel.Variable("index", cel.IntType),
		cel.Variable("tasks", cel.MapType(cel.StringType, cel.ObjectType(typeTask))),
		cel.Variable("run", cel.ObjectType(typeRun)),
		cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(maxExprBytes),
		cel.ParserRecursionLimit(64),
		cel.ParserErrorRecoveryLimit(4),
	}
	return cel.NewEnv(append(options, functionOptions()...)...)
})

// compile checks an expression once, however often it is written.
func (x *expressions) compile(source string) (*expression, error) {
	if e, ok := x.byText[source]; ok {
		return e, e.err
	}
	e := &expression{source: source}
	if len(x.byText) >= maxExprs {
		return e, fmt.Errorf("the definition has more than %d different expressions", maxExprs)
	}
	if e.err = e.check(x); e.err == nil && e.uses == 0 { // a constant: that it fails is known now
		_, e.err = e.eval(x.env, map[string]any{}, &x.consts)
	}
	x.byText[source] = e
	return e, e.err
}

func (e *expression) check(x *expressions) error {
	if strings.TrimSpace(e.source) == "" {
		return errors.New("an expression is empty")
	}
	if len(e.source) > maxExprBytes {
		return fmt.Errorf("an expression has %d bytes; at most %d are read", len(e.source), maxExprBytes)
	}
	parsed, issues := x.env.Parse(e.source)
	if err := issueError(issues); err != nil {
		return err
	}
	w := walker{e: e, params: x.params}
	if w.walk(parsed.NativeRep().Expr(), nil); w.err != nil {
		return w.err
	}
	if e.uses&rootSecrets != 0 {
		return nil // never compiled: a secret is a reference, not a value
	}
	checked, issues := x.env.Check(parsed)
	e.ast = checked
	return issueError(issues)
}

// issueError is the first complaint of CEL in one line.
func issueError(issues *cel.Issues) error {
	if issues == nil || issues.Err() == nil {
		return nil
	}
	message := issues.Err().Error()
	if list := issues.Errors(); len(list) > 0 {
		message = list[0].Message
	}
	message, _, _ = strings.Cut(strings.Join(strings.Fields(message), " "), " expecting {")
	return errors.New(short200(strings.NewReplacer(typeParams, "params", typeTask, "task", typeRun, "run").Replace(message)))
}

// shown is the expression in messages: one short line.
func (e *expression) shown() string { return short(strings.Join(strings.Fields(e.source), " ")) }

// eval runs the expression and adds its steps to a meter. vars must not be kept by anyone.
func (e *expression) eval(env *cel.Env, vars map[string]any, m *meter) (any, error) {
	e.once.Do(func() {
		e.program, e.broken = env.Program(e.ast, cel.CostLimit(maxExprCost), cel.CostTracking(costs{}))
	})
	if e.broken != nil {
		return nil, e.broken
	}
	out, details, err := e.program.Eval(vars)
	if details != nil && details.ActualCost() != nil {
		if tooMany := m.add(*details.ActualCost()); tooMany != nil {
			return nil, tooMany
		}
	}
	if err != nil {
		message := strings.Join(strings.Fields(err.Error()), " ")
		if strings.Contains(message, "cost limit exceeded") {
			message = fmt.Sprintf("it takes more than %d steps", maxExprCost)
		}
		return nil, fmt.Errorf("${{ %s }}: %s", e.shown(), short200(message))
	}
	return native(out, 0)
}

// walker finds what an expression looks at, before CEL checks its types: so that a mistyped name is told in the
// words of the definition.
type walker struct {
	e      *expression
	params []string
	err    error
}

func (w *walker) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

// walk visits an expression; local holds the variables of the macros around it.
func (w *walker) walk(x celast.Expr, local []string) {
	switch x.Kind() {
	case celast.IdentKind:
		w.ident(x.AsIdent(), local)
	case celast.SelectKind:
		w.selection(x, local)
	case celast.CallKind:
		w.call(x, local)
	case celast.ListKind:
		for _, item := range x.AsList().Elements() {
			w.walk(item, local)
		}
	case celast.MapKind:
		for _, entry := range x.AsMap().Entries() {
			w.walk(entry.AsMapEntry().Key(), local)
			w.walk(entry.AsMapEntry().Value(), local)
		}
	case celast.StructKind:
		w.fail("an expression cannot make an object of a type; write a map, as in {\"key\": 1}")
	case celast.ComprehensionKind:
		c := x.AsComprehension()
		w.walk(c.IterRange(), local)
		w.walk(c.AccuInit(), local)
		inner := append(slices.Clip(local), c.IterVar(), c.IterVar2(), c.AccuVar())
		w.walk(c.LoopCondition(), inner)
		w.walk(c.LoopStep(), inner)
		w.walk(c.Result(), inner)
	}
}

// ident notes a bare name. tasks and secrets only make sense with a member.
func (w *walker) ident(name string, local []string) {
	if slices.Contains(local, name) {
		return
	}
	bit, known := rootBits[name]
	switch {
	case name == "tasks":
		w.fail(`name the task: tasks.ID.state or tasks["ID"].state`)
	case name == "secrets":
		w.fail("name the secret: secrets.NAME")
	case known:
		w.e.uses |= bit
	case typeNames[name]:
	default:
		w.fail("%q is not known here%s", short(name), suggest(name, []string{"params", "item", "index", "tasks", "run", "secrets"}))
	}
}

// typeNames are CEL's own names for types, as in type(x) == int.
var typeNames = map[string]bool{
	"bool": true, "int": true, "uint": true, "double": true, "string": true, "bytes": true,
	"list": true, "map": true, "null_type": true, "type": true,
}

func suggest(word string, known []string) string {
	if near := nearest(word, known); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

func (w *walker) selection(x celast.Expr, local []string) {
	s := x.AsSelect()
	if id, ok := w.task(s.Operand(), local); ok {
		w.member(id, s.FieldName(), "")
		return
	}
	if inner := s.Operand(); inner.Kind() == celast.SelectKind && inner.AsSelect().FieldName() == "outputs" {
		if id, ok := w.task(inner.AsSelect().Operand(), local); ok {
			w.member(id, "outputs", s.FieldName())
			return
		}
	}
	if name := s.FieldName(); isRoot(s.Operand(), "params", local) && !slices.Contains(w.params, name) {
		w.fail("there is no parameter %s%s", quoteShort(name), suggest(name, w.params))
		return
	}
	if isRoot(s.Operand(), "secrets", local) {
		w.e.uses |= rootSecrets
		return
	}
	if _, ok := w.task(x, local); ok {
		w.fail("say what of the task: %s.state, .succeeded, .failed or .outputs", w.e.shown())
		return
	}
	w.walk(s.Operand(), local)
}

// member notes tasks.ID.member, with the output's name if it is one.
func (w *walker) member(id, member, output string) {
	known := []string{"state", "succeeded", "failed", "outputs"}
	if !slices.Contains(known, member) {
		w.fail("a task has no %q%s", short(member), suggest(member, known))
		return
	}
	if member == "outputs" && output == "" {
		w.fail("name the output: tasks.%s.outputs.NAME", short(id))
		return
	}
	w.e.uses |= rootTasks
	w.e.tasks = append(w.e.tasks, taskRef{id, member, output})
}

// task recognises tasks.ID and tasks["ID"].
func (w *walker) task(x celast.Expr, local []string) (id string, ok bool) {
	switch x.Kind() {
	case celast.SelectKind:
		return x.AsSelect().FieldName(), isRoot(x.AsSelect().Operand(), "tasks", local)
	case celast.CallKind:
		c := x.AsCall()
		if c.FunctionName() != "_[_]" || len(c.Args()) != 2 || !isRoot(c.Args()[0], "tasks", local) {
			return "", false
		}
		if key := c.Args()[1]; key.Kind() == celast.LiteralKind {
			id, ok = key.AsLiteral().Value().(string)
			return id, ok
		}
	}
	return "", false
}

// index handles tasks[...] and tasks.ID.outputs[...], which must name what they look at.
func (w *walker) index(of, key celast.Expr, local []string) (done bool) {
	if isRoot(of, "tasks", local) {
		w.fail("the task must be named, as in tasks.ID; it cannot be computed")
		return true
	}
	if of.Kind() != celast.SelectKind || of.AsSelect().FieldName() != "outputs" {
		return false
	}
	id, ok := w.task(of.AsSelect().Operand(), local)
	if !ok {
		return false
	}
	name := ""
	if key.Kind() == celast.LiteralKind {
		name, _ = key.AsLiteral().Value().(string)
	}
	w.member(id, "outputs", name)
	return true
}

func isRoot(x celast.Expr, name string, local []string) bool {
	return x.Kind() == celast.IdentKind && x.AsIdent() == name && !slices.Contains(local, name)
}

func (w *walker) call(x celast.Expr, local []string) {
	c := x.AsCall()
	if _, ok := w.task(x, local); ok {
		w.fail("say what of the task: %s.state, .succeeded, .failed or .outputs", w.e.shown())
		return
	}
	if c.FunctionName() == "_[_]" && len(c.Args()) == 2 {
		if w.index(c.Args()[0], c.Args()[1], local) {
			return
		}
	}
	if c.IsMemberFunction() {
		w.walk(c.Target(), local)
	}
	for _, arg := range c.Args() {
		w.walk(arg, local)
	}
}

// secretForm is the only form in which a secret may be named.
var secretForm = regexp.MustCompile(`^\s*secrets\.([A-Za-z_][A-Za-z0-9_]{0,99})\s*$`)

// native turns a CEL value into null, bool, int64, float64, string, []any or map[string]any.
func native(v ref.Val, depth int) (any, error) {
	if depth > maxValueDepth {
		return nil, fmt.Errorf("a value is nested more than %d deep", maxValueDepth)
	}
	switch v := v.(type) {
	case types.Null:
		return nil, nil
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.Double:
		return float64(v), nil
	case types.String:
		return string(v), nil
	}
	return nativeAggregate(v, depth)
}
