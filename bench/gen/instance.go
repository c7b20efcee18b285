package gen

// Instance is a workflow in WfFormat 1.5: what its tasks are and need, and how
// long each of them took.
type Instance struct {
	Name          string   `json:"name"`
	Description   string   `json:"description"`
	CreatedAt     string   `json:"createdAt"`
	SchemaVersion string   `json:"schemaVersion"`
	Workflow      Workflow `json:"workflow"`
}

// Workflow is the two halves of an instance, task by task in the same order.
type Workflow struct {
	Specification Specification `json:"specification"`
	Execution     Execution     `json:"execution"`
}

// Specification is the graph: tasks and the files between them.
type Specification struct {
	Tasks []Task `json:"tasks"`
	Files []File `json:"files"`
}

// Task is a node. Its parents are exactly the producers of its input files, and
// stand before it in the list.
type Task struct {
	Name        string   `json:"name"`
	ID          string   `json:"id"`
	Parents     []string `json:"parents"`
	Children    []string `json:"children"`
	InputFiles  []string `json:"inputFiles"`
	OutputFiles []string `json:"outputFiles"`
}

// File is what tasks exchange.
type File struct {
	ID          string `json:"id"`
	SizeInBytes int64  `json:"sizeInBytes"`
}

// Execution is what the tasks took. Its makespan is the critical path: the
// time with a core for every task and no time for transfers.
type Execution struct {
	MakespanInSeconds float64    `json:"makespanInSeconds"`
	ExecutedAt        string     `json:"executedAt"`
	Tasks             []Measured `json:"tasks"`
}

// Measured is one task's execution.
type Measured struct {
	ID               string  `json:"id"`
	RuntimeInSeconds float64 `json:"runtimeInSeconds"`
	CoreCount        int     `json:"coreCount"`
	MemoryInBytes    int64   `json:"memoryInBytes"`
}
