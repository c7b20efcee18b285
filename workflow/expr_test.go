package workflow

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func exprs(t testing.TB) *expressions {
	t.Helper()
	x, err := newExpressions([]Param{
		{Name: "n", Type: ParamInteger}, {Name: "f", Type: ParamNumber}, {Name: "s", Type: ParamString},
		{Name: "l", Type: ParamList}, {Name: "o", Type: ParamObject}, {Name: "b", Type: ParamBoolean},
	})
	require.NoError(t, err)
	return x
}

var exprVars = map[string]any{
	"params": map[string]any{"n": int64(3), "f": 1.5, "s": "dir/a.txt", "l": []any{int64(1), "x", nil}, "o": map[string]any{"k": []any{true}}, "b": true},
	"item":   map[string]any{"name": "tile", "size": 2.5},
	"index":  int64(4),
	"run":    map[string]any{"id": "r1", "workflow": "w"},
	"tasks": map[string]any{
		"a":   map[string]any{"state": "succeeded", "succeeded": int64(2), "failed": int64(0), "outputs": map[string]any{"v": int64(7)}},
		"a b": map[string]any{"state": "failed", "succeeded": int64(0), "failed": int64(1), "outputs": map[string]any{}},
	},
}

func TestExpressionValues(t *testing.T) {
	x := exprs(t)
	for source, want := range map[string]string{
		`1 + 2 * 3`: "7", `"a" + "b"`: "ab", `null`: "", `1.0`: "1", `1e21`: "1e+21", `0.1 + 0.2`: "0.30000000000000004", `true && !false`: "true",
		`[1, "a", null]`: `[1,"a",null]`, `{"a": {"b": 1}}`: `{"a":{"b":1}}`, `"a\n\"b\""`: "a\n\"b\"", `r"\d"`: `\d`, `"""a"b"""`: `a"b`,
		`params.n + index`: "7", `params.f < params.n`: "true", `params.l`: `[1,"x",null]`, `params.o.k[0]`: "true", `size(params.s)`: "9",
		`item.name + string(index)`: "tile4", `item.size > 2`: "true", `item["name"].startsWith("t")`: "true",
		`run.id + run.workflow`: "r1w", `tasks.a.succeeded + tasks["a b"].failed`: "3", `tasks.a.outputs.v`: "7", `tasks.a.outputs["v"]`: "7",
		`has(tasks.a.outputs.v)`: "true", `has(tasks.a.outputs.w)`: "false", `tasks["a b"].state`: "failed",
		`range(4)`: "[0,1,2,3]", `range(0)`: "[]", `range(params.n).map(i, i * i)`: "[0,1,4]", `range(5).filter(i, i % 2 == 1)`: "[1,3]",
		`join(params.l, "|")`: "1|x|", `join([], ",")`: "", `join([[1], {"a": 1.5}], " ")`: `[1] {"a":1.5}`,
		`basename(params.s)`: "a.txt", `basename("a")`: "a", `basename("/")`: "", `basename("a/b/")`: "",
		`[1, 2, 3].exists(i, i > 2) ? "y" : "n"`: "y", `params.s.matches("^dir/.*[.]txt$")`: "true", `type(params.n) == int`: "true",
		`[1].map(tasks, tasks + 1)`: "[2]", `[3].map(params, params)`: "[3]", `int("12") + int(2.9)`: "14", `2u + 3u`: "5", `double(params.n) / 2.0`: "1.5",
		`duration("90s")`: "90s", `timestamp("2026-11-25T00:00:00Z")`: "2026-11-25T00:00:00Z",
	} {
		e, err := x.compile(source)
		require.NoError(t, err, source)
		got, err := evaluator{x, fixed(exprVars), &meter{}}.exprText(e)
		require.NoError(t, err, source)
		require.Equal(t, want, got, source)
	}
}

func TestExpressionErrors(t *testing.T) {
	x := exprs(t)
	for source, want := range map[string]string{
		"":                          "an expression is empty",
		"1 +":                       "Syntax error",
		"params":                    "", // a value of its own, told when it becomes text
		"param.n":                   `"param" is not known here; did you mean params?`,
		"params.m":                  `there is no parameter "m"; did you mean n?`,
		"params.n + params.f":       "no matching overload",
		"params.s + 1":              "no matching overload",
		"!params.n":                 "no matching overload",
		"tasks":                     "name the task",
		"tasks.a":                   "say what of the task",
		`tasks["a"]`:                "say what of the task",
		`tasks[params.s].state`:     "cannot be computed",
		"tasks.a.succeeds":          `a task has no "succeeds"; did you mean succeeded?`,
		"tasks.a.outputs":           "name the output",
		"tasks.a.outputs[params.s]": "name the output",
		"secrets":                   "name the secret",
		"range('x')":                "no matching overload",
		"range(10001)":              "the number must be 0 to 10000",
		"join(1, 2)":                "no matching overload",
		"spillway.Task{}":           "an expression cannot make an object",
		"os.Exit(1)":                `"os" is not known here`,
		"[1, 2][5]":                 "index out of bounds",
		"int('x')":                  "type conversion error",
		"9223372036854775807 + 1":   "overflow",
		"1 / 0":                     "division by zero",
		`"x".matches("(")`:          "error parsing regexp",
		"join(range(100).map(i, range(3000)), ',')":         "longer than 1 MiB",
		"range(2000).map(i, range(2000)).size()":            "more than 1000000 steps",
		strings.Repeat("(", 100) + strings.Repeat(")", 100): "recursion",
		strings.Repeat("1+", 5000) + "1":                    "at most 8192 are read",
		"bytes('a')":                                        "has no text",
	} {
		e, err := x.compile(source)
		if want == "" {
			require.NoError(t, err, source)
			continue
		}
		if err == nil {
			_, err = evaluator{x, fixed(exprVars), &meter{}}.exprText(e)
		}
		require.ErrorContains(t, err, want, source)
		require.NotContains(t, err.Error(), "\n")
		require.NotContains(t, err.Error(), "spillway.", "names of our own types mean nothing to an author")
	}
}

// TestMeter: many expressions that cost little each do not cost much together.
func TestMeter(t *testing.T) {
	x := exprs(t)
	e, err := x.compile("range(10000).all(i, i + params.n >= 0)")
	require.NoError(t, err)
	eval := evaluator{x, fixed(exprVars), &meter{}}
	for range 1000 {
		if _, err = eval.exprText(e); err != nil {
			break
		}
	}
	require.ErrorContains(t, err, "the expressions take more than 20000000 steps together")
}

func TestSplit(t *testing.T) {
	for text, want := range map[string][]string{
		"":                       {""},
		"plain $x {{ }}":         {"plain $x {{ }}"},
		"a${{ b }}c":             {"a", " b ", "c"},
		"${{a}}${{b}}":           {"", "a", "", "b", ""},
		`${{ "}}" }}`:            {"", ` "}}" `, ""},
		`${{ {"a": {"b": 1}} }}`: {"", ` {"a": {"b": 1}} `, ""},
		`${{ {"a": {"b": 1}}}}`:  {"", ` {"a": {"b": 1}}`, ""},
		`${{ 'it\'s }}' }}x`:     {"", ` 'it\'s }}' `, "x"},
		`${{ """ " }} """ }}`:    {"", ` """ " }} """ `, ""},
		`${{ r"\" }}`:            {"", ` r"\" `, ""},
		"${{ a }":                nil,
		"${{ 'a }}":              nil,
		"${{":                    nil,
		"${{ a }} ${{":           nil,
	} {
		got, err := split(text)
		if want == nil {
			require.ErrorContains(t, err, "${{ is not closed by }}", text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

// TestFunctions: each function that the documentation lists exists, and is called as it says.
func TestFunctions(t *testing.T) {
	x := exprs(t)
	calls := map[string]string{"range": "range(2)", "join": "join([1], ',')", "basename": "basename('a/b')"}
	for _, f := range Functions() {
		_, err := x.compile(calls[f.Name])
		require.NoError(t, err, f.Name)
		require.True(t, strings.HasPrefix(f.Signature, f.Name+"("))
		require.NotEmpty(t, f.Doc)
		delete(calls, f.Name)
	}
	require.Empty(t, calls)
	require.Len(t, functionOptions(), len(Functions()))
}
