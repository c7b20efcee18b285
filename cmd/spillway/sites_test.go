//go:build linux || darwin

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func readSitesOf(t *testing.T, text string) (sites, error) {
	path := filepath.Join(t.TempDir(), "sites.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	a := &app{in: strings.NewReader(""), out: &bytes.Buffer{}, errs: &bytes.Buffer{}, getenv: os.Getenv}
	return a.readSites(path, 0)
}

// What a file leaves out is as docs/sites.md says: no sandbox, and the usual link.
func TestSitesOfTheNodesAlone(t *testing.T) {
	s, err := readSitesOf(t, "private: {nodes: [{name: a, cores: 2, memory_mib: 1000}]}")
	require.NoError(t, err)
	require.Nil(t, s.Sandbox)
	require.Equal(t, usualLink, s.Link)
}

func TestSitesOfTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/sites.md")
	require.NoError(t, err)
	_, text, _ = bytes.Cut(text, []byte("```yaml\n"))
	text, _, _ = bytes.Cut(text, []byte("```"))
	s, err := readSitesOf(t, string(text))
	require.NoError(t, err)
	require.Len(t, s.Private.Nodes, 2)
	require.Equal(t, 100, s.Sandbox.ColdStartMs)
}

func TestSitesThatAreRefused(t *testing.T) {
	const node = "private: {nodes: [{name: a, cores: 1, memory_mib: 1000}]}\n"
	for name, c := range map[string]struct{ text, want string }{
		"no node":      {"link: {latency_ms: 1}", "private.nodes: at least one is needed"},
		"no core":      {"private: {nodes: [{cores: 0, memory_mib: 1000}]}", "private.nodes[0].cores: 0: want 1 to 4096"},
		"unknown key":  {node + "nodes: 1", "there is no key nodes here"},
		"no number":    {node + "link: {up_mb_per_s: .nan}", "more than 0"},
		"no such book": {node + "sandbox: {vcpu: 1, quota: 1, memory_mib: [512], prices: none}", `there is no price book "none"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readSitesOf(t, c.text)
			require.Equal(t, exitInvalid, exitCode(err))
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "main.")
		})
	}
}
