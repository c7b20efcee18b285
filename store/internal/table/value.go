package table

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/workflow"
)

const replacement = "\uFFFD"

// Text is s as both databases can hold it: Postgres refuses NUL and what is not UTF-8, so that either
// becomes U+FFFD. Logs of tasks hold such bytes, and a run must not stop for it.
func Text(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, replacement), "\x00", replacement)
}

// Micros is an instant as it is kept: nil for "not yet".
func Micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func value(ptr any) any {
	switch p := ptr.(type) {
	case *int:
		return int64(*p)
	case *int64:
		return *p
	case *pricing.Money:
		return int64(*p)
	case *time.Duration:
		return int64(*p)
	case *time.Time:
		return Micros(*p)
	case *bool:
		return *p
	case *float64:
		return *p
	case *json.RawMessage:
		if *p == nil {
			return nil
		}
		return Text(string(*p))
	}
	if p, ok := text(ptr); ok {
		return Text(*p)
	}
	panic(fmt.Sprintf("table: no column holds a %T", ptr))
}

// target gives what both database/sql and pgx scan into without reflection.
func target(ptr any) any {
	switch p := ptr.(type) {
	case *pricing.Money:
		return (*int64)(p)
	case *time.Duration:
		return (*int64)(p)
	case *time.Time:
		return (*instant)(p)
	case *json.RawMessage:
		return (*[]byte)(p)
	}
	if p, ok := text(ptr); ok {
		return p
	}
	return ptr
}

// Kind is what a column holds.
type Kind int

// The kinds; each may be NULL.
const (
	String Kind = iota
	Integer
	Fraction
	Flag
)

// KindOf is the kind of the column that holds the field at ptr.
func KindOf(ptr any) Kind {
	switch ptr.(type) {
	case *int, *int64, *pricing.Money, *time.Duration, *time.Time:
		return Integer
	case *float64:
		return Fraction
	case *bool:
		return Flag
	}
	return String
}

func text(ptr any) (*string, bool) {
	switch p := ptr.(type) {
	case *string:
		return p, true
	case *workflow.RunState:
		return (*string)(p), true
	case *workflow.TaskState:
		return (*string)(p), true
	case *workflow.AttemptState:
		return (*string)(p), true
	case *workflow.TransferState:
		return (*string)(p), true
	}
	return nil, false
}

type instant time.Time

// Scan implements sql.Scanner, which pgx honours too.
func (i *instant) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*i = instant{}
	case int64:
		*i = instant(time.UnixMicro(v).UTC())
	default:
		return fmt.Errorf("an instant is kept as microseconds, not as %T", src)
	}
	return nil
}
