package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"time"

	"golang.org/x/time/rate"
)

// Link is one direction between two sites, as the planner sees it: one file at a time in order of asking,
// BytesPerSecond while it is sent, and there Latency after it was sent. It is safe for concurrent use.
type Link struct {
	latency time.Duration
	turn    chan struct{} // holds a token while the link is free; channels serve waiters in order
	limiter *rate.Limiter // nil: as fast as it goes
	chunk   int
}

// chunkBytes bounds how much is sent between two looks at the limiter.
const chunkBytes = 256 << 10

// NewLink makes a free link. A bandwidth of 0 or less means no limit.
func NewLink(bytesPerSecond float64, latency time.Duration) *Link {
	l := &Link{latency: latency, turn: make(chan struct{}, 1), chunk: chunkBytes}
	l.turn <- struct{}{}
	if bytesPerSecond > 0 {
		l.chunk = int(min(max(bytesPerSecond/50, 1), chunkBytes)) // smooth to 20 ms
		l.limiter = rate.NewLimiter(rate.Limit(bytesPerSecond), l.chunk)
	}
	return l
}

// carry sends r's bytes at the link's pace: it waits for the link's turn, then calls send with a reader
// that is as slow as the link, and returns once the last byte has arrived.
func (l *Link) carry(ctx context.Context, r io.Reader, send func(io.Reader) error) error {
	select {
	case <-l.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	if l.limiter != nil {
		l.limiter.AllowN(time.Now(), int(l.limiter.Tokens())) // what was not sent before is no credit
	}
	err := send(&paced{ctx: ctx, r: r, link: l})
	l.turn <- struct{}{}
	if err == nil && l.latency > 0 {
		err = wait(ctx, l.latency)
	}
	return err
}

// paced lets bytes through at the link's bandwidth.
type paced struct {
	ctx  context.Context
	r    io.Reader
	link *Link
}

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.r.Read(b[:min(len(b), p.link.chunk)])
	if p.link.limiter != nil && n > 0 {
		if werr := p.link.limiter.WaitN(p.ctx, n); werr != nil {
			return n, werr
		}
	}
	return n, err
}

// Copy stages one object from src to dst over link (nil: no limit) and returns what arrived. What dst
// stored must have the digest of what src yielded; whether that is the digest the object should have is
// the caller's to compare. progress, where set, is told the number of bytes sent so far.
func Copy(ctx context.Context, dst, src Store, key string, link *Link, progress func(sent int64)) (Info, error) {
	r, err := src.Get(ctx, key)
	if err != nil {
		return Info{}, fmt.Errorf("copy %s: %w", key, err)
	}
	defer func() { _ = r.Close() }()
	var info Info
	sent := newDigestReader(r)
	sent.progress = progress
	put := func(r io.Reader) error {
		info, err = dst.Put(ctx, key, r, PutOptions{})
		return err
	}
	if link == nil {
		err = put(sent)
	} else {
		err = link.carry(ctx, sent, put)
	}
	if err != nil {
		return Info{}, fmt.Errorf("copy %s: %w", key, err)
	}
	if size, sum := sent.result(); size != info.Size || sum != info.SHA256 {
		return Info{}, fmt.Errorf("copy %s: sent %d bytes with digest %s, stored %d with %s",
			key, size, sum, info.Size, info.SHA256)
	}
	return info, nil
}

// digestReader counts and digests what is read through it.
type digestReader struct {
	r        io.Reader
	h        hash.Hash
	size     int64
	progress func(int64)
}

func newDigestReader(r io.Reader) *digestReader { return &digestReader{r: r, h: sha256.New()} }

func (d *digestReader) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if n == 0 { // a transport may still look for the end when the answer has come: touch nothing then
		return n, err
	}
	d.h.Write(p[:n])
	d.size += int64(n)
	if d.progress != nil {
		d.progress(d.size)
	}
	return n, err
}

func (d *digestReader) result() (int64, string) { return d.size, hex.EncodeToString(d.h.Sum(nil)) }
