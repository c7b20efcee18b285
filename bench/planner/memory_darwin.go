package main

func forgetPeak() {}

// peakBytes is unknown: this system does not let a process start counting anew.
func peakBytes() float64 { return 0 }
