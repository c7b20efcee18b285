package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/workflow"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, write func(io.Writer) error) {
	t.Helper()
	var got bytes.Buffer
	if err := write(&got); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s differs; look at it, then run go test -update\n%s", path, got.Bytes())
	}
}

func TestGoldens(t *testing.T) {
	for name, make := range map[string]func(testing.TB) (workflow.Record, *workflow.Graph){
		"words": wordRun, "wide": wideRun, "failed": failedRun, "going": goingRun,
	} {
		rec, g := make(t)
		r := Build(rec, g)
		golden(t, name+".txt", func(w io.Writer) error { return Text(w, r, Options{}) })
		if name == "wide" {
			continue
		}
		golden(t, name+".json", func(w io.Writer) error { return JSON(w, r) })
		golden(t, name+".csv", func(w io.Writer) error { return CSV(w, r) })
		golden(t, name+".svg", func(w io.Writer) error { return SVG(w, r) })
	}
	rec, g := wordRun(t)
	r := Build(rec, g)
	golden(t, "words-items.csv", func(w io.Writer) error { return ItemsCSV(w, r) })
	golden(t, "words-verbose.txt", func(w io.Writer) error { return Text(w, r, Options{Verbose: true, Color: true, Width: 120}) })
	golden(t, "words-narrow.txt", func(w io.Writer) error { return Text(w, r, Options{Width: 20}) })
}

// failedRun ended with a failed task and two that never ran; hostile names come
// along.
func failedRun(t testing.TB) (workflow.Record, *workflow.Graph) {
	g := expand(t, words)
	h := newHistory(g, 11)
	h.Run.Workflow, h.Run.State, h.Run.Reason = "=cmd|' /C calc'!A0", workflow.RunFailed, "task count[1] failed"
	h.ran(0, "private", 0, 0, 0, 4, 0.1, 4)
	h.ran(2, "sandbox:local", 1769, -1, 4, 8, 4.5, 11)
	h.Tasks[2].State, h.Tasks[2].Message = workflow.TaskFailed, "exit 1\n\x1b[31m<script>alert(1)</script>\a"
	h.Tasks[2].ID = "=count<1>\x1b]0;title\a"
	for _, i := range []int{1, 3, 4, 5, 6, 7} {
		h.Tasks[i].State = workflow.TaskSkipped
	}
	h.compute(2, "sandbox:local", 11.2, 186_667_040)
	return h.Record, g
}

// goingRun is in the middle, its deadline behind it.
func goingRun(t testing.TB) (workflow.Record, *workflow.Graph) {
	g := expand(t, words)
	h := newHistory(g, 0)
	h.Run.State, h.Run.DeadlinePassed = workflow.RunRunning, true
	h.Run.FinishedAt = time.Time{}
	h.ran(0, "private", 0, 0, 0, 4, 0.1, 40)
	h.ran(1, "private", 0, 0, 4, 8, 40.5, 48)
	h.Tasks[1].State, h.Tasks[1].FinishedAt = workflow.TaskRunning, h.Run.FinishedAt
	return h.Record, g
}

// The names of the JSON form are what other programs read; they never change.
func TestJSONHasTheContractsNames(t *testing.T) {
	rec, g := wordRun(t)
	var text bytes.Buffer
	if err := JSON(&text, Build(rec, g)); err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(text.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"run_id", "workflow", "state", "deadline.at", "deadline.met", "deadline.slack_s", "makespan_s",
		"planned.makespan_s", "planned.cost_usd", "cost.estimated_usd", "cost.metered_usd", "cost.billed_usd",
		"cost.by_site", "cost.by_category.compute", "cost.by_category.request", "cost.by_category.egress",
		"cost.by_category.storage", "cost.by_category.private", "lower_bound_usd",
		"tasks.id", "tasks.attempts", "tasks.site", "tasks.offering", "tasks.planned_start_s", "tasks.start_s",
		"tasks.planned_finish_s", "tasks.finish_s", "tasks.cost_usd", "tasks.cold_start", "tasks.reason",
	} {
		var at any = doc
		for _, key := range strings.Split(path, ".") {
			if list, ok := at.([]any); ok {
				at = list[0]
			}
			object, _ := at.(map[string]any)
			next, ok := object[key]
			if !ok {
				t.Errorf("%s is missing", path)
				break
			}
			at = next
		}
	}
}

// A terminal, a spreadsheet and a browser are each safe from what tasks are
// called and what they print.
func TestHostileTextIsDisarmed(t *testing.T) {
	rec, g := failedRun(t)
	r := Build(rec, g)
	var text, table, picture bytes.Buffer
	if err := Text(&text, r, Options{Verbose: true}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(text.String(), "\x1b\a\r") {
		t.Errorf("control characters reach the terminal: %q", text.String())
	}
	if err := CSV(&table, r); err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(table.String(), "\n") {
		for _, c := range strings.Split(line, ",") {
			if strings.HasPrefix(strings.Trim(c, `"`), "=") {
				t.Errorf("a formula reaches the spreadsheet: %s", line)
			}
		}
	}
	if err := SVG(&picture, r); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(&picture)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "script" {
			t.Error("a script reaches the picture")
		}
	}
}
