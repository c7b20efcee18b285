package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Client is an attachment to a running sandbox, which stays as long as somebody is attached. One that dies is
// started again, with the same address and keys.
type Client struct {
	Endpoint
	dir    string
	cancel context.CancelFunc
	done   sync.WaitGroup
}

func newClient(cfg Config, e Endpoint) *Client {
	ctx, cancel := context.WithCancel(context.Background())
	c := &Client{Endpoint: e, dir: cfg.Dir, cancel: cancel}
	c.done.Go(func() { hold(ctx, cfg, e) })
	return c
}

// Close detaches. The sandbox ends by itself when nobody has used it for Config.IdleExit.
func (c *Client) Close() {
	c.cancel()
	c.done.Wait()
}

// Stop ends the sandbox and everything that runs in it, then detaches.
func (c *Client) Stop(ctx context.Context) error {
	c.Close()
	return Stop(ctx, c.dir)
}

// Ledger returns the invocations that the sandbox accepted, in the order they began, each as it stands now: all
// of a run, or all there are when run is empty.
func (c *Client) Ledger(ctx context.Context, run string) ([]Entry, error) {
	var entries []Entry
	if err := c.do(ctx, http.MethodGet, "/sandbox/ledger?run="+url.QueryEscape(run), &entries); err != nil {
		return nil, fmt.Errorf("sandbox: ledger: %w", err)
	}
	return entries, nil
}

// hold keeps a request open, which is how a sandbox knows that it has a client, and starts the sandbox anew
// when it is gone. A restart that fails is tried again: invocations meanwhile find a closed port and say so.
func hold(ctx context.Context, cfg Config, e Endpoint) {
	for ctx.Err() == nil {
		_ = e.do(ctx, http.MethodGet, "/sandbox/hold", nil) // however it ended, the next lines find out
		if pause(ctx, 20*time.Millisecond) != nil {
			return
		}
		if again, err := ensure(ctx, cfg); err == nil {
			e = again
		} else if pause(ctx, time.Second) != nil {
			return
		}
	}
}

// do makes a signed request of the sandbox's own API and decodes the answer where into is not nil.
func (e Endpoint) do(ctx context.Context, method, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, e.URL+path, nil)
	if err != nil {
		return err
	}
	keys{e.AccessKeyID, e.SecretKey, e.Region}.sign(req, nil, time.Now())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return fmt.Errorf("%s: %s", resp.Status, text)
	}
	if into == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	return errors.Join(json.NewDecoder(resp.Body).Decode(into), ctx.Err())
}
