package gen

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestGenerate holds the promises of the package comment over all families and
// many sizes.
func TestGenerate(t *testing.T) {
	for _, name := range Families() {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				tasks := rapid.IntRange(MinTasks, 700).Draw(t, "tasks")
				in, err := Generate(name, tasks, rapid.Int64().Draw(t, "seed"))
				require.NoError(t, err)
				require.Len(t, in.Workflow.Specification.Tasks, tasks)
				checkInstance(t, in)
			})
		})
	}
}

var idPattern = regexp.MustCompile(`^[0-9a-zA-Z-_.]+$`)

// checkInstance proves that an instance is a valid WfFormat graph: ids of the
// schema's pattern and unique, parents before children and exactly the
// producers of the inputs, children their inverse, measurements in the order
// of the tasks.
func checkInstance(t require.TestingT, in *Instance) {
	spec, exec := in.Workflow.Specification, in.Workflow.Execution
	require.Len(t, exec.Tasks, len(spec.Tasks))
	known, producer, children := map[string]bool{}, map[string]string{}, map[string][]string{}
	for _, f := range spec.Files {
		require.False(t, known[f.ID] || !idPattern.MatchString(f.ID) || f.SizeInBytes <= 0, "file %+v", f)
		known[f.ID] = true
	}
	for i, task := range spec.Tasks {
		require.False(t, children[task.ID] != nil || !idPattern.MatchString(task.ID), "task %+v", task)
		children[task.ID] = []string{}
		parents := map[string]bool{}
		for _, f := range task.InputFiles {
			require.True(t, known[f], "file %s of %s", f, task.ID)
			if p := producer[f]; p != "" {
				parents[p] = true
			}
		}
		require.Len(t, task.Parents, len(parents))
		for _, p := range task.Parents {
			require.True(t, parents[p], "%s is no producer of %s", p, task.ID)
			children[p] = append(children[p], task.ID)
		}
		for _, f := range task.OutputFiles {
			require.True(t, known[f] && producer[f] == "", "output %s of %s", f, task.ID)
			producer[f] = task.ID
		}
		m := exec.Tasks[i]
		require.Equal(t, task.ID, m.ID)
		require.True(t, m.RuntimeInSeconds > 0 && m.MemoryInBytes > 0 && m.CoreCount >= 1, "%+v", m)
		require.GreaterOrEqual(t, exec.MakespanInSeconds, m.RuntimeInSeconds)
	}
	for _, task := range spec.Tasks {
		require.Equal(t, children[task.ID], task.Children)
	}
}

func TestEqualSeedsGiveEqualBytes(t *testing.T) {
	for _, name := range Families() {
		a, b, other := marshal(t, name, 200, 7), marshal(t, name, 200, 7), marshal(t, name, 200, 8)
		require.Equal(t, a, b)
		require.NotEqual(t, a, other)
	}
}

// TestSnapshot notices when an instance that a published figure names changes.
func TestSnapshot(t *testing.T) {
	want, err := os.ReadFile("testdata/montage-12-1.json")
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(marshal(t, "montage", 12, 1)))
}

func marshal(t *testing.T, name string, tasks int, seed int64) []byte {
	in, err := Generate(name, tasks, seed)
	require.NoError(t, err)
	text, err := json.Marshal(in)
	require.NoError(t, err)
	return text
}

func TestMontageRecordedShape(t *testing.T) {
	// 2mass-005d has 58 tasks: three bands of 4 tiles and 6 overlaps, and a composite.
	tiles, fits, previews := montageSizes(19)
	require.Equal(t, [3]int{4, 6, 1}, [3]int{tiles, fits, previews})
}

func TestRefusals(t *testing.T) {
	_, err := Generate("mosaic", 100, 1)
	require.EqualError(t, err, `unknown family "mosaic": want one of chain, epigenomics, forkjoin, layered, montage, scattergather`)
	for _, tasks := range []int{-1, 0, MinTasks - 1, MaxTasks + 1} {
		_, err := Generate("chain", tasks, 1)
		require.ErrorContains(t, err, "want 10 to 1000000")
	}
}

func BenchmarkGenerate(b *testing.B) {
	for b.Loop() {
		_, err := Generate("epigenomics", 100_000, 1)
		require.NoError(b, err)
	}
}
