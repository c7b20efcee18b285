package sandbox

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var signedAt = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

const signedBody = `{"a":1}`

func signedRequest(k keys) *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost,
		"/2015-03-31/functions/f%3A1/invocations?b=2&a=1%2F", strings.NewReader(signedBody))
	r.Host = "127.0.0.1:9000"
	k.sign(r, []byte(signedBody), signedAt)
	return r
}

const (
	mismatch   = "InvalidSignatureException"
	incomplete = "IncompleteSignatureException"
)

// Of a signed request anything that matters may not change.
func TestVerify(t *testing.T) {
	k := keys{"AKID", "secret", "local"}
	require.Nil(t, k.verify(signedRequest(k), []byte(signedBody), signedAt.Add(time.Minute)))
	for name, test := range map[string]struct {
		body string
		late time.Duration
		edit func(*http.Request)
		kind string
	}{
		"body":          {body: `{"a":2}`, kind: mismatch},
		"method":        {edit: func(r *http.Request) { r.Method = http.MethodPut }, kind: mismatch},
		"path":          {edit: func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/x", "" }, kind: mismatch},
		"query":         {edit: func(r *http.Request) { r.URL.RawQuery = "a=1" }, kind: mismatch},
		"host":          {edit: func(r *http.Request) { r.Host = "elsewhere" }, kind: mismatch},
		"more headers":  {edit: func(r *http.Request) { r.Header.Set("X-Amz-Log-Type", "Tail") }, kind: mismatch},
		"too late":      {late: time.Hour, kind: mismatch},
		"too early":     {late: -time.Hour, kind: mismatch},
		"other day":     {edit: func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261126T000000Z") }, kind: incomplete},
		"no date":       {edit: func(r *http.Request) { r.Header.Del("X-Amz-Date") }, kind: incomplete},
		"no signature":  {edit: deleteAuth, kind: "MissingAuthenticationTokenException"},
		"other scheme":  {edit: func(r *http.Request) { r.Header.Set("Authorization", "Basic eDp5") }, kind: incomplete},
		"other key":     {edit: replaceAuth("AKID", "AKIE"), kind: "UnrecognizedClientException"},
		"other region":  {edit: replaceAuth("/local/", "/else/"), kind: mismatch},
		"other service": {edit: replaceAuth("/lambda/", "/s3/"), kind: mismatch},
		"host unsigned": {edit: replaceAuth("host;", ""), kind: mismatch},
	} {
		t.Run(name, func(t *testing.T) {
			r := signedRequest(k)
			if test.edit != nil {
				test.edit(r)
			}
			body := signedBody
			if test.body != "" {
				body = test.body
			}
			err := k.verify(r, []byte(body), signedAt.Add(test.late))
			require.NotNil(t, err)
			require.Equal(t, test.kind, err.kind)
			require.Equal(t, http.StatusForbidden, err.status)
			require.NotContains(t, err.message, "secret")
		})
	}
	require.NotNil(t, keys{"AKID", "guess", "local"}.verify(signedRequest(k), []byte(signedBody), signedAt))
}

func deleteAuth(r *http.Request) { r.Header.Del("Authorization") }

func replaceAuth(from, to string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), from, to, 1))
	}
}

func FuzzParseAuthorization(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=A/20261125/local/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=00")
	f.Add("AWS4-HMAC-SHA256 Credential=,SignedHeaders,Signature=")
	f.Fuzz(func(t *testing.T, header string) {
		a, err := parseAuthorization(header)
		if err == nil && (a.signature == "" || len(a.signedHeaders) == 0) {
			t.Fatalf("%q accepted: %+v", header, a)
		}
	})
}
