// Package workflow is the definition of a workflow and the words a run is told in: it reads Spillway YAML and
// WfFormat traces, checks everything that can be checked before a run starts, binds parameters, expands tasks into
// instances and files, evaluates expressions, and says which state may follow which.
//
// Everything here is a value computed from values: no clock, no files, no network.
package workflow

import (
	"slices"
	"time"
)

// APIVersion is the one version of the YAML format that this package reads.
const APIVersion = "spillway/v1"

// Limits of a definition. They bound what one submission can cost before anything runs.
const (
	MaxBytes      = 16 << 20  // of a YAML definition
	MaxTraceBytes = 256 << 20 // of a WfFormat trace
	MaxTasks      = 100_000   // tasks of a YAML definition
	MaxItems      = 10_000    // instances of one foreach
	MaxInstances  = 200_000   // instances of a run of a YAML definition
	MaxFiles      = 1_000_000 // of all instances together
	MaxEdges      = 5_000_000 // dependencies between instances
	MaxValueBytes = 64 << 10  // of an output with value: json

	maxOutputs = 1000      // of one task
	maxEnv     = 1_000_000 // environment variables of all tasks together, inherited ones each time
)

// Spec is a workflow as written, checked, with its defaults filled into its tasks. It is immutable after Parse and
// safe for concurrent readers.
type Spec struct {
	source
	File       string    // what it was read from, as named in errors
	APIVersion string    `yaml:"apiVersion,required" doc:"version of this format: spillway/v1"`
	Name       string    `yaml:"name,required" doc:"letters, digits, dot, dash and underscore; at most 100"`
	On         On        `yaml:"on" doc:"when a server starts it by itself"`
	Deadline   *Deadline `yaml:"deadline" doc:"when a run must have ended"`
	Budget     *Budget   `yaml:"budget" doc:"what a run may spend"`
	Params     []Param   `yaml:"params" doc:"typed parameters, by name"`
	Defaults   Defaults  `yaml:"defaults" doc:"what a task has where it says nothing itself"`
	Tasks      []Task    `yaml:"tasks,required" doc:"the tasks, by id"`

	byID  map[string]int
	order []int32 // task indexes, each after all that it needs
	exprs *expressions
	trace *trace
}

// Task finds a task's index by its id, or says that there is none.
func (s *Spec) Task(id string) (index int, ok bool) {
	index, ok = s.byID[id]
	return index, ok
}

// Secrets are the names of all secrets that tasks are given, sorted.
func (s *Spec) Secrets() []string {
	var names []string
	for i := range s.Tasks {
		for _, ref := range s.Tasks[i].secrets {
			names = append(names, ref.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// IsTrace says whether the spec came from a WfFormat trace: its tasks have Work and no command.
func (s *Spec) IsTrace() bool { return s.trace != nil }

// On says when a server starts a workflow by itself.
type On struct {
	source
	Schedule []Schedule `yaml:"schedule" doc:"cron schedules"`
}

// Schedule is one cron expression with what to do when moments overlap, are missed, or meet a clock change.
type Schedule struct {
	source
	Cron     string   `yaml:"cron,required" doc:"five fields, or @hourly, @daily, @weekly, @monthly, @yearly"`
	Timezone string   `yaml:"timezone" doc:"IANA name of the zone the fields are read in; UTC without it"`
	Overlap  Overlap  `yaml:"overlap" doc:"what to do while the last run is still going; skip without it"`
	Catchup  *Catchup `yaml:"catchup" doc:"what to do with moments missed while no server ran"`
	DST      DST      `yaml:"dst" doc:"what to do with a local time that occurs twice or never; once without it"`
}

// Catchup says what happens to moments missed while no server ran.
type Catchup struct {
	source
	Window time.Duration `yaml:"window,required" doc:"how far back missed moments count"`
	Mode   CatchupMode   `yaml:"mode" doc:"which of the missed moments are run; latest without it"`
}

// Deadline is when a run must have ended: a time after its start, or a time of day.
type Deadline struct {
	source
	Within   time.Duration `yaml:"within" doc:"after the start of the run"`
	By       string        `yaml:"by" doc:"the next HH:MM after the start of the run"`
	Timezone string        `yaml:"timezone" doc:"IANA name of the zone of by; UTC without it"`
	OnRisk   OnRisk        `yaml:"on_risk" doc:"what to do when a miss is predicted; offload without it"`
	OnMiss   OnMiss        `yaml:"on_miss" doc:"what to do when it is missed; notify without it"`
}

// Budget is an approximate maximum: work in flight still bills.
type Budget struct {
	source
	MaxPicoUSD int64    `yaml:"max,required" type:"money" doc:"as in 3.00 USD"`
	OnExceed   OnExceed `yaml:"on_exceed" doc:"hold: start nothing new until it is raised; fail: end the run; hold without it"`
}

// Param is a typed parameter of a workflow.
type Param struct {
	source
	Name        string    `yaml:",key"`
	Type        ParamType `yaml:"type,required" doc:"type of its value"`
	Default     any       `yaml:"default" doc:"its value where a run gives none; required without it"`
	Enum        []any     `yaml:"enum" doc:"the only values it may have"`
	Min         *float64  `yaml:"min" doc:"least number, or least length of a string or list"`
	Max         *float64  `yaml:"max" doc:"largest number, or largest length of a string or list"`
	Description string    `yaml:"description" doc:"for people"`
}

// Required says whether a run must give the parameter a value.
func (p *Param) Required() bool { return !p.Has("default") }

// Defaults are what a task has where it says nothing itself.
type Defaults struct {
	source
	Retry     *Retry        `yaml:"retry" doc:"of tasks without retry"`
	Timeout   time.Duration `yaml:"timeout" doc:"of tasks without timeout"`
	Env       []EnvVar      `yaml:"env" doc:"of all tasks; a task's own entry wins"`
	Resources *Resources    `yaml:"resources" doc:"of tasks without resources"`
}

// Task is a node of the graph: a command and what it needs.
type Task struct {
	source
	ID         string        `yaml:",key"`
	Needs      []Need        `yaml:"needs" doc:"tasks that must have ended before"`
	If         Text          `yaml:"if" doc:"a condition in CEL that alone decides whether the task runs"`
	Foreach    *Foreach      `yaml:"foreach" doc:"a list, or an expression that gives one; one instance an element"`
	MaxItems   int           `yaml:"max_items" min:"1" max:"10000" doc:"most elements of foreach; 10000 without it"`
	Run        Text          `yaml:"run" doc:"a command line for sh -c"`
	Args       []Text        `yaml:"args" doc:"a program and its arguments, run without a shell"`
	Files      []string      `yaml:"files" doc:"files shipped with the task by digest, to every site alike"`
	Env        []EnvVar      `yaml:"env" doc:"environment variables, by name"`
	Resources  Resources     `yaml:"resources" doc:"what one instance holds while it runs"`
	Inputs     []Input       `yaml:"inputs" doc:"files it reads"`
	Outputs    []Output      `yaml:"outputs" doc:"files it leaves in its working directory"`
	Estimate   Estimate      `yaml:"estimate" doc:"a prior; measured values replace it"`
	Placement  Placement     `yaml:"placement" doc:"where it may run"`
	Data       Label         `yaml:"data" doc:"label of what it makes; internal without it"`
	Declassify *Declassify   `yaml:"declassify" doc:"lowers the label of what it makes; audited"`
	Retry      Retry         `yaml:"retry" doc:"what to do when an attempt fails"`
	Timeout    time.Duration `yaml:"timeout" doc:"of one attempt; no limit of its own without it"`

	_ unsupported `yaml:"uses"`
	_ unsupported `yaml:"with"`
	_ unsupported `yaml:"image"`

	Work *Work // set instead of Run and Args for a task of a trace

	after   []dependency // needs, inputs and the source of foreach, each task once
	reads   []int32      // tasks whose values its expressions read
	dynamic bool         // its foreach reads a task's output
	script  script       // Run, compiled
	secrets []secretRef
}

// Need is a dependency on another task: on all its instances, or with Each on the one of the same index.
type Need struct {
	source
	Task string `yaml:"task,required" doc:"id of the task"`
	Each bool   `yaml:"each" doc:"instance i waits for instance i only"`
}

// Foreach is where a task's instances come from: a list as written, or an expression.
type Foreach struct {
	source
	List []any // elements as written, when Expr is empty
	Expr Text
}

// Input is a file or files that a task reads.
type Input struct {
	source
	From string `yaml:"from,required" doc:"id of the task that makes it, or params for a file of the submitter"`
	Path Text   `yaml:"path" doc:"with params its path in the submitter's folder, else one output path of the task; all outputs without it"`
	Each bool   `yaml:"each" doc:"instance i reads the files of instance i only"`
	Data Label  `yaml:"data" doc:"label of a file of the submitter; internal without it"`

	output int // index in the outputs of From, -1 for all of them
}

// Output is a file that a task leaves in its working directory.
type Output struct {
	source
	Name  string `yaml:"name" doc:"how expressions name it, as in tasks.x.outputs.name"`
	Path  Text   `yaml:"path,required" doc:"relative to the working directory"`
	Value string `yaml:"value" enum:"json" doc:"json: its content is a value for expressions, of at most 64 KiB"`
}

// EnvVar is an environment variable of a task.
type EnvVar struct {
	source
	Name  string
	Value Text
}

// secretRef is an environment variable that holds a secret.
type secretRef struct{ env, name string }

// Resources are what one instance of a task holds while it runs.
type Resources struct {
	source
	CPU    int   `yaml:"cpu" min:"1" max:"1024" doc:"whole cores; 1 without it"`
	Memory int64 `yaml:"memory" type:"bytes" min:"1048576" max:"17592186044416" doc:"as in 512MiB or 2GiB; 512MiB without it"`
}

// Estimate is what the author expects of one instance. Zero values mean that nothing is said.
type Estimate struct {
	source
	Runtime time.Duration `yaml:"runtime" doc:"of one instance on one reference core set"`
	Output  int64         `yaml:"output" type:"bytes" max:"1125899906842624" doc:"all its output files together, in bytes or as in 8MiB"`
	Count   int           `yaml:"count" min:"1" max:"10000" doc:"elements of a foreach over a parent's output, before they are known"`
}

// Placement is where a task may run.
type Placement struct {
	source
	Allow []string `yaml:"allow" doc:"patterns of sites: private, aws:eu-*, sandbox:*"`
}

// Declassify lowers the label of what a task makes.
type Declassify struct {
	source
	To     Label  `yaml:"to,required" doc:"the label its outputs get"`
	Reason string `yaml:"reason,required" doc:"kept in the audit"`
}

// Retry is what to do when an attempt fails.
type Retry struct {
	source
	Max     int           `yaml:"max,required" min:"0" max:"100" doc:"attempts after the first one"`
	Backoff Backoff       `yaml:"backoff" doc:"how the wait grows; exponential without it"`
	Base    time.Duration `yaml:"base" doc:"the first wait; 1s without it"`
	Cap     time.Duration `yaml:"cap" doc:"the longest wait; 1m without it"`
	Jitter  Jitter        `yaml:"jitter" doc:"full: the wait is drawn between zero and its value; full without it"`
	On      []int         `yaml:"on_exit_codes" min:"1" max:"255" doc:"the only exit codes that are tried again"`
}

// Work is what a task of a trace did, with the trace's full precision.
type Work struct {
	RuntimeS float64 // seconds on Cores cores at reference speed; 0 where the trace is silent
	Cores    int     // 1 where the trace is silent
	Memory   float64 // bytes; 512 MiB where the trace is silent
}

// The words that a definition chooses from.
type (
	Overlap     string
	CatchupMode string
	DST         string
	OnRisk      string
	OnMiss      string
	OnExceed    string
	ParamType   string
	Backoff     string
	Jitter      string
)

// Values of the words above.
const (
	OverlapSkip        Overlap = "skip"
	OverlapBufferOne   Overlap = "buffer_one"
	OverlapBufferAll   Overlap = "buffer_all"
	OverlapCancelOther Overlap = "cancel_other"
	OverlapAllowAll    Overlap = "allow_all"

	CatchupLatest CatchupMode = "latest"
	CatchupAll    CatchupMode = "all"
	CatchupNone   CatchupMode = "none"

	DSTOnce  DST = "once"
	DSTTwice DST = "twice"
	DSTSkip  DST = "skip"

	OnRiskOffload OnRisk   = "offload"
	OnMissNotify  OnMiss   = "notify"
	OnExceedHold  OnExceed = "hold"
	OnExceedFail  OnExceed = "fail"

	ParamString  ParamType = "string"
	ParamNumber  ParamType = "number"
	ParamInteger ParamType = "integer"
	ParamBoolean ParamType = "boolean"
	ParamList    ParamType = "list"
	ParamObject  ParamType = "object"

	BackoffConstant    Backoff = "constant"
	BackoffExponential Backoff = "exponential"

	JitterFull Jitter = "full"
	JitterNone Jitter = "none"
)

// Text is a string that may hold ${{ }} expressions.
type Text string

// Pos is a place in the source, counted from 1. The zero Pos is unknown.
type Pos struct{ Line, Col int }

// source is what every part of a Spec knows about where it was written.
type source struct {
	pos  Pos
	keys []keyPos
}

type keyPos struct {
	key string
	pos Pos
}

// Pos is where the part begins.
func (s *source) Pos() Pos { return s.pos }

// Position is where the value of a key of the part is written, or where the part begins if the key is absent.
func (s *source) Position(key string) Pos {
	for _, k := range s.keys {
		if k.key == key {
			return k.pos
		}
	}
	return s.pos
}

// Has says whether the part was written with the key.
func (s *source) Has(key string) bool {
	for _, k := range s.keys {
		if k.key == key {
			return true
		}
	}
	return false
}

// unsupported marks a key that the format knows and this version refuses.
type unsupported struct{}
