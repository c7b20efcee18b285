package offload

import (
	"fmt"
	"slices"

	"github.com/spillway/spillway/dag"
)

// index is what every simulation and planner needs of a problem, derived once:
// lists in compressed sparse rows, each without repeats.
type index struct {
	graph    *dag.Graph
	in       rows // task -> files it reads and does not write
	out      rows // task -> files it is the producer of
	readers  rows // file -> tasks, ascending
	bytesIn  []int64
	bytesOut []int64
}

type rows struct{ off, item []int32 }

func (r *rows) of(i int) []int32 { return r.item[r.off[i]:r.off[i+1]] }

// maxSeconds (about 3 years) keeps sums of durations far from overflow.
const maxSeconds = 1e8

// Prepare checks the problem and derives what planners need; it sets each
// file's Producer. It does nothing the second time. The error names the task or
// file at fault, and is a *dag.CycleError when dependencies form a cycle.
func (p *Problem) Prepare() error {
	if p.index != nil {
		return nil
	}
	if err := p.Platform.Validate(); err != nil {
		return fmt.Errorf("platform: %w", err)
	}
	ix, err := derive(p)
	if err != nil {
		return err
	}
	p.index = ix
	return nil
}

// Graph is the dependency graph, producers of input files included. Prepare
// must have succeeded.
func (p *Problem) Graph() *dag.Graph { return p.graph }

// Readers lists the tasks that read a file, ascending. Prepare must have
// succeeded.
func (p *Problem) Readers(file int) []int32 { return p.readers.of(file) }

func derive(p *Problem) (*index, error) {
	if err := setProducers(p); err != nil {
		return nil, err
	}
	n := len(p.Tasks)
	ix := &index{bytesIn: make([]int64, n), bytesOut: make([]int64, n)}
	ix.fileRows(p)
	ix.readers = invert(&ix.in, len(p.Files))
	var edges [][2]int
	for i := range n {
		for _, parent := range p.Tasks[i].Parents {
			edges = append(edges, [2]int{int(parent), i})
		}
		for _, f := range ix.in.of(i) {
			ix.bytesIn[i] += p.Files[f].Size
			if w := p.Files[f].Producer; w >= 0 {
				edges = append(edges, [2]int{int(w), i})
			}
		}
		for _, f := range ix.out.of(i) {
			ix.bytesOut[i] += p.Files[f].Size
		}
	}
	var err error
	ix.graph, err = dag.New(n, edges)
	return ix, err
}

// fileRows drops repeats, and inputs that the task writes itself. The mark of
// a file is the last list that took it.
func (ix *index) fileRows(p *Problem) {
	mark := make([]int32, len(p.Files))
	ix.in.off, ix.out.off = []int32{0}, []int32{0}
	for i := range p.Tasks {
		outMark, inMark := int32(2*i+1), int32(2*i+2)
		for _, f := range p.Tasks[i].Out {
			if mark[f] != outMark && p.Files[f].Producer == int32(i) {
				ix.out.item = append(ix.out.item, f)
			}
			mark[f] = outMark
		}
		for _, f := range p.Tasks[i].In {
			if mark[f] != outMark && mark[f] != inMark {
				mark[f] = inMark
				ix.in.item = append(ix.in.item, f)
			}
		}
		ix.in.off = append(ix.in.off, int32(len(ix.in.item)))
		ix.out.off = append(ix.out.off, int32(len(ix.out.item)))
	}
}

// invert turns rows of a -> b into rows of b -> a, ascending.
func invert(r *rows, n int) rows {
	off := make([]int32, n+1)
	for _, b := range r.item {
		off[b+1]++
	}
	for b := range n {
		off[b+1] += off[b]
	}
	next := slices.Clone(off)
	item := make([]int32, len(r.item))
	for a := range len(r.off) - 1 {
		for _, b := range r.of(a) {
			item[next[b]] = int32(a)
			next[b]++
		}
	}
	return rows{off, item}
}

// setProducers checks every task and file, and gives each file its producer.
func setProducers(p *Problem) error {
	for f := range p.Files {
		p.Files[f].Producer = -1
		if p.Files[f].Size < 0 {
			return fmt.Errorf("file %q: negative size", p.Files[f].Name)
		}
	}
	for i := range p.Tasks {
		t := &p.Tasks[i]
		if err := checkTask(t, len(p.Files)); err != nil {
			return fmt.Errorf("task %q: %w", t.ID, err)
		}
		for _, f := range t.Out {
			if p.Files[f].Producer < 0 {
				p.Files[f].Producer = int32(i)
			}
		}
	}
	return nil
}

func checkTask(t *Task, files int) error {
	if t.Cores < 1 {
		return fmt.Errorf("needs %d cores, want at least 1", t.Cores)
	}
	if !(t.RuntimeS >= 0 && t.RuntimeS <= maxSeconds) {
		return fmt.Errorf("run time %g s, want 0 to %g", t.RuntimeS, float64(maxSeconds))
	}
	if !(t.MemBytes >= 0) {
		return fmt.Errorf("memory %g bytes must not be negative", t.MemBytes)
	}
	for _, list := range [][]int32{t.Out, t.In} {
		for _, f := range list {
			if f < 0 || int(f) >= files {
				return fmt.Errorf("file index %d out of range", f)
			}
		}
	}
	return nil
}
