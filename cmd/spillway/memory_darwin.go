package main

import "golang.org/x/sys/unix"

// machineMemory is this machine's memory in bytes, 0 when it cannot be told.
func machineMemory() uint64 {
	size, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0
	}
	return size
}
