package providertest

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// fault is what a proxy does to connections.
type fault int

const (
	loseAnswers fault = iota // pass requests on, wait for the answer, then reset the connection
	nobody                   // listen no more
)

// newProxy stands in front of the service at address and returns its own address. It knows bytes, not HTTP: what
// was signed stays as it was.
func newProxy(t *testing.T, address string, f fault) string {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	if f == nobody {
		require.NoError(t, l.Close())
		return l.Addr().String()
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { loseAnswer(client, address) })
		}
	})
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		all.Wait()
	})
	return l.Addr().String()
}

// loseAnswer passes a connection's bytes on until the first byte of an answer comes.
func loseAnswer(client net.Conn, address string) {
	defer client.Close()
	var dialer net.Dialer
	server, err := dialer.DialContext(context.Background(), "tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	go func() { _, _ = io.Copy(server, client) }() // ends with either connection
	if _, err := server.Read(make([]byte, 1)); err != nil {
		return
	}
	if tcp, ok := client.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset, as of a machine that went away
	}
}
