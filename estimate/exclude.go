package estimate

import (
	"fmt"

	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/workflow"
)

// trust rules out the sites that task i must not run at.
func (m *Model) trust(g *workflow.Graph, i int, t *offload.Task) {
	why := make([]string, 1+len(m.Platform.Providers))
	why[0] = notAllowed(&g.Spec.Tasks[g.Instances[i].Task], workflow.SitePrivate)
	t.PublicOnly = why[0] != ""
	denied := 0
	deny := make([]bool, len(m.Platform.Providers))
	for q := range deny {
		why[1+q] = m.refused(g, i, q)
		if deny[q] = why[1+q] != ""; deny[q] {
			denied++
		}
	}
	if denied > 0 || t.PublicOnly {
		t.WhyNot = why
	}
	switch {
	case denied == 0:
	case denied == len(deny):
		t.PrivateOnly = true
	default:
		t.Deny = deny
	}
	if t.PrivateOnly && t.PublicOnly { // nowhere: the planner says so for each provider
		t.PrivateOnly, t.Deny = false, deny
	}
}

// refused says why provider q must not run instance i; empty when it may.
func (m *Model) refused(g *workflow.Graph, i, q int) string {
	site := m.Platform.Providers[q].Name
	if why := notAllowed(&g.Spec.Tasks[g.Instances[i].Task], site); why != "" {
		return why
	}
	if takes, label := m.takes(q), g.Label(i); label > takes {
		return fmt.Sprintf("it takes %s data at most: %s", takes, g.WhyLabel(i))
	}
	return ""
}

func (m *Model) takes(q int) workflow.Label {
	if q < len(m.Takes) && m.Takes[q] != workflow.LabelUnset {
		return m.Takes[q]
	}
	return workflow.LabelInternal
}

func notAllowed(t *workflow.Task, site string) string {
	switch {
	case t.Allows(site):
		return ""
	case len(t.Placement.Allow) == 0:
		return "a task with secrets leaves home only where placement.allow says so"
	}
	return fmt.Sprintf("placement.allow (line %d) does not list it", t.Position("placement").Line)
}

// Exclusions says in words, a line a site, where instance i cannot run and why.
func (m *Model) Exclusions(g *workflow.Graph, i int) []string {
	inst := &g.Instances[i]
	if inst.Retired {
		return nil
	}
	var out []string
	add := func(site, why string) {
		if why != "" {
			out = append(out, site+": "+why)
		}
	}
	t := &g.Spec.Tasks[inst.Task]
	if why := notAllowed(t, workflow.SitePrivate); why != "" {
		add(workflow.SitePrivate, why)
	} else {
		add(workflow.SitePrivate, m.tooLargeHere(t))
	}
	for q := range m.Platform.Providers {
		why := m.refused(g, i, q)
		if why == "" {
			why = m.tooLargeAt(t, q)
		}
		add(m.Platform.Providers[q].Name, why)
	}
	return out
}

const mib = 1 << 20

// needs is what one instance of a task holds.
func needs(t *workflow.Task) (cores int, memMiB float64) {
	if t.Work != nil {
		return t.Work.Cores, t.Work.Memory / mib
	}
	return t.Resources.CPU, float64(t.Resources.Memory) / mib
}

func (m *Model) tooLargeHere(t *workflow.Task) string {
	cores, mem := needs(t)
	for k := range m.Platform.Nodes {
		if n := &m.Platform.Nodes[k]; n.Cores >= cores && n.MemMiB >= mem {
			return ""
		}
	}
	return fmt.Sprintf("no node has %d cores and %.4g MiB", cores, mem)
}

func (m *Model) tooLargeAt(t *workflow.Task, q int) string {
	_, mem := needs(t)
	largest := 0
	for _, c := range m.Platform.Providers[q].Configs {
		largest = max(largest, c.MemMiB)
	}
	if float64(largest) >= mem {
		return ""
	}
	return fmt.Sprintf("it needs %.4g MiB, the largest offering has %d MiB", mem, largest)
}
