package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestLedgerKeepsWhatManyWrite(t *testing.T) {
	dir := t.TempDir()
	l, err := openLedger(dir)
	require.NoError(t, err)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			e := Entry{RequestID: fmt.Sprint("r", i), Status: StatusStarted}
			require.NoError(t, l.start(e))
			e.Status, e.Cost = StatusOK, 7
			require.NoError(t, l.end(e))
		})
	}
	all.Wait()
	require.NoError(t, l.close())
	entries, err := ReadLedger(dir)
	require.NoError(t, err)
	require.Len(t, entries, 50)
	for _, e := range entries {
		require.Equal(t, StatusOK, e.Status)
		require.EqualValues(t, 7, e.Cost)
	}
}

func TestLedgerAfterATornLine(t *testing.T) {
	dir := t.TempDir()
	whole := `{"request_id":"a","status":"started"}` + "\n"
	require.NoError(t, os.WriteFile(ledgerPath(dir), []byte(whole+`{"request_id":"a","sta`), 0o600))
	l, err := openLedger(dir)
	require.NoError(t, err)
	require.NoError(t, l.end(Entry{RequestID: "b", Status: StatusOK}))
	require.NoError(t, l.close())
	entries, err := ReadLedger(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.Equal(t, StatusStarted, entries[0].Status)
	require.Equal(t, "b", entries[1].RequestID)
}

// Cut anywhere, a ledger still tells each invocation whose line was whole before the cut, as its last whole line
// has it.
func TestLedgerCutAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.IntRange(0, 5), 1, 20).Draw(t, "ids")
		var file bytes.Buffer
		for n, id := range ids {
			line, err := json.Marshal(Entry{RequestID: fmt.Sprint(id), Duration: int64(n)})
			require.NoError(t, err)
			file.Write(append(line, '\n'))
		}
		cut := rapid.IntRange(0, file.Len()).Draw(t, "cut")
		text := file.String()[:cut]
		last := make(map[string]int64)
		whole := strings.Count(text, "\n")
		if cut < file.Len() && file.String()[cut] == '\n' {
			whole++ // a line whose end alone is missing is whole
		}
		for n, id := range ids[:whole] {
			last[fmt.Sprint(id)] = int64(n)
		}
		entries, err := decodeLedger(strings.NewReader(text))
		require.NoError(t, err)
		require.Len(t, entries, len(last))
		for _, e := range entries {
			require.Equal(t, last[e.RequestID], e.Duration)
		}
	})
}

func FuzzDecodeLedger(f *testing.F) {
	f.Add([]byte(`{"request_id":"a","status":"started"}` + "\n{}\n\n{\"request_id\":1}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := decodeLedger(bytes.NewReader(data))
		seen := make(map[string]bool)
		for _, e := range entries {
			if err == nil && (e.RequestID == "" || seen[e.RequestID]) {
				t.Fatalf("%q twice or empty", e.RequestID)
			}
			seen[e.RequestID] = true
		}
	})
}

// BenchmarkLedger is what one invocation's two lines cost, the second one forced to disk.
func BenchmarkLedger(b *testing.B) {
	for _, parallel := range []int{1, 8} {
		b.Run(fmt.Sprint("callers=", parallel), func(b *testing.B) {
			l, err := openLedger(b.TempDir())
			require.NoError(b, err)
			defer l.close()
			b.SetParallelism((parallel + 1) / 2)
			b.RunParallel(func(pb *testing.PB) {
				e := Entry{RequestID: newRequestID(), Function: "spillway-runner-1769", PriceBook: "aws-lambda-x86_64"}
				for pb.Next() {
					if l.start(e) != nil || l.end(e) != nil {
						b.Error("not written")
					}
				}
			})
		})
	}
}
