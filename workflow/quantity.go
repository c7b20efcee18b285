package workflow

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"time"
)

// maxDuration is the longest span a definition may name.
const maxDuration = 366 * 24 * time.Hour

// parseDuration reads a Go duration, positive and at most maxDuration.
func parseDuration(text string) (time.Duration, error) {
	span, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s is not a duration", quoteShort(text))
	case span <= 0:
		return 0, fmt.Errorf("%s is not above zero", short(text))
	case span > maxDuration:
		return 0, fmt.Errorf("%s is longer than 366 days", short(text))
	}
	return span, nil
}

var byteUnits = map[string]int64{
	"": 1, "B": 1,
	"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
}

var bytesForm = regexp.MustCompile(`^([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([A-Za-z]*)$`)

// parseBytes reads a size: a whole number of bytes, or a number with a unit.
func parseBytes(text string) (int64, error) {
	m := bytesForm.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%s is not a size", quoteShort(text))
	}
	unit, known := byteUnits[m[2]]
	if !known {
		return 0, fmt.Errorf("%s is not a unit of size", quoteShort(m[2]))
	}
	x, err := scaled(m[1], unit)
	if err != nil {
		return 0, fmt.Errorf("%s is %w", short(text), err)
	}
	return x, nil
}

var moneyForm = regexp.MustCompile(`^([0-9]{1,18}(?:\.[0-9]{1,12})?) ?USD$`)

// picoUSD is how many pico-USD are a USD.
const picoUSD = 1_000_000_000_000

// parseUSD reads an amount above zero as in "3.00 USD", in pico-USD.
func parseUSD(text string) (int64, error) {
	m := moneyForm.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%s is not an amount in USD of at most 12 decimals", quoteShort(text))
	}
	x, err := scaled(m[1], picoUSD)
	switch {
	case err != nil:
		return 0, errors.New("more than the 9.2 million USD that can be counted")
	case x == 0:
		return 0, errors.New("0 USD buys nothing")
	}
	return x, nil
}

// scaled multiplies a decimal text exactly; a fraction of a unit is cut.
func scaled(text string, factor int64) (int64, error) {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return 0, errors.New("not a number")
	}
	r.Mul(r, new(big.Rat).SetInt64(factor))
	whole := new(big.Int).Quo(r.Num(), r.Denom())
	if !whole.IsInt64() {
		return 0, errors.New("absurdly large")
	}
	return whole.Int64(), nil
}
