package artifact

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/internal/envelope"
)

// signed is an object with both URLs.
func signed(t testing.TB, s Store, key string) envelope.Object {
	t.Helper()
	o := envelope.Object{Key: key}
	var err error
	o.Get, err = s.Sign(ctx, "GET", key, time.Hour)
	require.NoError(t, err)
	o.Put, err = s.Sign(ctx, "PUT", key, time.Hour)
	require.NoError(t, err)
	return o
}

func TestClientOfEachStore(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		var c Client
		o := signed(t, s, "d/ü %?#k")
		_, _, err := c.Fetch(ctx, o, io.Discard)
		require.ErrorIs(t, err, ErrNotExist)
		require.ErrorContains(t, err, o.Key)

		for _, text := range []string{strings.Repeat("hello", 100_000), ""} {
			size, sum, err := c.Store(ctx, o, strings.NewReader(text))
			require.NoError(t, err)
			require.Equal(t, [...]any{int64(len(text)), digest(text)}, [...]any{size, sum})
			var got bytes.Buffer
			size, sum, err = c.Fetch(ctx, o, &got)
			require.NoError(t, err)
			require.Equal(t, [...]any{int64(len(text)), digest(text), text}, [...]any{size, sum, got.String()})
		}
		require.ErrorIs(t, c.StoreOnce(ctx, o, []byte("late")), ErrExists)
		once := signed(t, s, "once")
		require.NoError(t, c.StoreOnce(ctx, once, []byte("first")))
		require.ErrorIs(t, c.StoreOnce(ctx, once, []byte("first")), ErrExists)
		require.Equal(t, "first", get(t, s, "once"))

		half := strings.NewReader("0123456789")
		_, err = half.Seek(4, io.SeekStart)
		require.NoError(t, err)
		size, _, err := c.Store(ctx, o, half)
		require.NoError(t, err)
		require.Equal(t, int64(6), size)
		require.Equal(t, "456789", get(t, s, o.Key))
	})
}

func TestClientURLs(t *testing.T) {
	for url, text := range map[string]string{
		"":                              "is none of file, http and https",
		"ftp://host/x":                  "is none of file, http and https",
		"file://relative/x":             "needs an absolute path",
		"file:///%zz":                   "invalid URL escape",
		"http://h/%zz?signature=s3cret": "object URL: invalid URL escape",
	} {
		_, _, err := Client{}.Fetch(ctx, envelope.Object{Key: "k", Get: url}, io.Discard)
		require.ErrorContains(t, err, text)
		require.NotContains(t, err.Error(), "s3cret")
		_, _, err = Client{}.Store(ctx, envelope.Object{Key: "k", Put: url}, strings.NewReader(""))
		require.ErrorContains(t, err, text)
		require.NotContains(t, err.Error(), "s3cret")
	}
}

func TestCanceledTransfers(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		put(t, s, "k", "hello")
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		_, _, err := Client{}.Fetch(ctx, signed(t, s, "k"), io.Discard)
		require.ErrorIs(t, err, context.Canceled)
		_, _, err = Client{}.Store(ctx, signed(t, s, "k"), strings.NewReader("new"))
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, "hello", get(t, s, "k"))
	})
}

func TestWriterThatFails(t *testing.T) {
	s := newFS(t)
	put(t, s, "k", "hello")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("needs /dev/full")
	}
	defer full.Close()
	_, _, err = Client{}.Fetch(ctx, signed(t, s, "k"), full)
	require.ErrorContains(t, err, "no space left")
}

// flaky stands between a client and a store: it lets some requests fail.
type flaky struct {
	http.Handler
	requests atomic.Int32
	fail     func(n int32, w http.ResponseWriter, r *http.Request) bool // whether it answered
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if n := f.requests.Add(1); f.fail == nil || !f.fail(n, w, r) {
		f.Handler.ServeHTTP(w, r)
	}
}

func newFlaky(t *testing.T) (*flaky, *FS, *Remote) {
	t.Helper()
	behind := newFS(t)
	f := &flaky{Handler: Handler(behind, secret)}
	web := httptest.NewServer(f)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		web.Close()
	})
	return f, behind, &Remote{BaseURL: web.URL, Secret: secret}
}

// answering fails the first requests with a status.
func answering(times int32, status int) func(int32, http.ResponseWriter, *http.Request) bool {
	return func(n int32, w http.ResponseWriter, r *http.Request) bool {
		if n <= times {
			_, _ = io.Copy(io.Discard, r.Body)
			http.Error(w, "not now", status)
		}
		return n <= times
	}
}

func TestPassingFailuresAreTriedAgain(t *testing.T) {
	for _, status := range []int{500, 503, 599, 429, 408, 409} {
		require.True(t, passing(status), "%d", status)
	}
	text := strings.Repeat("hello", 50_000)
	f, behind, s := newFlaky(t)
	f.fail = answering(2, http.StatusServiceUnavailable)
	_, sum, err := Client{}.Store(ctx, signed(t, s, "k"), strings.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, digest(text), sum)
	require.Equal(t, text, get(t, behind, "k"))
	require.Equal(t, int32(3), f.requests.Load())

	f.requests.Store(0)
	_, sum, err = Client{}.Fetch(ctx, signed(t, s, "k"), io.Discard)
	require.NoError(t, err)
	require.Equal(t, digest(text), sum)
}

func TestLastingFailuresAreNot(t *testing.T) {
	for status, requests := range map[int]int32{400: 1, 403: 1, 404: 1, 412: 1, 413: 1, 301: 1, 500: tries} {
		f, _, s := newFlaky(t)
		f.fail = answering(100, status)
		_, _, err := Client{}.Store(ctx, signed(t, s, "k"), strings.NewReader("x"))
		require.ErrorContains(t, err, "not now")
		require.Equal(t, requests, f.requests.Load(), "status %d", status)
	}
}

func TestWhatCannotBeReadAgainIsSentOnce(t *testing.T) {
	f, _, s := newFlaky(t)
	f.fail = answering(1, 500)
	_, err := s.Put(ctx, "k", iotest.OneByteReader(strings.NewReader("hello")), PutOptions{})
	require.ErrorContains(t, err, "500")
	require.Equal(t, int32(1), f.requests.Load())
}

// The answer to a write was lost: the second try finds the first one's object and says so.
func TestALostAnswerToAWrite(t *testing.T) {
	f, behind, s := newFlaky(t)
	f.fail = func(n int32, _ http.ResponseWriter, r *http.Request) bool {
		if n == 1 {
			f.Handler.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		return false
	}
	require.ErrorIs(t, Client{}.StoreOnce(ctx, signed(t, s, "k"), []byte("mine")), ErrExists)
	require.Equal(t, "mine", get(t, behind, "k"))
}

func TestAnOtherDigestIsNoSuccess(t *testing.T) {
	f, _, s := newFlaky(t)
	f.fail = func(_ int32, w http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", `"`+digest("altered")+`"`)
		return true
	}
	_, _, err := Client{}.Store(ctx, signed(t, s, "k"), strings.NewReader("hello"))
	require.ErrorContains(t, err, digest("hello")+" arrived as "+digest("altered"))
	_, err = s.Put(ctx, "k", strings.NewReader("hello"), PutOptions{})
	require.ErrorContains(t, err, "arrived as")
}

// breaking sends the whole length, but only part of the bytes, for the first requests. honest serves ranges.
func breaking(text string, times int32, honest bool) func(int32, http.ResponseWriter, *http.Request) bool {
	return func(n int32, w http.ResponseWriter, r *http.Request) bool {
		from := 0
		if honest && r.Header.Get("Range") != "" {
			_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(text)-1, len(text)))
			w.Header().Set("Content-Length", fmt.Sprint(len(text)-from))
			w.WriteHeader(http.StatusPartialContent)
		} else {
			w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		}
		if n > times {
			_, _ = io.WriteString(w, text[from:])
			return true
		}
		_, _ = io.WriteString(w, text[from:from+(len(text)-from)/2])
		panic(http.ErrAbortHandler)
	}
}

func TestABrokenDownloadGoesOn(t *testing.T) {
	text := strings.Repeat("0123456789", 30_000)
	for name, honest := range map[string]bool{"where it was": true, "from the beginning": false} {
		t.Run(name, func(t *testing.T) {
			f, _, s := newFlaky(t)
			f.fail = breaking(text, 6, honest) // more often than one request would be tried: each made progress
			if !honest {
				f.fail = breaking(text, 2, honest)
			}
			var got bytes.Buffer
			size, sum, err := Client{}.Fetch(ctx, signed(t, s, "k"), &got)
			require.NoError(t, err)
			require.Equal(t, int64(len(text)), size)
			require.Equal(t, digest(text), sum)
			require.Equal(t, text, got.String())
		})
	}
}

func TestADownloadThatMakesNoProgressEnds(t *testing.T) {
	f, _, s := newFlaky(t)
	f.fail = func(n int32, w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Length", "10")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _, err := Client{}.Fetch(ctx, signed(t, s, "k"), io.Discard)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, int32(tries), f.requests.Load())
}

func TestAnOtherRangeIsRefused(t *testing.T) {
	f, _, s := newFlaky(t)
	f.fail = func(n int32, w http.ResponseWriter, r *http.Request) bool {
		if n == 1 {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "01234")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Range", "bytes 4-9/10")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, "456789")
		return true
	}
	_, _, err := Client{}.Fetch(ctx, signed(t, s, "k"), io.Discard)
	require.ErrorContains(t, err, `asked for bytes from 5, got "bytes 4-9/10"`)
}

// A store that breaks off while it is read breaks the answer off.
func TestHandlerNeverPassesAPartForTheWhole(t *testing.T) {
	web := httptest.NewServer(Handler(brokenStore{newFS(t)}, secret))
	defer web.Close()
	defer transport.CloseIdleConnections()
	s := &Remote{BaseURL: web.URL, Secret: secret}
	_, _, err := Client{}.Fetch(ctx, signed(t, s, "k"), io.Discard)
	require.Error(t, err)
}

type brokenStore struct{ *FS }

func (brokenStore) Get(context.Context, string) (io.ReadCloser, error) {
	return io.NopCloser(&brokenReader{left: 100_000}), nil
}

func TestFileURLsOfTheMachine(t *testing.T) {
	dir := t.TempDir()
	o := envelope.Object{Key: "k", Get: "file://" + dir + "/d/f", Put: "file://" + dir + "/d/f"}
	_, _, err := Client{}.Store(ctx, o, &seekable{Reader: io.MultiReader(strings.NewReader("x"), &brokenReader{})})
	require.ErrorIs(t, err, errBroken)
	left, err := os.ReadDir(filepath.Join(dir, "d"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// seekable is a reader that claims to seek.
type seekable struct{ io.Reader }

func (seekable) Seek(int64, int) (int64, error) { return 0, nil }
