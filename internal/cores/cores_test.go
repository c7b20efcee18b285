package cores

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEachCallsEveryJobOnce(t *testing.T) {
	for _, jobs := range []int{0, 1, 7, 1000} {
		calls := make([]int, jobs)
		Each(jobs, func(k int) { calls[k]++ })
		for k := range calls {
			require.Equal(t, 1, calls[k], "job %d of %d", k, jobs)
		}
	}
}

// TestEachWorksSideBySide: jobs that wait for each other end only when they run
// at once.
func TestEachWorksSideBySide(t *testing.T) {
	n := runtime.GOMAXPROCS(0)
	if n < 2 {
		t.Skip("one core")
	}
	met := make(chan bool)
	Each(2, func(k int) {
		if k == 0 {
			met <- true
		} else {
			<-met
		}
	})
}
