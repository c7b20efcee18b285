package examples

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestArchive(t *testing.T) {
	const packages = 6
	s := newState(t)
	r := s.run(t, "archive.yaml")
	require.Equal(t, 2, r.task(t, "verify").Attempts, "the check fails once and is tried again")
	require.Zero(t, r.task(t, "keep").Attempts, "the archives are above the limit")
	require.Equal(t, 1, r.task(t, "split").Attempts)
	require.Equal(t, "private", r.task(t, "inventory").Site)
	require.Len(t, s.outputs(t, r, "inventory.txt"), 1, "private data is stored in one place")

	files, lines := largest(t, packages)
	packed := map[string]int{}
	for _, archive := range s.outputs(t, r, "package.tar.gz") {
		unpack(t, archive, files)
		packed[digestOf(archive)] = len(archive)
	}
	require.Len(t, packed, packages)
	for name, content := range files {
		require.Nil(t, content, "%s is in no archive", name)
	}
	sum := 0
	for digest, size := range packed {
		require.Contains(t, string(s.output(t, r, "inventory.txt")), digest)
		sum += size
	}
	require.Equal(t, fmt.Sprintf("%d lines, %d bytes packed, split\n", lines, sum), string(s.output(t, r, "summary.txt")))
	require.Equal(t, packages, strings.Count(string(s.output(t, r, "checked")), ": OK\n"))
}

// largest are the files of the n largest packages by their path, with the number of their lines.
func largest(t *testing.T, n int) (files map[string][]byte, lines int) {
	t.Helper()
	folders, sizes := map[string][]string{}, map[string]int64{}
	for _, name := range sources(t) {
		folder := path.Dir(name)
		top, _, _ := strings.Cut(name, "/")
		if folder == "." || strings.Count(name, "/") > 2 || top == "cmd" || top == "vendor" {
			continue
		}
		info, err := os.Stat(filepath.Join(goroot, "src", name))
		require.NoError(t, err)
		folders[folder] = append(folders[folder], name)
		sizes[folder] += info.Size()
	}
	var names []string
	for folder := range folders {
		names = append(names, folder)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(sizes[b], sizes[a]), cmp.Compare(a, b)) })
	files = map[string][]byte{}
	for _, folder := range names[:n] {
		for _, name := range folders[folder] {
			content, err := os.ReadFile(filepath.Join(goroot, "src", name))
			require.NoError(t, err)
			files[name] = content
			lines += bytes.Count(content, []byte("\n"))
		}
	}
	return files, lines
}

// unpack compares the files of an archive with those expected, and ticks them off.
func unpack(t *testing.T, archive []byte, files map[string][]byte) {
	t.Helper()
	zipped, err := gzip.NewReader(bytes.NewReader(archive))
	require.NoError(t, err)
	for in := tar.NewReader(zipped); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
		if h.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(in)
		require.NoError(t, err)
		name := path.Clean(h.Name)
		want, expected := files[name]
		require.True(t, expected, "%s belongs to no package", name)
		if want != nil {
			require.Equal(t, string(want), string(content), "%s differs", name)
		}
		files[name] = nil
	}
}

func digestOf(content []byte) string { return fmt.Sprintf("%x", sha256.Sum256(content)) }
