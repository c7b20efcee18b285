package workflow

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v4"
)

// decoder fills the types of spec.go from a YAML node tree by their yaml tags. It is strict, never stops at the first
// finding, and its tables are also what the JSON Schema is made from, so that the two cannot drift apart.
type decoder struct {
	file    string
	errs    Errors
	path    []string
	aliased int                 // values read through aliases, each time anew
	open    map[*yaml.Node]bool // anchors whose alias is being followed
}

// maxAliased bounds what the aliases of a definition multiply to.
const maxAliased = 100_000

// maxValueDepth bounds lists and maps within params and foreach.
const maxValueDepth = 32

// structInfo is how one struct type is written in YAML.
type structInfo struct {
	fields      []fieldInfo // in the order of the type
	byKey       map[string]int
	keys        []string // known keys, for suggestions
	unsupported []string
	keyField    int // field that holds the name in a keyed mapping, -1 without
}

// fieldInfo is one key of a struct type.
type fieldInfo struct {
	key      string
	index    int
	typ      reflect.Type
	required bool
	doc      string
	unit     string // money or bytes, for an int64
	enum     []string
	min, max float64 // NaN without
}

var infos sync.Map // reflect.Type -> *structInfo

func infoOf(t reflect.Type) *structInfo {
	if got, ok := infos.Load(t); ok {
		return got.(*structInfo)
	}
	info := &structInfo{byKey: map[string]int{}, keyField: -1}
	for i := range t.NumField() {
		info.add(t.Field(i), i)
	}
	got, _ := infos.LoadOrStore(t, info)
	return got.(*structInfo)
}

func (s *structInfo) add(f reflect.StructField, index int) {
	tag, tagged := f.Tag.Lookup("yaml")
	key, option, _ := strings.Cut(tag, ",")
	switch {
	case !tagged:
	case option == "key":
		s.keyField = index
	case f.Type == reflect.TypeFor[unsupported]():
		s.unsupported = append(s.unsupported, key)
	default:
		field := fieldInfo{
			key: key, index: index, typ: f.Type, required: option == "required",
			doc: f.Tag.Get("doc"), unit: f.Tag.Get("type"),
			enum: wordsOf(f.Type), min: bound(f.Tag.Get("min")), max: bound(f.Tag.Get("max")),
		}
		if e := f.Tag.Get("enum"); e != "" {
			field.enum = strings.Split(e, ",")
		}
		s.byKey[key] = len(s.fields)
		s.fields = append(s.fields, field)
		s.keys = append(s.keys, key)
	}
}

// bound reads a min or max tag; a missing one is NaN, which no comparison meets.
func bound(tag string) float64 {
	if v, err := strconv.ParseFloat(tag, 64); err == nil {
		return v
	}
	return math.NaN()
}

// wordTable lists the words of each word type: those that work, and those that are known and refused.
var wordTable = map[reflect.Type]struct{ now, later []string }{
	reflect.TypeFor[Overlap]():     {now: []string{"skip", "buffer_one", "buffer_all", "cancel_other", "allow_all"}},
	reflect.TypeFor[CatchupMode](): {now: []string{"latest", "all", "none"}},
	reflect.TypeFor[DST]():         {now: []string{"once", "twice", "skip"}},
	reflect.TypeFor[OnRisk]():      {now: []string{"offload"}, later: []string{"notify", "cancel"}},
	reflect.TypeFor[OnMiss]():      {now: []string{"notify"}, later: []string{"cancel", "fail"}},
	reflect.TypeFor[OnExceed]():    {now: []string{"hold", "fail"}, later: []string{"degrade"}},
	reflect.TypeFor[ParamType]():   {now: []string{"string", "number", "integer", "boolean", "list", "object"}},
	reflect.TypeFor[Backoff]():     {now: []string{"constant", "exponential"}},
	reflect.TypeFor[Jitter]():      {now: []string{"full", "none"}},
	reflect.TypeFor[Label]():       {now: []string{"public", "internal", "private"}},
}

func wordsOf(t reflect.Type) []string { return wordTable[t].now }

// fail records a finding at a node.
func (d *decoder) fail(n *yaml.Node, rule Rule, fix, format string, args ...any) {
	d.failAt(Pos{n.Line, n.Column}, rule, fix, format, args...)
}

func (d *decoder) failAt(at Pos, rule Rule, fix, format string, args ...any) {
	d.errs = append(d.errs, Error{
		File: d.file, Line: at.Line, Col: at.Col, Path: strings.Join(d.path, ""),
		Rule: rule, Message: fmt.Sprintf(format, args...), Fix: fix,
	})
}

// in runs f with a part appended to the path: ".key" or "[3]".
func (d *decoder) in(part string, f func()) {
	if len(d.path) == 0 {
		part = strings.TrimPrefix(part, ".")
	}
	d.path = append(d.path, part)
	f()
	d.path = d.path[:len(d.path)-1]
}

// follow resolves aliases and counts what they lead to. It gives nil after a finding.
func (d *decoder) follow(n *yaml.Node) (target *yaml.Node, done func()) {
	if len(d.open) > 0 {
		d.aliased++
	}
	if d.aliased > maxAliased {
		if d.aliased == maxAliased+1 {
			d.fail(n, RuleAlias, "write the values out, or use defaults", "the aliases of this file multiply to more than %d values", maxAliased)
		}
		return nil, nil
	}
	if n.Kind != yaml.AliasNode {
		return n, func() {}
	}
	if d.open[n.Alias] {
		d.fail(n, RuleAlias, "an anchor cannot hold its own alias", "anchor %q contains itself", n.Value)
		return nil, nil
	}
	d.open[n.Alias] = true
	return n.Alias, func() { delete(d.open, n.Alias) }
}

// decode fills v, which is addressable, from n.
func (d *decoder) decode(v reflect.Value, n *yaml.Node, f *fieldInfo) {
	n, done := d.follow(n)
	if n == nil {
		return
	}
	defer done()
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		d.fail(n, RuleMissing, "give it one or remove the key", "%s has no value", d.here())
		return
	}
	switch v.Type() {
	case reflect.TypeFor[time.Duration]():
		d.duration(v, n)
	case reflect.TypeFor[Label]():
		if word := d.word(n, f, v.Type()); word != "" {
			label, _ := ParseLabel(word)
			v.Set(reflect.ValueOf(label))
		}
	case reflect.TypeFor[Text]():
		d.text(v, n)
	case reflect.TypeFor[Foreach]():
		d.foreach(v.Addr().Interface().(*Foreach), n)
	case reflect.TypeFor[Need]():
		d.need(v, n)
	case reflect.TypeFor[[]EnvVar]():
		d.env(v, n)
	case reflect.TypeFor[any]():
		if value, ok := d.value(n, 0); ok {
			v.Set(reflect.ValueOf(&value).Elem())
		}
	default:
		d.kind(v, n, f)
	}
}

// here names the value under way in messages.
func (d *decoder) here() string {
	if len(d.path) == 0 {
		return "the file"
	}
	return strings.Join(d.path, "")
}

func (d *decoder) kind(v reflect.Value, n *yaml.Node, f *fieldInfo) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(v.Elem(), n, f)
	case reflect.Struct:
		d.structure(v, n)
	case reflect.Slice:
		d.slice(v, n, f)
	case reflect.String:
		d.str(v, n, f)
	case reflect.Bool:
		if d.scalar(n, "true or false", "!!bool") {
			v.SetBool(strings.EqualFold(n.Value, "true"))
		}
	case reflect.Float64:
		if x, ok := d.float(n); ok {
			v.SetFloat(x)
		}
	case reflect.Int, reflect.Int64:
		d.integer(v, n, f)
	default:
		panic("workflow: no decoder for " + v.Type().String())
	}
}

// scalar checks that n is a scalar with one of the tags.
func (d *decoder) scalar(n *yaml.Node, want string, tags ...string) bool {
	if n.Kind == yaml.ScalarNode && slices.Contains(tags, n.ShortTag()) {
		return true
	}
	fix := "write " + want
	if want == "text" && n.Kind == yaml.ScalarNode {
		fix = "put it in quotes"
	}
	d.fail(n, RuleType, fix, "%s must be %s, not %s", d.here(), want, describe(n))
	return false
}

// describe says what a node is, for "not ...".
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!timestamp":
		return "the text " + quoteShort(n.Value)
	case "!!int", "!!float":
		return "the number " + short(n.Value)
	case "!!bool":
		return n.Value
	case "!!null":
		return "empty"
	default:
		return "a value tagged " + short(tag)
	}
}

// short cuts text for a message.
func short(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:37], "") + "..."
	}
	return s
}

func quoteShort(s string) string { return strconv.Quote(short(s)) }

func (d *decoder) str(v reflect.Value, n *yaml.Node, f *fieldInfo) {
	if f != nil && f.enum != nil {
		v.SetString(d.word(n, f, v.Type()))
		return
	}
	if !d.scalar(n, "text", "!!str") {
		return
	}
	if strings.Contains(n.Value, "${{") {
		d.fail(n, RuleExpression, "write the value itself", "%s takes no expressions", d.here())
		return
	}
	v.SetString(n.Value)
}

// word reads one of the words of a field.
func (d *decoder) word(n *yaml.Node, f *fieldInfo, t reflect.Type) string {
	if !d.scalar(n, "one of "+strings.Join(f.enum, ", "), "!!str") {
		return ""
	}
	if slices.Contains(f.enum, n.Value) {
		return n.Value
	}
	fix := "use one of " + strings.Join(f.enum, ", ")
	if slices.Contains(wordTable[t].later, n.Value) {
		d.fail(n, RuleUnsupported, fix, "%s: %s is not supported by this version", d.here(), n.Value)
		return ""
	}
	if near := nearest(n.Value, f.enum); near != "" {
		fix = "did you mean " + near + "?"
	}
	d.fail(n, RuleValue, fix, "%s cannot be %s", d.here(), quoteShort(n.Value))
	return ""
}

func (d *decoder) text(v reflect.Value, n *yaml.Node) {
	if d.scalar(n, "text", "!!str", "!!int", "!!float", "!!bool", "!!timestamp") {
		v.SetString(n.Value)
	}
}

func (d *decoder) float(n *yaml.Node) (float64, bool) {
	if !d.scalar(n, "a number", "!!int", "!!float") {
		return 0, false
	}
	x, err := strconv.ParseFloat(strings.ReplaceAll(n.Value, "_", ""), 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		d.fail(n, RuleValue, "write it in decimal, as in 1.5", "%s is not a finite decimal number: %s", d.here(), short(n.Value))
		return 0, false
	}
	return x, true
}

func (d *decoder) integer(v reflect.Value, n *yaml.Node, f *fieldInfo) {
	x, ok := d.whole(n, f)
	if !ok {
		return
	}
	if f != nil && (float64(x) < f.min || float64(x) > f.max) {
		d.fail(n, RuleValue, "use "+rangeText(f), "%s is out of range: %s", d.here(), short(n.Value))
		return
	}
	v.SetInt(x)
}

func (d *decoder) whole(n *yaml.Node, f *fieldInfo) (x int64, ok bool) {
	var err error
	switch {
	case f != nil && f.unit == "bytes":
		if !d.scalar(n, "a size as in 512MiB", "!!str", "!!int") {
			return 0, false
		}
		x, err = parseBytes(n.Value)
	case f != nil && f.unit == "money":
		if !d.scalar(n, "an amount as in 3.00 USD", "!!str") {
			return 0, false
		}
		x, err = parseUSD(n.Value)
	default:
		if !d.scalar(n, "a whole number", "!!int") {
			return 0, false
		}
		x, err = parseWhole(n.Value)
	}
	if err != nil {
		d.fail(n, RuleValue, "write "+example(f), "%s: %v", d.here(), err)
		return 0, false
	}
	return x, true
}

func example(f *fieldInfo) string {
	switch {
	case f != nil && f.unit == "bytes":
		return "a size as in 512MiB"
	case f != nil && f.unit == "money":
		return "an amount as in 3.00 USD"
	}
	return "it in decimal, as in 3"
}

func rangeText(f *fieldInfo) string {
	switch {
	case math.IsNaN(f.max):
		return fmt.Sprintf("%.0f or more", f.min)
	case math.IsNaN(f.min):
		return fmt.Sprintf("at most %.0f", f.max)
	}
	return fmt.Sprintf("%.0f to %.0f", f.min, f.max)
}

func (d *decoder) duration(v reflect.Value, n *yaml.Node) {
	if !d.scalar(n, "a duration as in 90s or 45m", "!!str") {
		return
	}
	span, err := parseDuration(n.Value)
	if err != nil {
		d.fail(n, RuleValue, "write it as in 90s, 45m or 2h30m", "%s: %v", d.here(), err)
		return
	}
	v.SetInt(int64(span))
}

func (d *decoder) foreach(f *Foreach, n *yaml.Node) {
	f.pos = Pos{n.Line, n.Column}
	if n.Kind != yaml.SequenceNode {
		d.text(reflect.ValueOf(&f.Expr).Elem(), n)
		return
	}
	if value, ok := d.value(n, 0); ok {
		f.List, _ = value.([]any)
	}
}

// need reads a dependency: an id, or a mapping.
func (d *decoder) need(v reflect.Value, n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		d.structure(v, n)
		return
	}
	need := v.Addr().Interface().(*Need)
	need.pos = Pos{n.Line, n.Column}
	if d.scalar(n, "a task id or {task: id, each: true}", "!!str") {
		need.Task = n.Value
	}
}

func (d *decoder) env(v reflect.Value, n *yaml.Node) {
	vars := []EnvVar{}
	d.mapping(n, func(key, value *yaml.Node) {
		e := EnvVar{Name: key.Value}
		e.pos = Pos{value.Line, value.Column}
		d.decode(reflect.ValueOf(&e.Value).Elem(), value, nil)
		vars = append(vars, e)
	})
	v.Set(reflect.ValueOf(vars))
}

// slice reads a list; a keyed type is written as a mapping from names, and a single need stands for a list of it.
func (d *decoder) slice(v reflect.Value, n *yaml.Node, f *fieldInfo) {
	elem := v.Type().Elem()
	if elem.Kind() == reflect.Struct && infoOf(elem).keyField >= 0 {
		d.keyed(v, n)
		return
	}
	if n.Kind != yaml.SequenceNode && elem != reflect.TypeFor[Need]() {
		d.fail(n, RuleType, "write a list, as in [a, b]", "%s must be a list, not %s", d.here(), describe(n))
		return
	}
	items := n.Content
	if n.Kind != yaml.SequenceNode {
		items = []*yaml.Node{n}
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	good := 0
	for i, item := range items {
		before := len(d.errs)
		d.in("["+strconv.Itoa(i)+"]", func() { d.decode(v.Index(good), item, f) })
		if elem.Kind() != reflect.String || len(d.errs) == before { // a text has no place to say more about it
			good++
		}
	}
	v.SetLen(good)
}

func (d *decoder) keyed(v reflect.Value, n *yaml.Node) {
	elem := v.Type().Elem()
	key := infoOf(elem).keyField
	out := reflect.MakeSlice(v.Type(), 0, len(n.Content)/2)
	d.mapping(n, func(name, value *yaml.Node) {
		item := reflect.New(elem).Elem()
		item.Field(key).SetString(name.Value)
		d.decode(item, value, nil)
		item.Addr().Interface().(located).place().pos = Pos{name.Line, name.Column}
		out = reflect.Append(out, item)
	})
	v.Set(out)
}

// located is any part of a Spec.
type located interface{ place() *source }

func (s *source) place() *source { return s }

func (d *decoder) structure(v reflect.Value, n *yaml.Node) {
	info := infoOf(v.Type())
	src := v.Addr().Interface().(located).place()
	src.pos = Pos{n.Line, n.Column}
	src.keys = make([]keyPos, 0, len(n.Content)/2)
	if n.Kind != yaml.MappingNode {
		d.fail(n, RuleType, "write keys: "+strings.Join(info.keys, ", "), "%s must be a mapping, not %s", d.here(), describe(n))
		return
	}
	d.mapping(n, func(key, value *yaml.Node) {
		i, known := info.byKey[key.Value]
		if !known {
			src.keys = append(src.keys, keyPos{key.Value, Pos{key.Line, key.Column}})
			d.unknown(info, key)
			return
		}
		f := &info.fields[i]
		src.keys = append(src.keys, keyPos{f.key, Pos{value.Line, value.Column}})
		d.decode(v.Field(f.index), value, f)
	})
	for _, f := range info.fields {
		if f.required && !src.Has(f.key) {
			d.fail(n, RuleMissing, "add "+f.key+": "+f.doc, "%s has no %s", d.here(), f.key)
		}
	}
}

func (d *decoder) unknown(info *structInfo, key *yaml.Node) {
	if slices.Contains(info.unsupported, key.Value) {
		d.fail(key, RuleUnsupported, "remove it; a task runs a command with run or args", "%s is not supported by this version", key.Value)
		return
	}
	fix := "known keys: " + strings.Join(info.keys, ", ")
	if near := nearest(key.Value, info.keys); near != "" {
		fix = "did you mean " + near + "?"
	}
	d.fail(key, RuleKey, fix, "unknown key %s", quoteShort(key.Value))
}

// mapping calls f for each key and value of a mapping, with the key in the path; keys must be texts and differ.
func (d *decoder) mapping(n *yaml.Node, f func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, RuleType, "write name: value", "%s must be a mapping, not %s", d.here(), describe(n))
		return
	}
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		d.in("."+short(key.Value), func() {
			if d.key(key, seen) {
				f(key, value)
			}
		})
	}
}

// key checks one key of a mapping.
func (d *decoder) key(key *yaml.Node, seen map[string]int) bool {
	switch {
	case key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge":
		d.fail(key, RuleUnsupported, "use defaults, or an alias for the whole value", "merge keys (<<) are not supported by this version")
	case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!null":
		d.fail(key, RuleType, "write a plain name", "a key must be text, not %s", describe(key))
	case seen[key.Value] > 0:
		d.fail(key, RuleDuplicate, "keep one of them", "%s was given before, in line %d", quoteShort(key.Value), seen[key.Value])
	default:
		seen[key.Value] = key.Line
		return true
	}
	return false
}
