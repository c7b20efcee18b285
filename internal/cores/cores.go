// Package cores does work side by side for packages that start no goroutines.
package cores

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Each calls a job for 0 to jobs-1, as many at once as Go may use cores, and
// returns when all have ended.
func Each(jobs int, job func(k int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(jobs, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for k := int(next.Add(1)) - 1; k < jobs; k = int(next.Add(1)) - 1 {
				job(k)
			}
		})
	}
	wg.Wait()
}
