package awslambda

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"time"
)

// report is what a function's last log line says of an invocation:
//
//	REPORT RequestId: …	Duration: 12.34 ms	Billed Duration: 13 ms	Memory Size: 128 MB	Init Duration: 5.00 ms
type report struct {
	billed time.Duration
	init   time.Duration
	cold   bool
}

// parseReport finds the report in a log tail (base64). ok is false where there is none with a billed duration.
// A command may print such a line itself, so that the last one counts.
func parseReport(logResult string) (r report, ok bool) {
	text, err := base64.StdEncoding.DecodeString(logResult)
	if err != nil {
		return r, false
	}
	at := strings.LastIndex("\n"+string(text), "\nREPORT RequestId: ")
	if at < 0 {
		return r, false
	}
	line, _, _ := strings.Cut(string(text)[at:], "\n")
	for field := range strings.SplitSeq(line, "\t") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), ": ")
		switch name {
		case "Billed Duration":
			r.billed, ok = milliseconds(value)
		case "Init Duration":
			r.init, r.cold = milliseconds(value)
		}
	}
	return r, ok
}

// milliseconds reads "12.34 ms", to the microsecond.
func milliseconds(text string) (time.Duration, bool) {
	number, ok := strings.CutSuffix(text, " ms")
	f, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(f >= 0 && f < 1e9) {
		return 0, false
	}
	return time.Duration(math.Round(f*1000)) * time.Microsecond, true
}
