package pricing

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseUSD(t *testing.T) {
	for text, want := range map[string]Money{
		"3.00 USD": 3 * USD, "$3": 3 * USD, "-0.001234": -1_234_000_000, " 0.000000000001USD ": 1, "-$2.5": -5 * USD / 2,
		"9223372.036854775807": math.MaxInt64,
	} {
		got, err := ParseUSD(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for text, want := range map[string]string{
		"": "want a decimal number", "3 EUR": "want a decimal number", "1e3": "want a decimal number", ".5": "want a decimal number",
		"5.": "want a decimal number", "--1": "want a decimal number", "0.0000000000001": "at most 12 decimals",
		"9223372.036854775808": ErrOverflow.Error(), "99999999": ErrOverflow.Error(),
	} {
		_, err := ParseUSD(text)
		require.ErrorContains(t, err, want, "%q", text)
	}
}

// TestMoneyRoundTrips wants every amount to be read as it was written.
func TestMoneyRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Money(rapid.Int64().Draw(t, "pico"))
		for _, text := range []string{m.Decimal(), m.String(), m.Decimal() + " USD"} {
			if m == math.MinInt64 {
				continue // its text is right, and has no positive counterpart to be read from
			}
			got, err := ParseUSD(text)
			require.NoError(t, err, text)
			require.Equal(t, m, got, text)
		}
	})
	require.Equal(t, "$3.00", (3 * USD).String())
	require.Equal(t, "-$0.001234", Money(-1_234_000_000).String())
	require.Equal(t, "0", Money(0).Decimal())
	require.Equal(t, "-9223372.036854775808", Money(math.MinInt64).Decimal())
}

func FuzzParseUSD(f *testing.F) {
	for _, text := range []string{"3.00 USD", "-$0.1", "1e3", "", "$-1", "0.000000000001"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseUSD(text)
		if err != nil {
			return
		}
		again, err := ParseUSD(m.String())
		require.NoError(t, err)
		require.Equal(t, m, again)
	})
}

func TestSumsAreChecked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		sum, err := Money(a).Add(Money(b))
		exact := float64(a) + float64(b)
		switch {
		case math.Abs(exact) < 1<<63-2048: // far enough from the edge for a float to tell
			require.NoError(t, err)
			require.Equal(t, Money(a+b), sum)
		case math.Abs(exact) > 1<<63+2048:
			require.ErrorIs(t, err, ErrOverflow)
		}
	})
	for _, pair := range [][2]Money{{math.MaxInt64, 1}, {1, math.MaxInt64}, {math.MinInt64, -1}, {math.MinInt64, math.MinInt64}} {
		_, err := Add(pair[0], pair[1])
		require.ErrorIs(t, err, ErrOverflow)
	}
	for _, usd := range []float64{math.NaN(), math.Inf(1), 1e7, -1e7} {
		_, err := FromUSD(usd)
		require.ErrorIs(t, err, ErrOverflow, "%g", usd)
	}
}

func TestBilledDuration(t *testing.T) {
	r := Rates{GranularityUs: 100_000, MinimumUs: 250_000}
	require.Equal(t, int64(300_000), r.BilledUs(1, 0), "the minimum rounds up, too")
	require.Equal(t, int64(300_000), r.BilledUs(300_000, 500_000), "cold starts are free here")
	require.Equal(t, int64(400_000), r.BilledUs(300_001, 0))
	r.BillColdStart = true
	require.Equal(t, int64(800_000), r.BilledUs(300_000, 500_000))
	require.Equal(t, int64(7), (&Rates{}).BilledUs(7, 0), "without granularity to the microsecond")
}

// TestTotalIsTheSumOfItems wants both forms of a bill to agree, and every item
// to be quantity times price within half a pico-USD.
func TestTotalIsTheSumOfItems(t *testing.T) {
	price := rapid.Float64Range(0, 1)
	rapid.Check(t, func(t *rapid.T) {
		r := Rates{
			PerGiBSecond: price.Draw(t, "gib"), PerVCPUSecond: price.Draw(t, "vcpu"), PerRequest: price.Draw(t, "request"),
			PerEgressGiB: price.Draw(t, "egress"), PerPut: price.Draw(t, "put"), PerGet: price.Draw(t, "get"),
			PerCoreHour: price.Draw(t, "core"), GranularityUs: rapid.SampledFrom([]int64{0, 1000, 100_000}).Draw(t, "granularity"),
		}
		u := Usage{
			Requests: rapid.Int64Range(0, 2).Draw(t, "requests"), HandlerUs: rapid.Int64Range(0, 1e9).Draw(t, "handler"),
			MemMiB: rapid.IntRange(0, 10240).Draw(t, "mem"), VCPU: rapid.Float64Range(0, 6).Draw(t, "cpus"),
			EgressBytes: rapid.Int64Range(0, 1<<40).Draw(t, "bytes"), Puts: rapid.Int64Range(0, 9).Draw(t, "puts"),
			Gets: rapid.Int64Range(0, 9).Draw(t, "gets"), PrivateCoreUs: rapid.Int64Range(0, 1e12).Draw(t, "coreUs"),
		}
		items, err := r.Price(u)
		require.NoError(t, err)
		var sum Money
		for _, item := range items {
			require.NotZero(t, item.Quantity)
			sum += item.Amount
		}
		total, err := r.Total(u)
		require.NoError(t, err)
		require.Equal(t, total, sum)
	})
}

func TestPriceOverflows(t *testing.T) {
	r := Rates{PerRequest: 1e6}
	_, err := r.Price(Usage{Requests: 1000})
	require.ErrorIs(t, err, ErrOverflow)
	_, err = r.Total(Usage{Requests: 1000})
	require.ErrorIs(t, err, ErrOverflow)
}

// TestBooks checks the books against prices as the providers' pages word them.
func TestBooks(t *testing.T) {
	for _, b := range Books() {
		got, ok := Lookup(b.Name)
		require.True(t, ok)
		require.Equal(t, b, got)
		_, err := time.Parse(time.DateOnly, b.AsOf)
		require.NoError(t, err)
		require.NotEmpty(t, b.Sources, b.Name)
		for _, s := range b.Sources {
			require.True(t, strings.HasPrefix(s, "https://"), s)
		}
		require.Positive(t, b.Rates.GranularityUs)
	}
	_, ok := Lookup("azure")
	require.False(t, ok)

	lambda, _ := Lookup("aws-lambda-x86_64")
	// One million requests of 1 s with 1 GiB: 16.67 USD of GB-s and 0.20 USD of requests.
	total, err := lambda.Rates.Total(Usage{Requests: 1_000_000, HandlerUs: 1_000_000, MemMiB: 1024})
	require.NoError(t, err)
	require.InDelta(t, 16.67+0.20, total.USD(), 0.005)
	run, _ := Lookup("gcp-run-functions")
	// 100 ms steps: 101 ms with 1 vCPU and 512 MiB bills 200 ms.
	total, err = run.Rates.Total(Usage{Requests: 1, HandlerUs: 101_000, MemMiB: 512, VCPU: 1})
	require.NoError(t, err)
	require.InDelta(t, 0.2*(0.5*2.5e-6+2.4e-5)+4e-7, total.USD(), 1e-12)
}
