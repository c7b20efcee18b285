package estimate

import (
	"fmt"
	"strconv"
)

// Source is where a figure comes from.
type Source string

// The sources.
const (
	Trace   Source = "trace"   // measured in a trace
	History Source = "history" // measured in earlier runs
	Hint    Source = "hint"    // the author's estimate
	Prior   Source = "prior"   // an assumption
	Retired Source = "retired" // the instance will not run
)

// Basis is what the estimate of one instance rests on.
type Basis struct {
	Source      Source
	Seconds     float64 // on reference cores
	Samples     int     // of earlier runs that went into it
	Quantile    float64 // of the samples; 1 is the longest, 0 not a quantile
	Spread      float64 // standard deviation of the logarithm of the samples, where Seconds is their mean
	Pace        float64 // the author's figure was multiplied by this, as other tasks of the workflow suggest
	Site        string  // where they were measured; empty: converted from several offerings
	Provisional bool    // the instance stands for an element that is not known yet
	Output      Source  // of its output sizes; empty without outputs
}

// Measured says whether history alone, and enough of it, made the figure.
func (b Basis) Measured() bool { return b.Source == History && b.Samples >= enough }

// String says it to people, as in "12.5 s: the 75 % quantile of 8 runs at private".
func (b Basis) String() string {
	s := strconv.FormatFloat(b.Seconds, 'g', 4, 64) + " s: " + b.why()
	if b.Provisional {
		s += "; its elements are not known yet"
	}
	return s
}

func (b Basis) why() string {
	switch {
	case b.Source == Trace:
		return "from the trace"
	case b.Source == Retired:
		return "it will not run"
	case b.Source == Prior:
		return "assumed: no estimate.runtime and no earlier run"
	case b.Source == Hint && b.Samples > 0:
		return b.hint() + ", corrected by " + runs(b.Samples)
	case b.Source == Hint:
		return b.hint()
	case b.Quantile == 1:
		return "the longest of " + runs(b.Samples)
	case b.Spread > 0:
		return fmt.Sprintf("the mean of %s%s, which spread by %.2g %%", runs(b.Samples), b.at(), 100*b.Spread)
	case b.Site == "":
		return fmt.Sprintf("the %.3g %% quantile of %s, converted between offerings", 100*b.Quantile, runs(b.Samples))
	}
	return fmt.Sprintf("the %.3g %% quantile of %s at %s", 100*b.Quantile, runs(b.Samples), b.Site)
}

func (b Basis) at() string {
	if b.Site == "" {
		return ", converted between offerings"
	}
	return " at " + b.Site
}

// hint names the author's figure, and what was made of it.
func (b Basis) hint() string {
	if b.Pace == 0 || b.Pace == 1 {
		return "estimate.runtime"
	}
	return fmt.Sprintf("estimate.runtime times %.3g, as other tasks took", b.Pace)
}

func runs(n int) string {
	if n == 1 {
		return "1 earlier run"
	}
	return strconv.Itoa(n) + " earlier runs"
}
