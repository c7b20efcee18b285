// Package migrations holds the schema of each store as numbered SQL files. They only go forward; a store
// applies what its database lacks, each file in a transaction, and refuses a database that is newer than
// the program. A library for it would bring more than these lines do: two dialects, no way back.
package migrations

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

//go:embed sqlite/*.sql postgres/*.sql
var files embed.FS

// Dialect is a folder of migrations.
type Dialect string

// The dialects.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Migration is one numbered file.
type Migration struct {
	Version int
	Name    string
	SQL     string
}

// Pending are the migrations, oldest first, that a database of version have lacks. A database that is newer
// than the newest migration is refused.
func Pending(d Dialect, have int) ([]Migration, error) {
	all, err := load(files, d)
	if err != nil {
		return nil, err
	}
	if have > len(all) {
		return nil, fmt.Errorf("the database has schema version %d, this program knows versions up to %d: use a newer spillway",
			have, len(all))
	}
	return all[have:], nil
}

// load reads NNNN_name.sql files, numbered from 1 without gaps.
func load(fsys fs.FS, d Dialect) ([]Migration, error) {
	names, err := fs.Glob(fsys, string(d)+"/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	all := make([]Migration, 0, len(names))
	for i, name := range names {
		number, _, _ := strings.Cut(path.Base(name), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: want number %04d", name, i+1)
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		all = append(all, Migration{Version: version, Name: path.Base(name), SQL: string(text)})
	}
	return all, nil
}
