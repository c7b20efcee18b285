package workflow

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
)

// schemaID names the JSON Schema of the format.
const schemaID = "https://github.com/spillway/spillway/schema/workflow-v1.json"

// schema is a JSON Schema, or a part of one.
type schema = map[string]any

// Schema is the JSON Schema (2020-12) of a definition in YAML, made from the types that Parse fills. It refuses what
// is wrong in itself; what one part says of another, such as a task that is needed and does not exist, only Parse sees.
func Schema() []byte {
	root := schemaOf(reflect.TypeFor[Spec]())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = schemaID
	root["title"] = "Spillway workflow"
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		panic(err) // maps, lists, texts and numbers
	}
	return out.Bytes()
}

const (
	durationPattern = `^\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+$`
	wholePattern    = `^\s*\$\{\{[\s\S]*\}\}\s*$` // one expression and nothing else
)

// pathSchema refuses what checkPath refuses, where it is known before expressions are.
var pathSchema = schema{"anyOf": []schema{
	{"pattern": `\$\{\{`},
	{"not": schema{"pattern": `^$|^[/~]|^inputs/|(^|/)\.{0,2}(/|$)|[\x00-\x1f\x7f\\]`}, "maxLength": 1024},
}}

// schemaExtra is what the tags of a type do not say.
var schemaExtra = map[reflect.Type]schema{
	reflect.TypeFor[Deadline](): {
		"oneOf":             []schema{{"required": []string{"within"}}, {"required": []string{"by"}}},
		"dependentRequired": schema{"timezone": []string{"by"}},
	},
	reflect.TypeFor[Task](): {
		"oneOf":             []schema{{"required": []string{"run"}}, {"required": []string{"args"}}},
		"dependentRequired": schema{"max_items": []string{"foreach"}},
	},
	reflect.TypeFor[Output](): {"dependentRequired": schema{"value": []string{"name"}}},
	reflect.TypeFor[Input](): {
		"if":   schema{"properties": schema{"from": schema{"const": "params"}}},
		"then": schema{"required": []string{"path"}, "properties": schema{"each": false, "path": pathSchema}},
		"else": schema{"properties": schema{"data": false}},
	},
}

// fieldExtra is what the tag of a field does not say.
var fieldExtra = map[string]schema{
	"Spec.apiVersion":   {"const": APIVersion},
	"Spec.name":         {"pattern": nameForm.String()},
	"Spec.tasks":        {"minProperties": 1},
	"Deadline.by":       {"pattern": byForm.String()},
	"Task.args":         {"minItems": 1},
	"Task.run":          {"minLength": 1},
	"Task.files":        {"items": schema{"type": "string", "allOf": []schema{pathSchema}}},
	"Task.outputs":      {"maxItems": maxOutputs},
	"Output.name":       {"pattern": idForm.String()},
	"Output.path":       {"allOf": []schema{pathSchema}},
	"Placement.allow":   {"minItems": 1, "items": schema{"type": "string", "pattern": siteForm.String()}},
	"Declassify.to":     {"enum": []string{"public", "internal"}},
	"Declassify.reason": {"pattern": `\S`},
}

func schemaOf(t reflect.Type) schema {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return schema{"type": "string", "pattern": durationPattern}
	case reflect.TypeFor[Text]():
		return schema{"type": []string{"string", "number", "boolean"}}
	case reflect.TypeFor[Foreach]():
		return schema{"anyOf": []schema{
			{"type": "array", "maxItems": MaxItems}, {"type": "string", "pattern": wholePattern},
		}}
	case reflect.TypeFor[Need]():
		return schema{"anyOf": []schema{{"type": "string"}, objectSchema(t)}}
	case reflect.TypeFor[[]Need]():
		need := schemaOf(t.Elem())
		return schema{"anyOf": append(need["anyOf"].([]schema), schema{"type": "array", "items": need})}
	case reflect.TypeFor[[]EnvVar]():
		return namedSchema(schemaOf(reflect.TypeFor[Text]()))
	case reflect.TypeFor[any]():
		return schema{}
	}
	return kindSchema(t)
}

func kindSchema(t reflect.Type) schema {
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Struct:
		return objectSchema(t)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct && infoOf(t.Elem()).keyField >= 0 {
			return namedSchema(schemaOf(t.Elem()))
		}
		return schema{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Float64:
		return schema{"type": "number"}
	case reflect.Int, reflect.Int64:
		return schema{"type": "integer"}
	case reflect.String:
		return schema{"type": "string"}
	}
	panic("workflow: no schema for " + t.String())
}

// namedSchema is a mapping from names.
func namedSchema(values schema) schema {
	return schema{"type": "object", "propertyNames": schema{"pattern": idForm.String()}, "additionalProperties": values}
}

func objectSchema(t reflect.Type) schema {
	properties, required := schema{}, []string{}
	for _, f := range infoOf(t).fields {
		property := fieldSchema(&f)
		maps.Copy(property, fieldExtra[t.Name()+"."+f.key])
		properties[f.key] = property
		if f.required {
			required = append(required, f.key)
		}
	}
	out := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	maps.Copy(out, schemaExtra[t])
	return out
}

func fieldSchema(f *fieldInfo) schema {
	var s schema
	switch {
	case f.enum != nil:
		s = schema{"enum": f.enum}
	case f.unit == "bytes":
		s = schema{"anyOf": []schema{bounds(schema{"type": "integer", "minimum": 0}, f), {"type": "string", "pattern": bytesPattern()}}}
	case f.unit == "money":
		s = schema{"type": "string", "pattern": moneyForm.String()}
	case f.typ.Kind() == reflect.Slice && f.typ.Elem().Kind() == reflect.Int:
		s = schema{"type": "array", "items": bounds(schema{"type": "integer"}, f)}
	default:
		s = bounds(schemaOf(f.typ), f)
	}
	s["description"] = f.doc
	return s
}

// bytesPattern is bytesForm with the units that parseBytes knows.
func bytesPattern() string {
	units := strings.Join(slices.Sorted(maps.Keys(byteUnits)), "|")
	return strings.Replace(bytesForm.String(), "[A-Za-z]*", units, 1)
}

// bounds adds the least and largest number of a field.
func bounds(s schema, f *fieldInfo) schema {
	if !math.IsNaN(f.min) {
		s["minimum"] = f.min
	}
	if !math.IsNaN(f.max) {
		s["maximum"] = f.max
	}
	return s
}
