package workflow

import (
	"fmt"
	"strings"
)

// Label says who may see data. Labels are ordered: public < internal < private.
type Label int8

// The labels. The zero value means that nothing was said; it counts as internal.
const (
	LabelUnset Label = iota
	LabelPublic
	LabelInternal
	LabelPrivate
)

var labelNames = [...]string{"unset", "public", "internal", "private"}

func (l Label) String() string {
	if l < 0 || int(l) >= len(labelNames) {
		return fmt.Sprintf("Label(%d)", int8(l))
	}
	return labelNames[l]
}

// ParseLabel reads public, internal or private.
func ParseLabel(text string) (Label, error) {
	for l, name := range labelNames {
		if name == text && l != 0 {
			return Label(l), nil
		}
	}
	return LabelUnset, fmt.Errorf("%q is not a label: public, internal or private", text)
}

// orInternal is the label that counts where nothing was said.
func (l Label) orInternal() Label {
	if l == LabelUnset {
		return LabelInternal
	}
	return l
}

// SitePrivate is the name of the private cluster's site.
const SitePrivate = "private"

// Allows says whether the placement permits a site, as in "private", "aws:eu-west-1" or "sandbox:local". A placement
// without patterns permits every site; a star in a pattern stands for any run of characters.
func (p Placement) Allows(site string) bool {
	if len(p.Allow) == 0 {
		return true
	}
	for _, pattern := range p.Allow {
		if matchSite(pattern, site) {
			return true
		}
	}
	return false
}

// matchSite matches greedily from the left: each piece between stars is found at its first place after the last one,
// which is enough when a star may stand for anything.
func matchSite(pattern, site string) bool {
	pieces := strings.Split(pattern, "*")
	first, last := pieces[0], pieces[len(pieces)-1]
	if len(pieces) == 1 {
		return pattern == site
	}
	if len(site) < len(first)+len(last) || !strings.HasPrefix(site, first) || !strings.HasSuffix(site, last) {
		return false
	}
	site = site[len(first) : len(site)-len(last)]
	for _, piece := range pieces[1 : len(pieces)-1] {
		at := strings.Index(site, piece)
		if at < 0 {
			return false
		}
		site = site[at+len(piece):]
	}
	return true
}

// orInternalIfUnset is the label of one more mention of a file that has a label already: silence adds nothing.
func (l Label) orInternalIfUnset(before Label) Label {
	if l == LabelUnset && before != LabelUnset {
		return before
	}
	return l.orInternal()
}

// Allows says whether a task may run at a site by what its author wrote. A task that is given secrets and says nothing
// of placement stays private.
func (t *Task) Allows(site string) bool {
	if len(t.secrets) > 0 && len(t.Placement.Allow) == 0 {
		return site == SitePrivate
	}
	return t.Placement.Allows(site)
}

// flow is how data labels meet in one instance.
type flow struct {
	label Label // the highest label it touches
	out   Label // of what it makes
	file  int32 // the input that made label what it is, -1 if none did
	value int32 // the instance whose value made label what it is, -1 if none did
}

// Label is the highest label that an instance touches.
func (g *Graph) Label(instance int) Label { return g.flow[instance].label }

// WhyLabel says in words where the label of an instance comes from.
func (g *Graph) WhyLabel(instance int) string {
	var why []string
	for i := int32(instance); ; {
		inst, f := &g.Instances[i], g.flow[i]
		switch {
		case f.value >= 0:
			why = append(why, fmt.Sprintf("%s reads a value of %s", inst.ID, g.Instances[f.value].ID))
			i = f.value
		case f.file >= 0 && g.Files[f.file].Producer >= 0:
			why = append(why, fmt.Sprintf("%s reads %s", inst.ID, g.Files[f.file].Name))
			i = g.Files[f.file].Producer
		case f.file >= 0:
			return strings.Join(append(why, fmt.Sprintf("%s reads %s, which is %s", inst.ID, g.Files[f.file].Name, f.label)), "; ")
		default:
			return strings.Join(append(why, g.dataText(inst, f)), "; ")
		}
		if len(why) == 8 {
			return strings.Join(append(why, "and so on"), "; ")
		}
	}
}

func (g *Graph) dataText(inst *Instance, f flow) string {
	t := &g.Spec.Tasks[inst.Task]
	if t.Data == LabelUnset {
		return fmt.Sprintf("%s is %s where nothing is said", inst.ID, f.label)
	}
	return fmt.Sprintf("%s has data: %s (line %d)", inst.ID, f.label, t.Position("data").Line)
}

// relabel lets labels flow along the data: a file has the highest label of its producer's data and inputs, unless the
// producer declassifies it.
func (g *Graph) relabel() {
	g.flow = make([]flow, len(g.Instances))
	for i := range g.Files {
		if g.Files[i].Producer < 0 {
			g.Files[i].Label = g.Files[i].Label.orInternal()
		}
	}
	top := make([]int32, len(g.Spec.Tasks)) // by task: an instance whose outputs have the highest label, -1 without
	for _, task := range g.Spec.order {
		t := &g.Spec.Tasks[task]
		top[task] = -1
		value := g.highestValue(t, top)
		for _, i := range g.of[task] {
			g.flow[i] = g.meet(i, t, value)
			if top[task] < 0 || g.flow[i].out > g.flow[top[task]].out {
				top[task] = i
			}
			for _, f := range g.Instances[i].Out {
				g.Files[f].Label = g.flow[i].out
			}
		}
	}
}

// highestValue is the instance with the highest label among those whose values a task's expressions read.
func (g *Graph) highestValue(t *Task, top []int32) int32 {
	best := int32(-1)
	for _, u := range t.reads {
		if i := top[u]; i >= 0 && (best < 0 || g.flow[i].out > g.flow[best].out) {
			best = i
		}
	}
	return best
}

func (g *Graph) meet(i int32, t *Task, value int32) flow {
	f := flow{label: t.Data.orInternal(), file: -1, value: -1}
	if value >= 0 && g.flow[value].out > f.label {
		f.label, f.value = g.flow[value].out, value
	}
	for _, in := range g.Instances[i].In {
		if label := g.Files[in].Label; label > f.label {
			f.label, f.file, f.value = label, in, -1
		}
	}
	if f.out = f.label; t.Declassify != nil {
		f.out = min(f.out, t.Declassify.To)
	}
	return f
}

// homeless finds tasks that may run nowhere: they touch private data, and their placement has no private site.
func (g *Graph) homeless() Errors {
	var errs Errors
	told := map[int]bool{}
	for i := range g.Instances {
		inst := &g.Instances[i]
		t := &g.Spec.Tasks[inst.Task]
		if inst.Retired || told[inst.Task] || g.flow[i].label != LabelPrivate || t.Allows(SitePrivate) {
			continue
		}
		told[inst.Task] = true
		at := t.Position("placement")
		errs = append(errs, Error{
			File: g.Spec.File, Line: at.Line, Col: at.Col, Path: "tasks." + t.ID + ".placement", Rule: RuleLabel,
			Message: fmt.Sprintf("private data never leaves the private site, which %s does not allow: %s", t.ID, g.WhyLabel(i)),
			Fix:     "add private to placement.allow, or declassify what it reads",
		})
	}
	return errs
}
