package workflow

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func labels(g *Graph) map[string]string {
	out := map[string]string{}
	for i, inst := range g.Instances {
		out[inst.ID] = g.Label(i).String()
	}
	for _, f := range g.Files {
		out[f.Name] = f.Label.String()
	}
	return out
}

// TestLabelsFlow: a file has the highest label of its producer's data and inputs, along files and along values.
func TestLabelsFlow(t *testing.T) {
	g := mustExpand(t, tasks(`
open: {run: x, data: public, outputs: [{path: o}]}
plain: {run: x, outputs: [{path: o}, {name: v, path: v, value: json}]}
mixed: {run: x, data: public, inputs: [{from: open}, {from: params, path: in}], outputs: [{path: o}]}
shut: {run: x, data: private, inputs: [{from: open}], outputs: [{path: o}, {name: v, path: v, value: json}]}
after: {run: x, data: public, inputs: [{from: shut, path: o}], outputs: [{path: o}]}
order: {run: x, data: public, needs: [shut], outputs: [{path: o}]}
value: {run: "echo ${{ tasks.shut.outputs.v }}", data: public, needs: [shut], outputs: [{path: o}]}
state: {run: "echo ${{ tasks.shut.state }}", data: public, needs: [shut], outputs: [{path: o}]}
low: {run: x, inputs: [{from: shut}], declassify: {to: public, reason: counted only}, outputs: [{path: o}, {name: v, path: v, value: json}]}
told: {run: "echo ${{ tasks.low.outputs.v }}", data: public, needs: [low]}
kept: {run: "echo ${{ tasks.low.outputs.v }}", data: internal, needs: [low]}
raise: {run: x, data: public, declassify: {to: internal, reason: none}, outputs: [{path: o}]}
read: {run: x, data: public, inputs: [{from: params, path: pub, data: public}, {from: low}], outputs: [{path: o}]}
twice: {run: x, data: public, inputs: [{from: params, path: pub}, {from: params, path: sec, data: private}, {from: params, path: sec, data: public}]}
`), nil)
	require.Equal(t, map[string]string{
		"open": "public", "open/o": "public",
		"plain": "internal", "plain/o": "internal", "plain/v": "internal",
		"mixed": "internal", "mixed/o": "internal", "in": "internal",
		"shut": "private", "shut/o": "private", "shut/v": "private",
		"after": "private", "after/o": "private",
		"order": "public", "order/o": "public",
		"value": "private", "value/o": "private",
		"state": "public", "state/o": "public",
		"low": "private", "low/o": "public", "low/v": "public", "told": "public", "kept": "internal",
		"raise": "public", "raise/o": "public",
		"read": "public", "read/o": "public", "pub": "public",
		"twice": "private", "sec": "private",
	}, labels(g))
	require.Equal(t, "value reads a value of shut; shut has data: private (line 7)", g.WhyLabel(find(t, g, "value")))
	require.Equal(t, "after reads shut/o; shut has data: private (line 7)", g.WhyLabel(find(t, g, "after")))
	require.Equal(t, "mixed reads in, which is internal", g.WhyLabel(find(t, g, "mixed")))
	require.Equal(t, "plain is internal where nothing is said", g.WhyLabel(find(t, g, "plain")))
	require.Equal(t, "twice reads sec, which is private", g.WhyLabel(find(t, g, "twice")))
}

func TestWhyLabelIsShort(t *testing.T) {
	var b strings.Builder
	b.WriteString("t0: {run: x, data: private, outputs: [{path: o}]}\n")
	for i := range 20 {
		b.WriteString(strings.NewReplacer("I", strconv.Itoa(i+1), "P", strconv.Itoa(i)).Replace("tI: {run: x, inputs: [{from: tP}], outputs: [{path: o}]}\n"))
	}
	why := mustExpand(t, tasks(b.String()), nil).WhyLabel(20)
	require.Equal(t, 8, strings.Count(why, ";"))
	require.True(t, strings.HasSuffix(why, "; and so on"))
}

// TestLabelsProperty: no file has a lower label than what its producer read, unless the producer declassifies; and
// declassifying never raises.
func TestLabelsProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "tasks")
		var b strings.Builder
		for i := range n {
			b.WriteString("t" + strconv.Itoa(i) + ": {run: x, outputs: [{path: o}]")
			if data := rapid.SampledFrom([]string{"", "public", "internal", "private"}).Draw(t, "data"); data != "" {
				b.WriteString(", data: " + data)
			}
			if to := rapid.SampledFrom([]string{"", "", "public", "internal"}).Draw(t, "declassify"); to != "" {
				b.WriteString(", declassify: {to: " + to + ", reason: r}")
			}
			var inputs []string
			for j := range i {
				if rapid.Bool().Draw(t, "edge") {
					inputs = append(inputs, "{from: t"+strconv.Itoa(j)+"}")
				}
			}
			b.WriteString(", inputs: [" + strings.Join(inputs, ", ") + "]}\n")
		}
		spec, err := Parse("w.yaml", []byte(tasks(b.String())))
		require.NoError(t, err)
		g, err := Expand(spec, nil)
		require.NoError(t, err)
		for i, inst := range g.Instances {
			task := &spec.Tasks[inst.Task]
			want := max(task.Data.orInternal(), LabelPublic)
			for _, f := range inst.In {
				want = max(want, g.Files[f].Label)
			}
			require.Equal(t, want, g.Label(i))
			if task.Declassify != nil {
				want = min(want, task.Declassify.To)
			}
			require.Equal(t, want, g.Files[inst.Out[0]].Label)
		}
	})
}

func TestLabelWords(t *testing.T) {
	for _, l := range []Label{LabelPublic, LabelInternal, LabelPrivate} {
		got, err := ParseLabel(l.String())
		require.NoError(t, err)
		require.Equal(t, l, got)
	}
	for _, text := range []string{"unset", "", "Private", "secret"} {
		_, err := ParseLabel(text)
		require.Error(t, err, text)
	}
	require.Equal(t, "Label(9)", Label(9).String())
	require.Less(t, LabelPublic, LabelInternal)
	require.Less(t, LabelInternal, LabelPrivate)
}

func TestAllows(t *testing.T) {
	for _, c := range []struct {
		patterns, yes, no string
	}{
		{"", "private aws:eu-west-1 sandbox:local", ""},
		{"private", "private", "private2 aws:private"},
		{"aws:eu-*", "aws:eu-west-1 aws:eu-", "aws:us-east-1 gcp:eu-west-1 private xaws:eu-1"},
		{"aws:*-west-*", "aws:eu-west-1 aws:us-west-2", "aws:eu-north-1 aws:west-1 aws:eu-west"},
		{"*", "private aws:x", ""},
		{"aws:a*a", "aws:aa aws:aba", "aws:a"},
		{"aws:*ab*b", "aws:abb aws:xabab", "aws:ab aws:aab"},
		{"private aws:eu-*", "private aws:eu-1", "aws:us-1"},
	} {
		p := Placement{Allow: strings.Fields(c.patterns)}
		for _, site := range strings.Fields(c.yes) {
			require.True(t, p.Allows(site), "%s %s", c.patterns, site)
		}
		for _, site := range strings.Fields(c.no) {
			require.False(t, p.Allows(site), "%s %s", c.patterns, site)
		}
	}
}

// TestSecretsStay: a task that is given secrets goes to a public site only if it says so.
func TestSecretsStay(t *testing.T) {
	spec := mustParse(t, tasks(`
a: {run: x, env: {T: "${{ secrets.T }}"}}
b: {run: x, env: {T: "${{ secrets.T }}"}, placement: {allow: ["aws:*", private]}}
c: {run: x}`))
	require.True(t, spec.Tasks[0].Allows(SitePrivate))
	require.False(t, spec.Tasks[0].Allows("aws:eu-west-1"))
	require.True(t, spec.Tasks[1].Allows("aws:eu-west-1"))
	require.True(t, spec.Tasks[2].Allows("aws:eu-west-1"))
}
