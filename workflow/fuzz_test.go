package workflow

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// requireFindings holds an error to what its reader relies on: a finding a line, each with a rule and a way out, and
// nothing in it that moves a cursor.
func requireFindings(t *testing.T, err error) {
	t.Helper()
	var all Errors
	if !errors.As(err, &all) {
		var one Error
		require.True(t, errors.As(err, &one), "%T %v", err, err)
		all = Errors{one}
	}
	require.NotEmpty(t, all)
	for _, e := range all {
		require.NotEmpty(t, e.Rule, e)
		require.NotEmpty(t, e.Message, e)
		require.NotEmpty(t, e.Fix, e)
		require.Negative(t, strings.IndexFunc(e.Error(), func(r rune) bool { return !unicode.IsPrint(r) }), "%q", e.Error())
		require.Less(t, len(e.Error()), 2000, e)
	}
	require.LessOrEqual(t, len(all), maxErrors+1)
}

// FuzzParse: any text is refused with findings, or gives a graph that holds together, whose commands can be asked for,
// and which the JSON Schema accepts as well.
func FuzzParse(f *testing.F) {
	for _, file := range badFiles(f) {
		f.Add([]byte(file.text))
	}
	for _, file := range []string{"testdata/everything.yaml", "../examples/archive.yaml", "../examples/images.yaml", "../examples/wordstats.yaml"} {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add([]byte(tasks(dynamic)))
	f.Add([]byte(declared))
	compiled := compileSchema(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 8<<10 {
			return
		}
		spec, err := Parse("w.yaml", src)
		if err != nil {
			requireFindings(t, err)
			return
		}
		if value, ok := asJSON(t, src); ok {
			require.NoError(t, compiled.Validate(value))
		}
		params, err := Bind(spec, nil)
		if err != nil {
			requireFindings(t, err)
			return
		}
		g, err := Expand(spec, params)
		if err != nil {
			requireFindings(t, err)
			return
		}
		if len(g.Instances) > 1000 {
			return
		}
		checkGraph(t, g)
		exercise(t, g)
	})
}

// exercise asks a graph for everything that an engine asks for.
func exercise(t *testing.T, g *Graph) {
	t.Helper()
	for _, task := range g.Unresolved() {
		if items, ready, err := g.Elements(task, told{}); err == nil && ready {
			if err := g.Resolve(task, items); err != nil {
				requireFindings(t, err)
			}
			checkGraph(t, g)
		}
	}
	for i := range g.Instances {
		require.NotEmpty(t, g.WhyLabel(i))
		_, _ = g.Condition(i, told{})
		if c, err := g.Command(i, told{}); err == nil {
			require.NotContains(t, c.Shell, "\x00")
		}
	}
	for f := range g.Files {
		require.NotEmpty(t, g.InputPath(f))
		require.NotEqual(t, LabelUnset, g.Files[f].Label)
	}
}

// FuzzParseTrace: the same for traces.
func FuzzParseTrace(f *testing.F) {
	for _, text := range traceVersions {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"workflow": {"tasks": [{"name": "a", "files": [{"link": "input", "name": "f", "size": 1e30}], "parents": ["a"]}]}}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		looksLikeTrace(src)
		spec, err := ParseWfFormat("t.json", src)
		if err != nil {
			requireFindings(t, err)
			return
		}
		g, err := Expand(spec, nil)
		require.NoError(t, err)
		checkGraph(t, g)
		exercise(t, g)
		for i := range spec.Tasks {
			w := spec.Tasks[i].Work
			require.True(t, w.RuntimeS >= 0 && w.RuntimeS <= maxTraceSeconds && w.Cores >= 1 && w.Memory > 0, "%+v", w)
		}
		for i := range g.Files {
			require.GreaterOrEqual(t, g.Files[i].Size, int64(0))
			require.NoError(t, checkPath(g.InputPath(i)))
		}
	})
}

// FuzzExpression: any expression is refused in one line, or gives a value within its limits.
func FuzzExpression(f *testing.F) {
	for _, source := range []string{
		`params.n + 1`, `range(params.n).map(i, i * i)`, `tasks.a.outputs.v`, `has(tasks["a b"].outputs.x)`, `join(params.l, "|")`, `item.name`,
		`[1, 2].exists(x, x > index) ? "a" : b"b"`, `{"a": [1u, 2.0, null]}.a`, `duration("1h") + timestamp("2026-01-01T00:00:00Z")`, `secrets.X`, `r"""x"""`,
	} {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		x := exprs(t)
		e, err := x.compile(source)
		if err == nil && e.ast != nil {
			_, err = evaluator{x, fixed(exprVars), &meter{}}.exprText(e)
		}
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			require.Less(t, len(err.Error()), 600)
		}
	})
}

// FuzzShell: a script with expressions is refused, or compiled so that every expression is a reference and nothing
// else has changed.
func FuzzShell(f *testing.F) {
	for _, place := range places {
		f.Add(place.run)
	}
	for _, run := range []string{"a `b` ${c:-'d'} $((1+(2))) \\\n# e\n", "cat <<-'A' <<B\n\tA\nx\nB\n", "case a in (a) ;; esac; x=$(case a in a) ;; esac)", "\"$(\"${{ 1 }}\")\""} {
		f.Add(run)
	}
	f.Fuzz(func(t *testing.T, run string) {
		segments, err := exprs(t).segments(Text(run))
		if err != nil {
			return
		}
		compiled, err := compileShell(segments)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		literal, written, n := "", compiled.text, 0
		for _, s := range segments {
			literal += s.literal
			if s.expr != nil {
				n++
			}
		}
		if n > 0 {
			require.NotContains(t, written, "\x00")
		}
		if strings.Contains(literal, envPrefix) {
			return
		}
		require.Equal(t, n, strings.Count(written, "${"+envPrefix))
		for i := range compiled.exprs {
			ref := fmt.Sprintf("${%sEXPR_%d}", envPrefix, i)
			for _, form := range []string{`'"` + ref + `"'`, `"` + ref + `"`, ref} {
				written = strings.ReplaceAll(written, form, "")
			}
		}
		require.Equal(t, strings.NewReplacer(`"`, "", "'", "").Replace(literal), strings.NewReplacer(`"`, "", "'", "").Replace(written))
	})
}

// FuzzSplit: the pieces of a text make up the text.
func FuzzSplit(f *testing.F) {
	for _, text := range []string{"a${{ b }}c", `${{ {"a": {"b": "}}"}} }}`, `${{ r"\" }}${{ """ " """ }}`, "${{${{}}}}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pieces, err := split(text)
		if err != nil {
			return
		}
		whole := ""
		for i, piece := range pieces {
			if i%2 == 1 {
				piece = "${{" + piece + "}}"
			}
			whole += piece
		}
		require.Equal(t, text, whole)
	})
}

// FuzzQuantity: sizes, amounts and durations are refused or within their bounds.
func FuzzQuantity(f *testing.F) {
	for _, text := range []string{"1.5GiB", "3.00 USD", "2h30m", "0.000000000001 USD", "9223372.036854775807 USD", "1e400", "-1", "８MB", "1.0.0kB"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if size, err := parseBytes(text); err == nil {
			require.GreaterOrEqual(t, size, int64(0))
		}
		if pico, err := parseUSD(text); err == nil {
			require.Positive(t, pico)
			again, err := parseUSD(fmt.Sprintf("%d.%012d USD", pico/picoUSD, pico%picoUSD))
			require.NoError(t, err)
			require.Equal(t, pico, again)
		}
		if span, err := parseDuration(text); err == nil {
			require.Positive(t, span)
			require.LessOrEqual(t, span, maxDuration)
		}
		if n, err := parseWhole(text); err == nil {
			require.Equal(t, strings.TrimPrefix(strings.ReplaceAll(strings.TrimPrefix(text, "+"), "_", ""), "-"), strings.TrimPrefix(fmt.Sprint(n), "-"))
		}
	})
}

// FuzzSchedule: cron expressions, zones and times of day are refused in one line, or have a next moment.
func FuzzSchedule(f *testing.F) {
	f.Add("0 2 * * *", "Europe/Lisbon", "06:00")
	f.Add("*/15 0-6,12 1 JAN-MAR MON", "America/New_York", "24:00")
	f.Add("@yearly", "Local", "6:00")
	f.Add("0 0 29 2 *", "../UTC", "")
	f.Fuzz(func(t *testing.T, cron, zone, by string) {
		if err := checkCron(cron); err != nil {
			require.Less(t, len(err.Error()), 500)
		}
		at, err := (&Deadline{By: by, Timezone: zone}).At(cronStart)
		if err == nil {
			require.True(t, at.After(cronStart))
		}
	})
}

var typeOfParam = reflect.TypeFor[ParamType]()

// FuzzParam: a text given for a parameter is refused, or becomes a value of the type that it keeps.
func FuzzParam(f *testing.F) {
	for _, text := range []string{"abc", "1.5", "3", "true", `["a", {"b": null}]`, `{"a": 1e3}`, "1e400", "9223372036854775808", "null", "[1] ]"} {
		for k := range wordTable[typeOfParam].now {
			f.Add(k, text)
		}
	}
	f.Fuzz(func(t *testing.T, k int, text string) {
		types := wordTable[typeOfParam].now
		p := Param{Name: "p", Type: ParamType(types[uint(k)%uint(len(types))])}
		value, err := p.read(text)
		if err != nil {
			require.Less(t, len(err.Error()), 500)
			return
		}
		require.NotNil(t, value)
		again, err := p.check(value)
		require.NoError(t, err)
		require.Equal(t, value, again)
	})
}
