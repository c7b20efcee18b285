//go:build linux || darwin

package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// cores are the cores of the site's nodes as all engines of this machine share them that have the site's
// folder: a core is a locked file, and the kernel drops the lock with the process. Within one engine the
// room of a node is counted before, so that it only ever waits for others.
type cores struct {
	mu   sync.Mutex
	node [][]core
}

type core struct {
	file *os.File
	held bool // by this engine
}

const coreDir = "cores"

// coreEvery is how often a core is looked for that another engine has.
const coreEvery = 5 * time.Millisecond

func openCores(dir string, nodes []Node) (*cores, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c := &cores{node: make([][]core, len(nodes))}
	for i, n := range nodes {
		for k := range n.Cores {
			f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("%d-%d", i, k)), os.O_CREATE|os.O_RDWR, 0o600)
			if err != nil {
				return nil, err
			}
			c.node[i] = append(c.node[i], core{file: f})
		}
	}
	return c, nil
}

// take waits for n cores of a node and returns which.
func (c *cores) take(ctx context.Context, node, n int) ([]int, error) {
	for {
		taken, err := c.try(node, n)
		if err != nil || taken != nil {
			return taken, err
		}
		t := time.NewTimer(coreEvery)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		}
	}
}

// try takes n cores, or none: two that each wait for the other's would wait for ever.
func (c *cores) try(node, n int) (taken []int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.node[node] {
		at := &c.node[node][k]
		if len(taken) == n || at.held {
			continue
		}
		err := syscall.Flock(int(at.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			c.drop(node, taken)
			return nil, fmt.Errorf("lock %s: %w", at.file.Name(), err)
		}
		at.held, taken = true, append(taken, k)
	}
	if len(taken) < n {
		c.drop(node, taken)
		return nil, nil
	}
	return taken, nil
}

func (c *cores) give(node int, taken []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(node, taken)
}

func (c *cores) drop(node int, taken []int) {
	for _, k := range taken {
		at := &c.node[node][k]
		_ = syscall.Flock(int(at.file.Fd()), syscall.LOCK_UN) // cannot fail on a file that is open
		at.held = false
	}
}
