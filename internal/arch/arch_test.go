package arch

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/spillway/spillway"

// TestArchitecture holds the module to the table of rooms.
func TestArchitecture(t *testing.T) {
	c, err := check(filepath.Join("..", ".."), module)
	if err != nil {
		t.Fatal(err)
	}
	if c.files < 50 {
		t.Fatalf("only %d Go files were found: the check does not see the module", c.files)
	}
	for _, f := range c.found {
		t.Error(f)
	}
}

// TestPlantedViolations proves that the check can fail: each line of testdata/planted that ends in a want comment
// breaks a rule, and every other line breaks none.
func TestPlantedViolations(t *testing.T) {
	root := filepath.Join("testdata", "planted")
	c, err := check(root, module)
	if err != nil {
		t.Fatal(err)
	}
	want := wants(t, root)
	if len(want) < 25 {
		t.Fatalf("only %d planted violations were found", len(want))
	}
	var got []string
	for _, f := range c.found {
		got = append(got, f.String())
	}
	for place, text := range want {
		i := slices.IndexFunc(got, func(g string) bool { return strings.HasPrefix(g, place+": ") && strings.Contains(g, text) })
		if i < 0 {
			t.Errorf("%s: not found: %s", place, text)
			continue
		}
		got = slices.Delete(got, i, i+1)
	}
	for _, g := range got {
		t.Errorf("not planted: %s", g)
	}
}

var wantForm = regexp.MustCompile(`// want "(.*)"$`)

// wants reads the want comments below root, by file:line.
func wants(t *testing.T, root string) map[string]string {
	t.Helper()
	want := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		rel, _ := filepath.Rel(root, name)
		lines := bufio.NewScanner(f)
		for n := 1; lines.Scan(); n++ {
			if m := wantForm.FindStringSubmatch(lines.Text()); m != nil {
				want[fmt.Sprintf("%s:%d", filepath.ToSlash(rel), n)] = m[1]
			}
		}
		return lines.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return want
}

// TestPlaces pins which room a folder belongs to.
func TestPlaces(t *testing.T) {
	for folder, want := range map[string]string{
		"dag":                     "dag",
		"providers":               "providers",
		"providers/sandbox":       "providers/sandbox",
		"providers/sandbox/inner": "providers/sandbox",
		"providers/providertest":  "providers/providertest",
		"engine/dispatch":         "engine/dispatch",
		"bench/gen":               "bench/gen",
		"bench":                   "bench",
		"cmd/spillway":            "cmd/spillway",
		"somewhere":               "",
		"store":                   "",
	} {
		if got := placeOf(folder).unit; got != want {
			t.Errorf("%s is in %q, want %q", folder, got, want)
		}
	}
}

// TestLevels holds the table to itself: a pure room stands on pure rooms only.
func TestLevels(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rooms {
		if seen[r.path] {
			t.Errorf("%s is in the table twice", r.path)
		}
		seen[r.path] = true
		for _, only := range r.only {
			to := placeOf(only)
			if to.room == nil || to.room.level >= r.level {
				t.Errorf("%s may import %s, which does not lie below it", r.path, only)
			}
		}
	}
}
