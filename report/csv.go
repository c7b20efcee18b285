package report

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"
)

// CSV writes a row a task. Text that a spreadsheet would take for a formula is
// preceded by an apostrophe.
func CSV(w io.Writer, r Report) error {
	rows := [][]string{{
		"run_id", "id", "state", "attempts", "site", "offering", "planned_start_s", "start_s",
		"planned_finish_s", "finish_s", "cost_usd", "cold_start", "reason",
	}}
	for k := range r.Tasks {
		t := &r.Tasks[k]
		rows = append(rows, []string{
			cell(r.Run.ID), cell(t.ID), t.State.String(), strconv.Itoa(t.Attempts), cell(t.Site), t.Offering,
			r.secondsCell(t.PlannedStart), r.secondsCell(t.StartedAt), r.secondsCell(t.PlannedFinish),
			r.secondsCell(t.FinishedAt), t.Cost.Decimal(), strconv.FormatBool(t.Cold), cell(t.because()),
		})
	}
	return csv.NewWriter(w).WriteAll(rows)
}

// ItemsCSV writes a row a line item of the bill.
func ItemsCSV(w io.Writer, r Report) error {
	rows := [][]string{{
		"run_id", "at", "task", "attempt", "file", "site", "category", "quantity", "unit",
		"unit_price_usd", "amount_usd", "estimated", "note",
	}}
	for k := range r.Items {
		it := &r.Items[k]
		rows = append(rows, []string{
			cell(r.Run.ID), it.At.Format(time.RFC3339Nano), cell(it.TaskID), cell(it.Attempt), cell(it.FileName),
			cell(it.Site), cell(it.Category), strconv.FormatFloat(it.Quantity, 'g', -1, 64), cell(it.Unit),
			it.UnitPrice.Decimal(), it.Amount.Decimal(), strconv.FormatBool(it.Estimated), cell(it.Note),
		})
	}
	return csv.NewWriter(w).WriteAll(rows)
}

// cell disarms text that begins like a formula.
func cell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}

func (r *Report) secondsCell(t time.Time) string {
	d, ok := r.since(t)
	if !ok {
		return ""
	}
	return decimalSeconds(d)
}
