package offload

import "slices"

// profile is capacity in use as a step function of time: use[k] holds from
// at[k] to at[k+1], the last step for ever. Neighbouring steps differ, so a
// saturated stretch is one step however many tasks it holds.
type profile struct {
	limit int
	at    []int64
	use   []int
}

func newProfile(limit int) *profile {
	return &profile{limit: limit, at: []int64{0}, use: []int{0}}
}

// step is the index of the step that holds at time t >= 0.
func (f *profile) step(t int64) int {
	k, exact := slices.BinarySearch(f.at, t)
	if exact {
		return k
	}
	return k - 1
}

// find is the earliest start at or after ready with need free for that long.
// Need must be at most the limit, and use must be 0 in the end.
func (f *profile) find(ready, took int64, need int) int64 {
	start := ready
	for k := f.step(ready); k < len(f.at); k++ {
		if f.use[k]+need > f.limit {
			if k+1 < len(f.at) {
				start = f.at[k+1]
			}
			continue
		}
		if k+1 == len(f.at) || f.at[k+1] >= start+took {
			return start
		}
	}
	return start
}

// add takes need from start on for that long; it may exceed the limit.
func (f *profile) add(start, took int64, need int) {
	if took <= 0 || need == 0 {
		return
	}
	a := f.cut(start)
	b := f.cut(start + took)
	for k := a; k < b; k++ {
		f.use[k] += need
	}
	f.join(b)
	f.join(a)
}

// cut makes a step begin at t and returns it.
func (f *profile) cut(t int64) int {
	k := f.step(t)
	if f.at[k] == t {
		return k
	}
	f.at = slices.Insert(f.at, k+1, t)
	f.use = slices.Insert(f.use, k+1, f.use[k])
	return k + 1
}

// join drops a step that continues the one before it.
func (f *profile) join(k int) {
	if k > 0 && f.use[k] == f.use[k-1] {
		f.at = slices.Delete(f.at, k, k+1)
		f.use = slices.Delete(f.use, k, k+1)
	}
}
