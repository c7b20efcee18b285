package engine

import (
	"fmt"
	"time"

	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/workflow"
)

// PrivateSite is the name of the private cluster; it is always site 0 of a catalogue.
const PrivateSite = "private"

// Catalogue is where the engine may run tasks: the private cluster first, then the public sites in the
// order of the platform's providers.
type Catalogue struct {
	Sites []Site
}

// Site is one place that runs tasks.
type Site struct {
	Name      string
	Nodes     []Node     // of the private cluster
	Offerings []Offering // of a public site, in the order of the platform's configurations
	Quota     int        // attempts at once at a public site
	Rates     pricing.Rates
	Takes     workflow.Label // most confidential data that may go there
	Sandbox   bool           // bills are the sandbox's, nobody has to pay them
}

// Node is one machine of the private cluster.
type Node struct {
	Cores     int
	MemoryMiB int
}

// Offering is a size at a public site.
type Offering struct {
	MemoryMiB   int
	VCPU        float64
	MaxDuration time.Duration
}

func (c Catalogue) site(name string) int {
	for i := range c.Sites {
		if c.Sites[i].Name == name {
			return i
		}
	}
	return -1
}

// knows tells, as an error, what of a run lies at a site that is not configured.
func (c Catalogue) knows(r *workflow.Record) error {
	unknown := func(site string) bool { return c.site(site) < 0 }
	for i := range r.Attempts {
		a := &r.Attempts[i]
		if unknown(a.Site) || a.Site == PrivateSite && a.Node >= len(c.Sites[0].Nodes) {
			return fmt.Errorf("attempt %s is at %s, node %d, which is not configured: give it the sites that it began with",
				a.ID, a.Site, a.Node)
		}
	}
	for i := range r.Files {
		if f := &r.Files[i]; unknown(f.Site) {
			return fmt.Errorf("file %s is at %s, which is not configured: give it the sites that it began with", f.Key, f.Site)
		}
	}
	for i := range r.Transfers {
		if tr := &r.Transfers[i]; unknown(tr.To) || unknown(tr.From) {
			return fmt.Errorf("a file goes from %s to %s, one of which is not configured: give it the sites that it began with",
				tr.From, tr.To)
		}
	}
	return nil
}

func (s *Site) offering(memMiB int) *Offering {
	for i := range s.Offerings {
		if s.Offerings[i].MemoryMiB == memMiB {
			return &s.Offerings[i]
		}
	}
	return nil
}
