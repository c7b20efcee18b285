package figures

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheRangesMakeSense reads those of this repository.
func TestTheRangesMakeSense(t *testing.T) {
	text, err := os.ReadFile("../ranges.yaml")
	require.NoError(t, err)
	ranges, err := ParseRanges(text)
	require.NoError(t, err)
	require.NotEmpty(t, ranges["planner"])
	for bench, list := range ranges {
		seen := map[string]bool{}
		for _, r := range list {
			key := r.Case + r.Metric + r.Of
			require.False(t, seen[key], "%s, line %d: twice", bench, r.Line)
			seen[key] = true
		}
	}
}

const two = `
planner:
  - {case: a, metric: cost, of: value, most: 1.2, measured: 1.1, spread: none, why: because}
  - {case: a, metric: time, of: ratio, least: 1, most: 3, measured: 2, spread: 10 %, why: because, needs: a clock}
`

func TestCheck(t *testing.T) {
	ranges, err := ParseRanges([]byte(two))
	require.NoError(t, err)
	require.Equal(t, 3, ranges["planner"][0].Line)
	for _, c := range []struct {
		rows  []Row
		fails []bool
		says  string
	}{
		{[]Row{{"a", "cost", 1.2, "", 0, 9}, {"a", "time", 9, "s", 3, 3}}, []bool{false, false}, "value is 1.2"},
		{[]Row{{"a", "cost", 1.21, "", 0, 1}, {"a", "time", 2, "s", 1, 0.9}}, []bool{true, true}, "value is 1.21, want at most 1.2 (was 1.1; spread: none; because)"},
		{[]Row{{"b", "cost", 1, "", 0, 1}}, []bool{true, false}, "a, cost: not measured"},
		{[]Row{{"a", "cost", math.NaN(), "", 0, 1}}, []bool{true, false}, "NaN"},
	} {
		verdicts := Check(ranges["planner"], c.rows)
		require.Equal(t, c.fails, []bool{verdicts[0].Fails(), verdicts[1].Fails()}, c.says)
		require.Contains(t, verdicts[0].String(), c.says)
	}
	require.Equal(t, "a, time: not measured, it needs a clock", Check(ranges["planner"], nil)[1].String())
}

func TestRangesThatMakeNoSenseAreRefusedWithTheirLine(t *testing.T) {
	for change, want := range map[string]string{
		"of: value|of: both":         `line 3: of is "both": want value or ratio`,
		"measured: 1.1|measured: 5":  "line 3: measured is 5, which is not within at most 1.2",
		"most: 1.2, |":               "line 3: want least, most or both",
		"why: because}|because: x}":  `line 3: unknown key "because"`,
		"spread: none, |":            "line 3: want case, metric, spread and why",
		"- {case: a, metric: time|-": "",
	} {
		from, to, _ := strings.Cut(change, "|")
		require.Contains(t, two, from)
		_, err := ParseRanges([]byte(strings.Replace(two, from, to, 1)))
		require.ErrorContains(t, err, want, change)
	}
}

func TestRowsAreReadAsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "x.jsonl")
	rows := []Row{Beside("a", "time", 6, "s", 2), {Case: "b", Metric: "n", Value: 1}}
	require.Equal(t, 3.0, rows[0].Ratio)
	require.NoError(t, Write(path, rows))
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	got, err := Read(file)
	require.NoError(t, err)
	require.Equal(t, rows, got)
	require.ErrorContains(t, Write(path, []Row{Beside("a", "time", 1, "s", 0)}), "a, time: ")
	_, err = Read(strings.NewReader("{}\n\nnonsense\n"))
	require.ErrorContains(t, err, "line 3: ")
}

func FuzzParseRanges(f *testing.F) {
	f.Add(two)
	f.Fuzz(func(t *testing.T, text string) {
		ranges, err := ParseRanges([]byte(text))
		if err != nil {
			return
		}
		for _, list := range ranges {
			for _, v := range Check(list, nil) {
				_ = v.String()
			}
		}
	})
}
