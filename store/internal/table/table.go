// Package table says, once for every store, which field of a record is which column, and how a field becomes
// a value that SQLite and Postgres hold alike: instants as microseconds since 1970 UTC, spans as nanoseconds,
// money as pico-USD, JSON and states as text. What both databases can hold, both read back the same.
package table

import "strings"

// Field is one column of a table and the field of a record that it holds.
type Field struct {
	Column string
	Ptr    any // to the field
}

// Table describes rows of type T that belong to a run. The column "run" comes first in each table and is not
// a field.
type Table[T any] struct {
	Name   string
	Key    int    // so many leading columns identify a row within its run
	Order  string // in which rows are read back
	Append bool   // rows are added and never replaced
	Fields func(*T) []Field
}

// Columns are the names of the columns, without "run".
func (t Table[T]) Columns() []string { return Columns(t.Fields(new(T))) }

// Select is the query for all rows of one run.
func (t Table[T]) Select(runParameter string) string {
	return "SELECT " + strings.Join(t.Columns(), ", ") + " FROM " + t.Name +
		" WHERE run = " + runParameter + " ORDER BY " + t.Order
}

// OnConflict is the end of an insert: replace the row that has the same key, or nothing when rows are only
// appended, so that a key that exists is an error.
func (t Table[T]) OnConflict() string {
	if t.Append {
		return ""
	}
	columns := t.Columns()
	set := make([]string, 0, len(columns))
	for _, c := range columns[t.Key:] {
		set = append(set, c+" = excluded."+c)
	}
	return " ON CONFLICT (run, " + strings.Join(columns[:t.Key], ", ") + ") DO UPDATE SET " + strings.Join(set, ", ")
}

// Targets are what to scan one row into.
func (t Table[T]) Targets(row *T) []any { return Targets(t.Fields(row)) }

// Columns are the names of fields.
func Columns(fields []Field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Column
	}
	return names
}

// AppendValues adds the contents of fields as the databases take them: nil, int64, float64, bool or string.
func AppendValues(to []any, fields []Field) []any {
	for _, f := range fields {
		to = append(to, value(f.Ptr))
	}
	return to
}

// Targets are what to scan a row of fields into.
func Targets(fields []Field) []any {
	targets := make([]any, len(fields))
	for i, f := range fields {
		targets[i] = target(f.Ptr)
	}
	return targets
}
