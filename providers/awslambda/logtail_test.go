package awslambda

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const reportLine = "START RequestId: 1 Version: $LATEST\nhello\nEND RequestId: 1\n" +
	"REPORT RequestId: 1\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 128 MB\tMax Memory Used: 30 MB\t\n"

func TestParseReport(t *testing.T) {
	for name, c := range map[string]struct {
		log  string
		want report
		ok   bool
	}{
		"warm": {reportLine, report{billed: 13 * time.Millisecond}, true},
		"cold": {"REPORT RequestId: 1\tDuration: 2.00 ms\tBilled Duration: 103 ms\tInit Duration: 100.25 ms\t\n",
			report{103 * time.Millisecond, 100*time.Millisecond + 250*time.Microsecond, true}, true},
		"printed by the command too": {"REPORT RequestId: 1\tBilled Duration: 1 ms\n" + reportLine,
			report{billed: 13 * time.Millisecond}, true},
		"lines after it": {reportLine + "XRAY TraceId: 1-2\n", report{billed: 13 * time.Millisecond}, true},
		"none":           {"hello\n", report{}, false},
		"cut":            {"REPORT RequestId: 1\tDuration: 12.34", report{}, false},
		"nonsense":       {"REPORT RequestId: 1\tBilled Duration: NaN ms\n", report{}, false},
		"negative":       {"REPORT RequestId: 1\tBilled Duration: -5 ms\n", report{}, false},
		"in a line":      {"x REPORT RequestId: 1\tBilled Duration: 5 ms\n", report{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := parseReport(base64.StdEncoding.EncodeToString([]byte(c.log)))
			require.Equal(t, c.ok, ok)
			if ok {
				require.Equal(t, c.want, got)
			}
		})
	}
	_, ok := parseReport("not base64!")
	require.False(t, ok)
}

func FuzzParseReport(f *testing.F) {
	f.Add(reportLine)
	f.Add("REPORT RequestId: \tBilled Duration: 1e8 ms\tInit Duration: 1e-9 ms")
	f.Fuzz(func(t *testing.T, log string) {
		r, _ := parseReport(base64.StdEncoding.EncodeToString([]byte(log)))
		if r.billed < 0 || r.init < 0 || r.init > 0 && !r.cold {
			t.Fatalf("%+v", r)
		}
	})
}
