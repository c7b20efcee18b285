package workflow

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const declared = `apiVersion: spillway/v1
name: w
params:
  text: {type: string, default: abc, min: 2, max: 4}
  word: {type: string, enum: [red, green], default: red}
  number: {type: number, default: 2, min: -1.5, max: 10}
  whole: {type: integer, default: 3, enum: [3, 4, 5]}
  flag: {type: boolean, default: false}
  list: {type: list, default: [1, a], max: 3}
  object: {type: object, default: {k: 1}}
  needed: {type: integer}
tasks:
  a: {run: x}
`

func TestBindDefaults(t *testing.T) {
	params, err := Bind(mustParse(t, declared), map[string]any{"needed": 7})
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"text": "abc", "word": "red", "number": 2.0, "whole": int64(3), "flag": false,
		"list": []any{int64(1), "a"}, "object": map[string]any{"k": int64(1)}, "needed": int64(7),
	}, params)
}

// TestBind: what a run gives, as text or as a value, is brought to the type or refused with the parameter's line.
func TestBind(t *testing.T) {
	spec := mustParse(t, declared)
	for _, c := range []struct {
		name  string
		given any
		want  any // or the refusal
		fails bool
	}{
		{"text", "abcd", "abcd", false},
		{"text", "12", "12", false},
		{"text", "äöü", "äöü", false},
		{"text", "x", `w.yaml:4:3: parameter text: "x" is below 2 characters; see its declaration [param]`, true},
		{"text", "abcde", "is above 4 characters", true},
		{"text", 12, "12 is not a string", true},
		{"word", "green", "green", false},
		{"word", "blue", `"blue" is none of ["red","green"]`, true},
		{"number", "1.5", 1.5, false},
		{"number", "3", 3.0, false},
		{"number", json.Number("4"), 4.0, false},
		{"number", "1e400", `"1e400" is not a number`, true},
		{"number", "NaN", `"NaN" is not a number`, true},
		{"number", math.Inf(1), "a number must be finite", true},
		{"number", "-2", "-2 is below -1.5", true},
		{"number", "11", "11 is above 10", true},
		{"number", "true", "true is not a number", true},
		{"number", "", `"" is not a number`, true},
		{"whole", "4", int64(4), false},
		{"whole", 5.0, int64(5), false},
		{"whole", "4.5", "4.5 is not a whole number", true},
		{"whole", "6", "6 is none of [3,4,5]", true},
		{"needed", "9223372036854775807", int64(math.MaxInt64), false},
		{"needed", "9223372036854775808", "is not a whole number", true},
		{"needed", "0x10", "is not a whole number", true},
		{"needed", "1 2", "is not a whole number", true},
		{"needed", "1]", "is not a whole number", true},
		{"flag", "true", true, false},
		{"flag", "yes", `"yes" is not true or false`, true},
		{"flag", 1, "1 is not true or false", true},
		{"list", `["a", {"b": 1}]`, []any{"a", map[string]any{"b": int64(1)}}, false},
		{"list", []string{"x"}, []any{"x"}, false},
		{"list", "a,b", `"a,b" is not a JSON list`, true},
		{"list", "[1,2,3,4]", "[1,2,3,4] is above 3 elements", true},
		{"list", strings.Repeat("[", 50) + strings.Repeat("]", 50), "is not a JSON list", true},
		{"object", `{"a": null}`, map[string]any{"a": nil}, false},
		{"object", `[]`, "[] is not a JSON object", true},
		{"object", map[string]any{"a": struct{}{}}, "a value cannot be of type struct {}", true},
		{"colour", "x", `there is no parameter "colour"; the workflow has text, word`, true},
		{"wrod", "x", `there is no parameter "wrod"; did you mean word?`, true},
	} {
		given := map[string]any{"needed": 1, c.name: c.given}
		params, err := Bind(spec, given)
		if c.fails {
			var all Errors
			require.ErrorAs(t, err, &all, c.name)
			require.Len(t, all, 1)
			require.Contains(t, err.Error(), c.want, "%s=%v", c.name, c.given)
			continue
		}
		require.NoError(t, err, "%s=%v", c.name, c.given)
		require.Equal(t, c.want, params[c.name], "%s=%v", c.name, c.given)
	}
	_, err := Bind(spec, map[string]any{"text": 1, "word": 2})
	require.Equal(t, `w.yaml:4:3: parameter text: 1 is not a string; see its declaration [param]
w.yaml:5:3: parameter word: 2 is not a string; see its declaration [param]
w.yaml:11:3: parameter needed has no value and no default; give it with -p needed=VALUE [param]`, err.Error())
}

// TestParseValueProperty: what JSON writes of a value, ParseValue reads back.
func TestParseValueProperty(t *testing.T) {
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		return rapid.Custom(func(t *rapid.T) any {
			kinds := 5
			if depth == 0 {
				kinds = 3
			}
			switch rapid.IntRange(0, kinds).Draw(t, "kind") {
			case 0:
				return rapid.Int64().Draw(t, "int")
			case 1:
				return rapid.String().Draw(t, "string")
			case 2:
				return rapid.Bool().Draw(t, "bool")
			case 3:
				return nil
			case 4:
				list := rapid.SliceOfN(value(depth-1), 0, 4).Draw(t, "list")
				return append([]any{}, list...)
			}
			return rapid.MapOfN(rapid.String(), value(depth-1), 0, 4).Draw(t, "map")
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		v := value(4).Draw(t, "value")
		text, err := json.Marshal(v)
		require.NoError(t, err)
		got, err := ParseValue(text)
		require.NoError(t, err)
		require.Equal(t, v, got)
	})
}
