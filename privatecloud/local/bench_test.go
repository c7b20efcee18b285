//go:build linux || darwin

package local

import (
	"context"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkRaw and BenchmarkExecute start the same command, as parallel as this machine has cores: what
// the second takes longer is what an attempt costs beyond its process. cpu-us/op is processor time, of this
// process and of the commands, which other programs of the machine disturb less.
func BenchmarkRaw(b *testing.B) {
	parallel(b, func() error { return exec.Command("/bin/sh", "-c", "true").Run() })
}

func BenchmarkExecute(b *testing.B) {
	bed := newBed(b, Node{Name: "n0", Cores: runtime.GOMAXPROCS(0), MemoryMiB: 1024})
	parallel(b, func() error {
		r := bed.Execute(context.Background(), bed.invocation("true"))
		if r.Err != nil {
			return r.Err
		}
		require.Nil(b, r.Manifest.Failure)
		return nil
	})
	_, err := bed.Reap("r1")
	require.NoError(b, err)
}

func parallel(b *testing.B, f func() error) {
	b.ResetTimer()
	before := processorTime()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := f(); err != nil {
				b.Error(err)
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64((processorTime()-before).Microseconds())/float64(b.N), "cpu-us/op")
}

// processorTime is what this process and its children have used.
func processorTime() (sum time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}
