//go:build linux || darwin

package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func openTwo(t require.TestingT, name string) [2]*results {
	var both [2]*results
	for i := range both {
		var err error
		both[i], err = openResults(name)
		require.NoError(t, err)
	}
	return both
}

// Whatever two engines append, and wherever one of them is killed while it writes: the first whole line of
// an attempt is its manifest, and both engines see it.
func TestResults(t *testing.T) {
	dir, n := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		name := filepath.Join(dir, strconv.Itoa(n))
		engines := openTwo(t, name)
		want := map[string]string{}
		attempts := rapid.SampledFrom([]string{"r.0.1", "r.0.10", "r.1.1", "r"})
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				e, attempt := rapid.IntRange(0, 1).Draw(t, "engine"), attempts.Draw(t, "attempt")
				manifest := fmt.Sprintf(`{"exit_code":%d}`, rapid.IntRange(0, 1000).Draw(t, "code"))
				err := engines[e].add(attempt, []byte(manifest))
				if _, there := want[attempt]; there {
					require.ErrorIs(t, err, fs.ErrExist)
					return
				}
				require.NoError(t, err)
				want[attempt] = manifest
			},
			"torn": func(t *rapid.T) {
				line := "\n" + attempts.Draw(t, "attempt") + "\t" + `{"exit_code":{"a":1}}`
				part := line[:rapid.IntRange(0, len(line)-1).Draw(t, "written")]
				f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
				require.NoError(t, err)
				_, err = f.WriteString(part)
				require.NoError(t, errors.Join(err, f.Close()))
			},
			"": func(t *rapid.T) {
				again := openTwo(t, name)[0]
				for _, r := range []*results{engines[0], engines[1], again} {
					for _, attempt := range []string{"r.0.1", "r.0.10", "r.1.1", "r", ""} {
						got, err := r.find(attempt)
						if want[attempt] == "" {
							require.ErrorIs(t, err, fs.ErrNotExist)
							continue
						}
						require.NoError(t, err)
						require.Equal(t, want[attempt], string(got))
					}
				}
				require.NoError(t, again.file.Close())
			},
		})
	})
}

// Of two engines that add at the same moment, one is told that it was first.
func TestFirstResultWins(t *testing.T) {
	both := openTwo(t, filepath.Join(t.TempDir(), "r"))
	for i := range 200 {
		attempt := strconv.Itoa(i)
		errs := make(chan error, 2)
		for e, r := range both {
			go func() { errs <- r.add(attempt, []byte(strconv.Itoa(e))) }()
		}
		one, other := <-errs, <-errs
		if one != nil {
			one, other = other, one
		}
		require.NoError(t, one)
		require.ErrorIs(t, other, fs.ErrExist)
		first, err := both[0].find(attempt)
		require.NoError(t, err)
		second, err := both[1].find(attempt)
		require.NoError(t, err)
		require.Equal(t, first, second)
	}
}

// The same between two sites of one folder: a late delivery answers with what the first one found.
func TestALostAnswerIsFoundAgain(t *testing.T) {
	b := newBed(t)
	witness := filepath.Join(t.TempDir(), "witness")
	inv := b.invocation("echo ran >>" + witness + "; exit 4")
	lost := b.run(inv)
	other, err := Open(b.cfg)
	require.NoError(t, err)
	found, err := other.Manifest("r1", inv.Envelope.Attempt)
	require.NoError(t, err)
	require.Equal(t, lost, found)
	require.Equal(t, lost, other.Execute(context.Background(), inv).Manifest)
	text, err := os.ReadFile(witness)
	require.NoError(t, err)
	require.Equal(t, "ran\n", string(text))
}

func TestManifestOfNothing(t *testing.T) {
	b := newBed(t)
	m, err := b.Manifest("r1", "r1.0.1")
	require.NoError(t, err)
	require.Nil(t, m)
	for _, names := range [][2]string{{"..", "a"}, {"r1", ""}, {"a/b", "a"}} {
		_, err := b.Manifest(names[0], names[1])
		require.ErrorContains(t, err, "not names of files")
	}
}

func TestResultsOfManyRuns(t *testing.T) {
	b := newBed(t)
	inUse, err := b.use("busy")
	require.NoError(t, err)
	require.NoError(t, inUse.add("a", []byte("1")))
	for range 2 {
		for i := range 2 * maxIdleResults {
			r, err := b.use(strconv.Itoa(i))
			require.NoError(t, err)
			if err := r.add("a", []byte(strconv.Itoa(i))); !errors.Is(err, fs.ErrExist) {
				require.NoError(t, err)
			}
			text, err := r.find("a")
			require.NoError(t, err)
			require.Equal(t, strconv.Itoa(i), string(text))
			b.done(r)
			require.LessOrEqual(t, len(b.results), maxIdleResults)
		}
	}
	text, err := inUse.find("a")
	require.NoError(t, err)
	require.Equal(t, "1", string(text))
}

// Whatever a file of results holds, reading it neither fails nor finds what is no JSON.
func FuzzResults(f *testing.F) {
	f.Add([]byte("\nr.0.1\t{}\n"))
	f.Add([]byte("\nr.0.1\t{\"a\":\nr.0.1\t{}\n\n\t1\n"))
	f.Add([]byte("no tab\n\t\t\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		name := filepath.Join(t.TempDir(), "r")
		require.NoError(t, os.WriteFile(name, text, 0o600))
		r, err := openResults(name)
		require.NoError(t, err)
		defer r.file.Close()
		_, known := r.find("r.0.1")
		err = r.add("r.0.1", []byte(`{"new":1}`))
		unfinished := len(text) > 0 && text[len(text)-1] != '\n'
		if known == nil || err != nil && unfinished { // a last line may lack its newline only: then it was first
			require.ErrorIs(t, err, fs.ErrExist)
		} else {
			require.NoError(t, err)
		}
		got, err := r.find("r.0.1")
		require.NoError(t, err)
		whole, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Contains(t, string(whole), "r.0.1\t"+string(got)+"\n")
	})
}
