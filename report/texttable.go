package report

import (
	"strings"
	"unicode/utf8"

	"github.com/spillway/spillway/pricing"
)

// amount is money as the page shows it: exact where it is verbose.
func (p *page) amount(m pricing.Money) string {
	if p.verbose {
		return m.String()
	}
	return money(m)
}

// textTable aligns columns; a heading that begins with > is aligned right.
type textTable struct {
	right []bool
	rows  [][]string
}

func newTextTable(headings ...string) *textTable {
	t := &textTable{right: make([]bool, len(headings))}
	for k, h := range headings {
		headings[k], t.right[k] = strings.CutPrefix(h, ">")
	}
	t.rows = [][]string{headings}
	return t
}

func (t *textTable) row(cells ...string) { t.rows = append(t.rows, cells) }

// write puts the table and an empty line on the page. The first and the last
// column give way when the page is too narrow.
func (t *textTable) write(p *page) {
	width := t.widths(p.width)
	for k, row := range t.rows {
		var b strings.Builder
		for c, text := range row {
			if c > 0 {
				b.WriteString("  ")
			}
			if t.right[c] {
				b.WriteString(strings.Repeat(" ", max(0, width[c]-utf8.RuneCountInString(text))) + text)
			} else {
				b.WriteString(fit(text, width[c]))
			}
		}
		line := strings.TrimRight(b.String(), " ")
		if k == 0 {
			line = p.paint(faint, line)
		}
		p.printf("%s\n", line)
	}
	p.printf("\n")
}

func (t *textTable) widths(page int) []int {
	width := make([]int, len(t.right))
	for _, row := range t.rows {
		for c, text := range row {
			width[c] = max(width[c], utf8.RuneCountInString(text))
		}
	}
	over := 2*(len(width)-1) - page
	for _, w := range width {
		over += w
	}
	last := len(width) - 1
	for _, c := range []int{last, 0} {
		if over > 0 && !t.right[c] {
			cut := min(over, max(0, width[c]-12))
			width[c] -= cut
			over -= cut
		}
	}
	return width
}
