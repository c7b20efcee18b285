//go:build linux || darwin

package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spillway/spillway/internal/draw"
	"github.com/spillway/spillway/offload"
)

type paretoFlags struct {
	problemFlags
	planner string
	seed    int64
	points  int
	effort  *choice
}

func (a *app) paretoCommand() *cobra.Command {
	var f paretoFlags
	cmd := &cobra.Command{
		Use:   "pareto INSTANCE",
		Short: "Say what a workflow costs against its deadline",
		Long: "Plans for several deadlines, from the tightest that a plan is found for up to what\n" +
			"the all-private plan takes. A plan for one deadline counts for every looser one, so\n" +
			"that cost never rises. The knee is the point farthest below the straight line\n" +
			"between the curve's ends, both axes scaled alike (Kneedle). Below the curve is what\n" +
			"a bound proves impossible, and in between what neither is proved nor was found.\n\n" +
			"The definition's own deadline is of no matter, and no margin is kept.",
		Example: "  spillway pareto montage.json --platform aws.json\n" +
			"  spillway pareto montage.json --platform aws.json --points 40 -o svg > montage.svg",
		Args: exactly("INSTANCE"),
	}
	f.addInstance(cmd)
	cmd.Flags().StringVar(&f.planner, "planner", offload.DefaultPlanner, "planner")
	cmd.Flags().Int64Var(&f.seed, "seed", 0, "seed of the planner's random numbers")
	cmd.Flags().IntVar(&f.points, "points", 20, "number of deadlines")
	f.effort = choiceFlag(cmd, "effort", "", "how long to search for each", "default", "low", "max")
	output := outputFlag(cmd, "table", "json", "csv", "svg")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := a.pareto(cmd.Context(), args[0], &f)
		if err != nil {
			return err
		}
		switch output.value {
		case "json":
			return a.printJSON(c.doc())
		case "csv":
			return a.printCurveCSV(c)
		case "svg":
			picture := c.picture()
			return picture.WriteSVG(a.out)
		}
		return a.printCurve(c)
	}
	return cmd
}

// costCurve is a curve with what it was made from.
type costCurve struct {
	*instance
	offload.Curve
	planner string
}

// mostPoints bounds a curve: each point is a plan.
const mostPoints = 1000

func (a *app) pareto(ctx context.Context, path string, f *paretoFlags) (*costCurve, error) {
	planner, ok := offload.Lookup(f.planner)
	if !ok {
		return nil, usageErrorf("unknown planner %q; the planners are\n%s", f.planner, strings.TrimRight(plannerList(), "\n"))
	}
	if f.points < 2 || f.points > mostPoints {
		return nil, usageErrorf("--points %d: want 2 to %d", f.points, mostPoints)
	}
	in, err := a.instance(ctx, path, &f.problemFlags)
	if err != nil {
		return nil, err
	}
	in.problem.Seed = f.seed
	plans := 0
	counted := func(p offload.Problem, b offload.Budget) (offload.Plan, error) {
		if plans++; plans%10 == 0 && len(p.Tasks) >= noteworthy {
			a.notef("%d plans made", plans)
		}
		if ctx.Err() != nil {
			return offload.Plan{}, ctx.Err()
		}
		return planner(p, b)
	}
	c, err := offload.Pareto(*in.problem, counted, searchBudget(f.effort.value), f.points)
	return &costCurve{in, c, f.planner}, err
}

// noteworthy is from how many tasks on a curve takes long enough to say how far it is.
const noteworthy = 2000

// curveDoc is a curve in its machine-readable form. Times are in seconds.
type curveDoc struct {
	Workflow   string        `json:"workflow"`
	Planner    string        `json:"planner"`
	Points     []pointDoc    `json:"points"`
	Knee       *pointDoc     `json:"knee"` // null when the curve has none
	Infeasible infeasibleDoc `json:"infeasible"`
	AllPrivate *float64      `json:"all_private_makespan_s"` // null when home alone cannot run everything
}

// infeasibleDoc is what lies before the curve.
type infeasibleDoc struct {
	ProvedUpTo float64 `json:"proved_up_to_s"`     // a bound proves that no plan meets these deadlines
	FoundFrom  float64 `json:"plans_found_from_s"` // in between, neither is known
}

type pointDoc struct {
	DeadlineS  float64 `json:"deadline_s"`
	CostUSD    float64 `json:"cost_usd"`
	LowerBound float64 `json:"lower_bound_usd"`
	MakespanS  float64 `json:"makespan_s"`
	FaasUSD    float64 `json:"faas_usd"`
	EgressUSD  float64 `json:"egress_usd"`
	PrivateUSD float64 `json:"private_usd"`
	Offloaded  int     `json:"offloaded"`
}

func (c *costCurve) doc() curveDoc {
	doc := curveDoc{
		Workflow: c.graph.Spec.Name, Planner: c.planner, Points: make([]pointDoc, len(c.Points)),
		Infeasible: infeasibleDoc{asSeconds(c.ProvedUs), asSeconds(c.Points[0].DeadlineUs)},
	}
	for k := range c.Points {
		doc.Points[k] = newPointDoc(&c.Points[k])
	}
	if c.Knee >= 0 {
		doc.Knee = &doc.Points[c.Knee]
	}
	if c.HomeAlone {
		s := asSeconds(c.CheapestUs)
		doc.AllPrivate = &s
	}
	return doc
}

func newPointDoc(p *offload.CurvePoint) pointDoc {
	o := &p.Plan.Predicted
	return pointDoc{
		DeadlineS: asSeconds(p.DeadlineUs), CostUSD: o.Cost.USD(), LowerBound: p.Bound.USD(), MakespanS: asSeconds(o.MakespanUs),
		FaasUSD: o.FaaS.USD(), EgressUSD: o.Egress.USD(), PrivateUSD: o.Private.USD(), Offloaded: o.Offloaded,
	}
}

func asSeconds(us int64) float64 { return float64(us) / 1e6 }

func (a *app) printCurveCSV(c *costCurve) error {
	w := csv.NewWriter(a.out)
	rows := [][]string{{"deadline_s", "cost_usd", "lower_bound_usd", "makespan_s", "offloaded", "knee"}}
	exact := func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
	for k := range c.Points {
		p := newPointDoc(&c.Points[k])
		rows = append(rows, []string{
			exact(p.DeadlineS), exact(p.CostUSD), exact(p.LowerBound), exact(p.MakespanS), strconv.Itoa(p.Offloaded), strconv.FormatBool(k == c.Knee),
		})
	}
	return w.WriteAll(rows)
}

func (a *app) printCurve(c *costCurve) error {
	fmt.Fprintf(a.out, "%s: cost against deadline, planned by %s\n\n", c.graph.Spec.Name, c.planner)
	fact := func(name, format string, args ...any) {
		fmt.Fprintf(a.out, "  %-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	first := c.Points[0].DeadlineUs
	if c.HomeAlone {
		fact("all private", "%s", span(c.CheapestUs))
	} else {
		fact("all private", "impossible; the cheapest plan takes %s", span(c.CheapestUs))
	}
	if c.ProvedUs > 0 {
		fact("impossible", "up to %s: a bound proves that no plan is in time", span(c.ProvedUs))
	}
	fact("possible", "from %s on: there is a plan. In between, none is ruled out and none was found", span(first))
	if c.Knee >= 0 {
		k := &c.Points[c.Knee]
		fact("knee", "%s for %s: from there on, time buys less", span(k.DeadlineUs), dollars(k.Plan.Predicted.Cost))
	}
	fmt.Fprintln(a.out)
	t := table{columns: []column{
		{head: "DEADLINE", right: true}, {head: "COST", right: true}, {head: "BOUND", right: true}, {head: "GAP", right: true},
		{head: "MAKESPAN", right: true}, {head: "OFFLOADED", right: true}, {head: ""},
	}}
	for k := range c.Points {
		o, bound := &c.Points[k].Plan.Predicted, c.Points[k].Bound
		mark := ""
		if k == c.Knee {
			mark = "<- knee"
		}
		t.add(span(c.Points[k].DeadlineUs), dollars(o.Cost), dollars(bound), gap(o.Cost, bound), span(o.MakespanUs), strconv.Itoa(o.Offloaded), mark)
	}
	return t.print(a.out)
}

// picture is the curve as SVG draws it.
func (c *costCurve) picture() draw.Curve {
	p := draw.Curve{
		Title: c.graph.Spec.Name + ": cost against deadline", Knee: c.Knee, Proved: micros(c.ProvedUs),
		Subtitle: count(len(c.problem.Tasks), "task") + ", planned by " + c.planner, Money: shortDollars,
	}
	if c.HomeAlone {
		p.Subtitle += "; home alone takes " + draw.Span(micros(c.CheapestUs))
	}
	for k := range c.Points {
		at := &c.Points[k]
		o := &at.Plan.Predicted
		p.Points = append(p.Points, draw.Point{
			Deadline: micros(at.DeadlineUs), Cost: o.Cost.USD(), Bound: at.Bound.USD(),
			Note: fmt.Sprintf("deadline %s: %s, no plan below %s, %d offloaded", draw.Span(micros(at.DeadlineUs)), dollars(o.Cost), dollars(at.Bound), o.Offloaded),
		})
	}
	return p
}

// shortDollars is an amount with at most three digits, in plain decimals.
func shortDollars(usd float64) string {
	if usd >= 100 || usd == 0 {
		return fmt.Sprintf("$%.0f", usd)
	}
	text := strconv.FormatFloat(usd, 'f', max(0, 2-int(math.Floor(math.Log10(usd)))), 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return "$" + text
}
