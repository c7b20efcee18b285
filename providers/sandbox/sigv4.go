package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// This file is AWS Signature Version 4 as its public documentation defines it, for header authentication of a
// request whose body is known. It is used to check requests and to sign our own.

const (
	algorithm  = "AWS4-HMAC-SHA256"
	amzDate    = "20060102T150405Z"
	service    = "lambda"
	clockDrift = 5 * time.Minute
)

// keys are the credentials of a sandbox and the region they are valid in.
type keys struct {
	AccessKeyID string
	SecretKey   string
	Region      string
}

// authorization is a parsed Authorization header.
type authorization struct {
	accessKey, date, region, service string
	signedHeaders                    []string
	signature                        string
}

// verify reports why r, whose body is given, is not a valid request of the key's owner.
func (k keys) verify(r *http.Request, body []byte, now time.Time) *apiError {
	header := r.Header.Get("Authorization")
	if header == "" {
		return denied("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	auth, err := parseAuthorization(header)
	if err != nil {
		return denied("IncompleteSignatureException", err.Error())
	}
	if !hmac.Equal([]byte(auth.accessKey), []byte(k.AccessKeyID)) {
		return denied("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	if auth.region != k.Region || auth.service != service {
		return denied("InvalidSignatureException", fmt.Sprintf("Credential should be scoped to %s/%s.", k.Region, service))
	}
	at, err := time.Parse(amzDate, r.Header.Get("X-Amz-Date"))
	if err != nil || at.Format("20060102") != auth.date {
		return denied("IncompleteSignatureException", "X-Amz-Date is missing or not of the credential's day.")
	}
	if d := now.Sub(at); d > clockDrift || d < -clockDrift {
		return denied("InvalidSignatureException", "Signature expired: it was made at "+at.Format(amzDate)+".")
	}
	if missing := unsigned(r.Header, auth.signedHeaders); missing != "" {
		return denied("InvalidSignatureException", "Header "+missing+" must be signed.")
	}
	want := k.signature(r, auth.signedHeaders, body, at)
	if !hmac.Equal([]byte(want), []byte(auth.signature)) {
		return denied("InvalidSignatureException",
			"The request signature we calculated does not match the signature you provided.")
	}
	return nil
}

// sign adds the headers of a valid signature to r.
func (k keys) sign(r *http.Request, body []byte, now time.Time) {
	now = now.UTC()
	r.Header.Set("X-Amz-Date", now.Format(amzDate))
	headers := []string{"host", "x-amz-date"}
	r.Header.Set("Authorization", fmt.Sprintf("%s Credential=%s/%s/%s/%s/aws4_request, SignedHeaders=%s, Signature=%s",
		algorithm, k.AccessKeyID, now.Format("20060102"), k.Region, service,
		strings.Join(headers, ";"), k.signature(r, headers, body, now)))
}

func parseAuthorization(header string) (authorization, error) {
	var a authorization
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return a, errors.New("the Authorization header requires " + algorithm)
	}
	fields := make(map[string]string, 3)
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 || scope[4] != "aws4_request" || fields["SignedHeaders"] == "" || fields["Signature"] == "" {
		return a, errors.New("the Authorization header requires Credential, SignedHeaders and Signature")
	}
	a.accessKey, a.date, a.region, a.service = scope[0], scope[1], scope[2], scope[3]
	a.signedHeaders = strings.Split(fields["SignedHeaders"], ";")
	a.signature = fields["Signature"]
	return a, nil
}

// unsigned names a header that has to be signed and is not: host and every x-amz- header.
func unsigned(h http.Header, signed []string) string {
	if !slices.Contains(signed, "host") {
		return "host"
	}
	for name := range h {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-amz-") && !slices.Contains(signed, lower) {
			return lower
		}
	}
	return ""
}

func (k keys) signature(r *http.Request, headers []string, body []byte, at time.Time) string {
	day := at.Format("20060102")
	canonical := hexHash([]byte(canonicalRequest(r, headers, body)))
	scope := day + "/" + k.Region + "/" + service + "/aws4_request"
	toSign := algorithm + "\n" + at.Format(amzDate) + "\n" + scope + "\n" + canonical

	key := []byte("AWS4" + k.SecretKey)
	for _, part := range []string{day, k.Region, service, "aws4_request", toSign} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}

func canonicalRequest(r *http.Request, headers []string, body []byte) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n" + canonicalPath(r.URL) + "\n" + canonicalQuery(r.URL) + "\n")
	for _, name := range headers {
		b.WriteString(name + ":" + canonicalHeader(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(headers, ";") + "\n" + hexHash(body))
	return b.String()
}

func canonicalHeader(r *http.Request, name string) string {
	switch name {
	case "host":
		if r.Host != "" {
			return r.Host
		}
		return r.URL.Host
	case "content-length":
		return fmt.Sprint(r.ContentLength)
	}
	values := slices.Clone(r.Header.Values(name))
	for i, v := range values {
		values[i] = strings.Join(strings.Fields(v), " ")
	}
	return strings.Join(values, ",")
}

// canonicalPath escapes each segment of the path as sent once more, as every service but S3 demands.
func canonicalPath(u *url.URL) string {
	segments := strings.Split(u.EscapedPath(), "/")
	for i, s := range segments {
		segments[i] = uriEscape(s)
	}
	if path := strings.Join(segments, "/"); path != "" {
		return path
	}
	return "/"
}

func canonicalQuery(u *url.URL) string {
	var pairs []string
	for name, values := range u.Query() {
		for _, v := range values {
			pairs = append(pairs, uriEscape(name)+"="+uriEscape(v))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// uriEscape is RFC 3986's percent-encoding of everything but unreserved characters.
func uriEscape(s string) string {
	const unreserved = "-._~"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(unreserved, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

func hexHash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
