package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// download reads an object over HTTP. When the connection breaks it asks for the rest.
type download struct {
	ctx    context.Context
	client Client
	url    string
	body   io.ReadCloser
	got    int64 // bytes
	broken int   // times in a row without a byte in between
}

func (c Client) download(ctx context.Context, rawURL string) (io.ReadCloser, error) {
	resp, err := c.send(ctx, http.MethodGet, rawURL, 0) //nolint:bodyclose // download.Close does
	if err != nil {
		return nil, err
	}
	return &download{ctx: ctx, client: c, url: rawURL, body: resp.Body}, nil
}

func (d *download) Read(p []byte) (int, error) {
	n, err := d.body.Read(p)
	d.got += int64(n)
	if n > 0 {
		d.broken = 0
	}
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	if d.broken++; d.broken == tries || d.ctx.Err() != nil {
		return n, err
	}
	return n, d.resume(err)
}

// resume opens the object again behind what was read before why.
func (d *download) resume(why error) error {
	resp, err := d.client.send(d.ctx, http.MethodGet, d.url, d.got) //nolint:bodyclose // download.Close does
	if err != nil {
		return errors.Join(why, err)
	}
	_ = d.body.Close()
	d.body = resp.Body
	switch {
	case d.got == 0:
		return nil
	case resp.StatusCode != http.StatusPartialContent: // a server without ranges begins anew
		if _, err = io.CopyN(io.Discard, d.body, d.got); err != nil {
			return errors.Join(why, err)
		}
		return nil
	case !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", d.got)):
		return fmt.Errorf("%w; asked for bytes from %d, got %q", why, d.got, resp.Header.Get("Content-Range"))
	}
	return nil
}

func (d *download) Close() error { return d.body.Close() }
