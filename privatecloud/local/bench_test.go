//go:build linux || darwin

package local

import (
	"context"
	"os/exec"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkRaw and BenchmarkExecute start the same command, as parallel as this machine has cores: what
// the second takes longer is what an attempt costs beyond its process.
func BenchmarkRaw(b *testing.B) {
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := exec.Command("/bin/sh", "-c", "true").Run(); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkExecute(b *testing.B) {
	bed := newBed(b, Node{Name: "n0", Cores: runtime.GOMAXPROCS(0), MemoryMiB: 1024})
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := bed.Execute(context.Background(), bed.invocation("true"))
			if r.Err != nil || r.Manifest.Failure != nil {
				b.Error(r.Err, r.Manifest.Failure)
			}
		}
	})
	b.StopTimer()
	_, err := bed.Reap("r1")
	require.NoError(b, err)
}
