package workflow

import (
	"errors"
	"fmt"
	"strings"
)

// segment is a piece of a Text: literal text, or an expression.
type segment struct {
	literal string
	expr    *expression
}

// split cuts a text into literals and the sources of its expressions, which stand at odd places.
func split(text string) (pieces []string, err error) {
	for {
		start := strings.Index(text, "${{")
		if start < 0 {
			return append(pieces, text), nil
		}
		end := closing(text[start+3:])
		if end < 0 {
			return nil, errors.New("${{ is not closed by }}")
		}
		pieces = append(pieces, text[:start], text[start+3:start+3+end])
		text = text[start+3+end+2:]
	}
}

// closing finds the }} that ends an expression: not one within a string, nor one that closes two maps.
func closing(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '"', '\'':
			i = skipString(text, i)
		case '{':
			depth++
		case '}':
			if depth == 0 && strings.HasPrefix(text[i:], "}}") {
				return i
			}
			depth = max(0, depth-1)
		}
	}
	return -1
}

// skipString gives the place of the quote that ends the CEL string beginning at start, plain, raw or triple.
func skipString(text string, start int) int {
	quote := text[start : start+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(text[start:], triple) {
		quote = triple
	}
	raw := start > 0 && (text[start-1] == 'r' || text[start-1] == 'R')
	for i := start + len(quote); i < len(text); i++ {
		if text[i] == '\\' && !raw {
			i++
			continue
		}
		if strings.HasPrefix(text[i:], quote) {
			return i + len(quote) - 1
		}
	}
	return len(text)
}

// segments compiles the expressions of a text. All of its findings come as one joined error.
func (x *expressions) segments(text Text) ([]segment, error) {
	if got, ok := x.texts[text]; ok {
		return got, nil
	}
	pieces, err := split(string(text))
	if err != nil {
		return nil, err
	}
	out, errs := make([]segment, len(pieces)), []error(nil)
	for i, piece := range pieces {
		if i%2 == 0 {
			out[i].literal = piece
		} else if out[i].expr, err = x.compile(strings.TrimSpace(piece)); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	x.texts[text] = out
	return out, nil
}

// condition compiles an if, which may be written with or without ${{ }}.
func (x *expressions) condition(text Text) (*expression, error) {
	source := strings.TrimSpace(string(text))
	if strings.HasPrefix(source, "${{") {
		inner, err := x.whole(text)
		return inner, err
	}
	return x.compile(source)
}

// whole compiles a text that is one expression and nothing else.
func (x *expressions) whole(text Text) (*expression, error) {
	segments, err := x.segments(Text(strings.TrimSpace(string(text))))
	if err != nil {
		return nil, err
	}
	if len(segments) != 3 || segments[0].literal != "" || segments[2].literal != "" {
		return nil, errors.New("the value must be one ${{ expression }} and nothing else")
	}
	return segments[1].expr, nil
}

// lookup gives the variables that one expression looks at.
type lookup func(*expression) (map[string]any, error)

// fixed looks everything up in the same variables.
func fixed(vars map[string]any) lookup {
	return func(*expression) (map[string]any, error) { return vars, nil }
}

// meter counts the steps of all expressions of one call, so that many cheap ones cannot take forever either.
type meter struct{ steps uint64 }

func (m *meter) add(steps uint64) error {
	if m.steps += steps; m.steps > maxCallCost {
		return fmt.Errorf("the expressions take more than %d steps together", uint64(maxCallCost))
	}
	return nil
}

// evaluator evaluates the expressions of one call.
type evaluator struct {
	x     *expressions
	look  lookup
	meter *meter
}

func (v evaluator) value(e *expression) (any, error) {
	vars, err := v.look(e)
	if err != nil {
		return nil, err
	}
	return e.eval(v.x.env, vars, v.meter)
}

// exprText is the value of an expression as text that a process can be given.
func (v evaluator) exprText(e *expression) (string, error) {
	value, err := v.value(e)
	if err != nil {
		return "", err
	}
	text, err := textOf(value)
	if err != nil {
		return "", err
	}
	return text, checkText(text)
}

// text replaces the expressions of a text by their values.
func (v evaluator) text(text Text) (string, error) {
	segments, err := v.x.segments(text)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, s := range segments {
		piece := s.literal
		if s.expr != nil {
			if piece, err = v.exprText(s.expr); err != nil {
				return "", err
			}
		}
		if out.WriteString(piece); out.Len() > maxTextBytes {
			break
		}
	}
	return out.String(), checkText(out.String())
}

func checkText(text string) error {
	switch {
	case len(text) > maxTextBytes:
		return fmt.Errorf("a value has more than %d bytes, which is what a process takes in one argument or variable: pass it as a file", maxTextBytes)
	case strings.ContainsRune(text, 0):
		return errors.New("a value holds a zero byte, which no argument or variable can")
	}
	return nil
}
