package workflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// params checks the declarations of parameters and brings their defaults to their types.
func (v *validator) params() {
	for i := range v.spec.Params {
		p := &v.spec.Params[i]
		v.in("."+short(p.Name), func() { v.param(p) })
	}
}

func (v *validator) param(p *Param) {
	if !idForm.MatchString(p.Name) {
		v.failAt(p.pos, RuleID, idFix, "%s is not a name of a parameter", quoteShort(p.Name))
	}
	if p.Type == "" {
		return
	}
	bounded := p.Type != ParamBoolean && p.Type != ParamObject
	switch {
	case (p.Min != nil || p.Max != nil) && !bounded:
		v.failAt(p.pos, RuleConflict, "remove them", "a %s has no min and max", p.Type)
	case p.Min != nil && p.Max != nil && *p.Min > *p.Max:
		v.at(&p.source, "min", RuleConflict, "swap them", "min %v is above max %v", *p.Min, *p.Max)
	}
	for i, value := range p.Enum {
		if value == nil { // told by the decoder
			continue
		}
		typed, err := p.typed(value)
		if err != nil {
			v.at(&p.source, "enum", RuleParam, "mend it or change the type", "enum: %v", err)
			continue
		}
		p.Enum[i] = typed
	}
	if p.Default == nil {
		return
	}
	typed, err := p.check(p.Default)
	if err != nil {
		v.at(&p.source, "default", RuleParam, "mend the default or the declaration", "default: %v", err)
		return
	}
	p.Default = typed
}

// Bind gives every parameter its value: what a run gives, else its default. A text given for a parameter of another
// type is read as that type, lists and objects as JSON, so that values of a command line need no special treatment.
// The error is an Errors with all findings.
func Bind(spec *Spec, given map[string]any) (map[string]any, error) {
	var errs Errors
	fail := func(name string, at Pos, fix, format string, args ...any) {
		errs = append(errs, Error{
			File: spec.File, Line: at.Line, Col: at.Col, Path: "params." + name, Rule: RuleParam,
			Message: fmt.Sprintf(format, args...), Fix: fix,
		})
	}
	params := make(map[string]any, len(spec.Params))
	names := make([]string, len(spec.Params))
	for i := range spec.Params {
		p := &spec.Params[i]
		names[i] = p.Name
		value, ok := given[p.Name]
		if !ok && p.Required() {
			fail(p.Name, p.pos, "give it with -p "+p.Name+"=VALUE", "parameter %s has no value and no default", p.Name)
			continue
		}
		if !ok {
			params[p.Name] = p.Default
			continue
		}
		typed, err := p.read(value)
		if err != nil {
			fail(p.Name, p.pos, "see its declaration", "parameter %s: %v", p.Name, err)
		}
		params[p.Name] = typed
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, declared := params[name]; !declared {
			fix := "the workflow has " + strings.Join(names, ", ")
			if len(names) == 0 {
				fix = "the workflow has no parameters"
			}
			fail(short(name), Pos{}, fix, "there is no parameter %s%s", quoteShort(name), suggest(name, names))
		}
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	return params, nil
}

// read takes a value as a run gives it, perhaps as text.
func (p *Param) read(value any) (any, error) {
	text, isText := value.(string)
	if !isText || p.Type == ParamString {
		return p.check(value)
	}
	value, err := ParseValue([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%s is not %s", quoteShort(text), article(p.Type))
	}
	return p.check(value)
}

func article(t ParamType) string {
	switch t {
	case ParamInteger:
		return "a whole number"
	case ParamObject:
		return "a JSON object"
	case ParamList:
		return "a JSON list"
	case ParamBoolean:
		return "true or false"
	}
	return "a " + string(t)
}

// check brings a value to the parameter's type and holds it to enum, min and max.
func (p *Param) check(value any) (any, error) {
	typed, err := p.typed(value)
	if err != nil {
		return nil, err
	}
	if len(p.Enum) > 0 && !slices.ContainsFunc(p.Enum, func(e any) bool { return reflect.DeepEqual(e, typed) }) {
		return nil, fmt.Errorf("%s is none of %s", showValue(typed), showValue(p.Enum))
	}
	size, unit := measure(typed)
	if p.Min != nil && size < *p.Min {
		return nil, fmt.Errorf("%s is below %v%s", showValue(typed), *p.Min, unit)
	}
	if p.Max != nil && size > *p.Max {
		return nil, fmt.Errorf("%s is above %v%s", showValue(typed), *p.Max, unit)
	}
	return typed, nil
}

// measure is what min and max bound: a number itself, else a length.
func measure(value any) (size float64, unit string) {
	switch v := value.(type) {
	case int64:
		return float64(v), ""
	case float64:
		return v, ""
	case string:
		return float64(utf8.RuneCountInString(v)), " characters"
	case []any:
		return float64(len(v)), " elements"
	}
	return 0, ""
}

func showValue(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return "a value"
	}
	return short(string(text))
}

// typed brings a value to the parameter's type, without loss, or refuses it.
func (p *Param) typed(value any) (any, error) {
	value, err := plain(value, 0)
	if err != nil {
		return nil, err
	}
	ok := false
	switch p.Type {
	case ParamString:
		_, ok = value.(string)
	case ParamBoolean:
		_, ok = value.(bool)
	case ParamList:
		_, ok = value.([]any)
	case ParamObject:
		_, ok = value.(map[string]any)
	case ParamInteger:
		if f, isFloat := value.(float64); isFloat && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return int64(f), nil
		}
		_, ok = value.(int64)
	case ParamNumber:
		if i, isInt := value.(int64); isInt {
			return float64(i), nil
		}
		_, ok = value.(float64)
	}
	if !ok {
		return nil, fmt.Errorf("%s is not %s", showValue(value), article(p.Type))
	}
	return value, nil
}

// ParseValue reads JSON as expressions see it: whole numbers of 64 bits as int64, all others as float64.
func ParseValue(src []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, fmt.Errorf("not valid JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not valid JSON: more than one value")
	}
	return plain(value, 0)
}

// plain brings the many forms of Go values to the few of expressions.
func plain(value any, depth int) (any, error) {
	if depth > maxValueDepth {
		return nil, fmt.Errorf("a value is nested more than %d deep", maxValueDepth)
	}
	switch v := value.(type) {
	case nil, bool, string, int64:
		return v, nil
	case int:
		return int64(v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, errors.New("a number must be finite")
		}
		return v, nil
	case json.Number:
		return plainNumber(string(v))
	case []any:
		return plainEach(v, depth)
	case []string:
		list := make([]any, len(v))
		for i, text := range v {
			list[i] = text
		}
		return list, nil
	case map[string]any:
		object := make(map[string]any, len(v))
		for key, item := range v {
			var err error
			if object[key], err = plain(item, depth+1); err != nil {
				return nil, err
			}
		}
		return object, nil
	}
	return nil, fmt.Errorf("a value cannot be of type %T", value)
}

func plainEach(v []any, depth int) (any, error) {
	list := make([]any, len(v))
	for i, item := range v {
		var err error
		if list[i], err = plain(item, depth+1); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func plainNumber(text string) (any, error) {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return i, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, fmt.Errorf("%s is not a number that can be held", short(text))
	}
	return f, nil
}
