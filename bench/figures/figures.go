// Package figures holds what benchmarks measure, a JSON object a line, and the
// ranges that guarded figures must stay in.
package figures

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Row is one figure. Baseline is what it was measured against in the same run,
// in the same unit, and Ratio is value over baseline; both are 0 without one.
type Row struct {
	Case     string  `json:"case"`
	Metric   string  `json:"metric"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	Baseline float64 `json:"baseline"`
	Ratio    float64 `json:"ratio"`
}

// Beside is a row with a baseline.
func Beside(name, metric string, value float64, unit string, baseline float64) Row {
	return Row{name, metric, value, unit, baseline, value / baseline}
}

// Write writes rows to a file, whose folder it makes. A figure that is no number
// is an error: JSON has none such.
func Write(path string, rows []Row) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	for k := range rows {
		if err := json.NewEncoder(file).Encode(&rows[k]); err != nil {
			return fmt.Errorf("%s, %s: %w", rows[k].Case, rows[k].Metric, err)
		}
	}
	return nil
}

// Read reads what Write wrote.
func Read(r io.Reader) (rows []Row, err error) {
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var row Row
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		rows = append(rows, row)
	}
	return rows, lines.Err()
}

// Range is what one figure of a benchmark must stay in.
type Range struct {
	Case, Metric string
	Of           string   // value or ratio
	Least, Most  *float64 // one of them at least
	Measured     float64  // when the range was set
	Spread       string   // between equal runs
	Why          string   // the bounds are where they are
	Needs        string   // what a run without the row lacks; empty: the row must be there
	Line         int      `yaml:"-"`
}

// ParseRanges reads ranges by the name of their benchmark. A range that makes no
// sense is refused with its line.
func ParseRanges(text []byte) (map[string][]Range, error) {
	var nodes map[string][]yaml.Node
	if err := yaml.Unmarshal(text, &nodes); err != nil {
		return nil, err
	}
	out := map[string][]Range{}
	for _, bench := range slices.Sorted(maps.Keys(nodes)) {
		list := nodes[bench]
		for k := range list {
			r, err := parseRange(&list[k])
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", list[k].Line, err)
			}
			out[bench] = append(out[bench], r)
		}
	}
	return out, nil
}

var rangeKeys = "case metric of least most measured spread why needs"

func parseRange(n *yaml.Node) (Range, error) {
	if n.Kind != yaml.MappingNode {
		return Range{}, errors.New("want an object")
	}
	for k := 0; k < len(n.Content); k += 2 {
		if key := n.Content[k].Value; !strings.Contains(" "+rangeKeys+" ", " "+key+" ") {
			return Range{}, fmt.Errorf("unknown key %q: want %s", key, rangeKeys)
		}
	}
	r := Range{Line: n.Line}
	if err := n.Decode(&r); err != nil {
		return Range{}, err
	}
	switch {
	case r.Case == "" || r.Metric == "" || r.Why == "" || r.Spread == "":
		return Range{}, errors.New("want case, metric, spread and why")
	case r.Of != "value" && r.Of != "ratio":
		return Range{}, fmt.Errorf("of is %q: want value or ratio", r.Of)
	case r.Least == nil && r.Most == nil:
		return Range{}, errors.New("want least, most or both")
	case !r.holds(r.Measured):
		return Range{}, fmt.Errorf("measured is %g, which is not within %s", r.Measured, r.bounds())
	}
	return r, nil
}

func (r *Range) holds(x float64) bool {
	return !math.IsNaN(x) && (r.Least == nil || x >= *r.Least) && (r.Most == nil || x <= *r.Most)
}

func (r *Range) bounds() string {
	switch {
	case r.Most == nil:
		return fmt.Sprintf("at least %g", *r.Least)
	case r.Least == nil:
		return fmt.Sprintf("at most %g", *r.Most)
	}
	return fmt.Sprintf("%g to %g", *r.Least, *r.Most)
}

// Verdict is what became of one range.
type Verdict struct {
	Range
	Got     float64
	Missing bool // there is no such row
}

// Fails says whether the range is broken.
func (v *Verdict) Fails() bool {
	if v.Missing {
		return v.Needs == ""
	}
	return !v.holds(v.Got)
}

// String is the verdict in words.
func (v *Verdict) String() string {
	name := v.Case + ", " + v.Metric
	switch {
	case v.Missing && v.Needs != "":
		return fmt.Sprintf("%s: not measured, it needs %s", name, v.Needs)
	case v.Missing:
		return fmt.Sprintf("%s: not measured", name)
	}
	return fmt.Sprintf("%s: %s is %.4g, want %s (was %g; spread: %s; %s)", name, v.Of, v.Got, v.bounds(), v.Measured, v.Spread, v.Why)
}

// Check holds rows to ranges.
func Check(ranges []Range, rows []Row) []Verdict {
	out := make([]Verdict, len(ranges))
	for k, r := range ranges {
		out[k] = Verdict{Range: r, Missing: true}
		for i := range rows {
			if rows[i].Case == r.Case && rows[i].Metric == r.Metric {
				out[k].Missing, out[k].Got = false, rows[i].Value
				if r.Of == "ratio" {
					out[k].Got = rows[i].Ratio
				}
			}
		}
	}
	return out
}
