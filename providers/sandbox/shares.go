package sandbox

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// shares is the CPU budget: the shares of instances that work at the same time never add up to more than it,
// so that a task waits instead of slowing the others down. It counts in MiB, which the shares are proportional
// to. Waiters are served in order.
type shares struct {
	weighted *semaphore.Weighted // nil: not limited
}

func newShares(vcpu float64) shares {
	if vcpu <= 0 {
		return shares{}
	}
	return shares{semaphore.NewWeighted(int64(vcpu * MiBPerVCPU))}
}

func (s shares) acquire(ctx context.Context, memoryMiB int) error {
	if s.weighted == nil {
		return ctx.Err()
	}
	return s.weighted.Acquire(ctx, int64(memoryMiB))
}

func (s shares) release(memoryMiB int) {
	if s.weighted != nil {
		s.weighted.Release(int64(memoryMiB))
	}
}
