package workflow

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spillway/spillway/dag"
)

// validator checks what the types alone cannot say, and fills in defaults and references.
type validator struct {
	*decoder
	spec    *Spec
	known   map[int32]int // of the task at hand: index in after, by task
	env     int           // variables of all tasks so far
	envTold bool
	told    map[Pos]bool // where the decoder could not read a value: nothing more is said of it
}

func (v *validator) failAt(at Pos, rule Rule, fix, format string, args ...any) {
	if !v.told[at] {
		v.decoder.failAt(at, rule, fix, format, args...)
	}
}

var (
	nameForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
	idForm     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)
	byForm     = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
	siteForm   = regexp.MustCompile(`^(private|\*|[a-z][a-z0-9-]*:[A-Za-z0-9*._-]+)$`)
	idFix      = "use letters, digits and underscores, beginning with a letter"
	workingFix = "name a file within the working directory, as in data/out.csv"
)

func (v *validator) validate() {
	s := v.spec
	if s.APIVersion != "" && s.APIVersion != APIVersion {
		v.at(&s.source, "apiVersion", RuleUnsupported, "write "+APIVersion, "apiVersion %s is not supported by this version", quoteShort(s.APIVersion))
	}
	if s.Name != "" && !nameForm.MatchString(s.Name) {
		v.at(&s.source, "name", RuleID, "use letters, digits, dots, dashes and underscores, at most 100", "%s is not a name", quoteShort(s.Name))
	}
	v.in(".on.schedule", v.schedules)
	v.in(".deadline", v.deadline)
	v.in(".params", v.params)
	v.in(".defaults", v.defaults)
	v.in(".tasks", v.tasks)
}

// at records a finding at a key of a part.
func (v *validator) at(s *source, key string, rule Rule, fix, format string, args ...any) {
	v.in("."+key, func() { v.failAt(s.Position(key), rule, fix, format, args...) })
}

func (v *validator) schedules() {
	for i := range v.spec.On.Schedule {
		v.in("["+strconv.Itoa(i)+"]", func() { v.schedule(&v.spec.On.Schedule[i]) })
	}
}

func (v *validator) schedule(s *Schedule) {
	if err := checkCron(s.Cron); err != nil && s.Cron != "" {
		v.at(&s.source, "cron", RuleSchedule, `write minute, hour, day, month, weekday, as in "0 2 * * *"`, "%v", err)
	}
	v.zone(&s.source, s.Timezone)
	s.Timezone = cmp.Or(s.Timezone, "UTC")
	s.Overlap = cmp.Or(s.Overlap, OverlapSkip)
	s.DST = cmp.Or(s.DST, DSTOnce)
	if s.Catchup != nil {
		s.Catchup.Mode = cmp.Or(s.Catchup.Mode, CatchupLatest)
	}
}

func (v *validator) zone(s *source, name string) {
	if _, err := loadZone(name); err != nil {
		v.at(s, "timezone", RuleSchedule, "use an IANA name, as in Europe/Lisbon", "%v", err)
	}
}

func (v *validator) deadline() {
	d := v.spec.Deadline
	if d == nil {
		return
	}
	if d.Has("within") == d.Has("by") {
		v.failAt(d.pos, RuleConflict, "write within: 45m or by: \"06:00\"", "a deadline has either within or by")
	}
	if d.By != "" && !byForm.MatchString(d.By) {
		v.at(&d.source, "by", RuleValue, `write it as in "06:00"`, "%s is not a time of day", quoteShort(d.By))
	}
	if d.Has("timezone") && !d.Has("by") {
		v.at(&d.source, "timezone", RuleConflict, "remove it", "timezone belongs to by")
	}
	v.zone(&d.source, d.Timezone)
	d.Timezone = cmp.Or(d.Timezone, "UTC")
	d.OnRisk = cmp.Or(d.OnRisk, OnRiskOffload)
	d.OnMiss = cmp.Or(d.OnMiss, OnMissNotify)
}

func (v *validator) defaults() {
	d := &v.spec.Defaults
	if d.Retry != nil {
		v.in(".retry", func() { v.retry(d.Retry) })
	}
	v.in(".env", func() { v.envNames(d.Env) })
	if v.spec.Budget != nil {
		v.spec.Budget.OnExceed = cmp.Or(v.spec.Budget.OnExceed, OnExceedHold)
	}
}

func (v *validator) retry(r *Retry) {
	r.Backoff = cmp.Or(r.Backoff, BackoffExponential)
	r.Base = cmp.Or(r.Base, time.Second)
	r.Cap = cmp.Or(r.Cap, max(time.Minute, r.Base))
	r.Jitter = cmp.Or(r.Jitter, JitterFull)
	if r.Base > r.Cap {
		v.at(&r.source, "cap", RuleConflict, "make cap the longer one", "cap %s is shorter than base %s", r.Cap, r.Base)
	}
}

// tasks checks every task alone, then what they say of one another.
func (v *validator) tasks() {
	s := v.spec
	if len(s.Tasks) > MaxTasks {
		v.failAt(s.Position("tasks"), RuleTooLarge, "let a foreach make them", "%d tasks; at most %d are read", len(s.Tasks), MaxTasks)
		return
	}
	if s.Has("tasks") && len(s.Tasks) == 0 && len(v.errs) == 0 {
		v.failAt(s.Position("tasks"), RuleMissing, "add a task with run", "the workflow has no tasks")
	}
	s.byID = make(map[string]int, len(s.Tasks))
	for i := range s.Tasks {
		s.byID[s.Tasks[i].ID] = i
	}
	x, err := newExpressions(s.Params)
	if err != nil {
		v.failAt(s.pos, RuleExpression, "report this", "expressions cannot be set up: %v", err)
		return
	}
	s.exprs = x
	v.each(v.task)
	v.each(v.links)
	if v.order(); len(v.errs) == 0 {
		v.each(v.labels)
	}
}

func (v *validator) each(check func(t *Task)) {
	for i := range v.spec.Tasks {
		t := &v.spec.Tasks[i]
		v.in("."+short(t.ID), func() { check(t) })
	}
}

// task checks one task alone and fills in its defaults.
func (v *validator) task(t *Task) {
	if !idForm.MatchString(t.ID) || t.ID == "params" {
		v.failAt(t.pos, RuleID, idFix, "%s is not a task id", quoteShort(t.ID))
	}
	v.command(t)
	v.inherit(t)
	v.in(".env", func() { v.envNames(t.Env) })
	v.in(".files", func() {
		for _, f := range t.Files {
			v.path(t.Position("files"), f)
		}
	})
	v.outputs(t)
	if t.Has("retry") {
		v.in(".retry", func() { v.retry(&t.Retry) })
	}
	for _, pattern := range t.Placement.Allow {
		if !siteForm.MatchString(pattern) {
			v.at(&t.Placement.source, "allow", RuleValue, "write private, aws:eu-* or sandbox:*", "%s is not a pattern of sites", quoteShort(pattern))
		}
	}
	if t.Has("placement") && len(t.Placement.Allow) == 0 {
		v.at(&t.source, "placement", RuleMissing, "list sites under allow, or remove placement", "placement allows no site")
	}
	v.declassify(t)
}

func (v *validator) command(t *Task) {
	switch {
	case t.Has("run") && t.Has("args"):
		v.at(&t.source, "args", RuleConflict, "keep one of them", "a task has either run or args")
	case !t.Has("run") && !t.Has("args"):
		if !t.Has("uses") { // which is told already
			v.failAt(t.pos, RuleMissing, "add run: COMMAND", "task %s runs nothing", short(t.ID))
		}
	case t.Has("run") && strings.TrimSpace(string(t.Run)) == "":
		v.at(&t.source, "run", RuleMissing, "write a command", "the command of task %s is empty", short(t.ID))
	case t.Has("args") && len(t.Args) == 0:
		v.at(&t.source, "args", RuleMissing, "write a program and its arguments", "the command of task %s is empty", short(t.ID))
	}
	if t.Has("max_items") && t.Foreach == nil {
		v.at(&t.source, "max_items", RuleConflict, "remove it or add foreach", "max_items belongs to foreach")
	}
	t.MaxItems = cmp.Or(t.MaxItems, MaxItems)
	if f := t.Foreach; f != nil && len(f.List) > t.MaxItems {
		v.at(&t.source, "foreach", RuleTooLarge, "use fewer, larger elements", "foreach has %d elements; at most %d are allowed", len(f.List), t.MaxItems)
	}
}

// inherit fills in what the defaults say.
func (v *validator) inherit(t *Task) {
	d := &v.spec.Defaults
	if !t.Has("retry") && d.Retry != nil {
		t.Retry = *d.Retry
	}
	t.Timeout = cmp.Or(t.Timeout, d.Timeout)
	if d.Resources != nil {
		t.Resources.CPU = cmp.Or(t.Resources.CPU, d.Resources.CPU)
		t.Resources.Memory = cmp.Or(t.Resources.Memory, d.Resources.Memory)
	}
	t.Resources.CPU = cmp.Or(t.Resources.CPU, 1)
	t.Resources.Memory = cmp.Or(t.Resources.Memory, 512<<20)
	v.inheritEnv(t, d.Env)
}

// inheritEnv adds the defaults that a task does not set itself. A task without any shares them.
func (v *validator) inheritEnv(t *Task, defaults []EnvVar) {
	if v.env += len(t.Env) + len(defaults); v.env > maxEnv {
		if v.env -= len(t.Env) + len(defaults); !v.envTold {
			v.envTold = true
			v.failAt(t.pos, RuleTooLarge, "set fewer in defaults", "the tasks have more than %d environment variables together", maxEnv)
		}
		return
	}
	if len(t.Env) == 0 {
		t.Env = defaults
		return
	}
	own := make(map[string]bool, len(t.Env))
	for _, e := range t.Env {
		own[e.Name] = true
	}
	for _, e := range defaults {
		if !own[e.Name] {
			t.Env = append(t.Env, e)
		}
	}
}

func (v *validator) envNames(vars []EnvVar) {
	for i := range vars {
		name := vars[i].Name
		switch {
		case !idForm.MatchString(name):
			v.failAt(vars[i].pos, RuleID, idFix, "%s is not a name of an environment variable", quoteShort(name))
		case strings.HasPrefix(name, envPrefix):
			v.failAt(vars[i].pos, RuleID, "use another name", "names beginning with %s are our own: %s", envPrefix, short(name))
		}
	}
}

func (v *validator) outputs(t *Task) {
	if n := len(t.Outputs); n > maxOutputs {
		v.at(&t.source, "outputs", RuleTooLarge, "pack them into one file", "task %s has %d outputs; at most %d are allowed", short(t.ID), n, maxOutputs)
		t.Outputs = t.Outputs[:maxOutputs]
	}
	names, paths := map[string]bool{}, map[Text]bool{}
	for i := range t.Outputs {
		o := &t.Outputs[i]
		v.in(".outputs["+strconv.Itoa(i)+"]", func() {
			if o.Has("path") {
				v.path(o.Position("path"), string(o.Path))
			}
			switch {
			case o.Name != "" && !idForm.MatchString(o.Name):
				v.at(&o.source, "name", RuleID, idFix, "%s is not a name of an output", quoteShort(o.Name))
			case o.Name != "" && names[o.Name]:
				v.at(&o.source, "name", RuleDuplicate, "name them apart", "two outputs are named %s", o.Name)
			case o.Path != "" && paths[o.Path]:
				v.at(&o.source, "path", RuleDuplicate, "keep one of them", "two outputs have the path %s", quoteShort(string(o.Path)))
			case o.Value != "" && o.Name == "":
				v.failAt(o.pos, RuleMissing, "add name", "an output with a value needs a name")
			}
			names[o.Name], paths[o.Path] = true, true
		})
	}
}

func (v *validator) declassify(t *Task) {
	d := t.Declassify
	if d == nil {
		return
	}
	if d.To == LabelPrivate {
		v.at(&d.source, "to", RuleLabel, "use public or internal", "declassify cannot lower anything to private")
	}
	if d.Has("reason") && strings.TrimSpace(d.Reason) == "" {
		v.at(&d.source, "reason", RuleMissing, "say why it is safe; the audit keeps it", "declassify gives no reason")
	}
}

// path checks a path as far as it is known before its expressions are.
func (v *validator) path(at Pos, path string) {
	pieces, err := split(path)
	if err != nil {
		return // told where its expressions are compiled
	}
	known := pieces[0]
	for i := 2; i < len(pieces); i += 2 {
		known += "x" + pieces[i]
	}
	if err := checkPath(known); err != nil {
		v.failAt(at, RulePath, workingFix, "%v", fmt.Errorf("%s %w", quoteShort(path), err))
	}
}

// checkPath refuses paths that are not plain relative paths within the working directory.
func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("is an empty path")
	case len(path) > 1024:
		return errors.New("is longer than 1024 bytes")
	case strings.HasPrefix(path, "/"):
		return errors.New("is an absolute path")
	case strings.HasPrefix(path, "~"):
		return errors.New("begins with ~, which is not replaced")
	case strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' || r == 0xfffd }):
		return errors.New("holds a control character or a backslash")
	}
	parts := strings.Split(path, "/")
	for _, part := range parts {
		switch {
		case part == "..":
			return errors.New("leaves the working directory")
		case part == "" || part == ".":
			return errors.New("has an empty part or a dot for one")
		case len(part) > 255:
			return errors.New("has a part longer than 255 bytes")
		}
	}
	if parts[0] == "inputs" && len(parts) > 1 {
		return errors.New("lies in inputs/, where the outputs of other tasks arrive")
	}
	return nil
}

// order sorts the tasks so that each comes after all it needs, or names a cycle.
func (v *validator) order() {
	s := v.spec
	edges := [][2]int{}
	for i := range s.Tasks {
		for _, d := range s.Tasks[i].after {
			edges = append(edges, [2]int{int(d.task), i})
		}
	}
	g, err := dag.New(len(s.Tasks), edges)
	var cycle *dag.CycleError
	switch {
	case errors.As(err, &cycle):
		v.cycle(cycle.Cycle)
	case err != nil:
		v.failAt(s.Position("tasks"), RuleCycle, "report this", "%v", err)
	default:
		s.order = g.Order()
	}
}

// cycle names the tasks of a cycle with their lines. The arrow points from a task to one that needs it.
func (v *validator) cycle(cycle []int) {
	names := make([]string, len(cycle))
	for k, i := range cycle {
		names[k] = fmt.Sprintf("%s (line %d)", short(v.spec.Tasks[i].ID), v.spec.Tasks[i].pos.Line)
	}
	at := v.spec.Tasks[cycle[0]].Position("needs")
	v.failAt(at, RuleCycle, "remove one of these dependencies", "the tasks wait for one another: %s", cycleText(names))
}

// cycleText draws a cycle, of a long one its beginning.
func cycleText(names []string) string {
	const shown = 12
	drawn := slices.Clone(names)
	if len(names) > shown {
		drawn = append(drawn[:shown], fmt.Sprintf("%d more", len(names)-shown))
	}
	return strings.Join(append(drawn, names[0]), " -> ")
}
