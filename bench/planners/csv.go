package planners

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// fields are the columns of the reference evaluator's bench.
var fields = strings.Fields("set instance tasks book wan cores cp_s allpriv_ratio factor deadline_s planner met feasible " +
	"makespan_s cost exec_cost egress_cost lower_bound offloaded quota_wait_s cold up_MB down_MB plan_s sim_s noise10_hits n_viol viol_kind")

// CSV writes rows as the reference evaluator's bench does.
type CSV struct{ w *csv.Writer }

// NewCSV writes the header.
func NewCSV(w io.Writer) (*CSV, error) {
	c := &CSV{csv.NewWriter(w)}
	return c, c.w.Write(fields)
}

// Write adds rows.
func (c *CSV) Write(rows []Row) error {
	for k := range rows {
		if err := c.w.Write(rows[k].record()); err != nil {
			return err
		}
	}
	c.w.Flush()
	return c.w.Error()
}

func (r *Row) record() []string {
	hits := ""
	if r.NoiseHits >= 0 {
		hits = strconv.Itoa(r.NoiseHits)
	}
	return []string{
		r.Set, r.Instance, strconv.Itoa(r.Tasks), r.Book, r.WAN, strconv.Itoa(r.Cores), fixed(r.CriticalS, 6), fixed(r.PrivateRatio, 4),
		pythonFloat(r.Factor), fixed(r.DeadlineS, 6), r.Planner, digit(r.Met), digit(r.Feasible), fixed(r.MakespanS, 6), fixed(r.Cost, 9),
		fixed(r.Exec, 9), fixed(r.Egress, 9), fixed(r.LowerBound, 9), strconv.Itoa(r.Offloaded), fixed(r.QuotaWaitS, 3),
		strconv.Itoa(r.Cold), fixed(float64(r.UpBytes)/1e6, 3), fixed(float64(r.DownBytes)/1e6, 3), fixed(r.PlanS, 4), fixed(r.SimS, 4),
		hits, strconv.Itoa(r.Violations), r.FirstViolation,
	}
}

func fixed(x float64, digits int) string {
	if math.IsInf(x, 1) {
		return "inf"
	}
	return strconv.FormatFloat(x, 'f', digits, 64)
}

// pythonFloat writes a float of a few digits as Python prints it.
func pythonFloat(x float64) string {
	text := strconv.FormatFloat(x, 'g', -1, 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return text
}

func digit(yes bool) string {
	if yes {
		return "1"
	}
	return "0"
}

// ReadCSV reads rows that this package or the reference evaluator wrote. The
// error names the line.
func ReadCSV(r io.Reader) ([]Row, error) {
	in := csv.NewReader(r)
	head, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("no header: %w", err)
	}
	if !slices.Equal(head, fields) {
		return nil, fmt.Errorf("the columns are %s, want %s", strings.Join(head, ","), strings.Join(fields, ","))
	}
	var rows []Row
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := in.FieldPos(0)
		row, err := parse(record)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		rows = append(rows, row)
	}
}

func parse(record []string) (Row, error) {
	at := func(name string) string { return record[slices.Index(fields, name)] }
	var failed error
	number := func(name string) float64 {
		x, err := strconv.ParseFloat(at(name), 64)
		if err == nil && math.IsNaN(x) {
			err = errors.New("not a number")
		}
		if err != nil && failed == nil {
			failed = fmt.Errorf("%s: %w", name, err)
		}
		return x
	}
	r := Row{
		Set: at("set"), Instance: at("instance"), Book: at("book"), WAN: at("wan"), Planner: at("planner"), FirstViolation: at("viol_kind"),
		Tasks: int(number("tasks")), Cores: int(number("cores")), Offloaded: int(number("offloaded")), Cold: int(number("cold")),
		Violations: int(number("n_viol")), CriticalS: number("cp_s"), PrivateRatio: number("allpriv_ratio"), Factor: number("factor"),
		DeadlineS: number("deadline_s"), Met: at("met") == "1", Feasible: at("feasible") == "1", MakespanS: number("makespan_s"),
		Cost: number("cost"), Exec: number("exec_cost"), Egress: number("egress_cost"), LowerBound: number("lower_bound"),
		QuotaWaitS: number("quota_wait_s"), PlanS: number("plan_s"), SimS: number("sim_s"), NoiseHits: -1,
		UpBytes: int64(math.Round(number("up_MB") * 1e6)), DownBytes: int64(math.Round(number("down_MB") * 1e6)),
	}
	if at("noise10_hits") != "" {
		r.NoiseHits = int(number("noise10_hits"))
	}
	return r, failed
}
