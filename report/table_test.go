package report

import (
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/workflow"
)

// month is four runs of two workflows.
func month(t testing.TB) []Bill {
	words, _ := wordRun(t)
	wide, _ := wideRun(t)
	failed, _ := failedRun(t)
	going, _ := goingRun(t)
	bills := []Bill{{words.Run, words.Items}, {wide.Run, wide.Items}, {failed.Run, failed.Items}, {going.Run, going.Items}}
	for i := range bills {
		bills[i].Run.ID = string(rune('a' + i))
		bills[i].Run.SubmittedAt = start.AddDate(0, 0, i/2)
	}
	return bills
}

func TestTableGoldens(t *testing.T) {
	for _, by := range []Grouping{ByWorkflow, BySite, ByDay, ByProject} {
		costs, err := CostTable(Query{GroupBy: by}, month(t)...)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "cost-"+string(by)+".txt", func(w io.Writer) error { return costs.Text(w, Options{}) })
		golden(t, "cost-"+string(by)+".csv", costs.CSV)
		if by == BySite {
			continue
		}
		due, err := DeadlineTable(Query{GroupBy: by}, month(t)...)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "deadline-"+string(by)+".txt", func(w io.Writer) error { return due.Text(w, Options{}) })
		golden(t, "deadline-"+string(by)+".json", due.JSON)
	}
	costs, err := CostTable(Query{GroupBy: ByWorkflow}, month(t)...)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "cost-workflow.html", costs.HTML)
}

func TestQuerySelectsByTimeOfSubmission(t *testing.T) {
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		q    Query
		runs int
	}{
		"all": {Query{}, 4}, "since": {Query{Since: start.Add(day)}, 2},
		"until is not included": {Query{Until: start.Add(day)}, 2}, "none": {Query{Since: start.Add(3 * day)}, 0},
	} {
		c.q.GroupBy = ByProject
		table, err := DeadlineTable(c.q, month(t)...)
		if err != nil {
			t.Fatal(err)
		}
		runs := 0
		for _, r := range table.rows {
			runs += r.runs
		}
		if runs != c.runs {
			t.Errorf("%s: %d runs, want %d", name, runs, c.runs)
		}
	}
}

func TestTablesRefuseWhatMakesNoSense(t *testing.T) {
	if _, err := CostTable(Query{GroupBy: "moon"}); err == nil {
		t.Error("costs by moon")
	}
	if _, err := DeadlineTable(Query{GroupBy: BySite}); err == nil || !strings.Contains(err.Error(), "site") {
		t.Error("deadlines by site:", err)
	}
	dear := []workflow.ItemRecord{{Amount: math.MaxInt64}, {Amount: 1}}
	if _, err := CostTable(Query{GroupBy: ByDay}, Bill{Items: dear}); err == nil {
		t.Error("a sum beyond Money's range is accepted")
	}
}

// However runs are grouped, the rows add up to all line items, and each run is
// counted once a group.
func TestTablesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var bills []Bill
		var want pricing.Money
		for range rapid.IntRange(0, 5).Draw(t, "runs") {
			rec, _ := drawn(t)
			rec.Run.ID = string(rune('a' + len(bills)))
			rec.Run.SubmittedAt = start.AddDate(0, 0, rapid.IntRange(0, 2).Draw(t, "day"))
			bills = append(bills, Bill{rec.Run, rec.Items})
			for _, it := range rec.Items {
				want += it.Amount
			}
		}
		for _, by := range []Grouping{ByWorkflow, BySite, ByDay, ByProject} {
			table, err := CostTable(Query{GroupBy: by}, bills...)
			if err != nil {
				t.Fatal(err)
			}
			var total pricing.Money
			runs := 0
			for _, r := range table.rows {
				total += r.total
				runs += r.runs
			}
			if total != want || by != BySite && runs != len(bills) {
				t.Fatalf("by %s: %v of %v in %d runs of %d", by, total, want, runs, len(bills))
			}
		}
	})
}
