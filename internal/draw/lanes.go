package draw

import (
	"cmp"
	"slices"
	"time"
)

// Bar is one execution, or transfer, in time from the start of the picture.
type Bar struct {
	From, To time.Duration
	Width    int    // lanes it covers, as many as it has cores; 0: 1
	Lane     int    // of a wire, whose bars may overlap
	Task     int    // of the caller
	Label    string // written inside where there is room
	Note     string // shown when pointed at
	Failed   bool
	Going    bool // not finished yet
}

func (b *Bar) lanes() int { return max(b.Width, 1) }

// SortBars puts bars into the order in which they are drawn: of their beginning.
func SortBars(bars []Bar) {
	slices.SortStableFunc(bars, func(a, b Bar) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Task, b.Task))
	})
}

// AtOnce is the most lanes that sorted bars take at any time.
func AtOnce(bars []Bar) int {
	_, lanes := pack(bars, 0)
	return lanes
}

// Usage is the mean number of lanes in use in each of n equal parts of a span.
func Usage(bars []Bar, total time.Duration, n int) []float64 {
	out := make([]float64, n)
	part := float64(total) / float64(n)
	for i := range bars {
		b := &bars[i]
		first := min(int(float64(b.From)/part), n-1)
		for k := max(first, 0); k < n && float64(k)*part < float64(b.To); k++ {
			overlap := min(float64(b.To), float64(k+1)*part) - max(float64(b.From), float64(k)*part)
			out[k] += max(0, overlap) / part * float64(b.lanes())
		}
	}
	return out
}

// piece is a part of a bar: lanes side by side.
type piece struct {
	bar, lane, lanes int
}

// pack gives each of the sorted bars lanes that are free from its beginning to
// its end: side by side where possible, apart rather than more lanes than there
// are cores.
func pack(bars []Bar, cores int) (pieces []piece, lanes int) {
	var free []time.Duration // by lane: when it is free again
	for k := range bars {
		b := &bars[k]
		at := adjacent(free, b)
		if at < 0 && len(free)+b.lanes() <= cores {
			at = len(free)
		}
		if at >= 0 || cores == 0 {
			pieces = append(pieces, piece{k, place(&free, at, b), b.lanes()})
			continue
		}
		pieces = append(pieces, scatter(&free, k, b)...)
	}
	return pieces, len(free)
}

// adjacent is the first of enough free lanes side by side, or -1.
func adjacent(free []time.Duration, b *Bar) int {
	run := 0
	for lane, until := range free {
		if until > b.From {
			run = 0
		} else if run++; run == b.lanes() {
			return lane - run + 1
		}
	}
	return -1
}

// place takes lanes side by side: from at on, or new ones above those in use.
func place(free *[]time.Duration, at int, b *Bar) int {
	if at < 0 {
		at = len(*free)
		for at > 0 && (*free)[at-1] <= b.From { // the topmost lanes may be free, and only too few
			at--
		}
	}
	for lane := at; lane < at+b.lanes(); lane++ {
		if lane == len(*free) {
			*free = append(*free, 0)
		}
		(*free)[lane] = b.To
	}
	return at
}

// scatter takes the lowest free lanes, wherever they are.
func scatter(free *[]time.Duration, k int, b *Bar) (pieces []piece) {
	left := b.lanes()
	for lane := 0; left > 0; lane++ {
		if lane == len(*free) {
			*free = append(*free, 0)
		}
		if (*free)[lane] > b.From {
			continue
		}
		(*free)[lane] = b.To
		left--
		if n := len(pieces); n > 0 && pieces[n-1].lane+pieces[n-1].lanes == lane {
			pieces[n-1].lanes++
		} else {
			pieces = append(pieces, piece{k, lane, 1})
		}
	}
	return pieces
}

// merge joins bars of one lane that overlap or nearly touch.
func merge(bars []Bar, nearly time.Duration) []Bar {
	var out []Bar
	for _, b := range bars {
		if n := len(out); n > 0 && b.From <= out[n-1].To+nearly {
			out[n-1].To = max(out[n-1].To, b.To)
		} else {
			out = append(out, b)
		}
	}
	return out
}
