//go:build linux || darwin

package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// sink is a log in memory.
type sink struct {
	bytes.Buffer
	opened, closed int
	err            error // of each write
}

func (s *sink) open() (io.WriteCloser, error) {
	s.opened++
	return s, nil
}

func (s *sink) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	return s.Buffer.Write(p)
}

func (s *sink) Close() error {
	s.closed++
	return nil
}

// The log holds the first bytes up to its bound, the tail the last ones, however the output was cut.
func TestLogAndTail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1, 9000).Draw(t, "limit")
		chunks := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 6000), 0, 6).Draw(t, "chunks")
		var log sink
		o := &output{openLog: log.open, left: limit, limit: limit}
		for _, c := range chunks {
			o.keep(c)
		}
		all := bytes.Join(chunks, nil)
		want := string(all)
		if int64(len(all)) > limit {
			want = string(all[:limit]) + fmt.Sprintf("\n[log cut off after %d bytes]\n", limit)
		}
		if got := log.String(); got != want {
			t.Fatalf("log of %d bytes, want %d", len(got), len(want))
		}
		if tail := all[max(0, len(all)-tailBytes):]; !bytes.Equal(o.tail, tail) {
			t.Fatalf("tail of %d bytes, want %d", len(o.tail), len(tail))
		}
	})
}

func TestAFloodIsBounded(t *testing.T) {
	var log sink
	b := newBed(t, `head -c 3000000 /dev/zero | tr '\0' x; echo end`)
	b.opt.Log, b.opt.LogBytes = log.open, 1000
	m := b.run(context.Background())
	require.Nil(t, m.Failure, "a talkative command is not stopped")
	require.Equal(t, strings.Repeat("x", 1000)+"\n[log cut off after 1000 bytes]\n", log.String())
	require.Equal(t, strings.Repeat("x", tailBytes-4)+"end\n", m.LogTail)
	require.Equal(t, 1, log.closed)
}

func TestASilentCommandHasNoLog(t *testing.T) {
	var log sink
	b := newBed(t, "true")
	b.opt.Log = log.open
	require.Empty(t, b.run(context.Background()).LogTail)
	require.Zero(t, log.opened)
}

func TestStdoutAndStderrKeepTheirOrder(t *testing.T) {
	var log sink
	b := newBed(t, "echo 1; echo 2 >&2; echo 3")
	b.opt.Log = log.open
	require.Equal(t, "1\n2\n3\n", b.run(context.Background()).LogTail)
	require.Equal(t, "1\n2\n3\n", log.String())
}

func TestACommandGoesOnWithoutItsLog(t *testing.T) {
	for name, open := range map[string]func() (io.WriteCloser, error){
		"not opened":  func() (io.WriteCloser, error) { return nil, errors.New("disk full") },
		"not written": (&sink{err: errors.New("disk full")}).open,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, "echo hello")
			b.opt.Log = open
			m := b.run(context.Background())
			require.Nil(t, m.Failure)
			require.Equal(t, "hello\n\n[log: disk full]\n", m.LogTail)
		})
	}
}

func TestTailIsText(t *testing.T) {
	b := newBed(t, `printf 'a\377b'`)
	tail := b.run(context.Background()).LogTail
	require.True(t, utf8.ValidString(tail))
	require.Equal(t, "a\uFFFDb", tail)
}
