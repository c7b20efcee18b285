package gen

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// kind is a program of a workflow: the means of its executions and the standard
// deviation of the logarithm of its run time.
type kind struct {
	name    string
	seconds float64
	spread  float64
	bytes   float64 // all outputs of a task together
	memMiB  float64
	cores   int // 0: 1
}

// builder collects an instance task by task, parents first.
type builder struct {
	rng      *rand.Rand
	in       *Instance
	producer map[string]int // by file: its task
	finish   []float64      // by task: end of the longest path to it, in seconds
}

// draw is a log-normal number with the given mean. The conversion keeps
// machines with fused multiply-add on the same result.
func (b *builder) draw(mean, spread float64) float64 {
	return mean * math.Exp(float64(b.rng.NormFloat64()*spread)-float64(spread*spread)/2)
}

// initial is a file that lies on the private side from the start.
func (b *builder) initial(name string, meanBytes float64) string {
	b.file(name, b.draw(meanBytes, 0.2))
	return name
}

func (b *builder) file(name string, bytes float64) {
	spec := &b.in.Workflow.Specification
	spec.Files = append(spec.Files, File{ID: name, SizeInBytes: int64(bytes)})
}

// task adds a task with one output and returns the output's name.
func (b *builder) task(k kind, inputs ...string) string { return b.split(k, 1, inputs...)[0] }

// split adds a task that divides its output into so many files.
func (b *builder) split(k kind, outputs int, inputs ...string) []string {
	spec, exec := &b.in.Workflow.Specification, &b.in.Workflow.Execution
	i := len(spec.Tasks)
	t := Task{ID: fmt.Sprintf("%s_ID%07d", k.name, i+1), Parents: []string{}, Children: []string{}, InputFiles: inputs}
	t.Name = t.ID
	start := 0.0
	seen := map[int]bool{}
	for _, f := range inputs {
		p, made := b.producer[f]
		if !made || seen[p] {
			continue
		}
		seen[p] = true
		t.Parents = append(t.Parents, spec.Tasks[p].ID)
		spec.Tasks[p].Children = append(spec.Tasks[p].Children, t.ID)
		start = max(start, b.finish[p])
	}
	for o := range outputs {
		name := fmt.Sprintf("%s_%d.out", t.ID, o)
		b.file(name, b.draw(k.bytes/float64(outputs), 0.2))
		b.producer[name] = i
		t.OutputFiles = append(t.OutputFiles, name)
	}
	m := Measured{
		ID: t.ID, RuntimeInSeconds: milliseconds(b.draw(k.seconds, k.spread)), CoreCount: max(1, k.cores),
		MemoryInBytes: int64(b.draw(k.memMiB, 0.1)) << 20,
	}
	spec.Tasks, exec.Tasks = append(spec.Tasks, t), append(exec.Tasks, m)
	b.finish = append(b.finish, start+m.RuntimeInSeconds)
	exec.MakespanInSeconds = max(exec.MakespanInSeconds, milliseconds(b.finish[i]))
	return slices.Clone(t.OutputFiles)
}

// milliseconds rounds seconds to three decimals, at least one millisecond.
func milliseconds(s float64) float64 { return max(1, math.Round(s*1000)) / 1000 }
