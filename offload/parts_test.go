package offload

import (
	"cmp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestProfileAgainstAnArray compares the step function with one cell a tick.
func TestProfileAgainstAnArray(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const ticks = 60
		limit := rapid.IntRange(1, 4).Draw(t, "limit")
		f := newProfile(limit)
		var use [ticks]int
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			ready, took := rapid.Int64Range(0, 20).Draw(t, "ready"), rapid.Int64Range(0, 6).Draw(t, "took")
			need := rapid.IntRange(1, limit).Draw(t, "need")
			start := f.find(ready, took, need)
			require.Equal(t, plainFind(use[:], limit, ready, took, need), start)
			if start+took >= ticks {
				break
			}
			f.add(start, took, need)
			for k := start; k < start+took; k++ {
				use[k] += need
			}
		}
		for k := range f.use[1:] {
			require.NotEqual(t, f.use[k], f.use[k+1], "neighbouring steps differ")
		}
	})
}

// plainFind is the first start whose every tick has room; no time at all needs
// room at its tick, too.
func plainFind(use []int, limit int, ready, took int64, need int) int64 {
	for start := ready; ; start++ {
		ok := true
		for k := start; k < start+max(took, 1) && k < int64(len(use)); k++ {
			ok = ok && use[k]+need <= limit
		}
		if ok {
			return start
		}
	}
}

func TestRankSetAgainstAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const n = 9000 // more than one word of the summary
		var s rankSet
		s.reset(n)
		in := map[int32]bool{}
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			k := rapid.SampledFrom([]int32{0, 1, 63, 64, 4095, 4096, 4100, 8191, 8192, n - 1}).Draw(t, "k")
			if in[k] {
				s.remove(k)
				delete(in, k)
			} else {
				s.add(k)
				in[k] = true
			}
			from := rapid.Int32Range(0, n+100).Draw(t, "from")
			want := int32(-1)
			for m := range in {
				if m >= from && (want < 0 || m < want) {
					want = m
				}
			}
			require.Equal(t, want, s.next(from))
			require.Equal(t, len(in), s.count)
		}
	})
}

func TestHeapsSort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h events
		var plain numbers
		at := rapid.SliceOf(rapid.Uint64Range(0, 9)).Draw(t, "at")
		for k, x := range at {
			h.push(event{at: int64(x), seq: uint32(k), arg: int32(k)})
			plain.push(x)
		}
		seq := slices.Repeat([]int32{0}, len(at))
		for k := range seq {
			seq[k] = int32(k)
		}
		slices.SortStableFunc(seq, func(a, b int32) int { return cmp.Compare(at[a], at[b]) })
		for _, k := range seq {
			require.Equal(t, k, h.pop().arg)
			require.Equal(t, at[k], plain.pop())
		}
		require.Empty(t, h)
		require.Empty(t, plain)
	})
}

// TestCutIsTheCheapestChoice compares the minimum cut with every subset.
func TestCutIsTheCheapestChoice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 7).Draw(t, "n")
		p := &Problem{}
		price := rapid.SliceOfN(rapid.Int64Range(0, 9), n, n)
		stay, buy := price.Draw(t, "stay"), price.Draw(t, "buy")
		egress := price.Draw(t, "egress")
		for i := range n {
			p.Files = append(p.Files, File{Size: 1})
			task := Task{Cores: 1, Out: []int32{int32(i)}}
			for j := range i {
				if rapid.Bool().Draw(t, "reads") {
					task.In = append(task.In, int32(j))
				}
			}
			p.Tasks = append(p.Tasks, task)
		}
		p.Platform = Platform{WAN: WAN{UpBps: 1, DownBps: 1}}
		require.NoError(t, p.Prepare())

		total, bought := newCut(p, stay, buy, egress).solve()
		least, fewest := int64(1<<40), n
		for mask := range 1 << n {
			cost, size := plainCut(p, stay, buy, egress, mask)
			if cost < least || cost == least && size < fewest {
				least, fewest = cost, size
			}
		}
		require.Equal(t, least, total)
		mask, size := 0, 0
		for i, b := range bought {
			if b {
				mask |= 1 << i
				size++
			}
		}
		cost, _ := plainCut(p, stay, buy, egress, mask)
		require.Equal(t, least, cost, "the set has the cost of the cut")
		require.Equal(t, fewest, size, "and is the smallest of them")
	})
}

// plainCut is the price of buying the tasks of mask, and how many those are.
func plainCut(p *Problem, stay, buy, egress []int64, mask int) (cost int64, size int) {
	in := func(i int32) bool { return mask>>i&1 == 1 }
	for i := range int32(len(p.Tasks)) {
		if !in(i) {
			cost += stay[i]
			continue
		}
		cost += buy[i]
		size++
		if slices.ContainsFunc(p.readers.of(int(i)), func(j int32) bool { return !in(j) }) {
			cost += egress[i] // file i is written by task i
		}
	}
	return cost, size
}
