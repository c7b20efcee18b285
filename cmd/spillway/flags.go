//go:build linux || darwin

package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// choice is a flag with a fixed set of values.
type choice struct {
	value   string
	allowed []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return strings.Join(c.allowed, "|") }

func (c *choice) Set(text string) error {
	if !slices.Contains(c.allowed, text) {
		return fmt.Errorf("want one of %s", strings.Join(c.allowed, ", "))
	}
	c.value = text
	return nil
}

// choiceFlag adds a flag whose first value is its default.
func choiceFlag(cmd *cobra.Command, name, short, usage string, allowed ...string) *choice {
	c := &choice{allowed[0], allowed}
	cmd.Flags().VarP(c, name, short, usage)
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(slices.Clone(allowed), cobra.ShellCompDirectiveNoFileComp))
	return c
}

// outputFlag adds -o, whose first value is its default.
func outputFlag(cmd *cobra.Command, allowed ...string) *choice {
	return choiceFlag(cmd, "output", "o", "format of what is printed", allowed...)
}

// deadline is a time after the start of a run: in microseconds, or as a
// percentage of the time that the all-private plan takes.
type deadline struct {
	us      int64
	percent float64
	text    string
}

func (d *deadline) String() string { return d.text }
func (d *deadline) Type() string   { return "seconds|duration|percent%" }

// maxDeadline is 10,000 days in seconds.
const maxDeadline = 864_000_000

func (d *deadline) Set(text string) error {
	const want = "want seconds as in 90.5, a duration as in 1h30m, or a percentage of the all-private time as in 60%"
	number, percent := strings.CutSuffix(text, "%")
	x, err := strconv.ParseFloat(number, 64)
	if err != nil {
		span, e := time.ParseDuration(text)
		if percent || e != nil {
			return fmt.Errorf("%s", want)
		}
		x = span.Seconds()
	}
	if !(x > 0 && x <= maxDeadline) {
		return fmt.Errorf("%s, more than 0", want)
	}
	*d = deadline{text: text}
	if percent {
		d.percent = x
	} else {
		d.us = max(1, int64(math.Floor(float64(x*1e6)+0.5))) // 0 would be no deadline
	}
	return nil
}

// parseParams reads -p key=value.
func parseParams(pairs []string) (map[string]any, error) {
	params := make(map[string]any, len(pairs))
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if _, again := params[key]; again {
			return nil, usageErrorf("parameter %s is given twice", key)
		}
		if !ok || key == "" {
			return nil, usageErrorf("parameter %q: want name=value", pair)
		}
		params[key] = value
	}
	return params, nil
}

func paramFlag(cmd *cobra.Command) *[]string {
	return cmd.Flags().StringArrayP("param", "p", nil, "a parameter as `name=value`; may be repeated")
}

// exactly wants so many arguments, and says which.
func exactly(names ...string) cobra.PositionalArgs { return between(len(names), names...) }

// between wants at least so many of the arguments named.
func between(least int, names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < least {
			return usageErrorf("%s is missing", names[len(args)])
		}
		if len(args) > len(names) {
			return usageErrorf("unexpected argument %q", args[len(names)])
		}
		return nil
	}
}
