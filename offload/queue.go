package offload

import "math/bits"

// rankSet is a set of small integers with a fast "next at or after": a bitmap
// with a summary bitmap above it. Ready tasks sit in it by their plan rank, so
// that passing over one costs nothing.
type rankSet struct {
	words, summary []uint64
	count          int
}

func (s *rankSet) reset(n int) {
	s.words = zeroed(s.words, (n+63)/64)
	s.summary = zeroed(s.summary, (len(s.words)+63)/64)
	s.count = 0
}

func (s *rankSet) add(k int32) {
	s.words[k>>6] |= 1 << (k & 63)
	s.summary[k>>12] |= 1 << (k >> 6 & 63)
	s.count++
}

func (s *rankSet) remove(k int32) {
	s.words[k>>6] &^= 1 << (k & 63)
	if s.words[k>>6] == 0 {
		s.summary[k>>12] &^= 1 << (k >> 6 & 63)
	}
	s.count--
}

// next is the smallest member at or after k, or -1.
func (s *rankSet) next(k int32) int32 {
	w := int(k >> 6)
	if w >= len(s.words) {
		return -1
	}
	if m := s.words[w] >> (k & 63); m != 0 {
		return k + int32(bits.TrailingZeros64(m))
	}
	w++
	for v := w >> 6; v < len(s.summary); v++ {
		m := s.summary[v]
		if v == w>>6 {
			m &= ^uint64(0) << (w & 63)
		}
		if m != 0 {
			w = v<<6 + bits.TrailingZeros64(m)
			return int32(w<<6 + bits.TrailingZeros64(s.words[w]))
		}
	}
	return -1
}

// zeroed is a slice of n zero values, reusing s where it is large enough.
func zeroed[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

// event is something that happens at an instant; seq keeps the order of
// equal instants.
type event struct {
	at   int64
	seq  uint32
	kind uint8
	arg  int32
}

const (
	finished uint8 = iota // arg: task
	arrived               // arg: stage
	released              // arg: task, its not-before time has come
	returned              // arg: reservation
	opened                // arg: workflow, its release has come
	ramped                // arg: provider, it may start a new container again
	copied                // arg: task, its copy has finished
)

// events is a 4-ary min-heap: half the levels of a binary one, and the four
// children share cache lines.
type events []event

func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

func (h *events) push(x event) {
	all := append(*h, x)
	k := len(all) - 1
	for k > 0 {
		up := (k - 1) / 4
		if !x.before(&all[up]) {
			break
		}
		all[k] = all[up]
		k = up
	}
	all[k] = x
	*h = all
}

func (h *events) pop() event {
	all := *h
	top, last := all[0], len(all)-1
	x := all[last]
	all = all[:last]
	for k := 0; last > 0; {
		best := 4*k + 1
		if best >= last {
			all[k] = x
			break
		}
		for c := best + 1; c < min(4*k+5, last); c++ {
			if all[c].before(&all[best]) {
				best = c
			}
		}
		if !all[best].before(&x) {
			all[k] = x
			break
		}
		all[k] = all[best]
		k = best
	}
	*h = all
	return top
}

// numbers is the same heap of plain numbers. It is written out again, since the
// comparison of a generic heap is called and not inlined, and decodes live on it.
type numbers []uint64

func (h *numbers) push(x uint64) {
	all := append(*h, x)
	k := len(all) - 1
	for k > 0 {
		up := (k - 1) / 4
		if x >= all[up] {
			break
		}
		all[k] = all[up]
		k = up
	}
	all[k] = x
	*h = all
}

func (h *numbers) pop() uint64 {
	all := *h
	top, last := all[0], len(all)-1
	x := all[last]
	all = all[:last]
	for k := 0; last > 0; {
		best := 4*k + 1
		if best >= last {
			all[k] = x
			break
		}
		for c := best + 1; c < min(4*k+5, last); c++ {
			if all[c] < all[best] {
				best = c
			}
		}
		if all[best] >= x {
			all[k] = x
			break
		}
		all[k] = all[best]
		k = best
	}
	*h = all
	return top
}
