package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/workflow"
)

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		name         string
		state        workflow.RunState
		finish       float64
		passed, none bool
		want         Deadline
	}{
		{"in time", workflow.RunSucceeded, 29, false, false, Deadline{Decided: true, Met: true, Slack: time.Second}},
		{"to the microsecond", workflow.RunSucceeded, 30, false, false, Deadline{Decided: true, Met: true}},
		{"late", workflow.RunSucceeded, 31, true, false, Deadline{Decided: true, Slack: -time.Second}},
		{"failed early", workflow.RunFailed, 5, false, false, Deadline{Decided: true, Slack: 25 * time.Second}},
		{"cancelled early", workflow.RunCancelled, 5, false, false, Deadline{Decided: true, Slack: 25 * time.Second}},
		{"going", workflow.RunRunning, 0, false, false, Deadline{}},
		{"going, too late", workflow.RunRunning, 0, true, false, Deadline{Decided: true}},
		{"without", workflow.RunSucceeded, 5, false, true, Deadline{}},
	} {
		run := workflow.RunRecord{State: c.state, StartedAt: start, DeadlineAt: after(30), DeadlinePassed: c.passed}
		if c.finish > 0 {
			run.FinishedAt = after(c.finish)
		}
		if c.none {
			run.DeadlineAt = time.Time{}
		}
		c.want.At = run.DeadlineAt
		if got := Build(workflow.Record{Run: run}, nil).Deadline; got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// drawn is a run of random times, sites and bills over a random graph.
func drawn(t *rapid.T) (workflow.Record, *workflow.Graph) {
	n := rapid.IntRange(1, 12).Draw(t, "tasks")
	g := &workflow.Graph{Spec: &workflow.Spec{Name: "w", Tasks: make([]workflow.Task, n)}}
	for i := range n {
		in := workflow.Instance{ID: fmt.Sprint("t", i), Task: i, Index: -1, Out: []int32{int32(i)}}
		for p := range i {
			if rapid.Bool().Draw(t, "edge") {
				in.Parents = append(in.Parents, int32(p))
			}
		}
		g.Instances = append(g.Instances, in)
		g.Files = append(g.Files, workflow.File{Name: in.ID + "/out", Producer: int32(i)})
	}
	g.Instances[n-1].Retired = n > 1 && rapid.Bool().Draw(t, "retired")
	h := newHistory(g, rapid.Float64Range(0, 200).Draw(t, "finish"))
	seconds := rapid.Map(rapid.IntRange(0, 40), func(q int) float64 { return float64(q) / 4 })
	for i := range n {
		if rapid.IntRange(0, 5).Draw(t, "ran") == 0 {
			continue
		}
		site, mem, node := "private", 0, rapid.IntRange(0, 1).Draw(t, "node")
		if rapid.Bool().Draw(t, "bought") {
			site, mem, node = rapid.SampledFrom([]string{"sandbox:local", "aws:eu"}).Draw(t, "site"), 512, -1
		}
		from, plan := 0.0, seconds.Draw(t, "plan")
		for _, p := range g.Instances[i].Parents {
			if f := h.Tasks[p].FinishedAt; !f.IsZero() {
				from = max(from, f.Sub(start).Seconds())
			}
		}
		from += seconds.Draw(t, "wait")
		h.ran(i, site, mem, node, plan, plan+seconds.Draw(t, "planned"), from, from+seconds.Draw(t, "took"))
		if rapid.IntRange(0, 9).Draw(t, "unplanned") == 0 {
			h.Tasks[i].PlannedStart = time.Time{}
		}
	}
	for range rapid.IntRange(0, 20).Draw(t, "items") {
		h.item(workflow.ItemRecord{
			Task: rapid.IntRange(-1, n-1).Draw(t, "task"), File: rapid.IntRange(-1, n-1).Draw(t, "file"),
			Site:      rapid.SampledFrom([]string{"sandbox:local", "aws:eu", "private"}).Draw(t, "where"),
			Category:  string(rapid.SampledFrom(categories[:]).Draw(t, "category")),
			Quantity:  rapid.Float64Range(0, 1e6).Draw(t, "quantity"),
			Amount:    pricing.Money(rapid.Int64Range(-1e12, 1e15).Draw(t, "amount")),
			Estimated: rapid.Bool().Draw(t, "estimated"),
		})
	}
	return h.Record, g
}

// Every way of summing the bill gives the sum of its items, to the pico-dollar,
// in the value as in the JSON text.
func TestTheTotalIsTheSumOfItsItems(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rec, g := drawn(t)
		r := Build(rec, g)
		var want pricing.Money
		for _, it := range rec.Items {
			want += it.Amount
		}
		sums := map[string]pricing.Money{"total": r.Cost.Total, "kinds": r.Cost.Metered + r.Cost.Estimated, "tasks": r.Cost.Other}
		for _, m := range r.Cost.BySite {
			sums["sites"] += m
		}
		for _, m := range r.Cost.ByCategory {
			sums["categories"] += m
		}
		for k := range r.Tasks {
			sums["tasks"] += r.Tasks[k].Cost
		}
		for name, got := range sums {
			if got != want && !(len(rec.Items) == 0 && got == 0) {
				t.Fatalf("sum of %s is %v, of items %v", name, got, want)
			}
		}
		var text bytes.Buffer
		if err := JSON(&text, r); err != nil {
			t.Fatal(err)
		}
		exact(t, text.Bytes(), want)
	})
}

// exact sums the items of a JSON report without floats.
func exact(t *rapid.T, text []byte, want pricing.Money) {
	var doc struct {
		Cost  map[string]json.RawMessage
		Items []struct {
			Amount json.Number `json:"amount_usd"`
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	sum := new(big.Rat)
	for _, it := range doc.Items {
		x, ok := new(big.Rat).SetString(it.Amount.String())
		if !ok {
			t.Fatalf("amount %q", it.Amount)
		}
		sum.Add(sum, x)
	}
	total, ok := new(big.Rat).SetString(string(doc.Cost["total_usd"]))
	if !ok || total.Cmp(sum) != 0 || total.Cmp(new(big.Rat).SetFrac64(int64(want), int64(pricing.USD))) != 0 {
		t.Fatalf("JSON says %s, its items %s, the run %v", doc.Cost["total_usd"], sum.FloatString(12), want)
	}
}

// What the links of the chain lost, and the rest, is the run's lateness; a link
// begins after the one before it has ended, and the last one ends last.
func TestTheChainAccountsForAllLateness(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rec, g := drawn(t)
		r := Build(rec, g)
		planned, ok := r.Planned()
		if !ok {
			t.Fatal("there is no plan")
		}
		sum := r.Other
		for k, l := range r.Chain {
			sum += l.Waited + l.Ran
			if k == 0 {
				continue
			}
			before, now := &r.Tasks[r.Chain[k-1].Task], &r.Tasks[l.Task]
			if before.FinishedAt.After(now.StartedAt) {
				t.Fatalf("%s starts before %s has ended", now.ID, before.ID)
			}
		}
		if len(r.Chain) > 0 && r.Makespan > 0 && sum != r.Makespan-planned {
			t.Fatalf("the chain loses %v, the run %v", sum, r.Makespan-planned)
		}
		for k := range r.Tasks {
			if r.Tasks[k].ran() && r.Tasks[k].FinishedAt.After(r.Tasks[r.Chain[len(r.Chain)-1].Task].FinishedAt) {
				t.Fatalf("%s ends after the chain", r.Tasks[k].ID)
			}
		}
	})
}

// Whatever a run looks like, each form can be written, and in no lane of a
// picture two tasks are at once.
func TestEveryFormWritesEveryRun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rec, g := drawn(t)
		for _, g := range []*workflow.Graph{g, nil} {
			r := Build(rec, g)
			var text, rows, doc, picture bytes.Buffer
			width := rapid.IntRange(0, 200).Draw(t, "width")
			for _, err := range []error{Text(&text, r, Options{Width: width, Verbose: true}), CSV(&rows, r), JSON(&doc, r), SVG(&picture, r)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			read, err := csv.NewReader(&rows).ReadAll()
			if err != nil || len(read) != 1+len(r.Tasks) {
				t.Fatalf("%d rows for %d tasks: %v", len(read), len(r.Tasks), err)
			}
		}
	})
}

func TestGanttLinesKeepToTheWidth(t *testing.T) {
	rec, g := wideRun(t)
	for _, width := range []int{56, 80, 120} {
		var text bytes.Buffer
		if err := Text(&text, Build(rec, g), Options{Width: width}); err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(text.String(), "\n") {
			if strings.ContainsAny(line, "▁▂▃▄▅▆▇█┊") && len([]rune(line)) > width {
				t.Errorf("%d columns in %d: %s", len([]rune(line)), width, line)
			}
		}
	}
}

func TestTextForPeople(t *testing.T) {
	for want, got := range map[string]string{
		"$0.00": money(0), "$3.00": money(3 * pricing.USD), "$1234.57": money(1_234_567_890_000_000), "$0.10": money(pricing.USD / 10),
		"$0.000001": money(1_000_000), "$0.000000000001": money(1), "-$0.0123": money(-12_345_000_000), "$0.00123": money(1_234_567_890),
		"$1.00": money(999_999_999_999),
		"0 s":   span(0), "1.5 ms": span(1500 * time.Microsecond), "1 s": span(999_600 * time.Microsecond), "59.9 s": span(59_900 * time.Millisecond),
		"1 m 00 s": span(59_960 * time.Millisecond), "1 h 00 m": span(time.Hour - 400*time.Millisecond), "-2 h 30 m": span(-150 * time.Minute), "7 d": span(168 * time.Hour),
		"-0.000001": decimalSeconds(-time.Microsecond), "12": decimalSeconds(12 * time.Second), "3155760000.5": decimalSeconds(3155760000500 * time.Millisecond),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestSumsStayInRange(t *testing.T) {
	if got := plus(math.MaxInt64, 1); got != math.MaxInt64 {
		t.Error(got)
	}
	if got := plus(math.MinInt64, -1); got != math.MinInt64 {
		t.Error(got)
	}
}
