//go:build linux || darwin

package local

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/artifact"
	"github.com/spillway/spillway/providers"
)

// Two engines are two openings of the same files: a lock belongs to the opening.
func TestEnginesShareCores(t *testing.T) {
	dir, nodes := t.TempDir(), []Node{{Cores: 1}, {Cores: 3}}
	var used, most atomic.Int32
	var all sync.WaitGroup
	for range 3 {
		c, err := openCores(dir, nodes)
		require.NoError(t, err)
		for _, n := range []int{1, 2, 3} {
			all.Go(func() {
				for range 30 {
					taken, err := c.take(t.Context(), 1, n)
					if err != nil || len(taken) != n {
						t.Errorf("%v, %v", taken, err)
						return
					}
					now := used.Add(int32(n))
					for was := most.Load(); now > was && !most.CompareAndSwap(was, now); was = most.Load() {
					}
					<-time.After(100 * time.Microsecond) // long enough for another to come
					used.Add(int32(-n))
					c.give(1, taken)
				}
			})
		}
	}
	all.Wait()
	require.LessOrEqual(t, most.Load(), int32(3))
}

// Where not all cores are free none is kept, and whoever stops waiting has none.
func TestCoresAreTakenTogetherOrNotAtAll(t *testing.T) {
	dir, nodes := t.TempDir(), []Node{{Cores: 2}}
	mine, err := openCores(dir, nodes)
	require.NoError(t, err)
	theirs, err := openCores(dir, nodes)
	require.NoError(t, err)
	one, err := theirs.take(t.Context(), 0, 1)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 3*coreEvery)
	defer cancel()
	_, err = mine.take(ctx, 0, 2)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	other, err := theirs.try(0, 1)
	require.NoError(t, err)
	require.NotEqual(t, one, other)
	theirs.give(0, one)
	theirs.give(0, other)
	both, err := mine.take(t.Context(), 0, 2)
	require.NoError(t, err)
	require.Len(t, both, 2)
}

// The commands of two sites in one folder do not meet on its one core.
func TestSitesShareAFolder(t *testing.T) {
	a := newBed(t, Node{Name: "n0", Cores: 1})
	site, err := Open(Config{Dir: a.cfg.Dir, Nodes: a.cfg.Nodes, Objects: artifact.Client{}})
	require.NoError(t, err)
	meet := "d=" + filepath.Join(t.TempDir(), "lock") + "; mkdir $d && sleep 0.02 && rmdir $d"
	var all sync.WaitGroup
	for _, s := range []*Site{a.Site, site} {
		for range 4 {
			inv := a.invocation(meet)
			all.Go(func() {
				r := s.Execute(context.Background(), inv)
				if r.Err != nil || r.Manifest.Failure != nil {
					t.Errorf("%v %+v", r.Err, r.Manifest)
				}
			})
		}
	}
	all.Wait()
}

func TestWaitingForAnotherEngineCanBeCancelled(t *testing.T) {
	a := newBed(t, Node{Name: "n0", Cores: 1})
	other, err := openCores(filepath.Join(a.cfg.Dir, coreDir), a.cfg.Nodes)
	require.NoError(t, err)
	taken, err := other.take(t.Context(), 0, 1)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	inv := a.invocation("true")
	r := a.Execute(ctx, inv)
	require.Equal(t, providers.Canceled, r.Err.Class)
	other.give(0, taken)
	require.Nil(t, a.run(inv).Failure)
}
