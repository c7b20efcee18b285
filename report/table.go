package report

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/workflow"
)

// tableWidth is what a table over many runs takes at least: it is read in a pager.
const tableWidth = 120

// Bill is a run with its line items: what tables over many runs are made of.
type Bill struct {
	Run   workflow.RunRecord
	Items []workflow.ItemRecord
}

// Grouping is what the rows of a table stand for.
type Grouping string

// The groupings. A day is a UTC day of submission; a site groups costs only.
const (
	ByWorkflow Grouping = "workflow"
	BySite     Grouping = "site"
	ByDay      Grouping = "day"
	ByProject  Grouping = "project"
)

// Query selects runs and says how to group them.
type Query struct {
	Since, Until time.Time // of submission, Until not included; zero: open
	GroupBy      Grouping
}

// Table is rows of numbers by group, in the order of the groups.
type Table struct {
	Name    string
	columns []column
	rows    []tableRow
}

type column struct {
	name string // as in JSON and CSV
	head string // as on a terminal
	text func(r *tableRow) string
	json func(r *tableRow) any // nil: as text
}

// tableRow counts one group.
type tableRow struct {
	group                   string
	runs                    int
	total, sandbox          pricing.Money
	estimated               pricing.Money
	by                      map[string]pricing.Money // by category
	due, met, missed        int
	slack                   []time.Duration // of runs that succeeded
	lastRun                 string
	makespan, plannedMakesp time.Duration
}

// CostTable sums what runs cost. The total of all rows is the sum of all line
// items; the error is for sums beyond Money's range and unknown groupings.
func CostTable(q Query, bills ...Bill) (Table, error) {
	if !slices.Contains([]Grouping{ByWorkflow, BySite, ByDay, ByProject}, q.GroupBy) {
		return Table{}, fmt.Errorf("costs cannot be grouped by %q: workflow, site, day or project", q.GroupBy)
	}
	rows := grouper{}
	for i := range bills {
		b := &bills[i]
		if !q.selects(&b.Run) {
			continue
		}
		if q.GroupBy != BySite {
			rows.of(q.key(&b.Run)).count(&b.Run)
		}
		for k := range b.Items {
			it := &b.Items[k]
			key := it.Site
			if q.GroupBy != BySite {
				key = q.key(&b.Run)
			}
			r := rows.of(key)
			r.count(&b.Run)
			if err := r.pay(it); err != nil {
				return Table{}, fmt.Errorf("costs of %s: %w", key, err)
			}
		}
	}
	t := Table{Name: "cost", rows: rows.sorted(), columns: []column{q.groupColumn(), runsColumn}}
	t.columns = append(t.columns, moneyColumn("total_usd", "total", func(r *tableRow) pricing.Money { return r.total }))
	for _, category := range categories {
		t.columns = append(t.columns, moneyColumn(string(category)+"_usd", string(category), func(r *tableRow) pricing.Money { return r.by[string(category)] }))
	}
	t.columns = append(t.columns,
		moneyColumn("estimated_usd", "bounds", func(r *tableRow) pricing.Money { return r.estimated }),
		moneyColumn("sandbox_usd", "sandbox", func(r *tableRow) pricing.Money { return r.sandbox }))
	return t, nil
}

// DeadlineTable counts which runs were in time. The error is for unknown
// groupings; sites have no deadlines.
func DeadlineTable(q Query, bills ...Bill) (Table, error) {
	if !slices.Contains([]Grouping{ByWorkflow, ByDay, ByProject}, q.GroupBy) {
		return Table{}, fmt.Errorf("deadlines cannot be grouped by %q: workflow, day or project", q.GroupBy)
	}
	rows := grouper{}
	for i := range bills {
		run := &bills[i].Run
		if !q.selects(run) {
			continue
		}
		r := rows.of(q.key(run))
		r.count(run)
		r.time(run)
	}
	return Table{Name: "deadline", rows: rows.sorted(), columns: []column{
		q.groupColumn(), runsColumn,
		countColumn("with_deadline", "with deadline", func(r *tableRow) int { return r.due }),
		countColumn("met", "met", func(r *tableRow) int { return r.met }),
		countColumn("missed", "missed", func(r *tableRow) int { return r.missed }),
		countColumn("open", "open", func(r *tableRow) int { return r.due - r.met - r.missed }),
		{"met_percent", "met %", func(r *tableRow) string { return r.percent() }, func(r *tableRow) any { return number(r.percent()) }},
		spanColumn("worst_slack_s", "worst slack", func(r *tableRow) (time.Duration, bool) { return r.slackAt(0) }),
		spanColumn("median_slack_s", "median slack", func(r *tableRow) (time.Duration, bool) { return r.slackAt((len(r.slack) - 1) / 2) }),
		{"makespan_ratio", "took / planned", func(r *tableRow) string { return r.ratio() }, func(r *tableRow) any { return number(r.ratio()) }},
	}}, nil
}

func (q *Query) selects(run *workflow.RunRecord) bool {
	at := run.SubmittedAt
	return (q.Since.IsZero() || !at.Before(q.Since)) && (q.Until.IsZero() || at.Before(q.Until))
}

func (q *Query) key(run *workflow.RunRecord) string {
	switch q.GroupBy {
	case ByDay:
		return run.SubmittedAt.UTC().Format(time.DateOnly)
	case ByProject:
		return run.Project
	}
	return run.Workflow
}

type grouper map[string]*tableRow

func (g grouper) of(key string) *tableRow {
	if g[key] == nil {
		g[key] = &tableRow{group: key, by: map[string]pricing.Money{}}
	}
	return g[key]
}

func (g grouper) sorted() []tableRow {
	rows := make([]tableRow, 0, len(g))
	for _, r := range g {
		slices.Sort(r.slack)
		rows = append(rows, *r)
	}
	slices.SortFunc(rows, func(a, b tableRow) int { return cmp.Compare(a.group, b.group) })
	return rows
}

// count counts a run once; its items come one after the other.
func (r *tableRow) count(run *workflow.RunRecord) {
	if r.runs == 0 || r.lastRun != run.ID {
		r.runs, r.lastRun = r.runs+1, run.ID
	}
}

func (r *tableRow) pay(it *workflow.ItemRecord) (err error) {
	if r.total, err = r.total.Add(it.Amount); err != nil {
		return err
	}
	if sandbox(it.Site) {
		if r.sandbox, err = r.sandbox.Add(it.Amount); err != nil {
			return err
		}
	}
	if it.Estimated {
		if r.estimated, err = r.estimated.Add(it.Amount); err != nil {
			return err
		}
	}
	r.by[it.Category], err = r.by[it.Category].Add(it.Amount)
	return err
}

func (r *tableRow) time(run *workflow.RunRecord) {
	if run.State == workflow.RunSucceeded && run.PlannedFinish.After(run.StartedAt) {
		r.makespan += run.FinishedAt.Sub(run.StartedAt)
		r.plannedMakesp += run.PlannedFinish.Sub(run.StartedAt)
	}
	d := deadline(run)
	if d.At.IsZero() {
		return
	}
	r.due++
	switch {
	case d.Met:
		r.met++
	case d.Decided:
		r.missed++
	}
	if run.State == workflow.RunSucceeded { // a run that failed early spared nothing
		r.slack = append(r.slack, d.Slack)
	}
}

func (r *tableRow) percent() string {
	if r.met+r.missed == 0 {
		return ""
	}
	return strconv.FormatFloat(100*float64(r.met)/float64(r.met+r.missed), 'f', 1, 64)
}

func (r *tableRow) ratio() string {
	if r.plannedMakesp == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(r.makespan)/float64(r.plannedMakesp), 'f', 3, 64)
}

func (r *tableRow) slackAt(k int) (time.Duration, bool) {
	if len(r.slack) == 0 {
		return 0, false
	}
	return r.slack[k], true
}

// Text writes the table for a terminal.
func (t *Table) Text(w io.Writer, opts Options) error {
	p := &page{w: bufio.NewWriter(w), width: max(opts.Width, tableWidth), color: opts.Color, verbose: opts.Verbose}
	heads := make([]string, len(t.columns))
	for c, col := range t.columns {
		if heads[c] = col.head; c > 0 {
			heads[c] = ">" + col.head
		}
	}
	out := newTextTable(heads...)
	for _, cells := range t.cells(p) {
		out.row(cells...)
	}
	out.write(p)
	return p.w.Flush()
}

// cells are the rows as people read them.
func (t *Table) cells(p *page) [][]string {
	rows := make([][]string, len(t.rows))
	for k := range t.rows {
		for _, col := range t.columns {
			rows[k] = append(rows[k], p.value(col, &t.rows[k]))
		}
	}
	return rows
}

func (p *page) value(col column, r *tableRow) string {
	if col.json != nil {
		switch v := col.json(r).(type) {
		case usd:
			return p.amount(pricing.Money(v))
		case seconds:
			return span(time.Duration(v))
		}
	}
	if text := clean(col.text(r)); text != "" {
		return text
	}
	return "-"
}

// CSV writes the table with exact numbers.
func (t *Table) CSV(w io.Writer) error {
	head := make([]string, len(t.columns))
	for c, col := range t.columns {
		head[c] = col.name
	}
	rows := [][]string{head}
	for k := range t.rows {
		cells := make([]string, len(t.columns))
		for c, col := range t.columns {
			if cells[c] = col.text(&t.rows[k]); c == 0 {
				cells[c] = cell(cells[c])
			}
		}
		rows = append(rows, cells)
	}
	return csv.NewWriter(w).WriteAll(rows)
}

// JSON writes the table as a list of objects with exact numbers.
func (t *Table) JSON(w io.Writer) error {
	list := make([]map[string]any, len(t.rows))
	for k := range t.rows {
		list[k] = map[string]any{}
		for _, col := range t.columns {
			if col.json == nil {
				list[k][col.name] = col.text(&t.rows[k])
			} else {
				list[k][col.name] = col.json(&t.rows[k])
			}
		}
	}
	return writeJSON(w, list)
}

var tablePage = template.Must(template.New("table").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{.Name}} report</title>
<style>body{font:15px system-ui,sans-serif;color-scheme:light dark;margin:2em}td,th{padding:.3em .8em;text-align:right;font-variant-numeric:tabular-nums}
td:first-child,th:first-child{text-align:left}tr+tr td{border-top:1px solid #8884}</style>
<h1>{{.Name}} report</h1>
<table><thead><tr>{{range .Heads}}<th>{{.}}</th>{{end}}</tr></thead>
<tbody>{{range .Rows}}<tr>{{range .}}<td>{{.}}</td>{{end}}</tr>
{{end}}</tbody></table></html>
`))

// HTML writes the table as a page of its own.
func (t *Table) HTML(w io.Writer) error {
	heads := make([]string, len(t.columns))
	for c, col := range t.columns {
		heads[c] = col.head
	}
	return tablePage.Execute(w, map[string]any{"Name": t.Name, "Heads": heads, "Rows": t.cells(&page{verbose: true})})
}
