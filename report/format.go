package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spillway/spillway/internal/draw"
	"github.com/spillway/spillway/pricing"
)

// usd is an amount as an exact JSON number of dollars.
type usd pricing.Money

// MarshalJSON writes all decimals there are.
func (m usd) MarshalJSON() ([]byte, error) { return []byte(pricing.Money(m).Decimal()), nil }

// seconds is a span as a JSON number, exact to the microsecond.
type seconds time.Duration

// MarshalJSON writes at most six decimals.
func (s seconds) MarshalJSON() ([]byte, error) { return []byte(decimalSeconds(time.Duration(s))), nil }

func decimalSeconds(d time.Duration) string {
	us := d.Round(time.Microsecond).Microseconds()
	whole, part := us/1_000_000, us%1_000_000
	if part == 0 {
		return strconv.FormatInt(whole, 10)
	}
	sign := ""
	if us < 0 {
		sign, whole, part = "-", -whole, -part
	}
	return strings.TrimRight(fmt.Sprintf("%s%d.%06d", sign, whole, part), "0")
}

// span says a duration to people in at most two units.
func span(d time.Duration) string { return draw.Span(d) }

// signed is a span with its sign, "+1.2 s".
func signed(d time.Duration) string {
	if d > 0 {
		return "+" + span(d)
	}
	return span(d)
}

// money says an amount to people: cents from a dollar on, else three digits.
func money(m pricing.Money) string {
	x := m.USD()
	sign := ""
	if x < 0 {
		sign, x = "-", -x
	}
	decimals := 2
	if x > 0 && x < 1 {
		decimals = min(12, max(2, 2-int(math.Floor(math.Log10(x)))))
	}
	text := strconv.FormatFloat(x, 'f', decimals, 64)
	if decimals > 2 { // no trailing zeros beyond the cents
		whole, part, _ := strings.Cut(text, ".")
		part = strings.TrimRight(part[2:], "0")
		text = whole + "." + text[len(whole)+1:len(whole)+3] + part
	}
	return sign + "$" + text
}

// clean makes arbitrary text safe for one line of a terminal.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return '·'
	}, s)
}

// fit cuts text to a width and pads it there.
func fit(s string, width int) string {
	runes := []rune(s)
	if len(runes) > width {
		keep := max(width-1, 0)
		return string(runes[:keep]) + "…"[:len("…")*min(1, width)]
	}
	return s + strings.Repeat(" ", width-len(runes))
}

// plural counts things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}
