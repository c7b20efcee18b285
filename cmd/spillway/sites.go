//go:build linux || darwin

package main

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/workflow"
)

// sandboxSite is the name of the sandbox's site.
const sandboxSite = "sandbox:local"

// sites is the configuration of real sites: the file of --sites, or what this
// machine is taken for without one. It is kept with each run, so that a run
// is resumed where it was begun.
type sites struct {
	Private privateSite  `yaml:"private" json:"private"`
	Sandbox *sandboxConf `yaml:"sandbox,omitempty" json:"sandbox,omitempty"`
	Link    link         `yaml:"link" json:"link"`
}

type privateSite struct {
	Nodes         []privateNode `yaml:"nodes" json:"nodes"`
	PriceCoreHour float64       `yaml:"price_core_hour" json:"price_core_hour"` // USD
}

type privateNode struct {
	Name      string `yaml:"name" json:"name"`
	Cores     int    `yaml:"cores" json:"cores"`
	MemoryMiB int    `yaml:"memory_mib" json:"memory_mib"`
}

// sandboxConf is the function service on this machine.
type sandboxConf struct {
	VCPU        float64 `yaml:"vcpu" json:"vcpu"`                   // all instances together
	Quota       int     `yaml:"quota" json:"quota"`                 // instances at once
	MemoryMiB   []int   `yaml:"memory_mib" json:"memory_mib"`       // sizes on offer
	ColdStartMs int     `yaml:"cold_start_ms" json:"cold_start_ms"` // added to each real start
	Prices      string  `yaml:"prices" json:"prices"`               // name of a price book
}

// link joins the private cluster and the public sites.
type link struct {
	UpMBps    float64 `yaml:"up_mb_per_s" json:"up_mb_per_s"` // 1 MB is 1e6 bytes
	DownMBps  float64 `yaml:"down_mb_per_s" json:"down_mb_per_s"`
	LatencyMs float64 `yaml:"latency_ms" json:"latency_ms"`
}

// usualLink is taken where nothing is said of the link.
var usualLink = link{UpMBps: 50, DownMBps: 50, LatencyMs: 5}

// What a sandbox instance takes beside its work, as measured on this program.
const (
	sandboxInvoke  = 4 * time.Millisecond  // request to handler, warm
	sandboxStart   = 40 * time.Millisecond // a real process start with its isolation
	sandboxMaxTime = 15 * time.Minute      // as AWS Lambda
	sandboxWarm    = 5 * time.Minute       // idle time until an instance ends
	sandboxStore   = 300e6                 // bytes a second between an instance and the object store
	sandboxVCPUMiB = 1769                  // memory that comes with one vCPU, as on AWS Lambda
	sandboxPrices  = "aws-lambda-x86_64"   // price book by default
)

// thisMachine gives so many of the machine's cores to the private cluster, 0
// for the default, and the rest to the sandbox: together they never have more
// than there are, so that what runs on both sides at once is not slowed down.
func thisMachine(cores int) (sites, error) {
	all := runtime.NumCPU()
	if cores == 0 {
		cores = max(1, all-max(1, all/2))
	}
	if cores < 0 || cores > all {
		return sites{}, usageErrorf("--cores %d: this machine has %d", cores, all)
	}
	memory := int(machineMemory() >> 20)
	if memory == 0 {
		memory = 4096
	}
	s := sites{
		Private: privateSite{Nodes: []privateNode{{Name: "this-machine", Cores: cores, MemoryMiB: max(512, memory*3/4)}}},
		Link:    usualLink,
	}
	if rest := all - cores; rest > 0 {
		s.Sandbox = &sandboxConf{
			VCPU: float64(rest), Quota: rest, MemoryMiB: []int{512, 1024, sandboxVCPUMiB}, ColdStartMs: 100, Prices: sandboxPrices,
		}
	}
	return s, nil
}

// readSites reads a file of --sites, or describes this machine.
func (a *app) readSites(path string, cores int) (sites, error) {
	if path == "" {
		return thisMachine(cores)
	}
	if cores != 0 {
		return sites{}, usageErrorf("--cores says how to share this machine; the file of --sites says so itself")
	}
	name, text, err := a.readFile(path, 1<<20)
	if err != nil {
		return sites{}, err
	}
	s := sites{Link: usualLink}
	if err = yaml.Load(text, &s, yaml.WithKnownFields()); err == nil {
		err = s.check()
	} else { // the library names our types, which say nothing to the writer of the file
		err = errors.New(unknownKey.ReplaceAllString(err.Error(), "there is no key $1 here (docs/sites.md lists them)"))
	}
	if err != nil {
		return s, invalidFile(name, err)
	}
	return s, nil
}

var unknownKey = regexp.MustCompile(`field (\S+) not found in type \S+`)

func (s *sites) check() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	need(len(s.Private.Nodes) > 0, "private.nodes: at least one is needed")
	need(s.Private.PriceCoreHour >= 0 && s.Private.PriceCoreHour < 1e6, "private.price_core_hour: USD, 0 or more")
	for i, n := range s.Private.Nodes {
		need(n.Cores > 0 && n.Cores <= 4096, "private.nodes[%d].cores: %d: want 1 to 4096", i, n.Cores)
		need(n.MemoryMiB >= 64 && n.MemoryMiB <= 1<<24, "private.nodes[%d].memory_mib: %d: want 64 or more", i, n.MemoryMiB)
	}
	need(s.Link.UpMBps > 0 && s.Link.DownMBps > 0, "link: up_mb_per_s and down_mb_per_s: more than 0")
	need(s.Link.LatencyMs >= 0 && s.Link.LatencyMs < 60_000, "link.latency_ms: 0 to 60000")
	if b := s.Sandbox; b != nil {
		need(b.VCPU > 0 && b.VCPU <= 4096, "sandbox.vcpu: more than 0")
		need(b.Quota > 0 && b.Quota <= 1000, "sandbox.quota: 1 to 1000")
		need(len(b.MemoryMiB) > 0, "sandbox.memory_mib: at least one size is needed")
		for _, m := range b.MemoryMiB {
			need(m >= 128 && m <= 10240, "sandbox.memory_mib: %d: want 128 to 10240", m)
		}
		need(b.ColdStartMs >= 0 && b.ColdStartMs <= 60_000, "sandbox.cold_start_ms: 0 to 60000")
		_, ok := pricing.Lookup(b.Prices)
		need(ok, "sandbox.prices: there is no price book %q", b.Prices)
	}
	return errors.Join(errs...)
}

// platform is the planner's view of the sites.
func (s *sites) platform() offload.Platform {
	pf := offload.Platform{Name: "sites", CoreHour: s.Private.PriceCoreHour, ReturnOutputs: true,
		WAN: offload.WAN{UpBps: s.Link.UpMBps * 1e6, DownBps: s.Link.DownMBps * 1e6,
			LatencyUs: int64(s.Link.LatencyMs * 1000)}}
	for _, n := range s.Private.Nodes {
		pf.Nodes = append(pf.Nodes, offload.Node{Name: n.Name, Cores: n.Cores, Speed: 1, MemMiB: float64(n.MemoryMiB)})
	}
	if b := s.Sandbox; b != nil {
		pf.Providers = append(pf.Providers, b.provider())
	}
	return pf
}

func (b *sandboxConf) provider() offload.Provider {
	book, _ := pricing.Lookup(b.Prices)
	p := offload.Provider{
		Name: sandboxSite, SpeedPerVCPU: 1, InvokeUs: sandboxInvoke.Microseconds(),
		ColdStartUs: (sandboxStart + time.Duration(b.ColdStartMs)*time.Millisecond).Microseconds(),
		KeepWarmUs:  sandboxWarm.Microseconds(), Rates: book.Rates, MaxDurUs: sandboxMaxTime.Microseconds(),
		Quota: b.Quota, StoreBps: sandboxStore,
	}
	for _, m := range b.MemoryMiB {
		p.Configs = append(p.Configs, offload.Config{MemMiB: m, VCPU: float64(m) / sandboxVCPUMiB})
	}
	return p
}

// catalogue is the engine's view of the sites; its order is the platform's.
func (s *sites) catalogue() engine.Catalogue {
	private := engine.Site{Name: engine.PrivateSite, Takes: workflow.LabelPrivate,
		Rates: pricing.Rates{PerCoreHour: s.Private.PriceCoreHour}}
	for _, n := range s.Private.Nodes {
		private.Nodes = append(private.Nodes, engine.Node{Cores: n.Cores, MemoryMiB: n.MemoryMiB})
	}
	c := engine.Catalogue{Sites: []engine.Site{private}}
	for _, p := range s.platform().Providers {
		site := engine.Site{Name: p.Name, Quota: p.Quota, Rates: p.Rates, Takes: workflow.LabelInternal, Sandbox: true}
		for _, o := range p.Configs {
			site.Offerings = append(site.Offerings, engine.Offering{MemoryMiB: o.MemMiB, VCPU: o.VCPU,
				MaxDuration: time.Duration(p.MaxDurUs) * time.Microsecond})
		}
		c.Sites = append(c.Sites, site)
	}
	return c
}

// defaultSites is the platform to plan on when none is named.
func (a *app) defaultSites() (offload.Platform, error) {
	s, err := thisMachine(0)
	return s.platform(), err
}
