package workflow

// Graph is a workflow with its parameters bound: every instance of every task, and every file between them. Indexes
// never change their meaning; Resolve appends and retires, it does not renumber.
type Graph struct {
	Spec      *Spec
	Params    map[string]any
	Instances []Instance
	Files     []File

	of       [][]int32 // by task: its instances, in foreach order
	resolved []bool    // by task: its elements are known
	fileID   map[fileKey]int32
	flow     []flowLabel // by instance
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
	Name     string  // unique: "project[3]/out.fits", or the path of an initial file
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

// View is what has happened in a run, as expressions see it.
type View interface {
	RunID() string
	State(instance int) TaskState
	// Value is the content of an output with value: json, or false while it is not known.
	Value(instance, output int) (any, bool)
}

// Command is what one attempt executes. Exactly one of Shell, Args and Work is set.
type Command struct {
	Shell   string            // for sh -c; expressions in it are references to Env
	Args    []string          // a program and its arguments
	Work    *Work             // synthetic work of a trace
	Env     map[string]string // values
	Secrets map[string]string // environment variable -> name of the secret, resolved where the attempt is sent
}
