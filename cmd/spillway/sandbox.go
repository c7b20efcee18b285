//go:build linux || darwin

package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/spf13/cobra"

	"github.com/spillway/spillway/artifact"
	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/providers"
	"github.com/spillway/spillway/providers/awslambda"
	"github.com/spillway/spillway/providers/sandbox"
)

// sandboxRole stands where AWS wants the role of a function; a sandbox has no
// roles.
const sandboxRole = "arn:aws:iam::000000000000:role/sandbox"

// sandboxCommand serves a sandbox. Runs start it by themselves.
func (a *app) sandboxCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "sandbox", Short: "The function service on this machine"}
	var dir string
	serve := &cobra.Command{
		Use: "serve", Short: "Serve the sandbox of a folder until nobody uses it", Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return sandbox.Serve(cmd.Context(), dir, serveObjects)
		},
	}
	serve.Flags().StringVar(&dir, "dir", "", "folder of the sandbox")
	_ = serve.MarkFlagRequired("dir")
	stop := &cobra.Command{
		Use: "stop", Short: "End the sandbox of the state directory now",
		Long: "Runs leave their sandbox running, so that the next one finds it warm; it ends by\n" +
			"itself after five minutes without one. This ends it now, with what runs in it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			state, err := a.state()
			if err != nil {
				return err
			}
			return sandbox.Stop(cmd.Context(), filepath.Join(state, "sandbox"))
		},
	}
	cmd.AddCommand(serve, stop)
	return cmd
}

// serveObjects makes the object server of a sandbox.
func serveObjects(dir string, secret []byte) (http.Handler, error) {
	store, err := artifact.NewFS(dir)
	if err != nil {
		return nil, err
	}
	return artifact.Handler(store, secret), nil
}

// publicSite is the sandbox as a site of runs: it executes attempts through the
// adapter of AWS Lambda, and keeps their files. It starts when it is first used.
type publicSite struct {
	app  *app
	conf sandbox.Config
	size []int

	mu     sync.Mutex
	client *sandbox.Client
	site   *awslambda.Site
	store  *artifact.Remote
}

// sandboxWait bounds how long a sandbox may take to answer.
const sandboxWait = 30 * time.Second

func newPublicSite(e *embedded, c *sandboxConf) *publicSite {
	self, _ := os.Executable()
	dir := filepath.Join(e.dir, "sandbox")
	return &publicSite{app: e.app, size: c.MemoryMiB, conf: sandbox.Config{
		Dir: dir, Command: []string{self, "sandbox", "serve", "--dir", dir}, Region: "local", Quota: c.Quota, VCPU: c.VCPU,
		ColdStart: time.Duration(c.ColdStartMs) * time.Millisecond, KeepAlive: sandboxWarm, Book: c.Prices,
	}}
}

// open starts the sandbox, or attaches to it, and deploys the runner.
func (p *publicSite) open(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.site != nil {
		return nil
	}
	ctx, done := context.WithTimeout(ctx, sandboxWait)
	defer done()
	client, err := sandbox.Ensure(ctx, p.conf)
	if err != nil {
		return err
	}
	site, err := p.deploy(ctx, client)
	if err != nil {
		client.Close()
		return err
	}
	for _, note := range client.Notes {
		p.app.notef("sandbox: %s", note)
	}
	p.client, p.site = client, site
	p.store = &artifact.Remote{BaseURL: client.URL, Secret: client.Objects}
	return nil
}

func (p *publicSite) deploy(ctx context.Context, c *sandbox.Client) (*awslambda.Site, error) {
	site, err := awslambda.New(ctx, awslambda.Config{
		Site: sandboxSite, Region: c.Region, Endpoint: c.URL, Sizes: p.size, Quota: p.conf.Quota, Sandbox: true,
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretKey, ""),
	})
	if err != nil {
		return nil, err
	}
	program, err := runnerProgram()
	if err != nil {
		return nil, err
	}
	return site, site.Deploy(ctx, program, sandboxRole)
}

// runnerProgram is spillway-runner beside this program, or this program, which
// serves as it.
func runnerProgram() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	small := filepath.Join(filepath.Dir(self), "spillway-runner")
	if info, err := os.Stat(small); err == nil && info.Mode().IsRegular() {
		return small, nil
	}
	return self, nil
}

func (p *publicSite) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.site != nil {
		p.site.Close()
		p.client.Close()
	}
}

// Execute implements providers.Executor. The invocation holds signed URLs, so the sandbox is open.
func (p *publicSite) Execute(ctx context.Context, inv providers.Invocation) providers.Result {
	return p.site.Execute(ctx, inv)
}

// Offerings implements providers.Executor.
func (p *publicSite) Offerings(ctx context.Context) ([]providers.Offering, error) {
	if err := p.open(ctx); err != nil {
		return nil, err
	}
	return p.site.Offerings(ctx)
}

// Sign, Get, Put, Stat and DeletePrefix implement artifact.Store.

// Sign signs a URL of the sandbox's object server. A sandbox that does not start is out for the run: it has denied the
// attempt that the URL is for, and the engine places its tasks elsewhere.
func (p *publicSite) Sign(ctx context.Context, method, key string, ttl time.Duration) (string, error) {
	if err := p.open(ctx); err != nil {
		return "", &providers.Error{Class: providers.Denied, Message: err.Error()}
	}
	return p.store.Sign(ctx, method, key, ttl)
}

// Get opens an object.
func (p *publicSite) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := p.open(ctx); err != nil {
		return nil, err
	}
	return p.store.Get(ctx, key)
}

// Put stores an object.
func (p *publicSite) Put(ctx context.Context, key string, r io.Reader, opt artifact.PutOptions) (artifact.Info, error) {
	if err := p.open(ctx); err != nil {
		return artifact.Info{}, err
	}
	return p.store.Put(ctx, key, r, opt)
}

// Stat describes an object.
func (p *publicSite) Stat(ctx context.Context, key string) (artifact.Info, error) {
	if err := p.open(ctx); err != nil {
		return artifact.Info{}, err
	}
	return p.store.Stat(ctx, key)
}

// DeletePrefix removes objects.
func (p *publicSite) DeletePrefix(ctx context.Context, prefix string) error {
	if err := p.open(ctx); err != nil {
		return err
	}
	return p.store.DeletePrefix(ctx, prefix)
}

// fate reads the sandbox's own ledger.
func (p *publicSite) fate(ctx context.Context, run, attempt string) (engine.Fate, error) {
	if err := p.open(ctx); err != nil {
		return engine.Fate{}, err
	}
	entries, err := p.client.Ledger(ctx, run)
	if err != nil {
		return engine.Fate{}, err
	}
	f := engine.Fate{Known: true}
	for _, e := range entries {
		if e.Attempt != attempt {
			continue
		}
		f.Accepted, f.Ended = true, e.Status != sandbox.StatusStarted
		f.Usage = providers.Usage{Billed: time.Duration(e.Billed) * time.Microsecond,
			Init: time.Duration(e.Init) * time.Microsecond, Cold: e.Cold, RequestID: e.RequestID, MemoryMiB: e.MemoryMiB}
	}
	return f, nil
}

// ready starts the sandbox before the run's time begins to count. A run goes on
// without it.
func (p *publicSite) ready(ctx context.Context) {
	if err := p.open(ctx); err != nil {
		p.app.notef("the sandbox is not available: %v", err)
	}
}
