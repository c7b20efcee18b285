package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/spillway/spillway/store/internal/table"
)

// runNumber is the number of the run whose id is the first parameter.
const runNumber = "(SELECT run FROM runs WHERE id = $1)"

// put queues the rows of one table of a run as one statement, whatever their number: each column is an
// array, so that the statement is always the same and is prepared once a connection.
func put[T any](b *pgx.Batch, t table.Table[T], run string, rows []T) {
	if len(rows) == 0 {
		return
	}
	if !t.Append {
		rows = latest(t, rows)
	}
	fields := t.Fields(new(T))
	cells := make([]any, 0, len(rows)*len(fields))
	for i := range rows {
		cells = table.AppendValues(cells, t.Fields(&rows[i]))
	}
	args := make([]any, 1, 1+len(fields))
	args[0] = run
	for i, f := range fields {
		args = append(args, column(f.Ptr, cells[i:], len(fields)))
	}
	b.Queue(insert(t, fields), args...)
}

var inserts sync.Map // queries by name of the table

func insert[T any](t table.Table[T], fields []table.Field) string {
	if query, ok := inserts.Load(t.Name); ok {
		return query.(string)
	}
	arrays := make([]string, len(fields))
	for i, f := range fields {
		arrays[i] = fmt.Sprintf("$%d::%s[]", i+2, types[table.KindOf(f.Ptr)])
	}
	query := "INSERT INTO " + t.Name + " (run, " + strings.Join(t.Columns(), ", ") + ") SELECT " + runNumber +
		", * FROM unnest(" + strings.Join(arrays, ", ") + ")" + t.OnConflict()
	inserts.Store(t.Name, query)
	return query
}

var types = map[table.Kind]string{table.String: "text", table.Integer: "bigint", table.Fraction: "float8", table.Flag: "boolean"}

// latest drops rows that a later row of the same key replaces: one statement cannot touch a row twice.
func latest[T any](t table.Table[T], rows []T) []T {
	last := make(map[string]int, len(rows))
	keys := make([]string, len(rows))
	for i := range rows {
		keys[i] = fmt.Sprint(table.AppendValues(nil, t.Fields(&rows[i])[:t.Key])...)
		last[keys[i]] = i
	}
	if len(last) == len(rows) {
		return rows
	}
	kept := make([]T, 0, len(last))
	for i := range rows {
		if last[keys[i]] == i {
			kept = append(kept, rows[i])
		}
	}
	return kept
}

// column is every stride-th of the cells as an array of the type that holds the field.
func column(field any, cells []any, stride int) any {
	switch table.KindOf(field) {
	case table.Integer:
		return every[int64](cells, stride)
	case table.Fraction:
		return every[float64](cells, stride)
	case table.Flag:
		return every[bool](cells, stride)
	default:
		return every[string](cells, stride)
	}
}

func every[V any](cells []any, stride int) pgtype.FlatArray[*V] {
	array := make(pgtype.FlatArray[*V], 0, len(cells)/stride+1)
	for i := 0; i < len(cells); i += stride {
		if v, ok := cells[i].(V); ok {
			array = append(array, &v)
		} else {
			array = append(array, nil)
		}
	}
	return array
}

// querier is a connection, a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func collect[T any](ctx context.Context, q querier, fields func(*T) []table.Field, query string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return scan(rows, fields)
}

func scan[T any](rows pgx.Rows, fields func(*T) []table.Field) ([]T, error) {
	defer rows.Close()
	var all []T
	for rows.Next() {
		var row T
		if err := rows.Scan(table.Targets(fields(&row))...); err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, rows.Err()
}
