package main

import (
	"os"
	"strconv"
	"strings"
)

// forgetPeak sets the process's peak of resident memory back to what it uses now
// (proc_pid_clear_refs(5)).
func forgetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o200) }

// peakBytes is VmHWM, the most resident memory since then; 0 when it cannot be told.
func peakBytes() float64 {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if size, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(size), " kB"), 64)
			return kib * 1024
		}
	}
	return 0
}
