//go:build linux || darwin

package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the dialogues' answers as they are now")

// TestDialogues replays testdata/dialogues. In each file a line "$ spillway
// ..." is a command line; what follows is its standard output, its standard
// error with "! " before each line, and "= N" for an exit code other than 0. A
// command may begin with NAME=value and end in < FILE or > FILE; $TMP is a
// fresh folder, $STATE a state directory with three runs.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/dialogues/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			tmp := t.TempDir()
			dirs := map[string]string{"TMP": tmp}
			if bytes.Contains(want, []byte("$STATE")) {
				dirs["STATE"] = stateWithRuns(t)
			}
			file, err = filepath.Abs(file)
			require.NoError(t, err)
			t.Chdir("testdata")
			var got strings.Builder
			for _, line := range strings.Split(string(want), "\n") {
				if command, ok := strings.CutPrefix(line, "$ "); ok {
					got.WriteString(line + "\n" + replay(t, command, dirs))
				} else if strings.HasPrefix(line, "#") {
					got.WriteString(line + "\n")
				}
			}
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(got.String()), 0o644))
			}
			requireSameLines(t, string(want), got.String())
		})
	}
}

// requireSameLines fails at the first line that differs: dialogues are long.
func requireSameLines(t *testing.T, want, got string) {
	t.Helper()
	w, g := strings.SplitAfter(want, "\n"), strings.SplitAfter(got, "\n")
	for k := range min(len(w), len(g)) {
		require.Equal(t, w[k], g[k], "line %d, after %s", k+1, strings.Join(w[max(0, k-3):k], ""))
	}
	require.Equal(t, len(w), len(g), "number of lines")
}

// volatile is what differs between two equal calls.
var volatile = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`"planning_ms": [0-9.]+`), `"planning_ms": 1`},
	{regexp.MustCompile(`(\.[0-9]{3},[0-9]+\.[0-9]{3}),[0-9]+\.[0-9]{4},[0-9]+\.[0-9]{4},`), `$1,PLAN,SIM,`},
	{regexp.MustCompile(`"version": "(\(devel\)|v[^"]+)"`), `"version": "V"`},
	{regexp.MustCompile(`"go_version": "[^"]+"`), `"go_version": "G"`},
	{regexp.MustCompile(`"platform": "[a-z0-9]+/[a-z0-9]+"`), `"platform": "P"`},
}

// replay runs one command line of a dialogue and returns what it answered.
func replay(t *testing.T, line string, dirs map[string]string) string {
	words := split(line, dirs)
	env := map[string]string{"HOME": dirs["TMP"]}
	for strings.Contains(words[0], "=") {
		name, value, _ := strings.Cut(words[0], "=")
		env[name], words = value, words[1:]
	}
	require.Equal(t, "spillway", words[0], line)
	var in, out, errs bytes.Buffer
	target := ""
	if n := len(words); n > 2 && words[n-2] == "<" {
		text, err := os.ReadFile(words[n-1])
		require.NoError(t, err)
		in.Write(text)
		words = words[:n-2]
	} else if n > 2 && words[n-2] == ">" {
		target, words = words[n-1], words[:n-2]
	}
	a := &app{in: &in, out: &out, errs: &errs, getenv: func(name string) string { return env[name] }}
	code := a.run(context.Background(), words[1:])
	if target != "" {
		require.NoError(t, os.WriteFile(target, out.Bytes(), 0o644))
		out.Reset()
	}
	return answer(out.String(), errs.String(), code, dirs)
}

func answer(out, errs string, code int, dirs map[string]string) string {
	var b strings.Builder
	b.WriteString(out)
	if out != "" && !strings.HasSuffix(out, "\n") {
		b.WriteString("\n")
	}
	for line := range strings.Lines(errs) {
		b.WriteString("! " + strings.TrimSuffix(line, "\n") + "\n")
	}
	if code != 0 {
		fmt.Fprintf(&b, "= %d\n", code)
	}
	text := b.String()
	for name, dir := range dirs {
		text = strings.ReplaceAll(text, dir, "$"+name)
	}
	for _, v := range volatile {
		text = v.pattern.ReplaceAllString(text, v.with)
	}
	return text
}

// split takes a command line apart at blanks outside single quotes.
func split(line string, dirs map[string]string) []string {
	for name, dir := range dirs {
		line = strings.ReplaceAll(line, "$"+name, dir)
	}
	var words []string
	for k, part := range strings.Split(line, "'") {
		if k%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}
