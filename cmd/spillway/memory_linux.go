package main

import "golang.org/x/sys/unix"

// machineMemory is this machine's memory in bytes, 0 when it cannot be told.
func machineMemory() uint64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return info.Totalram * uint64(info.Unit)
}
