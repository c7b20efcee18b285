// Package pricing is the one place where use becomes money. It holds dated
// price books with their sources, and turns measured or planned Usage into
// LineItems, each rounded once to a pico-USD. The planner's simulator, the
// reports and the sandbox's ledger all bill through it.
package pricing

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Money is an amount in pico-USD (1e-12 USD); the type reaches about 9.2
// million USD either way. Additions that could overflow go through Add.
type Money int64

// USD is one US dollar.
const USD Money = 1_000_000_000_000

const decimals = 12

// ErrOverflow reports an amount outside Money's range.
var ErrOverflow = errors.New("amount exceeds about 9.2 million USD")

// FromUSD rounds dollars to the nearest pico-USD, halves away from zero. The
// error is ErrOverflow, also for NaN and infinities.
func FromUSD(usd float64) (Money, error) {
	pico := math.Round(usd * float64(USD))
	if !(math.Abs(pico) < 1<<63) {
		return 0, ErrOverflow
	}
	return Money(pico), nil
}

// MulRate is quantity times a price in USD a unit, rounded once.
func MulRate(quantity, usdPerUnit float64) (Money, error) {
	return FromUSD(float64(quantity * usdPerUnit))
}

// Add is the sum of all amounts, or ErrOverflow.
func Add(amounts ...Money) (Money, error) {
	var sum Money
	for _, a := range amounts {
		next := sum + a
		if (a > 0) != (next > sum) && a != 0 {
			return 0, ErrOverflow
		}
		sum = next
	}
	return sum, nil
}

// Add is m + o, or ErrOverflow.
func (m Money) Add(o Money) (Money, error) { return Add(m, o) }

// USD is the amount in dollars, rounded to a float64: for display and JSON
// numbers, never for further sums.
func (m Money) USD() float64 { return float64(m) / float64(USD) }

// Decimal is the exact amount in dollars without trailing zeros: "0.001234".
func (m Money) Decimal() string {
	sign, abs := "", uint64(m)
	if m < 0 {
		sign, abs = "-", -abs
	}
	whole, part := abs/uint64(USD), abs%uint64(USD)
	if part == 0 {
		return sign + strconv.FormatUint(whole, 10)
	}
	text := fmt.Sprintf("%s%d.%0*d", sign, whole, decimals, part)
	return strings.TrimRight(text, "0")
}

// String is the exact amount with its sign and currency, at least two
// decimals: "$3.00", "-$0.001234".
func (m Money) String() string {
	text, negative := strings.CutPrefix(m.Decimal(), "-")
	whole, part, _ := strings.Cut(text, ".")
	for len(part) < 2 {
		part += "0"
	}
	if negative {
		whole = "-$" + whole
	} else {
		whole = "$" + whole
	}
	return whole + "." + part
}

// ParseUSD reads an exact decimal amount: "3.00 USD", "$3", "-0.001234", with
// at most twelve decimals. It refuses exponents, other currencies and amounts
// that Money cannot hold.
func ParseUSD(text string) (Money, error) {
	s := strings.TrimSpace(text)
	s = strings.TrimSpace(strings.TrimSuffix(s, "USD"))
	s, negative := strings.CutPrefix(s, "-")
	s = strings.TrimPrefix(s, "$")
	whole, part, dotted := strings.Cut(s, ".")
	if !digits(whole) || dotted && !digits(part) {
		return 0, fmt.Errorf("amount %q: want a decimal number of US dollars, for example \"3.00 USD\"", text)
	}
	if len(part) > decimals {
		return 0, fmt.Errorf("amount %q: at most %d decimals", text, decimals)
	}
	joined := whole + part + strings.Repeat("0", decimals-len(part))
	if negative {
		joined = "-" + joined
	}
	pico, err := strconv.ParseInt(joined, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("amount %q: %w", text, ErrOverflow)
	}
	return Money(pico), nil
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
