//go:build linux || darwin

package main

import (
	"io"
	"strings"
	"unicode/utf8"
)

// column is one column of a table. Columns without a width are as wide as
// their widest cell, at most 28; longer cells are cut in their middle, so that
// both the kind and the number of a task stay.
type column struct {
	head  string
	right bool
	width int
	style func(cell string) string // colour, applied after padding
}

const widestCell = 28

type table struct {
	columns []column
	rows    [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// print writes the table, two blanks between columns, none at line ends.
func (t *table) print(w io.Writer) error {
	widths := make([]int, len(t.columns))
	for k, c := range t.columns {
		widths[k] = utf8.RuneCountInString(c.head)
		for _, row := range t.rows {
			widths[k] = max(widths[k], utf8.RuneCountInString(row[k]))
		}
		limit := c.width
		if limit == 0 {
			limit = widestCell
		}
		widths[k] = min(widths[k], limit)
	}
	var b strings.Builder
	heads := make([]string, len(t.columns))
	for k, c := range t.columns {
		heads[k] = c.head
	}
	t.line(&b, heads, widths, false)
	for _, row := range t.rows {
		t.line(&b, row, widths, true)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *table) line(b *strings.Builder, cells []string, widths []int, styled bool) {
	var line strings.Builder
	for k, c := range t.columns {
		cell := shorten(cells[k], widths[k])
		pad := strings.Repeat(" ", widths[k]-utf8.RuneCountInString(cell))
		if styled && c.style != nil {
			cell = c.style(cell)
		}
		if c.right {
			line.WriteString(pad + cell)
		} else {
			line.WriteString(cell + pad)
		}
		line.WriteString("  ")
	}
	b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
}

// shorten cuts the middle out of a text that is too wide.
func shorten(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	if width < 3 {
		return string(runes[:width])
	}
	head := (width - 1) / 2
	return string(runes[:head]) + "…" + string(runes[len(runes)-(width-1-head):])
}
