package workflow

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1024": 1024, "1kB": 1000, "1 KiB": 1024, "1.5GiB": 3 << 29, "2Gi": 2 << 30, "0.1MB": 100_000, "8MiB": 8 << 20,
		"1.0000000001kB": -1, "1e3": -1, "-1": -1, "+1": -1, "1 XB": -1, "": -1, "GiB": -1, "1.": -1, ".5MB": -1, "1 GiB ": -1, "NaN": -1, "9223372036854775807": -1,
		"999999999999999999": 999999999999999999, "8388607TiB": 8388607 << 40, "8388608TiB": -1, "1gb": -1, "1_000": -1, "0.0001B": 0,
	} {
		got, err := parseBytes(text)
		if want < 0 {
			require.Error(t, err, text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestParseUSD(t *testing.T) {
	for text, want := range map[string]int64{
		"3.00 USD": 3_000_000_000_000, "0.000000000001 USD": 1, "1USD": 1_000_000_000_000, "9223372 USD": 9_223_372_000_000_000_000,
		"9223372.036854775807 USD": 9_223_372_036_854_775_807, "9223372.036854775808 USD": -1, "0 USD": -1, "0.0000000000001 USD": -1,
		"3": -1, "3 EUR": -1, "-3 USD": -1, "1e3 USD": -1, "NaN USD": -1, "1,000 USD": -1, "$3": -1, "3 usd": -1, " 3 USD": -1, "999999999999999999 USD": -1,
	} {
		got, err := parseUSD(text)
		if want < 0 {
			require.Error(t, err, text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

// TestParseUSDProperty: an amount is read to the last pico-USD, without a float in between.
func TestParseUSDProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.Int64Min(1).Draw(t, "pico")
		got, err := parseUSD(fmt.Sprintf("%d.%012d USD", want/picoUSD, want%picoUSD))
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "2h30m": 150 * time.Minute, "1.5s": 1500 * time.Millisecond, "1ns": 1, "+5m": 5 * time.Minute, "8784h": 8784 * time.Hour,
		"8784h1s": 0, "0": 0, "0s": 0, "-1s": 0, "1": 0, "1d": 0, "": 0, "s": 0, "NaNs": 0, "1e400s": 0, "9999999h": 0, "0.1ns": 0, "1 h": 0,
	} {
		got, err := parseDuration(text)
		if want == 0 {
			require.Error(t, err, text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}
