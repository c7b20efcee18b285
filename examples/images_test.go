package examples

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const width = 256

func TestImages(t *testing.T) {
	const tiles, rows = 6, 384
	s := newState(t)
	r := s.run(t, "images.yaml")
	want := edgesOf(t, tiles, rows)

	zipped, err := gzip.NewReader(bytes.NewReader(s.output(t, r, "montage.pgm.gz")))
	require.NoError(t, err)
	montage, err := io.ReadAll(zipped)
	require.NoError(t, err)
	header := fmt.Sprintf("P2\n%d %d\n255\n", width, tiles*rows)
	body, ok := strings.CutPrefix(string(montage), header)
	require.True(t, ok, "the picture begins with %.40q", montage)
	fields := strings.Fields(body)
	require.Len(t, fields, len(want))
	sum, black := 0, 0
	for i, v := range want {
		require.Equal(t, fmt.Sprint(v), fields[i], "pixel %d of row %d", i%width, i/width)
		sum += v
		if v < 32 {
			black++
		}
	}
	var summary struct{ Pixels, Sum, Black int }
	require.NoError(t, json.Unmarshal(s.output(t, r, "summary.json"), &summary))
	require.Equal(t, len(want), summary.Pixels)
	require.Equal(t, sum, summary.Sum)
	require.Equal(t, black, summary.Black)
}

// edgesOf are the pixels that images.yaml computes, all tiles below one another.
func edgesOf(t *testing.T, tiles, rows int) []int {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(goroot, "bin", "go"))
	require.NoError(t, err)
	var out []int
	for k := range tiles {
		tile := content[k*rows*width : (k+1)*rows*width]
		for i := range tile {
			out = append(out, steepness(tile, rows, i/width, i%width))
		}
	}
	return out
}

// steepness convolves one pixel with Sobel's two kernels; a border has none.
func steepness(tile []byte, rows, y, x int) int {
	if y == 0 || y == rows-1 || x == 0 || x == width-1 {
		return 0
	}
	across, down := 0, 0
	for d, weight := range []int{1, 2, 1} {
		side := (y+d-1)*width + x
		across += weight * (int(tile[side+1]) - int(tile[side-1]))
		level := x + d - 1
		down += weight * (int(tile[(y+1)*width+level]) - int(tile[(y-1)*width+level]))
	}
	return min(255, max(across, -across)+max(down, -down))
}
