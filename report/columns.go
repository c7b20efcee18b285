package report

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/spillway/spillway/pricing"
)

func (q *Query) groupColumn() column {
	name := string(q.GroupBy)
	return column{name: name, head: name, text: func(r *tableRow) string { return r.group }}
}

var runsColumn = countColumn("runs", "runs", func(r *tableRow) int { return r.runs })

func countColumn(name, head string, of func(*tableRow) int) column {
	return column{name, head, func(r *tableRow) string { return strconv.Itoa(of(r)) }, func(r *tableRow) any { return of(r) }}
}

func moneyColumn(name, head string, of func(*tableRow) pricing.Money) column {
	return column{name, head, func(r *tableRow) string { return of(r).Decimal() }, func(r *tableRow) any { return usd(of(r)) }}
}

// spanColumn is empty, or null, where there is no span.
func spanColumn(name, head string, of func(*tableRow) (time.Duration, bool)) column {
	text := func(r *tableRow) string {
		if d, ok := of(r); ok {
			return decimalSeconds(d)
		}
		return ""
	}
	return column{name, head, text, func(r *tableRow) any {
		if d, ok := of(r); ok {
			return seconds(d)
		}
		return nil
	}}
}

// number is a decimal text as a JSON number, null without text.
func number(text string) any {
	if text == "" {
		return nil
	}
	return json.Number(text)
}
