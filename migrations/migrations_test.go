package migrations

import (
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestPending(t *testing.T) {
	for _, d := range []Dialect{SQLite, Postgres} {
		all, err := Pending(d, 0)
		require.NoError(t, err)
		require.NotEmpty(t, all)
		for i, m := range all {
			require.Equal(t, i+1, m.Version)
			rest, err := Pending(d, m.Version)
			require.NoError(t, err)
			require.Equal(t, all[i+1:], rest)
		}
		_, err = Pending(d, len(all)+1)
		require.ErrorContains(t, err, "use a newer spillway")
	}
}

func TestNumbers(t *testing.T) {
	for name, files := range map[string][]string{
		"gap":       {"x/0001_a.sql", "x/0003_b.sql"},
		"twice":     {"x/0001_a.sql", "x/0001_b.sql"},
		"from zero": {"x/0000_a.sql"},
		"no number": {"x/first.sql"},
	} {
		fsys := fstest.MapFS{}
		for _, f := range files {
			fsys[f] = &fstest.MapFile{}
		}
		_, err := load(fsys, "x")
		require.ErrorContains(t, err, "want number", name)
	}
}

// TestDialectsAgree compares tables and columns: the stores write both through one list of them.
func TestDialectsAgree(t *testing.T) {
	require.Equal(t, schema(t, SQLite), schema(t, Postgres))
}

func schema(t *testing.T, d Dialect) map[string][]string {
	all, err := Pending(d, 0)
	require.NoError(t, err)
	tables := map[string][]string{}
	for _, m := range all {
		for _, create := range regexp.MustCompile(`(?s)CREATE TABLE (\w+) \((.*?)\n\)`).FindAllStringSubmatch(m.SQL, -1) {
			for line := range strings.Lines(create[2]) {
				words := strings.Fields(line)
				if len(words) > 0 && words[0] != "PRIMARY" {
					null := "null"
					if strings.Contains(line, "NOT NULL") || strings.Contains(line, "PRIMARY KEY") {
						null = "not null"
					}
					tables[create[1]] = append(tables[create[1]], words[0]+" "+null)
				}
			}
		}
	}
	require.Contains(t, tables, "heads")
	return tables
}
