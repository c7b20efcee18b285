package table

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/workflow"
)

// TestEveryFieldHasAColumn finds a field that was added to a record and forgotten here.
func TestEveryFieldHasAColumn(t *testing.T) {
	var r workflow.RunRecord
	check(t, &r, append(Run(&r), Head(&r)...))
	checkTable(t, Tasks)
	checkTable(t, Attempts)
	checkTable(t, Files)
	checkTable(t, Transfers)
	checkTable(t, Items)
	checkTable(t, Events)
	checkTable(t, Outbox)
}

func checkTable[T any](t *testing.T, table Table[T]) {
	row := new(T)
	check(t, row, table.Fields(row))
}

func check(t *testing.T, record any, fields []Field) {
	t.Helper()
	v := reflect.ValueOf(record).Elem()
	columns, at := map[string]bool{}, map[uintptr]bool{}
	for _, f := range fields {
		require.False(t, columns[f.Column], "%s is there twice", f.Column)
		columns[f.Column], at[reflect.ValueOf(f.Ptr).Pointer()] = true, true
		require.NotPanics(t, func() { AppendValues(nil, []Field{f}) }, f.Column)
	}
	for i := range v.NumField() {
		require.True(t, at[v.Field(i).Addr().Pointer()], "%s.%s has no column", v.Type().Name(), v.Type().Field(i).Name)
	}
	require.Len(t, fields, v.NumField())
}

func TestInstant(t *testing.T) {
	var i instant
	require.Error(t, i.Scan("2026-01-01"))
	require.NoError(t, i.Scan(int64(1)))
	require.Equal(t, time.UnixMicro(1).UTC(), time.Time(i))
	require.NoError(t, i.Scan(nil))
	require.True(t, time.Time(i).IsZero())
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "plain", "a\x00b", "\xff\xfe", "é\xc3", "\uFFFD", strings.Repeat("\x00\xff", 9)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Text(s)
		if !utf8.ValidString(got) || strings.Contains(got, "\x00") {
			t.Fatalf("Text(%q) = %q: not storable", s, got)
		}
		if Text(got) != got {
			t.Fatalf("Text(%q) is not stable", s)
		}
		if utf8.ValidString(s) && !strings.Contains(s, "\x00") && got != s {
			t.Fatalf("Text(%q) = %q: changed what could be kept", s, got)
		}
	})
}
