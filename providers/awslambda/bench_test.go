package awslambda

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/artifact"
	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/providers"
	"github.com/spillway/spillway/providers/sandbox"
)

// BenchmarkExecute is a whole attempt on the sandbox: SDK, signature, Lambda API, Runtime API, a shell in an isolated
// instance, the manifest in the object store, the ledger on disk.
func BenchmarkExecute(b *testing.B) {
	box := startSandbox(b, sandbox.Config{})
	site := connect(b, box, box.URL, func(c *Config) { c.Sizes = []int{1769} })
	deploy(b, site)
	store := &artifact.Remote{BaseURL: box.URL, Secret: box.Objects}
	var count atomic.Int64
	attempt := func(line string) providers.Invocation {
		id := fmt.Sprint("b", count.Add(1))
		o := envelope.Object{Key: id}
		o.Get, _ = store.Sign(context.Background(), "GET", id, time.Hour)
		o.Put, _ = store.Sign(context.Background(), "PUT", id, time.Hour)
		return providers.Invocation{MemoryMiB: 1769, Envelope: envelope.Invocation{Protocol: envelope.Protocol, Run: "bench",
			Task: "t", Attempt: id, Command: envelope.Command{Shell: line}, Manifest: o}}
	}
	execute := func(b *testing.B, line string) providers.Result {
		r := site.Execute(context.Background(), attempt(line))
		require.Nil(b, r.Err)
		return r
	}
	b.Run("cold", func(b *testing.B) {
		var init time.Duration
		for range b.N {
			b.StopTimer()
			for !site.Execute(context.Background(), attempt("kill -QUIT $PPID; sleep 5")).Usage.Cold {
			}
			b.StartTimer()
			init += execute(b, "true").Usage.Init
		}
		b.ReportMetric(float64(init.Microseconds())/float64(b.N), "init-us/op")
	})
	b.Run("warm", func(b *testing.B) {
		execute(b, "true")
		for b.Loop() {
			execute(b, "true")
		}
	})
	b.Run("parallel=8", func(b *testing.B) {
		b.SetParallelism(4)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				execute(b, "true")
			}
		})
	})
}
