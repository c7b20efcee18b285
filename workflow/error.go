package workflow

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Rule is the kind of a finding: stable, for scripts and documentation.
type Rule string

// The rules.
const (
	RuleSyntax      Rule = "syntax"
	RuleTooLarge    Rule = "too-large"
	RuleAlias       Rule = "alias"
	RuleKey         Rule = "unknown-key"
	RuleDuplicate   Rule = "duplicate"
	RuleMissing     Rule = "missing"
	RuleType        Rule = "type"
	RuleValue       Rule = "value"
	RuleConflict    Rule = "conflict"
	RuleUnsupported Rule = "unsupported"
	RuleID          Rule = "bad-id"
	RuleReference   Rule = "unknown-reference"
	RuleCycle       Rule = "cycle"
	RulePath        Rule = "bad-path"
	RuleExpression  Rule = "expression"
	RuleSchedule    Rule = "schedule"
	RuleParam       Rule = "param"
	RuleLabel       Rule = "label"
)

// Error is one finding about a definition, with a way out.
type Error struct {
	File      string
	Line, Col int    // from 1; 0 where the finding has no place
	Path      string // as in tasks.fit.retry.max
	Rule      Rule
	Message   string
	Fix       string // what to do about it
}

// Error prints file:line:col: message; way out [rule], on one line.
func (e Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ":")
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", e.Line, e.Col)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(e.Message)
	if e.Fix != "" {
		b.WriteString("; " + e.Fix)
	}
	fmt.Fprintf(&b, " [%s]", e.Rule)
	return strings.Map(printable, b.String())
}

// printable keeps what a definition holds from moving the cursor of whoever reads about it.
func printable(r rune) rune {
	if !unicode.IsPrint(r) {
		return '.'
	}
	return r
}

// Errors are all findings about a definition, in the order of the source.
type Errors []Error

func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// maxErrors bounds what one broken file prints.
const maxErrors = 200

// err sorts the findings and gives them as an error, nil if there are none. What several tasks inherit is told once.
func (es Errors) err() error {
	if len(es) == 0 {
		return nil
	}
	slices.SortStableFunc(es, func(a, b Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Col - b.Col
	})
	es = slices.CompactFunc(es, func(a, b Error) bool {
		return a.Line > 0 && a.Line == b.Line && a.Col == b.Col && a.Message == b.Message
	})
	if more := len(es) - maxErrors; more > 0 {
		es = append(es[:maxErrors:maxErrors], Error{
			File: es[0].File, Rule: RuleTooLarge,
			Message: fmt.Sprintf("%d more findings are not shown", more), Fix: "mend these first",
		})
	}
	return es
}

// nearest is the known word closest to a mistyped one, or "" if none is near.
func nearest(word string, known []string) string {
	best, bestDistance := "", len(word)/3+2
	for _, k := range known {
		if d := distance(word, k, bestDistance); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance of a and b, or at least limit when it is not below limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
