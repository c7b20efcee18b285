package planners

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Text writes a summary for people, and the comparisons of one planner with
// each other one.
func Text(w io.Writer, rows []Row, of string) error {
	var b strings.Builder
	s := Summarise(rows)
	fmt.Fprintf(&b, "%d cases, %d of them certified impossible, %d solved by at least one planner\n\n", s.Cases, s.Impossible, s.Solved)
	s.figures(&b)
	s.factors(&b)
	if slices.Contains(names(rows), of) && len(s.Planners) > 1 {
		compare(&b, rows, of)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Summary) width() int {
	width := len("planner")
	for k := range s.Planners {
		width = max(width, len(s.Planners[k].Planner))
	}
	return width
}

func (s *Summary) figures(b *strings.Builder) {
	fmt.Fprintf(b, "%-*s  %s  %s  %s  %s\n", s.width(), "", "---- deadlines met, of ----", "------- cost -------", "in 10 %",
		"- planning, ms -  - in decodes -")
	fmt.Fprintf(b, "%-*s  %8s %9s %8s  %6s %6s %6s  %7s  %8s %7s  %6s %7s\n", s.width(), "planner",
		"all", "possible", "solved", "/bound", "/best", "free", "noise", "median", "max", "median", "max")
	for k := range s.Planners {
		f := &s.Planners[k]
		fmt.Fprintf(b, "%-*s  %8s %9s %8s  %6s %6s %6s  %7s  %8s %7s  %6s %7s\n", s.width(), f.Planner,
			percent(f.OfAll), percent(f.OfPossible), percent(f.OfSolved), times(f.CostToBound), times(f.CostToBest), percent(f.FreeFound),
			percent(f.Noise), short(f.PlanMs.Median), short(f.PlanMs.Max), short(f.PlanDecodes.Median), short(f.PlanDecodes.Max))
	}
	b.WriteString("\npossible: not certified impossible; solved: by some planner here; cost: geometric means over the planner's own hits,\n" +
		"over the bound and over the cheapest plan here; free: found, of the cases with a plan for nothing; noise: deadlines\n" +
		"still met when run times spread by 10 %; decodes: planning time over that of one bare simulation of the plan\n\n")
}

func (s *Summary) factors(b *strings.Builder) {
	if len(s.Planners) == 0 {
		return
	}
	b.WriteString("by deadline, in critical paths: met, of the cases that some planner solves (cost over the cheapest)\n")
	fmt.Fprintf(b, "%-*s", s.width(), "planner")
	for _, x := range s.Planners[0].ByFactor {
		fmt.Fprintf(b, "  %15s", fmt.Sprintf("%g", x.Factor))
	}
	b.WriteString("\n")
	for k := range s.Planners {
		fmt.Fprintf(b, "%-*s", s.width(), s.Planners[k].Planner)
		for _, x := range s.Planners[k].ByFactor {
			fmt.Fprintf(b, "  %15s", fmt.Sprintf("%s (%4s)", percent(x.OfSolved), times(x.CostToBest)))
		}
		b.WriteString("\n")
	}
}

func compare(b *strings.Builder, rows []Row, of string) {
	width := 0
	for _, name := range names(rows) {
		width = max(width, len(name))
	}
	fmt.Fprintf(b, "\n%s beside each of the others, case by case\n", of)
	fmt.Fprintf(b, "%-*s  %10s  %6s %6s %6s  %15s  %14s\n", width, "", "both solve", "cost", "least", "most", "free: it, other", "only it, other")
	for _, name := range names(rows) {
		if name == of {
			continue
		}
		c := Compare(rows, of, name)
		fmt.Fprintf(b, "%-*s  %10d  %6s %6s %6s  %8d %6d  %7d %6d\n", width, name,
			c.Both, ratioText(c.Ratio), ratioText(c.Least), ratioText(c.Most), c.FreeA, c.FreeB, c.OnlyA, c.OnlyB)
	}
	b.WriteString("cost: over the other's, geometric mean where both solve and both pay; free: for nothing, where the other pays\n")
}

func percent(x float64) string {
	if math.IsNaN(x) {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100*x)
}

func times(x float64) string { return number("%.2f", x) }

func ratioText(x float64) string { return number("%.3f", x) }

func number(format string, x float64) string {
	if math.IsNaN(x) {
		return "-"
	}
	return fmt.Sprintf(format, x)
}

// short has three digits, and whole numbers from a hundred on.
func short(x float64) string {
	if x >= 100 {
		return number("%.0f", x)
	}
	return number("%.3g", x)
}
