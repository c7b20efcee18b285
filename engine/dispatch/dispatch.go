// Package dispatch carries the engine's orders to sites: it resolves secrets and signs object URLs at the
// last moment, anew for each attempt, and hands a sealed invocation to the site's executor.
package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"time"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/providers"
	"github.com/spillway/spillway/workflow"
)

// Objects is the object store of one site.
type Objects interface {
	// Sign gives a URL that allows one method (GET or PUT) on one key for a while. A site that cannot be used says so
	// by a *providers.Error.
	Sign(ctx context.Context, method, key string, ttl time.Duration) (string, error)
	// Get opens an object for reading; the error wraps fs.ErrNotExist when there is none.
	Get(ctx context.Context, key string) (io.ReadCloser, error)
}

// Site is where attempts go: who executes them, and the store their files are in.
type Site struct {
	Executor providers.Executor
	Objects  Objects
	Fate     func(ctx context.Context, run, attempt string) (engine.Fate, error) // nil: it cannot be asked

	// Manifest looks for a result where a site keeps them elsewhere than in its object store; nil: it does not.
	Manifest func(run, attempt string) (*envelope.Manifest, error)
}

// Dispatcher implements engine.Dispatcher over a set of sites.
type Dispatcher struct {
	Sites map[string]Site
	// Copy moves one object between the stores of two sites and tells the bytes sent.
	Copy func(ctx context.Context, from, to string, f workflow.FileRecord) (int64, error)
	// Secret finds the value of a named secret.
	Secret func(name string) (string, error)
	// Work turns a trace's synthetic work into a command.
	Work func(o engine.Order) []string
}

// signSkew is how long a URL stays good beyond the attempt's own time limit.
const signSkew = 5 * time.Minute

// untimed is the validity of URLs of an attempt without a time limit.
const untimed = 24 * time.Hour

// ManifestKey is where the result of an attempt is kept, in the store of its site.
func ManifestKey(run, attempt string) string { return "runs/" + run + "/" + attempt + "/manifest.json" }

// OutputKey is where an attempt stores an output; keys of different attempts never meet.
func OutputKey(run, attempt, path string) string {
	return "runs/" + run + "/" + attempt + "/out/" + path
}

// Execute seals the order and runs it at its site.
func (d *Dispatcher) Execute(ctx context.Context, o engine.Order, started func(time.Time)) providers.Result {
	site, ok := d.Sites[o.Attempt.Site]
	if !ok {
		return refused(fmt.Errorf("site %s is not configured", o.Attempt.Site))
	}
	inv, err := d.seal(ctx, site, o)
	if err != nil {
		return notSent(err)
	}
	res := site.Executor.Execute(ctx, providers.Invocation{Envelope: inv, MemoryMiB: o.Attempt.MemoryMiB,
		Node: o.Attempt.Node, Cores: o.Attempt.Cores, Timeout: o.Attempt.Timeout, Started: started})
	if bad := forged(res.Manifest, o.Run.ID, o.Attempt.ID); bad != nil {
		res.Manifest, res.Err = nil, bad
		res.Usage.Executed = o.Attempt.Site != engine.PrivateSite
	}
	return res
}

// forged tells why a manifest is not the attempt's own, nil when it is: it may name no object but those that
// were signed for the attempt, or it would pass files of others on.
func forged(m *envelope.Manifest, run, attempt string) *providers.Error {
	switch {
	case m == nil:
		return nil
	case m.Attempt != attempt:
		return badManifest("manifest of %s names attempt %q", attempt, m.Attempt)
	}
	for _, o := range m.Outputs {
		if o.Key != OutputKey(run, attempt, o.Path) {
			return badManifest("manifest of %s: output %s is said to be at %s", attempt, o.Path, o.Key)
		}
	}
	return nil
}

// notSent is the answer to an order that did not leave: what its site says is the site's own answer.
func notSent(err error) providers.Result {
	var site *providers.Error
	if errors.As(err, &site) {
		return providers.Result{Err: site}
	}
	return refused(err)
}

func refused(err error) providers.Result {
	return providers.Result{Err: &providers.Error{Class: providers.Refused, Message: err.Error()}}
}

// seal makes the invocation that the runner receives.
func (d *Dispatcher) seal(ctx context.Context, site Site, o engine.Order) (envelope.Invocation, error) {
	inv := envelope.Invocation{Protocol: envelope.Protocol, Run: o.Run.ID, Task: o.TaskID, Attempt: o.Attempt.ID,
		TimeoutMillis: o.Attempt.Timeout.Milliseconds(), MemoryBytes: o.MemoryBytes}
	var err error
	if inv.Env, err = d.environment(o.Command); err != nil {
		return inv, err
	}
	inv.Command = envelope.Command{Shell: o.Command.Shell, Args: o.Command.Args}
	if o.Command.Work != nil {
		inv.Command.Args = d.Work(o)
	}
	s := signer{ctx: ctx, objects: site.Objects, ttl: ttl(o.Attempt.Timeout)}
	for _, in := range o.Inputs {
		inv.Inputs = append(inv.Inputs, envelope.Input{Path: in.Path, SHA256: in.File.SHA256, Size: in.File.Size,
			Executable: in.Executable, Object: s.object(in.File.Key, true, false)})
	}
	for _, out := range o.Outputs {
		inv.Outputs = append(inv.Outputs, envelope.Output{Name: out.Name, Path: out.Path, Value: out.Value,
			Object: s.object(OutputKey(o.Run.ID, o.Attempt.ID, out.Path), false, true)})
	}
	inv.Manifest = s.object(ManifestKey(o.Run.ID, o.Attempt.ID), true, true)
	return inv, s.err
}

func ttl(timeout time.Duration) time.Duration {
	if timeout == 0 {
		return untimed
	}
	return timeout + signSkew
}

// environment is the task's own, with secrets put in.
func (d *Dispatcher) environment(c workflow.Command) (map[string]string, error) {
	if len(c.Secrets) == 0 {
		return c.Env, nil
	}
	env := make(map[string]string, len(c.Env)+len(c.Secrets))
	maps.Copy(env, c.Env)
	for name, secret := range c.Secrets {
		v, err := d.Secret(secret)
		if err != nil {
			return nil, fmt.Errorf("secret %s for %s: %w", secret, name, err)
		}
		env[name] = v
	}
	return env, nil
}

// signer signs URLs and keeps the first error.
type signer struct {
	ctx     context.Context
	objects Objects
	ttl     time.Duration
	err     error
}

func (s *signer) object(key string, get, put bool) envelope.Object {
	o := envelope.Object{Key: key}
	if get {
		o.Get = s.sign("GET", key)
	}
	if put {
		o.Put = s.sign("PUT", key)
	}
	return o
}

func (s *signer) sign(method, key string) string {
	if s.err != nil {
		return ""
	}
	u, err := s.objects.Sign(s.ctx, method, key, s.ttl)
	if err != nil {
		s.err = fmt.Errorf("signing %s %s: %w", method, key, err)
	}
	return u
}

// Transfer copies a file to the store of another site.
func (d *Dispatcher) Transfer(ctx context.Context, m engine.Move) (int64, error) {
	return d.Copy(ctx, m.From, m.To, m.File)
}

// Fate implements engine.Witness.
func (d *Dispatcher) Fate(ctx context.Context, run string, a workflow.AttemptRecord) (engine.Fate, error) {
	ask := d.Sites[a.Site].Fate
	if ask == nil {
		return engine.Fate{}, nil
	}
	return ask(ctx, run, a.ID)
}

// Manifest reads the result that an attempt left in the store of its site, nil when there is none. One
// that does not belong to the attempt is an error.
func (d *Dispatcher) Manifest(ctx context.Context, run string, a workflow.AttemptRecord) (*envelope.Manifest, error) {
	site, ok := d.Sites[a.Site]
	if !ok {
		return nil, fmt.Errorf("site %s is not configured", a.Site)
	}
	m, err := site.manifest(ctx, run, a.ID)
	if err != nil || m == nil {
		return nil, err
	}
	if bad := forged(m, run, a.ID); bad != nil {
		return nil, bad
	}
	return m, nil
}

func (s *Site) manifest(ctx context.Context, run, attempt string) (*envelope.Manifest, error) {
	if s.Manifest != nil {
		return s.Manifest(run, attempt)
	}
	data, err := read(ctx, s.Objects, ManifestKey(run, attempt))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := &envelope.Manifest{}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, badManifest("manifest of %s: %v", attempt, err)
	}
	return m, nil
}

func badManifest(format string, args ...any) *providers.Error {
	return &providers.Error{Class: providers.FunctionError, Message: fmt.Sprintf(format, args...)}
}

// maxManifest bounds what is read of a manifest, in bytes: outputs that travel as values, and a log's tail.
const maxManifest = 16 << 20

func read(ctx context.Context, o Objects, key string) ([]byte, error) {
	r, err := o.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	return io.ReadAll(io.LimitReader(r, maxManifest))
}
