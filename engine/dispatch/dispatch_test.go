package dispatch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/providers"
	"github.com/spillway/spillway/workflow"
)

// recorder is an executor that keeps what it was handed, and answers with a manifest of its outputs.
type recorder struct {
	got   []providers.Invocation
	spoil func(*envelope.Manifest)
}

func (r *recorder) Execute(_ context.Context, inv providers.Invocation) providers.Result {
	r.got = append(r.got, inv)
	m := &envelope.Manifest{Attempt: inv.Envelope.Attempt}
	for _, o := range inv.Envelope.Outputs {
		m.Outputs = append(m.Outputs, envelope.Stored{Path: o.Path, Key: o.Object.Key})
	}
	if r.spoil != nil {
		r.spoil(m)
	}
	return providers.Result{Manifest: m, Usage: providers.Usage{Billed: time.Second}}
}

func (r *recorder) Offerings(context.Context) ([]providers.Offering, error) { return nil, nil }

// objects is a store of a few objects; a URL tells what was signed, and the how-manieth signature it is.
type objects struct {
	kept   map[string]string
	signed int
	err    error
}

func (o *objects) Sign(_ context.Context, method, key string, ttl time.Duration) (string, error) {
	o.signed++
	return fmt.Sprintf("%s %s for %s, %d", method, key, ttl, o.signed), o.err
}

func (o *objects) Get(_ context.Context, key string) (io.ReadCloser, error) {
	text, ok := o.kept[key]
	if o.err != nil || !ok {
		return nil, errors.Join(o.err, fmt.Errorf("%s: %w", key, fs.ErrNotExist))
	}
	return io.NopCloser(bytes.NewBufferString(text)), nil
}

func newDispatcher() (*Dispatcher, *recorder, *objects) {
	r, o := &recorder{}, &objects{kept: map[string]string{}}
	secrets := map[string]string{"TOKEN": "s3cr3t"}
	return &Dispatcher{Sites: map[string]Site{"cloud": {Executor: r, Objects: o}},
		Work: func(o engine.Order) []string { return []string{"spin", o.TaskID} },
		Secret: func(name string) (string, error) {
			if v, ok := secrets[name]; ok {
				return v, nil
			}
			return "", errors.New("not set in the environment")
		}}, r, o
}

func order() engine.Order {
	return engine.Order{Run: workflow.RunRecord{ID: "r"}, TaskID: "t[2]", MemoryBytes: 1 << 30,
		Attempt: workflow.AttemptRecord{ID: "r.2.1", Site: "cloud", MemoryMiB: 1024, Node: -1, Cores: 2,
			Timeout: time.Minute},
		Command: workflow.Command{Shell: "echo $X", Env: map[string]string{"X": "1", "KEY": "plain"},
			Secrets: map[string]string{"KEY": "TOKEN"}},
		Inputs: []engine.OrderInput{{Path: "in/data", Executable: true,
			File: workflow.FileRecord{Key: "k1", SHA256: "ab", Size: 7}}},
		Outputs: []engine.OrderOutput{{Name: "n", Path: "out/n.json", Value: true}}}
}

func TestExecuteSealsTheOrder(t *testing.T) {
	d, r, _ := newDispatcher()
	res := d.Execute(t.Context(), order(), nil)
	require.Nil(t, res.Err)
	require.Equal(t, "r.2.1", res.Manifest.Attempt)
	require.Len(t, r.got, 1)
	got := r.got[0]
	require.Equal(t, 1024, got.MemoryMiB)
	require.Equal(t, -1, got.Node)
	require.Equal(t, 2, got.Cores)
	require.Equal(t, time.Minute, got.Timeout)
	require.Equal(t, envelope.Invocation{Protocol: envelope.Protocol, Run: "r", Task: "t[2]", Attempt: "r.2.1",
		Command: envelope.Command{Shell: "echo $X"}, Env: map[string]string{"X": "1", "KEY": "s3cr3t"},
		TimeoutMillis: 60_000, MemoryBytes: 1 << 30,
		Inputs: []envelope.Input{{Path: "in/data", SHA256: "ab", Size: 7, Executable: true,
			Object: envelope.Object{Key: "k1", Get: "GET k1 for 6m0s, 1"}}},
		Outputs: []envelope.Output{{Name: "n", Path: "out/n.json", Value: true,
			Object: envelope.Object{Key: "runs/r/r.2.1/out/out/n.json", Put: "PUT runs/r/r.2.1/out/out/n.json for 6m0s, 2"}}},
		Manifest: envelope.Object{Key: "runs/r/r.2.1/manifest.json", Get: "GET runs/r/r.2.1/manifest.json for 6m0s, 3",
			Put: "PUT runs/r/r.2.1/manifest.json for 6m0s, 4"},
	}, got.Envelope)
}

// An order is what the engine keeps in memory and could write down: sealing must not put a secret into it.
func TestSealLeavesTheOrderAsItWas(t *testing.T) {
	d, r, _ := newDispatcher()
	o := order()
	require.Nil(t, d.Execute(t.Context(), o, nil).Err)
	require.Equal(t, order(), o)
	text, err := json.Marshal(o)
	require.NoError(t, err)
	require.NotContains(t, string(text), "s3cr3t")
	require.Equal(t, "s3cr3t", r.got[0].Envelope.Env["KEY"])
}

func TestEachAttemptIsSignedAnew(t *testing.T) {
	d, r, o := newDispatcher()
	for range 2 {
		require.Nil(t, d.Execute(t.Context(), order(), nil).Err)
	}
	require.Equal(t, 8, o.signed)
	require.NotEqual(t, r.got[0].Envelope.Manifest.Put, r.got[1].Envelope.Manifest.Put)
}

func TestURLsOutliveTheAttempt(t *testing.T) {
	for timeout, want := range map[time.Duration]string{time.Hour: "for 1h5m0s", 0: "for 24h0m0s"} {
		d, r, _ := newDispatcher()
		o := order()
		o.Attempt.Timeout = timeout
		require.Nil(t, d.Execute(t.Context(), o, nil).Err)
		require.Contains(t, r.got[0].Envelope.Manifest.Get, want)
	}
}

func TestSyntheticWorkBecomesACommand(t *testing.T) {
	d, r, _ := newDispatcher()
	o := order()
	o.Command = workflow.Command{Work: &workflow.Work{RuntimeS: 1}}
	require.Nil(t, d.Execute(t.Context(), o, nil).Err)
	require.Equal(t, envelope.Command{Args: []string{"spin", "t[2]"}}, r.got[0].Envelope.Command)
}

func TestOrdersThatCannotBeSentAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*Dispatcher, *objects, *engine.Order)
		want  string
	}{
		"no such site": {func(_ *Dispatcher, _ *objects, o *engine.Order) { o.Attempt.Site = "moon" },
			"site moon is not configured"},
		"no such secret": {func(_ *Dispatcher, _ *objects, o *engine.Order) {
			o.Command.Secrets = map[string]string{"A": "OTHER"}
		}, "secret OTHER for A: not set in the environment"},
		"nothing signs": {func(_ *Dispatcher, s *objects, _ *engine.Order) { s.err = errors.New("no key") },
			"signing GET k1: no key"},
	} {
		t.Run(name, func(t *testing.T) {
			d, r, s := newDispatcher()
			o := order()
			c.spoil(d, s, &o)
			res := d.Execute(t.Context(), o, nil)
			require.Equal(t, providers.Refused, res.Err.Class)
			require.Equal(t, c.want, res.Err.Message)
			require.NotContains(t, res.Err.Message, "s3cr3t")
			require.False(t, res.Usage.Executed)
			require.Empty(t, r.got, "nothing was sent")
		})
	}
}

// A site that cannot be used has not refused the task: the engine places it elsewhere.
func TestSiteThatCannotSignAnswersForItself(t *testing.T) {
	d, r, s := newDispatcher()
	s.err = &providers.Error{Class: providers.Denied, Message: "it did not start"}
	res := d.Execute(t.Context(), order(), nil)
	require.Equal(t, s.err, error(res.Err))
	require.Empty(t, r.got, "nothing was sent")
}

// A runner at a public site is not trusted: what it answers must be the attempt's own. It is paid all the same.
func TestForgedAnswersAreFailures(t *testing.T) {
	for name, spoil := range map[string]func(*envelope.Manifest){
		"another attempt":      func(m *envelope.Manifest) { m.Attempt = "r.2.2" },
		"a file of another":    func(m *envelope.Manifest) { m.Outputs[0].Key = "runs/q/q.0.1/out/secret" },
		"a file it was handed": func(m *envelope.Manifest) { m.Outputs[0].Key = "k1" },
	} {
		t.Run(name, func(t *testing.T) {
			d, r, _ := newDispatcher()
			r.spoil = spoil
			res := d.Execute(t.Context(), order(), nil)
			require.Nil(t, res.Manifest)
			require.Equal(t, providers.FunctionError, res.Err.Class)
			require.Equal(t, providers.Usage{Billed: time.Second, Executed: true}, res.Usage)
		})
	}
}

func TestManifest(t *testing.T) {
	key := ManifestKey("r", "r.2.1")
	a := order().Attempt
	for name, c := range map[string]struct {
		text  string
		want  string // in the error; empty: none
		final bool   // it will not change
	}{
		"its own":   {`{"attempt": "r.2.1", "exit_code": 3}`, "", false},
		"another's": {`{"attempt": "r.2.2"}`, `manifest of r.2.1 names attempt "r.2.2"`, true},
		"nobody's":  {`{}`, "names attempt", true},
		"of strange files": {`{"attempt": "r.2.1", "outputs": [{"path": "a", "key": "runs/r/r.2.1/out/b"}]}`,
			"output a is said to be at runs/r/r.2.1/out/b", true},
		"not JSON":         {`{"attempt": "r.2.1"`, "manifest of r.2.1", true},
		"of another shape": {`[]`, "manifest of r.2.1", true},
	} {
		t.Run(name, func(t *testing.T) {
			d, _, o := newDispatcher()
			o.kept[key] = c.text
			m, err := d.Manifest(t.Context(), "r", a)
			if c.want == "" {
				require.NoError(t, err)
				require.Equal(t, 3, m.ExitCode)
				return
			}
			require.ErrorContains(t, err, c.want)
			require.Nil(t, m)
			var bad *providers.Error
			require.Equal(t, c.final, errors.As(err, &bad))
		})
	}
}

func TestManifestThatIsNotThereIsNoError(t *testing.T) {
	d, _, _ := newDispatcher()
	m, err := d.Manifest(t.Context(), "r", order().Attempt)
	require.NoError(t, err)
	require.Nil(t, m)
}

// A store that cannot be reached must not be taken for one without the manifest: the attempt would run twice.
func TestManifestOfAStoreThatIsAwayIsUnknown(t *testing.T) {
	d, _, _ := newDispatcher()
	away := errors.New("connection refused")
	d.Sites["cloud"] = Site{Objects: awayStore{away}}
	_, err := d.Manifest(t.Context(), "r", order().Attempt)
	require.ErrorIs(t, err, away)
	var bad *providers.Error
	require.NotErrorAs(t, err, &bad, "it may be back in a moment")
	d.Sites["cloud"] = Site{Objects: torn{away}}
	_, err = d.Manifest(t.Context(), "r", order().Attempt)
	require.ErrorIs(t, err, away)
	require.NotErrorAs(t, err, &bad)
	delete(d.Sites, "cloud")
	_, err = d.Manifest(t.Context(), "r", order().Attempt)
	require.ErrorContains(t, err, "site cloud is not configured")
}

type awayStore struct{ err error }

func (s awayStore) Sign(context.Context, string, string, time.Duration) (string, error) {
	return "", s.err
}
func (s awayStore) Get(context.Context, string) (io.ReadCloser, error) { return nil, s.err }

// torn breaks off in the middle of an object.
type torn struct{ err error }

func (s torn) Sign(context.Context, string, string, time.Duration) (string, error) { return "", s.err }
func (s torn) Get(context.Context, string) (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(bytes.NewBufferString(`{"att`), failing(s))), nil
}

type failing torn

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestTransferNamesBothSites(t *testing.T) {
	d, _, _ := newDispatcher()
	d.Copy = func(_ context.Context, from, to string, f workflow.FileRecord) (int64, error) {
		require.Equal(t, "private", from)
		require.Equal(t, "cloud", to)
		return f.Size, errors.New("cut")
	}
	n, err := d.Transfer(t.Context(), engine.Move{From: "private", To: "cloud", File: workflow.FileRecord{Size: 9}})
	require.EqualValues(t, 9, n)
	require.EqualError(t, err, "cut")
}

func TestFate(t *testing.T) {
	d, _, _ := newDispatcher()
	f, err := d.Fate(t.Context(), "r", order().Attempt)
	require.NoError(t, err)
	require.Equal(t, engine.Fate{}, f, "a site that cannot be asked knows nothing")
	d.Sites["cloud"] = Site{Fate: func(_ context.Context, run, attempt string) (engine.Fate, error) {
		require.Equal(t, "r", run)
		require.Equal(t, "r.2.1", attempt)
		return engine.Fate{Known: true, Ended: true}, nil
	}}
	f, err = d.Fate(t.Context(), "r", order().Attempt)
	require.NoError(t, err)
	require.Equal(t, engine.Fate{Known: true, Ended: true}, f)
}

// A site that keeps results by itself is asked itself, and believed no more than a store.
func TestManifestKeptElsewhere(t *testing.T) {
	d, _, o := newDispatcher()
	o.kept[ManifestKey("r", "r.2.1")] = `{"attempt": "r.2.1", "exit_code": 3}`
	site := d.Sites["cloud"]
	name := "r.2.1"
	site.Manifest = func(run, attempt string) (*envelope.Manifest, error) {
		require.Equal(t, []string{"r", "r.2.1"}, []string{run, attempt})
		return &envelope.Manifest{Attempt: name, ExitCode: 4}, nil
	}
	d.Sites["cloud"] = site
	m, err := d.Manifest(t.Context(), "r", order().Attempt)
	require.NoError(t, err)
	require.Equal(t, 4, m.ExitCode)
	name = "r.2.2"
	_, err = d.Manifest(t.Context(), "r", order().Attempt)
	require.ErrorContains(t, err, "names attempt")
}
