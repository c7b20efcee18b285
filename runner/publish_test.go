//go:build linux || darwin

package runner

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/internal/envelope"
)

// Two deliveries of one attempt at once: both execute, both answer with the manifest that was first.
func TestFirstManifestWins(t *testing.T) {
	b := newBed(t, `echo $$`)
	var both sync.WaitGroup
	both.Add(2)
	b.objects.once = func() { both.Done(); both.Wait() }
	answers := make(chan envelope.Manifest, 2)
	for i := range 2 {
		opt := b.opt
		opt.WorkDir += string(rune('0' + i))
		go func() { answers <- Run(context.Background(), b.inv, opt) }()
	}
	first, second := <-answers, <-answers
	require.Nil(t, first.Failure)
	require.Equal(t, first, second)
	require.Equal(t, first, b.stored())
}

// An answer was lost, the attempt is delivered again: nothing runs, the answer is found.
func TestALostAnswerIsFoundAgain(t *testing.T) {
	witness := filepath.Join(t.TempDir(), "witness")
	b := newBed(t, `echo ran >>`+witness+`; exit 7`)
	lost := b.run(context.Background())
	require.Equal(t, lost, b.run(context.Background()))
	text, err := os.ReadFile(witness)
	require.NoError(t, err)
	require.Equal(t, "ran\n", string(text))
}

func TestUnusableEarlierResults(t *testing.T) {
	foreign, err := json.Marshal(envelope.Manifest{Attempt: "r2.0.1"})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		stored string
		err    error
		text   string
	}{
		"of another attempt": {stored: string(foreign), text: `holds the result of attempt "r2.0.1"`},
		"no JSON":            {stored: "{", text: "look for an earlier result"},
		"store that fails":   {err: errors.New("no answer"), text: "no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			witness := filepath.Join(t.TempDir(), "witness")
			b := newBed(t, `touch `+witness)
			if c.stored != "" {
				b.objects.objects[manifestKey] = []byte(c.stored)
			}
			if c.err != nil {
				b.objects.failing[manifestKey] = c.err
			}
			requireFailure(t, b.run(context.Background()), envelope.FailInternal, c.text)
			require.NoFileExists(t, witness, "nothing may run where an earlier result may exist")
			require.Equal(t, c.stored, string(b.objects.objects[manifestKey]))
		})
	}
}

func TestAnUnstoredManifestIsNoSuccess(t *testing.T) {
	b := newBed(t, "true")
	b.objects.failing["once:"+manifestKey] = errors.New("the store said no")
	requireFailure(t, b.run(context.Background()), envelope.FailInternal, "manifest: the store said no")
}

func TestWithdrawnBeforeItBegan(t *testing.T) {
	witness := filepath.Join(t.TempDir(), "witness")
	b := newBed(t, "touch "+witness+"; sleep 60")
	b.input("a", "x")
	b.objects.failing["in/a"] = context.Canceled
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	requireFailure(t, b.run(ctx), envelope.FailCanceled, "canceled")
	require.NoFileExists(t, witness)
}

func TestOtherProtocolsAreRefused(t *testing.T) {
	witness := filepath.Join(t.TempDir(), "witness")
	b := newBed(t, "touch "+witness)
	b.inv.Protocol = 2
	requireFailure(t, b.run(context.Background()), envelope.FailInternal, "speaks protocol 1, the invocation 2")
	require.NoFileExists(t, witness)
	require.Empty(t, b.objects.objects)
}

func TestMessagesAreBounded(t *testing.T) {
	a := &attempt{}
	a.fail(envelope.FailExit, "%s", strings.Repeat("é", maxMessage))
	require.Equal(t, strings.Repeat("é", maxMessage/2), a.m.Failure.Message)
}

func TestColdIsTold(t *testing.T) {
	b := newBed(t, "true")
	b.opt.Cold = true
	require.True(t, b.run(context.Background()).Cold)
}
