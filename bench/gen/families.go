package gen

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// MinTasks and MaxTasks bound the size of an instance.
const (
	MinTasks = 10
	MaxTasks = 1_000_000
)

// family makes exactly so many tasks.
type family struct {
	name, about string
	make        func(b *builder, tasks int)
}

var families = []family{
	{"chain", "each task reads what the one before it wrote", chain},
	{"epigenomics", "lanes of split, four-task pipelines and merge, then one tail", epigenomics},
	{"forkjoin", "one task, then all others side by side, then one task", forkJoin},
	{"layered", "random layers with one to three parents a task and mixed sizes", layered},
	{"montage", "tiles projected, fitted pairwise, corrected and added to a mosaic", montage},
	{"scattergather", "samples cut into chunks, two tasks a chunk, gathered twice", scatterGather},
}

// Families are the names that Generate knows, sorted.
func Families() []string {
	names := make([]string, len(families))
	for i, f := range families {
		names[i] = f.name
	}
	return names
}

// Generate makes an instance of a family with exactly the given number of
// tasks. The error names an unknown family or a size outside MinTasks to
// MaxTasks.
func Generate(name string, tasks int, seed int64) (*Instance, error) {
	at := slices.IndexFunc(families, func(f family) bool { return f.name == name })
	if at < 0 {
		return nil, fmt.Errorf("unknown family %q: want one of %s", name, strings.Join(Families(), ", "))
	}
	if tasks < MinTasks || tasks > MaxTasks {
		return nil, fmt.Errorf("%d tasks: want %d to %d", tasks, MinTasks, MaxTasks)
	}
	f := families[at]
	b := &builder{
		rng: rand.New(rand.NewPCG(uint64(seed), uint64(at))), producer: map[string]int{},
		in: &Instance{
			Name: fmt.Sprintf("%s-%d-%d", name, tasks, seed), SchemaVersion: "1.5", CreatedAt: "2000-01-01T00:00:00Z",
			Description: fmt.Sprintf("Synthetic: %s. spillway gen %s --tasks %d --seed %d", f.about, name, tasks, seed),
		},
	}
	b.in.Workflow.Execution.ExecutedAt = "2000-01-01T00:00:00Z"
	f.make(b, tasks)
	return b.in, nil
}

const mb = 1e6

func chain(b *builder, tasks int) {
	link := kind{"link", 12, 0.5, 5 * mb, 256, 0}
	f := b.initial("input.dat", 5*mb)
	for range tasks {
		f = b.task(link, f)
	}
}

func forkJoin(b *builder, tasks int) {
	// The figures of cpuhog in helloworld-forkjoin of WfInstances, with more spread.
	hog := kind{"cpuhog", 103, 0.3, 9 * mb, 128, 0}
	fork := b.task(hog, b.initial("forkjoin.dat", 9*mb))
	joined := make([]string, tasks-2)
	for i := range joined {
		joined[i] = b.task(hog, fork)
	}
	b.task(hog, joined...)
}

func scatterGather(b *builder, tasks int) {
	var (
		index  = kind{"index", 40, 0.2, 30 * mb, 1024, 0}
		split  = kind{"split", 15, 0.4, 400 * mb, 512, 0}
		align  = kind{"align", 60, 0.5, 6 * mb, 1536, 0}
		call   = kind{"call", 25, 0.8, mb, 1024, 0}
		gather = kind{"gather", 10, 0.4, 20 * mb, 512, 0}
		report = kind{"report", 8, 0.2, 2 * mb, 512, 0}
	)
	samples := max(1, int(math.Sqrt(float64(tasks))/5))
	chunks := (tasks - 1 - 2*samples) / 2
	reference := b.initial("reference.fa", 30*mb)
	if (tasks-1-2*samples)%2 == 1 {
		reference = b.task(index, reference)
	}
	results := make([]string, samples)
	for s := range results {
		k := share(chunks, samples, s)
		parts := b.split(split, k, b.initial(fmt.Sprintf("sample_%d.dat", s), 400*mb))
		for c, part := range parts {
			parts[c] = b.task(call, b.task(align, part, reference), reference)
		}
		results[s] = b.task(gather, parts...)
	}
	b.task(report, results...)
}

// share is the size of part k when n things are divided evenly into parts.
func share(n, parts, k int) int { return n*(k+1)/parts - n*k/parts }

func layered(b *builder, tasks int) {
	widest := max(2, 2*int(math.Sqrt(float64(tasks))))
	var before []string // outputs that the next layer may read
	for left := tasks; left > 0; {
		width := min(left, 1+b.rng.IntN(widest))
		left -= width
		layer := make([]string, width)
		for i := range layer {
			k := kind{"task", math.Pow(10, 0.5+b.rng.Float64()*1.8), 0, math.Pow(10, 5+b.rng.Float64()*3.3), 512, 1}
			if b.rng.IntN(5) == 0 {
				k.cores, k.memMiB = 2<<b.rng.IntN(2), 2048
			}
			layer[i] = b.task(k, b.parents(before)...)
		}
		if b.rng.Float64() < 0.3 {
			layer = append(layer, before[:min(len(before), widest)]...)
		}
		before = layer
	}
}

// parents picks one to three files, or makes an initial one for the first layer.
func (b *builder) parents(from []string) []string {
	if len(from) == 0 {
		return []string{b.initial(fmt.Sprintf("input_%d.dat", len(b.finish)), 30*mb)}
	}
	picked := make([]string, 0, 3)
	for range 1 + b.rng.IntN(3) {
		if f := from[b.rng.IntN(len(from))]; !slices.Contains(picked, f) {
			picked = append(picked, f)
		}
	}
	return picked
}
