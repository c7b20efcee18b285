package workflow

import "fmt"

// Graph is a workflow with its parameters bound: every instance of every task, and every file between them. Indexes
// never change their meaning; Resolve appends and retires, it does not renumber.
type Graph struct {
	Spec      *Spec
	Params    map[string]any
	Instances []Instance
	Files     []File

	of       [][]int32        // by task: its instances, in foreach order
	resolved []bool           // by task: its elements are known
	initial  map[string]int32 // by path: the initial file
	reads    [][]string       // by instance: the paths of its initial files, by input; empty where unknown
	flow     []flow           // by instance
}

// Instance is one task, or one element of a task with foreach.
type Instance struct {
	ID          string  // "fit" or "project[3]"
	Task        int     // index in Spec.Tasks
	Index       int     // -1 without foreach
	Item        any     // element of foreach
	Parents     []int32 // instances that must end before; shared between instances, not to be changed
	In, Out     []int32 // indexes in Files; In may be shared, not to be changed
	Provisional bool    // stands for an element that is not known yet; it must not run
	Retired     bool    // stood for an element that did not come; it has no files and no dependants
}

// File is a file of a run: made by one instance and read by others, or there from the start.
type File struct {
	Name     string  // for people: "project[3]/out.fits", or the path of an initial file
	Producer int32   // -1: initial, it lies on the private side
	Readers  []int32 // instances
	Size     int64   // bytes, an estimate
	Label    Label
	Output   int    // index in the producer's Task.Outputs, -1 for initial files
	Path     string // as the producer leaves it, or in the submitter's folder
	Retired  bool   // its producer or its last reader was retired
}

// Of lists the instances of a task in the order of its foreach, without retired ones. It is not to be changed.
func (g *Graph) Of(task int) []int32 { return g.of[task] }

func newGraph(spec *Spec, params map[string]any) *Graph {
	n := len(spec.Tasks)
	return &Graph{
		Spec: spec, Params: params,
		of: make([][]int32, n), resolved: make([]bool, n), initial: map[string]int32{},
	}
}

// InputPath is where a file arrives in the working directory of an instance: an initial file at its own path, an
// output of another task under inputs/TASK/INDEX/PATH, with index 0 for a task without foreach.
func (g *Graph) InputPath(file int) string {
	f := &g.Files[file]
	if f.Producer < 0 {
		return f.Path
	}
	p := &g.Instances[f.Producer]
	if g.Spec.IsTrace() { // ids of a trace are arbitrary text, not parts of a path
		return f.Path
	}
	return fmt.Sprintf("inputs/%s/%d/%s", g.Spec.Tasks[p.Task].ID, max(p.Index, 0), f.Path)
}
