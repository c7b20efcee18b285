package artifact

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

// ask sends a request to a store's handler.
func ask(h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestSignedURLs(t *testing.T) {
	s := newFS(t)
	put(t, s, "runs/r1/in", "hello")
	put(t, s, "runs/r1/other", "private")
	h := Handler(s, secret)
	const key = "runs/r1/in"
	url := func(method string, ttl time.Duration) string { return signedURL("", secret, method, key, ttl) }
	good := url("GET", time.Hour)
	last := good[len(good)-1:]
	flipped := map[bool]string{true: "1", false: "0"}[last == "0"]
	for _, c := range []struct {
		name, method, url, body string
		code                    int
		text                    string
	}{
		{"good", "GET", good, "", 200, "hello"},
		{"good head", "HEAD", url("HEAD", time.Hour), "", 200, ""},
		{"good put", "PUT", url("PUT", time.Hour), "new", 200, ""},
		{"good delete", "DELETE", url("DELETE", time.Hour), "", 204, ""},
		{"expired", "GET", url("GET", -time.Second), "", 403, "expired"},
		{"expires now", "GET", url("GET", 0), "", 403, "expired"},
		{"later expiry", "GET", strings.Replace(good, "expires=", "expires=9", 1), "", 403, "does not match"},
		{"no expiry", "GET", "/o/" + key + "?signature=" + seal(secret, "GET", key, ""), "", 403, "expired"},
		{"expiry that is no number", "GET", "/o/" + key + "?expires=x&signature=" + seal(secret, "GET", key, "x"), "", 403,
			"expired"},
		{"flipped signature", "GET", strings.TrimSuffix(good, last) + flipped, "", 403, "does not match"},
		{"cut signature", "GET", strings.TrimSuffix(good, last), "", 403, "does not match"},
		{"no signature", "GET", strings.Split(good, "&")[0], "", 403, "does not match"},
		{"nothing", "GET", "/o/" + key, "", 403, "does not match"},
		{"other key", "GET", strings.Replace(good, "/in?", "/other?", 1), "", 403, "does not match"},
		{"other method", "PUT", good, "x", 403, "does not match"},
		{"put reads", "GET", url("PUT", time.Hour), "", 403, "does not match"},
		{"head with a GET", "HEAD", good, "", 403, ""},
		{"other secret", "GET", signedURL("", []byte("guess"), "GET", key, time.Hour), "", 403, "does not match"},
		{"method that is none", "PATCH", url("PATCH", time.Hour), "", 405, "no such method"},
		{"other path", "GET", "/health", "", 404, ""},
		{"missing", "GET", signedURL("", secret, "GET", "none", time.Hour), "", 404, "no such object"},
		{"missing head", "HEAD", signedURL("", secret, "HEAD", "none", time.Hour), "", 404, ""},
		{"up and out", "GET", signedURL("", secret, "GET", "../../etc/passwd", time.Hour), "", 400, ""},
		{"up and out, escaped", "GET", "/o/%2e%2e/x" + signedURL("", secret, "GET", "../x", time.Hour)[len("/o/../x"):],
			"", 400, ""},
		{"writes up and out", "PUT", signedURL("", secret, "PUT", "a/../../x", time.Hour), "x", 400, ""},
		{"deletes up and out", "DELETE", signedURL("", secret, "DELETE", "../", time.Hour), "", 400, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			put(t, s, key, "hello")
			w := ask(h, c.method, c.url, c.body)
			require.Equal(t, c.code, w.Code, w.Body.String())
			require.Contains(t, w.Body.String(), c.text)
			require.NotContains(t, w.Body.String(), "private")
			if w.Code >= 400 {
				require.Equal(t, "hello", get(t, s, key))
				require.Equal(t, []string{"runs/r1/in", "runs/r1/other"}, files(t, s))
			}
		})
	}
}

func TestPutAnswersWithTheDigest(t *testing.T) {
	h := Handler(newFS(t), secret)
	url := signedURL("", secret, "PUT", "k", time.Hour)
	w := ask(h, "PUT", url, "hello")
	require.Equal(t, `"`+digest("hello")+`"`, w.Header().Get("ETag"))
	require.Equal(t, http.StatusPreconditionFailed, ask(h, "PUT", url, "late", "If-None-Match", "*").Code)
	require.Equal(t, http.StatusOK, ask(h, "PUT", url, "replaced").Code)
}

func TestTooLarge(t *testing.T) {
	s := newFS(t)
	h := &server{store: s, secret: secret, limit: 10}
	url := signedURL("", secret, "PUT", "k", time.Hour)
	require.Equal(t, http.StatusOK, ask(h, "PUT", url, "0123456789").Code)
	announced := httptest.NewRequest(http.MethodPut, url, iotest.ErrReader(errors.New("it was read")))
	announced.ContentLength = 11
	refused := httptest.NewRecorder()
	h.ServeHTTP(refused, announced)
	require.Equal(t, http.StatusRequestEntityTooLarge, refused.Code)

	body := io.MultiReader(strings.NewReader("0123456789"), strings.NewReader("a"))
	unknown := httptest.NewRequest(http.MethodPut, url, body)
	require.Equal(t, int64(-1), unknown.ContentLength)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, unknown)
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
	require.Equal(t, "0123456789", get(t, s, "k"))
	require.Equal(t, []string{"k"}, files(t, s))
}

func TestPartsOfAnObject(t *testing.T) {
	s := newFS(t)
	put(t, s, "k", "0123456789")
	h := Handler(s, secret)
	url := signedURL("", secret, "GET", "k", time.Hour)
	w := ask(h, "GET", url, "", "Range", "bytes=4-")
	require.Equal(t, http.StatusPartialContent, w.Code)
	require.Equal(t, "456789", w.Body.String())
	require.Equal(t, "bytes 4-9/10", w.Header().Get("Content-Range"))
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, ask(h, "GET", url, "", "Range", "bytes=10-").Code)
	whole := ask(h, "GET", url, "")
	require.Equal(t, "10", whole.Header().Get("Content-Length"))
	require.Equal(t, "application/octet-stream", whole.Header().Get("Content-Type"))
}

// Whoever holds no secret gets nothing, whatever the URL; and the holder of one URL nothing else.
func FuzzSignedURL(f *testing.F) {
	s := newFS(f)
	put(f, s, "in", "private")
	h := Handler(s, secret)
	good := signedURL("", secret, "GET", "in", 1000*time.Hour)
	parsed, err := url.Parse(good)
	require.NoError(f, err)
	f.Add("GET", "/o/in", parsed.RawQuery)
	f.Add("GET", "/o/in", "expires=9999999999&signature=")
	f.Add("PUT", "/o/../in", "expires=%zz;signature=\x00")
	f.Add("DELETE", "/o/", "expires=9999999999&expires=1&signature=00&signature="+strings.Repeat("0", 64))
	f.Add("GET", "/o/in", parsed.RawQuery+"&expires=99999999999")
	f.Fuzz(func(t *testing.T, method, path, query string) {
		r := httptest.NewRequest(http.MethodGet, "/", bytes.NewReader([]byte("written")))
		r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == http.StatusOK {
			q := r.URL.Query()
			require.Equal(t, [...]string{"GET", "/o/in"}, [...]string{method, path})
			require.Equal(t, parsed.Query()["signature"][0], q.Get("signature"))
			require.Equal(t, parsed.Query()["expires"][0], q.Get("expires"))
			return
		}
		require.Contains(t, []int{http.StatusForbidden, http.StatusNotFound}, w.Code)
		require.NotContains(t, w.Body.String(), "private")
	})
}
