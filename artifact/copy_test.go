package artifact

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// memory is a store of one object, for tests in which no time may pass outside.
type memory struct {
	Store
	text string
	info Info // what Put claims, where set
}

func (m *memory) Get(context.Context, string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(m.text)), nil
}

func (m *memory) Put(_ context.Context, key string, r io.Reader, _ PutOptions) (Info, error) {
	text, err := io.ReadAll(r)
	m.text = string(text)
	if m.info.SHA256 != "" {
		return m.info, err
	}
	return Info{Key: key, Size: int64(len(text)), SHA256: digest(m.text)}, err
}

func TestCopyBetweenStores(t *testing.T) {
	text := strings.Repeat("hello", 100_000)
	local, remote := newFS(t), newRemote(t, newFS(t))
	put(t, local, "d/k", text)
	var sent []int64
	info, err := Copy(ctx, remote, local, "d/k", nil, func(n int64) { sent = append(sent, n) })
	require.NoError(t, err)
	require.Equal(t, Info{Key: "d/k", Size: int64(len(text)), SHA256: digest(text)}, info)
	require.Equal(t, text, get(t, remote, "d/k"))
	require.IsIncreasing(t, sent)
	require.Equal(t, int64(len(text)), sent[len(sent)-1])

	require.NoError(t, local.DeletePrefix(ctx, "d/"))
	_, err = Copy(ctx, local, remote, "d/k", NewLink(0, 0), nil)
	require.NoError(t, err)
	require.Equal(t, text, get(t, local, "d/k"))
	_, err = Copy(ctx, local, remote, "none", nil, nil)
	require.ErrorIs(t, err, ErrNotExist)
}

func TestCopyComparesBothEnds(t *testing.T) {
	for _, claimed := range []Info{{Size: 5, SHA256: digest("hellO")}, {Size: 4, SHA256: digest("hello")}} {
		_, err := Copy(ctx, &memory{info: claimed}, &memory{text: "hello"}, "k", nil, nil)
		require.ErrorContains(t, err, "copy k: sent 5 bytes with digest "+digest("hello"))
	}
}

func TestASourceThatBreaksOff(t *testing.T) {
	dst := newFS(t)
	put(t, dst, "k", "old")
	_, err := Copy(ctx, dst, brokenStore{newFS(t)}, "k", NewLink(0, 0), nil)
	require.ErrorIs(t, err, errBroken)
	require.Equal(t, "old", get(t, dst, "k"))
}

// elapsed is how long f takes on a clock of its own.
func elapsed(t *testing.T, f func(t *testing.T)) (d time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		f(t)
		d = time.Since(begin)
	})
	return d
}

func carry(t *testing.T, link *Link, bytes int) {
	_, err := Copy(t.Context(), &memory{}, &memory{text: strings.Repeat("x", bytes)}, "k", link, nil)
	require.NoError(t, err)
}

// A link takes bytes/bandwidth and then its latency, as the planner reckons.
func TestLinkTakesItsTime(t *testing.T) {
	for _, c := range []struct {
		bandwidth float64
		latency   time.Duration
		bytes     int
		want      time.Duration
	}{
		{1000, 0, 10_000, 10 * time.Second},
		{1000, 2 * time.Second, 10_000, 12 * time.Second},
		{0, 2 * time.Second, 10_000, 2 * time.Second},
		{5e6, 0, 10_000_000, 2 * time.Second},
		{10, 0, 30, 3 * time.Second},
		{1, 0, 3, 3 * time.Second},
		{1000, 3 * time.Second, 0, 3 * time.Second},
	} {
		got := elapsed(t, func(t *testing.T) { carry(t, NewLink(c.bandwidth, c.latency), c.bytes) })
		require.InDelta(t, c.want.Seconds(), got.Seconds(), 0.02*c.want.Seconds()+0.2, "%+v", c)
	}
}

// Files go one at a time; the latency of one does not hold up the next; idle time is no credit.
func TestLinkCarriesOneFileAtATime(t *testing.T) {
	got := elapsed(t, func(t *testing.T) {
		link := NewLink(1000, 5*time.Second)
		require.NoError(t, wait(t.Context(), time.Hour))
		begin := time.Now()
		ends := make(chan time.Duration, 3)
		for range 3 {
			go func() {
				carry(t, link, 10_000)
				ends <- time.Since(begin)
			}()
		}
		for i := range 3 {
			require.InDelta(t, float64(10*(i+1)+5), (<-ends).Seconds(), 0.5)
		}
	})
	require.InDelta(t, 3600+35, got.Seconds(), 1)
}

func TestLinkCanBeLeft(t *testing.T) {
	elapsed(t, func(t *testing.T) {
		link := NewLink(1, 0)
		begin := time.Now()
		copying := func(limit time.Duration) <-chan time.Duration {
			end := make(chan time.Duration, 1)
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				_, err := Copy(ctx, &memory{}, &memory{text: strings.Repeat("x", 1000)}, "k", link, nil)
				if err == nil {
					t.Error("1000 bytes were sent within ", limit)
				}
				end <- time.Since(begin)
			}()
			synctest.Wait()
			return end
		}
		sent, waits := copying(10*time.Second), copying(5*time.Second)
		require.Equal(t, 5*time.Second, <-waits)
		require.InDelta(t, 10, (<-sent).Seconds(), 1.1)
		carry(t, link, 3) // the link is free again
		require.InDelta(t, 13, time.Since(begin).Seconds(), 2)
	})
}
