package engine

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/providers"
	"github.com/spillway/spillway/workflow"
)

var update = flag.Bool("update", false, "write what the engine says into the dialogues")

// TestDialogues holds talks with Decide: what happens goes in, what is decided and written comes out. A
// dialogue is a text of steps:
//
//	@2s ended a#1 ok took=1s
//	----
//	what the engine says, up to an empty line
//
// Lines between the first and the dashes are input: the definition of `workflow`. Instants count from the
// start of the run. a#2 is the second attempt of task a.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) { talk(t, name) })
	}
}

func talk(t *testing.T, name string) {
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	d := &dialogue{t: t, now: start, cat: catalogue()}
	var said strings.Builder
	for _, st := range steps(string(text)) {
		said.WriteString(st.before)
		if st.line == "" {
			continue
		}
		got := d.step(st)
		fmt.Fprintf(&said, "%s\n%s----\n%s\n", st.line, st.input, got)
	}
	if *update {
		require.NoError(t, os.WriteFile(name, []byte(said.String()), 0o600))
		return
	}
	require.Equal(t, string(text), said.String(), "run the test with -update if this is what it should say")
}

type step struct{ before, line, input string }

// steps cuts a dialogue; what the engine said last time is dropped.
func steps(text string) []step {
	var all []step
	var st step
	for rest := text; rest != ""; {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		switch {
		case st.line == "" && (line == "" || strings.HasPrefix(line, "#")):
			st.before += line + "\n"
		case st.line == "":
			st.line = line
		case line == "----":
			for line != "" && rest != "" {
				line, rest, _ = strings.Cut(rest, "\n")
			}
			all = append(all, st)
			st = step{}
		default:
			st.input += line + "\n"
		}
	}
	return append(all, st)
}

// dialogue is one run that is talked about.
type dialogue struct {
	t   *testing.T
	now time.Time
	cat Catalogue
	k   *kept
	s   *State
}

func (d *dialogue) step(st step) string {
	words := strings.Fields(st.line)
	if at, ok := strings.CutPrefix(words[0], "@"); ok {
		after, err := time.ParseDuration(at)
		require.NoError(d.t, err, st.line)
		d.now, words = start.Add(after), words[1:]
	}
	switch words[0] {
	case "workflow":
		d.k = submitted(d.t, "apiVersion: spillway/v1\nname: w\n"+st.input)
		d.s = d.k.load(d.t, d.cat)
		return ""
	case "quota":
		d.cat.Sites[1].Quota = number(d.t, words[1])
		return ""
	case "core-hour":
		d.cat.Sites[0].Rates.PerCoreHour = float64(number(d.t, words[1]))
		return ""
	case "reload":
		return d.reload()
	}
	return d.tell(d.event(words))
}

// reload drops the state and builds it again from what was written.
func (d *dialogue) reload() string {
	before := d.s.Graph
	d.s = d.k.load(d.t, d.cat)
	require.Equal(d.t, before.Instances, d.s.Graph.Instances)
	require.Equal(d.t, before.Files, d.s.Graph.Files)
	return d.tell(Opened{Owner: "another"})
}

func (d *dialogue) event(words []string) Event {
	arg := map[string]string{}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		arg[key] = value
	}
	switch words[0] {
	case "opened":
		return Opened{Owner: "one"}
	case "plan":
		return Planned{d.plan(words[1:])}
	case "started":
		return Started{Attempt: d.attempt(words[1]), At: d.now}
	case "ended":
		id := d.attempt(words[1])
		return Ended{Attempt: id, Result: d.result(id, words[2], arg)}
	case "moved":
		return Moved{File: d.file(words[1]), To: arg["to"], Bytes: int64(number(d.t, arg["bytes"])), Err: arg["err"]}
	case "cancel":
		return CancelAsked{}
	case "budget":
		m, err := pricing.ParseUSD(words[1])
		require.NoError(d.t, err)
		return BudgetSet{int64(m)}
	case "tick":
		return Tick{}
	}
	d.t.Fatalf("unknown step %q", words[0])
	return nil
}

// plan reads placements as in b@cloud,cost=0.02,finish=9s; a task that is not named stays at home. The
// order is the urgency.
func (d *dialogue) plan(words []string) Plan {
	n := len(d.s.tasks)
	p := Plan{Planner: "test", Why: d.s.replanWhy, Placements: make([]Placement, n), OnTime: true,
		Finish: start.Add(time.Minute)}
	for i := range p.Placements {
		p.Placements[i].Order = len(words) + i
	}
	for order, w := range words {
		parts := strings.Split(w, ",")
		id, site, _ := strings.Cut(parts[0], "@")
		pl := &p.Placements[d.task(id)]
		pl.Order, pl.Site = order, d.cat.site(site)
		if pl.Site > 0 {
			pl.MemoryMiB = 1024
		}
		for _, o := range parts[1:] {
			key, value, _ := strings.Cut(o, "=")
			d.placement(pl, key, value)
		}
		p.Cost += pl.Cost
	}
	return p
}

func (d *dialogue) placement(pl *Placement, key, value string) {
	if key == "cost" {
		m, err := pricing.ParseUSD(value)
		require.NoError(d.t, err)
		pl.Cost = int64(m)
		return
	}
	after, err := time.ParseDuration(value)
	require.NoError(d.t, err)
	switch key {
	case "start":
		pl.Start = start.Add(after)
	case "finish":
		pl.Finish = start.Add(after)
	case "hold":
		pl.NotBefore = start.Add(after)
	default:
		d.t.Fatalf("unknown word %q of a placement", key)
	}
}

// result makes a site's answer: ok, exit=3, or the class of an error.
func (d *dialogue) result(id, what string, arg map[string]string) providers.Result {
	took := time.Second
	if w := arg["took"]; w != "" {
		took = duration(d.t, w)
	}
	public := d.s.attempts[id] != nil && d.s.attempts[id].site > 0
	r := providers.Result{Usage: providers.Usage{Executed: public, MemoryMiB: 1024}}
	if w := arg["billed"]; w != "" {
		r.Usage.Billed = duration(d.t, w)
	}
	switch {
	case what == "ok":
		r.Manifest = manifest(d.s, id, d.now.Add(-took), took, arg)
	case strings.HasPrefix(what, "exit="):
		r.Manifest = manifest(d.s, id, d.now.Add(-took), took, arg)
		r.Manifest.ExitCode = number(d.t, arg["exit"])
		r.Manifest.Failure = &envelope.Failure{Class: envelope.FailExit, Message: "the command ended with " + arg["exit"]}
	default:
		r.Err = &providers.Error{Class: providers.Class(what), Message: "the site says " + what}
		if w := arg["after"]; w != "" {
			r.Err.RetryAfter = duration(d.t, w)
		}
		switch r.Err.Class {
		case providers.Throttled, providers.Denied, providers.NotFound, providers.PayloadTooLarge, providers.UnknownOutcome:
			r.Usage = providers.Usage{}
		}
	}
	return r
}

// manifest is what a runner leaves of a success: every declared output. values gives those that are passed
// by name.
func manifest(s *State, id string, from time.Time, took time.Duration, values map[string]string) *envelope.Manifest {
	m := &envelope.Manifest{Protocol: envelope.Protocol, Attempt: id, StartedAt: from.UnixMicro(),
		FinishedAt: from.Add(took).UnixMicro(), CommandUs: took.Microseconds()}
	a := s.attempts[id]
	if a == nil {
		return m
	}
	for _, f := range s.Graph.Instances[a.rec.Task].Out {
		file := &s.Graph.Files[f]
		o := envelope.Stored{Path: file.Path, Key: id + "/" + file.Path, SHA256: "ab", Size: 1 << 20}
		out := s.taskOf(a.rec.Task).Outputs[file.Output]
		if o.Name = out.Name; out.Value != "" {
			o.Value = json.RawMessage(values[out.Name])
		}
		m.Outputs = append(m.Outputs, o)
	}
	return m
}

func (d *dialogue) task(id string) int {
	for i := range d.s.tasks {
		if d.s.tasks[i].rec.ID == id {
			return i
		}
	}
	d.t.Fatalf("there is no task %q", id)
	return -1
}

func (d *dialogue) attempt(name string) string {
	id, n, ok := strings.Cut(name, "#")
	if !ok {
		return name
	}
	return attemptID("r", d.task(id), number(d.t, n))
}

func (d *dialogue) file(name string) int {
	for f := range d.s.Graph.Files {
		if d.s.Graph.Files[f].Name == name {
			return f
		}
	}
	d.t.Fatalf("there is no file %q", name)
	return -1
}

func number(t *testing.T, text string) int {
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

func duration(t *testing.T, text string) time.Duration {
	after, err := time.ParseDuration(text)
	require.NoError(t, err)
	return after
}

// tell hands an event to the engine and says what came of it.
func (d *dialogue) tell(e Event) string {
	var out []string
	for _, c := range Decide(d.s, e, d.now) {
		out = append(out, "-> "+d.command(c))
	}
	if c, ok := d.s.Change(); ok {
		out = append(out, d.change(c)...)
		d.k.commit(d.t, c)
		d.s.Committed(d.k.run.Revision)
	}
	requireSound(d.t, d.s, d.k)
	if why := d.s.replanWhy; why != "" {
		out = append(out, fmt.Sprintf("wants a plan %s: %s", d.at(d.s.replanAfter), why))
	} else if at := d.s.NextTick(); !at.IsZero() {
		out = append(out, "next tick "+d.at(at))
	}
	if len(out) == 0 {
		return "nothing\n"
	}
	return strings.Join(out, "\n") + "\n"
}

func (d *dialogue) at(t time.Time) string { return "@" + t.Sub(start).String() }

func (d *dialogue) command(c Command) string {
	switch c := c.(type) {
	case Start:
		return "start " + d.short(c.Attempt)
	case Stop:
		return "stop " + d.short(c.Attempt)
	case Transfer:
		return fmt.Sprintf("transfer %s from %s to %s", d.s.Graph.Files[c.File].Name, c.From, c.To)
	}
	return fmt.Sprintf("%T", c)
}

func (d *dialogue) short(id string) string {
	a := d.s.attempts[id]
	if a == nil {
		return id
	}
	return fmt.Sprintf("%s#%d", d.s.tasks[a.rec.Task].rec.ID, a.rec.Number)
}

// change writes a commit down, the parts that tell something.
func (d *dialogue) change(c Change) (out []string) {
	say := func(format string, args ...any) {
		out = append(out, strings.TrimRight(fmt.Sprintf(format, args...), " "))
	}
	for _, e := range c.Events {
		who := d.short(e.Attempt)
		if who == "" && e.Task >= 0 {
			who = d.s.tasks[e.Task].rec.ID
		}
		say("event %s %s %s", e.Kind, who, d.shortTimes(e.Data))
	}
	if r := c.Run; r != nil {
		say("run %s %s", r.State, flags(map[string]bool{"cancelling": r.CancelRequested, "late": r.DeadlinePassed,
			"over budget": r.BudgetRefused, "resolved: " + r.Resolved: r.Resolved != ""}))
	}
	for _, t := range c.Tasks {
		wait := ""
		if t.State == workflow.TaskRetrying {
			wait = "not before " + d.at(t.NotBefore)
		} else if t.State.Terminal() {
			wait = t.Message
		}
		say("task %s %s %s %s", t.ID, t.State, t.Site, wait)
	}
	for _, a := range c.Attempts {
		say("attempt %s %s %s %s", d.short(a.ID), a.State, a.Site, d.figures(a))
	}
	for _, f := range c.Files {
		say("file %s at %s", d.s.Graph.Files[f.Index].Name, f.Site)
	}
	for _, tr := range c.Transfers {
		say("transfer %s > %s %s, try %d, %d bytes, %s", d.s.Graph.Files[tr.File].Name, tr.To, tr.State, tr.Tries,
			tr.Bytes, tr.Cost)
	}
	for _, it := range c.Items {
		say("item %s %g %s %s %s", it.Category, it.Quantity, it.Unit, it.Amount,
			flags(map[string]bool{"estimated": it.Estimated}))
	}
	for _, o := range c.Outbox {
		say("outbox + %d %s", o.ID, o.Kind)
	}
	for _, id := range c.OutboxDone {
		say("outbox - %d", id)
	}
	return out
}

// shortTimes leaves instants of today out of an event's data: they are the run's own and told elsewhere.
func (d *dialogue) shortTimes(data json.RawMessage) string {
	text := string(data)
	for day := start.Format("2006-01-02T"); ; {
		i := strings.Index(text, day)
		if i < 0 {
			break
		}
		end := i + strings.IndexByte(text[i:], '"')
		at, err := time.Parse(time.RFC3339Nano, text[i:end])
		require.NoError(d.t, err)
		text = text[:i] + d.at(at) + text[end:]
	}
	return text
}

func (d *dialogue) figures(a workflow.AttemptRecord) string {
	var out []string
	if a.Site == PrivateSite {
		out = append(out, fmt.Sprint("node ", a.Node))
	}
	if a.State == workflow.AttemptDispatched && a.Timeout > 0 {
		out = append(out, fmt.Sprint("timeout ", a.Timeout))
	}
	if a.Reserved > 0 {
		out = append(out, "reserved "+a.Reserved.String())
	}
	if a.Cost != 0 {
		out = append(out, "cost "+a.Cost.String())
	}
	if a.Estimated {
		out = append(out, "estimated")
	}
	if a.Message != "" {
		out = append(out, a.Message)
	}
	return strings.Join(out, ", ")
}

func flags(set map[string]bool) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if set[name] {
			out = append(out, name)
		}
	}
	return strings.Join(out, ", ")
}
