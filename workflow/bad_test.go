package workflow

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew; read the difference before you keep it")

// badFile is one definition of testdata/bad.txt with all findings about it.
type badFile struct {
	name, text, want string
	structure        bool // the JSON Schema must refuse it too
}

const badPath = "testdata/bad.txt"

func badFiles(tb testing.TB) []badFile {
	tb.Helper()
	all, err := os.ReadFile(badPath)
	require.NoError(tb, err)
	var files []badFile
	for _, section := range strings.Split("\n"+string(all), "\n== ")[1:] {
		head, body, _ := strings.Cut(section, "\n")
		f := badFile{}
		f.name, f.structure = strings.CutSuffix(head, " (structure)")
		i := strings.Index(body, "\n--\n")
		require.GreaterOrEqual(tb, i, 0, head)
		f.text, f.want = body[:i+1], strings.TrimSpace(body[i+4:])
		files = append(files, f)
	}
	return files
}

// findings are all that is said of a definition: by Parse, else by Expand with the defaults.
func findings(text string) error {
	spec, err := Parse("w.yaml", []byte(text))
	if err != nil {
		return err
	}
	params, err := Bind(spec, nil)
	if err != nil {
		return err
	}
	_, err = Expand(spec, params)
	return err
}

// TestBadFiles: every definition of testdata/bad.txt gives exactly the findings below it. After a wanted change:
// go test ./workflow -run TestBadFiles -update
func TestBadFiles(t *testing.T) {
	files := badFiles(t)
	for i := range files {
		f := &files[i]
		t.Run(f.name, func(t *testing.T) {
			err := findings(f.text)
			require.Error(t, err)
			var all Errors
			require.ErrorAs(t, err, &all)
			for _, e := range all {
				require.NotEmpty(t, e.Fix, e)
				require.NotEmpty(t, e.Rule, e)
				require.Positive(t, e.Line, e)
			}
			if *update {
				f.want = err.Error()
			}
			require.Equal(t, f.want, err.Error())
		})
	}
	if *update {
		writeBadFiles(t, files)
	}
}

func writeBadFiles(t *testing.T, files []badFile) {
	t.Helper()
	parts := make([]string, len(files))
	for i, f := range files {
		head := f.name
		if f.structure {
			head += " (structure)"
		}
		parts[i] = fmt.Sprintf("== %s\n%s--\n%s\n", head, f.text, f.want)
	}
	require.NoError(t, os.WriteFile(badPath, []byte(strings.Join(parts, "\n")), 0o644))
}

// TestSixMistakes: all findings come at once, in the order of the source.
func TestSixMistakes(t *testing.T) {
	for _, f := range badFiles(t) {
		if f.name != "six mistakes at once" {
			continue
		}
		var all Errors
		require.True(t, errors.As(findings(f.text), &all))
		require.Len(t, all, 6)
		for i := 1; i < len(all); i++ {
			require.LessOrEqual(t, all[i-1].Line, all[i].Line)
		}
	}
}

// TestTooLarge: what is too large is refused before it costs anything, and no file gives more findings than one reads.
func TestTooLarge(t *testing.T) {
	head := "apiVersion: spillway/v1\nname: w\n"
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "  t%d: {run: x}\n", i)
		}
		return b.String()
	}
	for name, c := range map[string]struct{ text, want string }{
		"100 MB": {
			head + strings.Repeat("#", 100_000_000),
			"w.yaml:1:1: the file has 100000032 bytes; at most 16777216 are read; split it, or let a foreach make its tasks [too-large]",
		},
		"values": {
			head + "x: [" + strings.Repeat("1,", 2_000_000) + "]",
			"w.yaml:1:1: the file has more than 2000000 values; split it, or let a foreach make its tasks [too-large]",
		},
		"tasks": {
			head + "tasks:\n" + many(100_001),
			"w.yaml:4:3: 100001 tasks; at most 100000 are read; let a foreach make them [too-large]",
		},
		"outputs": {
			head + "tasks: {a: {run: x, outputs: [" + strings.Repeat("{path: o}, ", 1001) + "]}}",
			"task a has 1001 outputs; at most 1000 are allowed; pack them into one file [too-large]",
		},
		"inherited variables": {
			head + "defaults: {env: {" + strings.ReplaceAll(strings.TrimRight(many(1000), "\n"), "{run: x}\n", "x,") + "}}\ntasks:\n" + many(1001),
			"w.yaml:1005:3: the tasks have more than 1000000 environment variables together; set fewer in defaults [too-large]",
		},
		"findings": {head + "tasks:\n" + strings.Repeat("  a: {run: x}\n", 500), "299 more findings are not shown; mend these first [too-large]"},
	} {
		t.Run(name, func(t *testing.T) {
			err := findings(c.text)
			require.Error(t, err)
			require.Contains(t, err.Error(), c.want)
			require.LessOrEqual(t, strings.Count(err.Error(), "\n"), maxErrors)
		})
	}
}
