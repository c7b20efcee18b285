package examples

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWordstats runs the workflow at home, which teaches Spillway how long its tasks take, and then with a deadline
// that home cannot meet. Both must count the same words, the ones that are counted here in another way.
func TestWordstats(t *testing.T) {
	s := newState(t)
	home := s.run(t, "wordstats.yaml", "--planner", "private")
	_, bought := home.sites()
	require.Zero(t, bought, "the private planner bought something")
	bothWays := s.run(t, "wordstats.yaml", "--deadline", "80%")
	kept, bought := bothWays.sites()
	require.NotZero(t, kept, "nothing stayed at home")
	require.NotZero(t, bought, "nothing was offloaded")
	within := bothWays.Deadline.At.Sub(bothWays.StartedAt).Seconds()
	require.Greater(t, bothWays.Planned.AllPrivate, within, "home alone would have done")
	require.LessOrEqual(t, bothWays.Planned.MakespanS, within, "the plan is late")

	want := countWords(t, 8)
	for _, r := range []report{home, bothWays} {
		var totals struct{ Words, Distinct, Pairs int }
		require.NoError(t, json.Unmarshal(s.output(t, r, "totals.json"), &totals))
		require.Equal(t, want.total, totals.Words)
		require.Equal(t, len(want.words), totals.Distinct)
		require.Equal(t, len(want.near), totals.Pairs)
		require.Contains(t, string(s.output(t, r, "report.txt")), "\n\n"+top(want.words, 20)+"\n\n")
	}
}

type wordCount struct {
	total       int
	words, near map[string]int
}

var (
	commentForm = regexp.MustCompile(`^[\t\n\v\f\r ]*//`)
	wordForm    = regexp.MustCompile(`[A-Za-z]+`)
)

// countWords is what wordstats.yaml computes.
func countWords(t *testing.T, shards int) wordCount {
	t.Helper()
	texts := make([][]byte, shards)
	for i, name := range sources(t) {
		content, err := os.ReadFile(filepath.Join(goroot, "src", name))
		require.NoError(t, err)
		k := (i + 1) % shards
		texts[k] = append(texts[k], content...)
	}
	all := wordCount{words: map[string]int{}, near: map[string]int{}}
	for _, text := range texts {
		near := map[string]int{}
		for line := range bytes.Lines(text) {
			if commentForm.Match(line) {
				all.line(string(line), near)
			}
		}
		for pair, n := range near {
			if n >= 3 {
				all.near[pair] += n
			}
		}
	}
	return all
}

func (c *wordCount) line(line string, near map[string]int) {
	words := wordForm.FindAllString(line, -1)
	for i := range words {
		words[i] = strings.ToLower(words[i])
	}
	for i, w := range words {
		c.total++
		c.words[w]++
		for _, x := range words[i+1 : min(i+9, len(words))] {
			near[w+" "+x]++
		}
	}
}

// sources are the Go files of the tree, the largest first.
func sources(t *testing.T) []string {
	t.Helper()
	var names []string
	size := map[string]int64{}
	src := filepath.Join(goroot, "src")
	err := filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !strings.HasSuffix(path, ".go") {
			return err
		}
		info, err := d.Info()
		if err == nil {
			name := strings.TrimPrefix(path, src+"/")
			names, size[name] = append(names, name), info.Size()
		}
		return err
	})
	require.NoError(t, err)
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(size[b], size[a]), cmp.Compare(a, b)) })
	return names
}

// top are the n most frequent words, one a line.
func top(words map[string]int, n int) string {
	list := make([]string, 0, len(words))
	for w := range words {
		list = append(list, w)
	}
	slices.SortFunc(list, func(a, b string) int { return cmp.Or(words[b]-words[a], cmp.Compare(a, b)) })
	lines := make([]string, 0, n)
	for _, w := range list[:n] {
		lines = append(lines, fmt.Sprintf("%d %s", words[w], w))
	}
	return strings.Join(lines, "\n")
}
