package offload

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/spillway/spillway/pricing"
)

func TestEntitleExamples(t *testing.T) {
	for _, c := range []struct {
		name     string
		capacity int64
		demand   []int64
		weight   []float64
		want     []int64
	}{
		{"all satisfied", 100, []int64{10, 20}, []float64{1, 1}, []int64{10, 20}},
		{"even", 100, []int64{80, 80}, []float64{1, 1}, []int64{50, 50}},
		{"by weight", 90, []int64{80, 80}, []float64{2, 1}, []int64{60, 30}},
		{"what one leaves is for the others", 90, []int64{10, 80, 80}, []float64{1, 1, 1}, []int64{10, 40, 40}},
		{"want is measured by weight", 90, []int64{50, 45}, []float64{2, 1}, []int64{50, 40}},
		{"no weight, no claim", 50, []int64{50, 50}, []float64{1, 0}, []int64{50, 0}},
		{"nobody", 50, nil, nil, []int64{}},
	} {
		require.Equal(t, c.want, Entitle(c.capacity, c.demand, c.weight), c.name)
	}
}

// TestEntitleIsMaxMinFair: nobody gets more than it wants, nothing is left while
// somebody wants, and who gets less for its weight than another wants no more.
func TestEntitleIsMaxMinFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "projects")
		demand := rapid.SliceOfN(rapid.Int64Range(0, 1_000_000), n, n).Draw(t, "demand")
		weight := rapid.SliceOfN(rapid.Float64Range(0.01, 10), n, n).Draw(t, "weight")
		capacity := rapid.Int64Range(0, 3_000_000).Draw(t, "capacity")
		got := Entitle(capacity, demand, weight)
		var given, wanted int64
		for k := range got {
			require.LessOrEqual(t, got[k], demand[k])
			require.GreaterOrEqual(t, got[k], int64(0))
			given += got[k]
			wanted += demand[k]
		}
		require.LessOrEqual(t, given, capacity)
		require.GreaterOrEqual(t, given, min(capacity, wanted)-int64(n), "something is left over")
		for a := range got {
			for b := range got {
				if got[a] < demand[a] { // whole numbers: up to n may be off
					mine, others := float64(got[a]+int64(n))/weight[a], float64(got[b]-int64(n))/weight[b]
					require.GreaterOrEqual(t, mine*1.0001, others, "%d could give to %d", b, a)
				}
			}
		}
	})
}

func TestSettleExamples(t *testing.T) {
	got := Settle(100, []int64{50, 80}, []int64{50, 40})
	require.Equal(t, []pricing.Money{0, 100}, got, "who is within its share pays nothing")
	require.Equal(t, []pricing.Money{25, 75}, Settle(100, []int64{50, 70}, []int64{40, 40}))
	require.Equal(t, []pricing.Money{40, 60}, Settle(100, []int64{40, 60}, []int64{40, 60}), "nobody exceeds its share")
	require.Equal(t, []pricing.Money{0, 7}, Settle(7, []int64{0, 0}, []int64{0, 0}))
}

func TestSettleAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "projects")
		demand := rapid.SliceOfN(rapid.Int64Range(0, 1_000_000), n, n).Draw(t, "demand")
		weight := rapid.SliceOfN(rapid.Float64Range(0.01, 10), n, n).Draw(t, "weight")
		bill := pricing.Money(rapid.Int64Range(0, 1e15).Draw(t, "bill"))
		entitled := Entitle(rapid.Int64Range(0, 3_000_000).Draw(t, "capacity"), demand, weight)
		var sum pricing.Money
		for _, part := range Settle(bill, demand, entitled) {
			require.GreaterOrEqual(t, part, pricing.Money(0))
			sum += part
		}
		require.Equal(t, bill, sum)
	})
}

// TestBucket: work is earned at the project's rate, one piece after another, and
// idle time is not saved up.
func TestBucket(t *testing.T) {
	var b Bucket
	require.Equal(t, int64(50), b.Take(0, 100, 2))
	require.Equal(t, int64(100), b.Take(10, 100, 2), "the first piece comes first")
	require.Equal(t, int64(1050), b.Take(1000, 100, 2), "waiting earns nothing")
	require.Equal(t, int64(1050), b.Take(1001, 0, 2))
	require.Equal(t, int64(1050)+100_000, b.Take(1001, 100, 0), "no rate is a thousandth of a core")
}
