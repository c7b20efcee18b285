package artifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spillway/spillway/internal/envelope"
)

// Client reads and writes objects by their signed URLs (file, http, https); it is a runner's way to its
// objects and holds no credentials. Requests that failed for the server's or the network's reasons are
// tried again; a download that broke off goes on where it was. The zero value is ready, and safe for
// concurrent use.
type Client struct{}

// Fetch copies an object to w and returns its size and hex SHA-256. Its error is fs.ErrNotExist where
// there is no such object.
func (c Client) Fetch(ctx context.Context, o envelope.Object, w io.Writer) (int64, string, error) {
	body, err := c.open(ctx, o.Get)
	if err != nil {
		return 0, "", fmt.Errorf("fetch %s: %w", o.Key, err)
	}
	defer func() { _ = body.Close() }()
	size, sum, err := copyDigest(w, withContext(ctx, body))
	if err != nil {
		return size, "", fmt.Errorf("fetch %s: %w", o.Key, err)
	}
	return size, sum, nil
}

func (c Client) open(ctx context.Context, rawURL string) (io.ReadCloser, error) {
	if name, ok, err := fileName(rawURL); ok {
		if err != nil {
			return nil, err
		}
		return os.Open(name)
	}
	return c.download(ctx, rawURL)
}

// Store writes all of r as the object, replacing an earlier one, and returns its size and hex SHA-256.
func (c Client) Store(ctx context.Context, o envelope.Object, r io.ReadSeeker) (int64, string, error) {
	size, sum, err := c.write(ctx, o.Put, r, false)
	if err != nil {
		return 0, "", fmt.Errorf("store %s: %w", o.Key, err)
	}
	return size, sum, nil
}

// StoreOnce creates the object. Its error is fs.ErrExist where there is one already.
func (c Client) StoreOnce(ctx context.Context, o envelope.Object, data []byte) error {
	if _, _, err := c.write(ctx, o.Put, bytes.NewReader(data), true); err != nil {
		return fmt.Errorf("store %s: %w", o.Key, err)
	}
	return nil
}

func (c Client) write(ctx context.Context, rawURL string, r io.ReadSeeker, once bool) (int64, string, error) {
	if name, ok, err := fileName(rawURL); ok {
		if err != nil {
			return 0, "", err
		}
		return writeWhole(machine{}, name, withContext(ctx, r), once)
	}
	return c.upload(ctx, rawURL, r, once)
}

// fileName is the path of a file:// URL; ok tells whether it is one.
func fileName(rawURL string) (name string, ok bool, err error) {
	rest, ok := strings.CutPrefix(rawURL, "file://")
	if !ok {
		return "", false, nil
	}
	if rest, err = url.PathUnescape(rest); err == nil && !strings.HasPrefix(rest, "/") {
		err = fmt.Errorf("%.80q: a file URL needs an absolute path", rawURL)
	}
	return filepath.FromSlash(rest), true, err
}

// transport is shared by all clients. Whole transfers have no time limit but the attempt's; a server that
// does not begin to answer has.
var transport = &http.Transport{
	Proxy:                 http.ProxyFromEnvironment,
	DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
	TLSHandshakeTimeout:   10 * time.Second,
	ResponseHeaderTimeout: time.Minute,
	IdleConnTimeout:       90 * time.Second,
	MaxIdleConnsPerHost:   16,
	ForceAttemptHTTP2:     true,
	DisableCompression:    true, // digests are of the stored bytes
}

// tries is how often a request is sent; pause, doubled each time, is waited in between.
const (
	tries = 4
	pause = 50 * time.Millisecond
)

// send makes a request without body, for the object's bytes from an offset on where that is not 0, and
// returns its successful answer.
func (c Client) send(ctx context.Context, method, rawURL string, from int64) (*http.Response, error) {
	return c.again(ctx, func() error { return nil }, func() (*http.Request, error) {
		req, err := newRequest(ctx, method, rawURL, nil)
		if err == nil && from > 0 {
			req.Header.Set("Range", "bytes="+strconv.FormatInt(from, 10)+"-")
		}
		return req, err
	})
}

// newRequest is http.NewRequestWithContext without the URL in its error: a signed URL is a secret.
func newRequest(ctx context.Context, method, rawURL string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, rawURL, body)
	var about *url.Error
	switch {
	case errors.As(err, &about):
		return nil, fmt.Errorf("object URL: %w", about.Err)
	case err != nil:
		return nil, err
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return nil, fmt.Errorf("object URL: scheme %q is none of file, http and https", req.URL.Scheme)
	}
	return req, nil
}

// upload puts r, from where it stands, and compares digests with a server that tells one in its ETag. An
// r that cannot seek back is sent once only.
func (c Client) upload(ctx context.Context, rawURL string, r io.Reader, once bool) (int64, string, error) {
	length, rewind, err := rewinder(r)
	if err != nil {
		return 0, "", err
	}
	var body *digestReader
	resp, err := c.again(ctx, rewind, func() (*http.Request, error) {
		body = newDigestReader(r)
		req, err := newRequest(ctx, http.MethodPut, rawURL, io.NopCloser(body))
		if err != nil {
			return nil, err
		}
		req.ContentLength = length
		if length == 0 {
			req.Body = http.NoBody
		}
		if once {
			req.Header.Set("If-None-Match", "*")
		}
		return req, nil
	})
	if err != nil {
		return 0, "", err
	}
	size, sum := body.result()
	if tag := strings.Trim(resp.Header.Get("ETag"), `"`); len(tag) == len(sum) && tag != sum {
		err = fmt.Errorf("%s arrived as %s", sum, tag)
	}
	return size, sum, errors.Join(err, resp.Body.Close())
}

// rewinder tells how many bytes r will yield and how to go back to where it stands; -1 and nil where r
// cannot seek.
func rewinder(r io.Reader) (length int64, rewind func() error, err error) {
	s, ok := r.(io.Seeker)
	if !ok {
		return -1, nil, nil
	}
	start, err := s.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, nil, err
	}
	end, err := s.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, nil, err
	}
	rewind = func() error {
		_, err := s.Seek(start, io.SeekStart)
		return err
	}
	return end - start, rewind, rewind()
}

// again sends what request makes until an answer is final, calling rewind before each further try. A nil
// rewind means that what was sent cannot be sent again.
func (c Client) again(ctx context.Context, rewind func() error,
	request func() (*http.Request, error)) (*http.Response, error) {
	for try := 1; ; try++ {
		req, err := request()
		if err != nil {
			return nil, err
		}
		resp, err := transport.RoundTrip(req)
		if err == nil && resp.StatusCode < 300 {
			return resp, nil
		}
		worth := rewind != nil && (err != nil || passing(resp.StatusCode))
		if err == nil {
			err = failure(resp)
		}
		if !worth || try == tries || wait(ctx, pause<<(try-1)) != nil {
			return nil, err
		}
		if rerr := rewind(); rerr != nil {
			return nil, errors.Join(err, rerr)
		}
	}
}

// passing tells whether a status may be another the next time. S3 answers 409 to conditional writes that
// collide.
func passing(status int) bool {
	return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout ||
		status == http.StatusConflict
}

// failure turns an unsuccessful answer into an error, its body's first line included.
func failure(resp *http.Response) error {
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
	kind := errors.New(resp.Status)
	switch resp.StatusCode {
	case http.StatusNotFound:
		kind = ErrNotExist
	case http.StatusPreconditionFailed:
		kind = ErrExists
	}
	return fmt.Errorf("%w: %s", kind, bytes.TrimSpace(text))
}

// wait sleeps unless ctx ends first.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
