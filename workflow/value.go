package workflow

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// value reads free data: null, bool, int64, float64, string, []any, map[string]any.
func (d *decoder) value(n *yaml.Node, depth int) (value any, ok bool) {
	n, done := d.follow(n)
	if n == nil {
		return nil, false
	}
	defer done()
	if depth > maxValueDepth {
		d.fail(n, RuleTooLarge, "flatten it", "%s is nested more than %d deep", d.here(), maxValueDepth)
		return nil, false
	}
	switch n.Kind {
	case yaml.SequenceNode:
		return d.list(n, depth)
	case yaml.MappingNode:
		return d.object(n, depth)
	}
	return d.atom(n)
}

func (d *decoder) list(n *yaml.Node, depth int) (value any, ok bool) {
	list := make([]any, len(n.Content))
	ok = true
	for i, item := range n.Content {
		d.in("["+strconv.Itoa(i)+"]", func() {
			var good bool
			list[i], good = d.value(item, depth+1)
			ok = ok && good
		})
	}
	return list, ok
}

func (d *decoder) object(n *yaml.Node, depth int) (value any, ok bool) {
	object := make(map[string]any, len(n.Content)/2)
	before := len(d.errs)
	d.mapping(n, func(key, item *yaml.Node) {
		object[key.Value], _ = d.value(item, depth+1)
	})
	return object, len(d.errs) == before
}

func (d *decoder) atom(n *yaml.Node) (value any, ok bool) {
	switch n.ShortTag() {
	case "!!null":
		return nil, true
	case "!!bool":
		return strings.EqualFold(n.Value, "true"), true
	case "!!int":
		if x, err := parseWhole(n.Value); err == nil {
			return x, true
		}
		d.fail(n, RuleValue, "write it in decimal, within 64 bits, or quote it", "%s is not a whole number of 64 bits: %s", d.here(), short(n.Value))
		return nil, false
	case "!!float":
		return d.float(n)
	case "!!str", "!!timestamp":
		if strings.Contains(n.Value, "${{") {
			d.fail(n, RuleExpression, "write the whole list as one expression", "%s takes no expressions", d.here())
			return nil, false
		}
		return n.Value, true
	}
	d.fail(n, RuleType, "remove the tag", "%s cannot be %s", d.here(), describe(n))
	return nil, false
}

var decimal = regexp.MustCompile(`^[-+]?(0|[1-9][0-9_]*)$`)

// parseWhole reads a decimal whole number. Octal, hexadecimal and binary forms are refused: they read like typos.
func parseWhole(text string) (int64, error) {
	if !decimal.MatchString(text) {
		return 0, fmt.Errorf("%s is not a decimal whole number", short(text))
	}
	x, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s does not fit 64 bits", short(text))
	}
	return x, nil
}
