package workflow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// maxNodes bounds the node tree of a definition, which takes far more memory than its text.
const maxNodes = 2_000_000

// maxDepth bounds the nesting of a definition.
const maxDepth = 64

// ParseAny reads a definition of either kind, told apart by content: WfFormat is JSON with a workflow object at its
// top, all else is read as Spillway YAML. The error is an Errors.
func ParseAny(filename string, src []byte) (*Spec, error) {
	if looksLikeTrace(src) {
		return ParseWfFormat(filename, src)
	}
	return Parse(filename, src)
}

// Parse reads and checks a Spillway YAML definition. Its error is an Errors that holds all findings at once.
func Parse(filename string, src []byte) (*Spec, error) {
	d := &decoder{file: filename, open: map[*yaml.Node]bool{}}
	root := d.load(src)
	if root == nil {
		return nil, d.errs.err()
	}
	spec := &Spec{File: filename}
	d.decode(reflect.ValueOf(spec).Elem(), root, nil)
	v := &validator{decoder: d, spec: spec, told: map[Pos]bool{}}
	for _, e := range d.errs {
		v.told[Pos{e.Line, e.Col}] = true
	}
	v.validate()
	if err := d.errs.err(); err != nil {
		return nil, err
	}
	return spec, nil
}

// load reads the one document of src, or records why it cannot.
func (d *decoder) load(src []byte) *yaml.Node {
	start := Pos{1, 1}
	switch {
	case len(src) > MaxBytes:
		d.failAt(start, RuleTooLarge, "split it, or let a foreach make its tasks", "the file has %d bytes; at most %d are read", len(src), MaxBytes)
		return nil
	case len(bytes.TrimSpace(src)) == 0:
		d.failAt(start, RuleSyntax, "start with apiVersion: "+APIVersion, "the file is empty")
		return nil
	case countNodes(src) > maxNodes:
		d.failAt(start, RuleTooLarge, "split it, or let a foreach make its tasks", "the file has more than %d values", maxNodes)
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(src),
		yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthFunc(checkDepth), loaderlimits.AliasNone())))
	if err != nil {
		d.syntax(err)
		return nil
	}
	var doc, more yaml.Node
	switch err := loader.Load(&doc); {
	case errors.Is(err, io.EOF): // comments only
		d.failAt(start, RuleSyntax, "start with apiVersion: "+APIVersion, "the file is empty")
		return nil
	case err != nil:
		d.syntax(err)
		return nil
	}
	if err := loader.Load(&more); !errors.Is(err, io.EOF) {
		at := start
		if more.Line > 0 {
			at = Pos{more.Line, more.Column}
		}
		d.failAt(at, RuleSyntax, "keep one document a file", "the file has more than one YAML document")
		return nil
	}
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		return doc.Content[0]
	}
	return &doc
}

// countNodes counts the separators of a YAML text. It has at most two values a separator, as in {a, b}.
func countNodes(src []byte) int {
	n := 0
	for _, c := range src {
		switch c {
		case ',', ':', '[', '{', '-', '?', '\n':
			n++
		}
	}
	return n
}

var errTooDeep = fmt.Errorf("nested more than %d deep", maxDepth)

func checkDepth(depth int, _ *yaml.DepthContext) error {
	if depth > maxDepth {
		return errTooDeep
	}
	return nil
}

// syntax records what the YAML reader says, in one line and with its place.
func (d *decoder) syntax(err error) {
	at, message := Pos{1, 1}, err.Error()
	var load *yaml.LoadError
	if errors.As(err, &load) {
		message = load.Message
		if load.Mark.Line > 0 {
			at = Pos{load.Mark.Line, max(load.Mark.Column, 1)}
		}
	}
	message = strings.Join(strings.Fields(message), " ")
	if strings.Contains(message, errTooDeep.Error()) {
		d.failAt(at, RuleTooLarge, "flatten it", "the file is %s", errTooDeep)
		return
	}
	d.failAt(at, RuleSyntax, "mend the YAML", "not valid YAML: %s", short200(message))
}

func short200(s string) string {
	if len(s) > 200 {
		return strings.ToValidUTF8(s[:197], "") + "..."
	}
	return s
}
