package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spillway/spillway/workflow"
)

// Options of the text form.
type Options struct {
	Color   bool // ANSI colours
	Width   int  // columns; 0: 96
	Verbose bool // every task, every line item, exact amounts
}

const (
	defaultWidth  = 96
	minWidth      = 56
	dearest       = 5 // tasks listed by cost
	chainShown    = 6 // links of the critical chain
	failuresShown = 5
)

// page is a report on its way to a terminal.
type page struct {
	*Report
	w       *bufio.Writer
	width   int
	color   bool
	verbose bool
}

// Text writes the report for a terminal.
func Text(w io.Writer, r Report, opts Options) error {
	p := &page{Report: &r, w: bufio.NewWriter(w), width: opts.Width, color: opts.Color, verbose: opts.Verbose}
	if p.width <= 0 {
		p.width = defaultWidth
	}
	p.width = max(p.width, minWidth)
	p.header()
	p.failures()
	p.bySite()
	p.dearest()
	p.lost()
	p.gantt()
	if p.verbose {
		p.everyTask()
		p.everyItem()
	}
	return p.w.Flush()
}

func (p *page) printf(format string, args ...any) { fmt.Fprintf(p.w, format, args...) }

// The colours, named by what they say.
const (
	good  = "32"
	bad   = "31"
	soso  = "33"
	faint = "2"
	bold  = "1"
	home  = "34"
	away  = "33"
)

func (p *page) paint(color, text string) string {
	if !p.color || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// fact is one line of the header.
func (p *page) fact(name, text string) {
	p.printf("%s %s\n", p.paint(faint, fit(name, 9)), text)
}

func (p *page) header() {
	run := &p.Run
	p.printf("%s  %s  %s\n\n", p.paint(bold, clean(run.Workflow)), p.paint(faint, "run "+clean(run.ID)), p.state())
	if run.Reason != "" {
		p.fact("why", clean(run.Reason))
	}
	p.fact("deadline", p.verdict())
	p.fact("took", p.took())
	p.fact("cost", p.costLine())
	if parts := p.byCategory(); parts != "" {
		p.fact("for", parts)
	}
	if planned, ok := p.Planned(); ok {
		p.fact("plan", p.planLine(planned))
	}
	p.printf("\n")
}

func (p *page) state() string {
	color := soso
	switch p.Run.State {
	case workflow.RunSucceeded:
		color = good
	case workflow.RunFailed, workflow.RunCancelled:
		color = bad
	}
	return p.paint(color, p.Run.State.String())
}

func (p *page) verdict() string {
	d := &p.Deadline
	if d.At.IsZero() {
		return "none"
	}
	text := "open"
	switch {
	case d.Met:
		text = p.paint(good, "met") + " with " + span(d.Slack) + " to spare"
	case d.Decided && d.Slack < 0:
		text = p.paint(bad, "missed") + " by " + span(-d.Slack)
	case d.Decided:
		text = p.paint(bad, "missed")
	}
	at := d.At.UTC().Format("2006-01-02 15:04:05") + " UTC"
	if within, ok := p.since(d.At); ok {
		at = span(within) + " after the start, " + at
	}
	return text + " (" + at + ")"
}

func (p *page) took() string {
	if p.Makespan == 0 {
		return "it is still going"
	}
	text := span(p.Makespan)
	if ratio, ok := p.Ratio(); ok {
		text += fmt.Sprintf(", %.2f times the plan", ratio)
	}
	if p.scale() != 1 {
		text += fmt.Sprintf("; times and bytes were divided by %g: it stands for %s", p.scale(), span(p.atScale(p.Makespan)))
	}
	return text
}

func (p *page) costLine() string {
	c := &p.Cost
	if len(p.Items) == 0 {
		return p.paint(bold, p.amount(0)) + ", nothing was bought"
	}
	text := p.paint(bold, p.amount(c.Total))
	switch {
	case c.Sandbox == c.Total:
		text += " sandbox (nobody has to pay it)"
	case c.Sandbox != 0:
		text += ", " + p.amount(c.Sandbox) + " of it sandbox (nobody has to pay that)"
	}
	if c.Estimated != 0 {
		text += ", " + p.amount(c.Estimated) + " of it an upper bound"
	}
	return text
}

// byCategory is what was paid for, empty where it is one thing.
func (p *page) byCategory() string {
	var parts []string
	for _, category := range categories {
		if m := p.Cost.ByCategory[category]; m != 0 {
			parts = append(parts, string(category)+" "+p.amount(m))
		}
	}
	if len(parts) < 2 {
		return ""
	}
	return strings.Join(parts, ", ")
}

func (p *page) planLine(planned time.Duration) string {
	text := span(planned) + " for " + p.amount(p.Run.PlannedCost)
	if p.Run.LowerBound > 0 {
		text += "; by the estimates, no plan in time costs less than " + p.amount(p.Run.LowerBound)
	}
	if private, ok := p.since(p.Run.PrivateFinish); ok {
		text += "; all at home would take " + span(private)
		if due, ok := p.due(); ok && private > due {
			text += ", too long"
		}
	}
	return text
}

// failures says what went wrong, the first few.
func (p *page) failures() {
	t := newTextTable("failed", "site", ">attempts", "message")
	failed, skipped := 0, 0
	for k := range p.Tasks {
		task := &p.Tasks[k]
		switch task.State {
		case workflow.TaskFailed:
			if failed++; failed <= failuresShown || p.verbose {
				t.row(clean(task.ID), clean(task.Site), fmt.Sprint(task.Attempts), clean(task.Message))
			}
		case workflow.TaskSkipped, workflow.TaskCancelled:
			skipped++
		}
	}
	if failed == 0 {
		return
	}
	if more := failed - len(t.rows) + 1; more > 0 {
		t.row(fmt.Sprintf("and %d more", more), "", "", "")
	}
	if skipped > 0 {
		t.row(plural(skipped, "task")+" did not run", "", "", "")
	}
	t.write(p)
}

// bySite is the table of sites, the private one first.
func (p *page) bySite() {
	rows := p.siteRows()
	if len(rows) == 0 {
		return
	}
	t := newTextTable("site", ">tasks", ">attempts", ">cold", ">busy", ">cost")
	for _, s := range rows {
		cold := "-"
		if s.name != workflow.SitePrivate {
			cold = fmt.Sprint(s.cold)
		}
		t.row(clean(s.name), fmt.Sprint(s.tasks), fmt.Sprint(s.attempts), cold, span(s.busy), p.amount(p.Cost.BySite[s.name]))
	}
	t.write(p)
}

type siteRow struct {
	name                  string
	tasks, attempts, cold int
	busy                  time.Duration
}

func (p *page) siteRows() []siteRow {
	at := map[string]int{}
	var rows []siteRow
	find := func(name string) *siteRow {
		if _, ok := at[name]; !ok {
			at[name] = len(rows)
			rows = append(rows, siteRow{name: name})
		}
		return &rows[at[name]]
	}
	for k := range p.Tasks {
		t := &p.Tasks[k]
		if t.Site == "" || t.StartedAt.IsZero() {
			continue
		}
		s := find(t.Site)
		s.tasks++
		s.attempts += t.Attempts
		if t.ran() {
			s.busy += t.FinishedAt.Sub(t.StartedAt)
		}
		if t.Cold {
			s.cold++
		}
	}
	for name := range p.Cost.BySite {
		find(name)
	}
	slices.SortFunc(rows, func(a, b siteRow) int {
		home := func(s siteRow) int { return map[bool]int{true: 0, false: 1}[s.name == workflow.SitePrivate] }
		return cmp.Or(cmp.Compare(home(a), home(b)), cmp.Compare(a.name, b.name))
	})
	return rows
}

// dearest lists the tasks that cost most.
func (p *page) dearest() {
	var costly []int
	for k := range p.Tasks {
		if p.Tasks[k].Cost > 0 {
			costly = append(costly, k)
		}
	}
	if len(costly) == 0 {
		return
	}
	slices.SortStableFunc(costly, func(a, b int) int { return cmp.Compare(p.Tasks[b].Cost, p.Tasks[a].Cost) })
	t := newTextTable("dearest tasks", "site", ">took", ">cost", "why there")
	for _, k := range costly[:min(dearest, len(costly))] {
		task := &p.Tasks[k]
		took := "-"
		if task.ran() {
			took = span(task.FinishedAt.Sub(task.StartedAt))
		}
		t.row(clean(task.ID), clean(task.Site)+" "+task.Offering, took, p.amount(task.Cost), clean(task.because()))
	}
	t.write(p)
}

// lost says which tasks of the critical chain cost slack or won some.
func (p *page) lost() {
	planned, ok := p.Planned()
	if !ok || p.Run.State != workflow.RunSucceeded || len(p.Chain) == 0 {
		return
	}
	late := p.Makespan - planned
	shown := p.worstLinks(max(planned/200, time.Millisecond))
	if len(shown) == 0 {
		return
	}
	t := newTextTable(fmt.Sprintf("critical chain (%s)", plural(len(p.Chain), "task")), ">waited", ">ran", "against its plan")
	rest := late
	for _, k := range shown {
		l := p.Chain[k]
		rest -= l.Waited + l.Ran
		note := ""
		if l.Queued {
			note = "behind " + clean(p.Tasks[p.Chain[k-1].Task].ID)
		}
		if task := &p.Tasks[l.Task]; task.Attempts > 1 {
			note = strings.TrimPrefix(note+fmt.Sprintf(", %d attempts", task.Attempts), ", ")
		}
		t.row(clean(p.Tasks[l.Task].ID), signed(l.Waited), signed(l.Ran), note)
	}
	t.row("everything else", "", signed(rest), "other links, results coming home, re-planning")
	t.row("the run", "", signed(late), "")
	t.write(p)
}

// worstLinks are the links that moved the finish most, in the order of the chain.
func (p *page) worstLinks(least time.Duration) []int {
	var links []int
	size := func(k int) time.Duration {
		return max(p.Chain[k].Waited+p.Chain[k].Ran, -p.Chain[k].Waited-p.Chain[k].Ran)
	}
	for k := range p.Chain {
		if size(k) >= least {
			links = append(links, k)
		}
	}
	slices.SortStableFunc(links, func(a, b int) int { return cmp.Compare(size(b), size(a)) })
	links = links[:min(chainShown, len(links))]
	slices.Sort(links)
	return links
}

func (p *page) everyTask() {
	t := newTextTable("tasks", "state", ">attempts", "site", ">planned", ">started", ">planned", ">finished", ">cost")
	for k := range p.Tasks {
		task := &p.Tasks[k]
		t.row(clean(task.ID), task.State.String(), fmt.Sprint(task.Attempts), clean(task.Site)+" "+task.Offering,
			p.moment(task.PlannedStart), p.moment(task.StartedAt), p.moment(task.PlannedFinish), p.moment(task.FinishedAt), p.amount(task.Cost))
	}
	t.write(p)
}

func (p *page) moment(t time.Time) string {
	if d, ok := p.since(t); ok {
		return span(d)
	}
	return "-"
}

func (p *page) everyItem() {
	if len(p.Items) == 0 {
		return
	}
	t := newTextTable("bill", "site", "category", ">quantity", "unit", ">each", ">amount", "note")
	for k := range p.Items {
		it := &p.Items[k]
		name, note := it.TaskID, it.Note
		if it.FileName != "" {
			name = it.FileName
		}
		if it.Estimated {
			note = strings.TrimPrefix(note+", an upper bound", ", ")
		}
		t.row(clean(name), clean(it.Site), clean(it.Category), fmt.Sprintf("%.6g", it.Quantity), clean(it.Unit), it.UnitPrice.String(), it.Amount.String(), clean(note))
	}
	t.row("total", "", "", "", "", "", p.Cost.Total.String(), "")
	t.write(p)
}
