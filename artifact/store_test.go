package artifact

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

var ctx = context.Background()

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func newFS(t testing.TB) *FS {
	t.Helper()
	s, err := NewFS(filepath.Join(t.TempDir(), "objects"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

var secret = []byte("a secret of the store")

// newRemote is a store behind HTTP.
func newRemote(t testing.TB, behind Store) *Remote {
	t.Helper()
	web := httptest.NewServer(Handler(behind, secret))
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		web.Close()
	})
	return &Remote{BaseURL: web.URL, Secret: secret}
}

// eachStore runs a test on every Store there is.
func eachStore(t *testing.T, test func(t *testing.T, s Store)) {
	t.Run("FS", func(t *testing.T) { test(t, newFS(t)) })
	t.Run("Remote", func(t *testing.T) { test(t, newRemote(t, newFS(t))) })
}

func put(t testing.TB, s Store, key, text string) {
	t.Helper()
	info, err := s.Put(ctx, key, strings.NewReader(text), PutOptions{})
	require.NoError(t, err)
	require.Equal(t, Info{Key: key, Size: int64(len(text)), SHA256: digest(text)}, info)
}

func get(t testing.TB, s Store, key string) string {
	t.Helper()
	r, err := s.Get(ctx, key)
	require.NoError(t, err)
	defer r.Close()
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(text)
}

func TestStores(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		_, err := s.Get(ctx, "a/b")
		require.ErrorIs(t, err, ErrNotExist)
		_, err = s.Stat(ctx, "a/b")
		require.ErrorIs(t, err, ErrNotExist)

		put(t, s, "a/b", "hello")
		put(t, s, "a/empty", "")
		put(t, s, "a/ü %?#&=+.txt", "strange")
		require.Equal(t, "hello", get(t, s, "a/b"))
		require.Empty(t, get(t, s, "a/empty"))
		require.Equal(t, "strange", get(t, s, "a/ü %?#&=+.txt"))
		info, err := s.Stat(ctx, "a/b")
		require.NoError(t, err)
		require.Equal(t, Info{Key: "a/b", Size: 5}, info)

		put(t, s, "a/b", "replaced")
		require.Equal(t, "replaced", get(t, s, "a/b"))
		_, err = s.Put(ctx, "a/b", strings.NewReader("late"), PutOptions{IfAbsent: true})
		require.ErrorIs(t, err, ErrExists)
		require.Equal(t, "replaced", get(t, s, "a/b"))
		_, err = s.Put(ctx, "a/new", strings.NewReader("first"), PutOptions{IfAbsent: true})
		require.NoError(t, err)
		require.Equal(t, "first", get(t, s, "a/new"))

		for _, folder := range []string{"a", "a/b/c"} {
			_, err = s.Get(ctx, folder)
			require.ErrorIs(t, err, ErrNotExist)
			_, err = s.Stat(ctx, folder)
			require.ErrorIs(t, err, ErrNotExist)
		}
	})
}

func TestDeletePrefix(t *testing.T) {
	keys := []string{"runs/r1/a", "runs/r1/b/c", "runs/r10/a", "runs/r2/a", "other"}
	for prefix, left := range map[string][]string{
		"runs/r1/":   {"runs/r10/a", "runs/r2/a", "other"},
		"runs/r1":    {"runs/r2/a", "other"},
		"runs/r1/b":  {"runs/r1/a", "runs/r10/a", "runs/r2/a", "other"},
		"o":          {"runs/r1/a", "runs/r1/b/c", "runs/r10/a", "runs/r2/a"},
		"none/x":     keys,
		"none/":      keys,
		"runs/r2/ax": keys,
	} {
		eachStore(t, func(t *testing.T, s Store) {
			for _, key := range keys {
				put(t, s, key, key)
			}
			require.NoError(t, s.DeletePrefix(ctx, prefix))
			for _, key := range keys {
				_, err := s.Stat(ctx, key)
				if slices.Contains(left, key) {
					require.NoError(t, err, "%s after %s", key, prefix)
				} else {
					require.ErrorIs(t, err, ErrNotExist, "%s after %s", key, prefix)
				}
			}
		})
	}
	s := newFS(t)
	put(t, s, "a/b", "x")
	require.NoError(t, s.DeletePrefix(ctx, ""))
	_, err := s.Stat(ctx, "a/b")
	require.ErrorIs(t, err, ErrNotExist)
}

var badKeys = []string{"", ".", "..", "/", "/etc/passwd", "../x", "a/../b", "a/../../x", "a//b", "a/", "./a", "a/.",
	"a\\..\\b", "a\x00b", "a\nb", "a\x7f", ".tmp-1", "a/.tmp-x", strings.Repeat("k", maxKeyBytes+1)}

func TestBadKeys(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		for _, key := range badKeys {
			_, err := s.Put(ctx, key, strings.NewReader("x"), PutOptions{})
			require.ErrorIs(t, err, ErrKey, "%q", key)
			_, err = s.Get(ctx, key)
			require.ErrorIs(t, err, ErrKey, "%q", key)
			_, err = s.Stat(ctx, key)
			require.ErrorIs(t, err, ErrKey, "%q", key)
			_, err = s.Sign(ctx, "GET", key, time.Hour)
			require.ErrorIs(t, err, ErrKey, "%q", key)
			if key != "" && key != "a/" {
				require.ErrorIs(t, s.DeletePrefix(ctx, key), ErrKey, "%q", key)
			}
		}
	})
}

// A key that is accepted stays below the store's folder.
func TestKeysStayInside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringMatching(`[a./\\ \x00-]{0,12}`).Draw(t, "key")
		if checkKey(key) != nil {
			return
		}
		full := filepath.Join("/store", filepath.FromSlash(key))
		if !strings.HasPrefix(full, "/store/") || full != "/store/"+key {
			t.Fatalf("%q leads to %s", key, full)
		}
	})
}

func TestLinksDoNotLeadOut(t *testing.T) {
	s := newFS(t)
	outside := t.TempDir()
	require.NoError(t, os.WriteFile(outside+"/secret", []byte("s"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(s.dir, "out")))
	_, err := s.Get(ctx, "out/secret")
	require.Error(t, err)
	_, err = s.Put(ctx, "out/new", strings.NewReader("x"), PutOptions{})
	require.Error(t, err)
	require.NoFileExists(t, outside+"/new")
	require.NoError(t, s.DeletePrefix(ctx, "out/"))
	require.FileExists(t, outside+"/secret")
}

// brokenReader yields some bytes, then an error.
type brokenReader struct{ left int }

var errBroken = errors.New("the disk broke")

func (b *brokenReader) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, errBroken
	}
	n := min(b.left, len(p))
	b.left -= n
	return n, nil
}

// An object is there whole or not at all, and nothing of a failed write stays behind.
func TestAFailedPutLeavesNothing(t *testing.T) {
	s := newFS(t)
	put(t, s, "old", "content")
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	for _, key := range []string{"old", "d/new"} {
		_, err := s.Put(ctx, key, &brokenReader{left: 200_000}, PutOptions{})
		require.ErrorIs(t, err, errBroken)
		_, err = s.Put(canceled, key, strings.NewReader("x"), PutOptions{})
		require.ErrorIs(t, err, context.Canceled)
	}
	_, err := s.Put(ctx, "old", strings.NewReader("x"), PutOptions{IfAbsent: true})
	require.ErrorIs(t, err, ErrExists)
	require.Equal(t, "content", get(t, s, "old"))
	require.Equal(t, []string{"old"}, files(t, s))
}

// files lists what lies in the store's folder.
func files(t *testing.T, s *FS) (names []string) {
	t.Helper()
	require.NoError(t, filepath.Walk(s.dir, func(name string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			name, err = filepath.Rel(s.dir, name)
			names = append(names, name)
		}
		return err
	}))
	return names
}

// Readers during many writes see one of the written objects, never a part or a mixture.
func TestReadersSeeWholeObjects(t *testing.T) {
	s := newFS(t)
	put(t, s, "k", strings.Repeat("0", 100_000))
	var writers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			for i := range 20 {
				text := strings.Repeat(string(rune('a'+w+2*i%20)), 100_000)
				if _, err := s.Put(ctx, "k", strings.NewReader(text), PutOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for reading := true; reading; {
		text := get(t, s, "k")
		require.Equal(t, 100_000, strings.Count(text, text[:1]))
		select {
		case <-done:
			reading = false
		default:
		}
	}
	require.Equal(t, []string{"k"}, files(t, s))
}

func TestFirstWriterWins(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		const n = 8
		errs := make([]error, n)
		var writers sync.WaitGroup
		for i := range n {
			writers.Go(func() {
				text := strings.Repeat(string(rune('0'+i)), 1000)
				_, errs[i] = s.Put(ctx, "k", strings.NewReader(text), PutOptions{IfAbsent: true})
			})
		}
		writers.Wait()
		winner := -1
		for i, err := range errs {
			if err == nil {
				require.Negative(t, winner, "two were first")
				winner = i
			} else {
				require.ErrorIs(t, err, ErrExists)
			}
		}
		require.Equal(t, strings.Repeat(string(rune('0'+winner)), 1000), get(t, s, "k"))
		if s, ok := s.(*FS); ok {
			require.Equal(t, []string{"k"}, files(t, s))
		}
	})
}

func TestCopyDigestIsOfWhatWasCopied(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.Byte(), 0, 300_000).Draw(t, "text")
		var w bytes.Buffer
		size, sum, err := copyDigest(&w, bytes.NewReader(text))
		require.NoError(t, err)
		require.Equal(t, [...]any{int64(len(text)), digest(string(text)), string(text)}, [...]any{size, sum, w.String()})
	})
}
