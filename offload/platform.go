package offload

import (
	"errors"
	"fmt"
	"math"

	"github.com/spillway/spillway/pricing"
)

// Private is the target index of the private cluster; providers count from 0.
const Private = -1

// Platform is where tasks can run: private nodes, FaaS providers, and the links
// between their domains.
type Platform struct {
	Name          string
	Nodes         []Node
	CoreHour      float64 // USD a private core-hour
	Providers     []Provider
	WAN           WAN
	ReturnOutputs bool // final files made at a provider are staged home; the makespan includes it
	Defaults      Defaults
}

// Node is one private machine.
type Node struct {
	Name   string
	Cores  int
	Speed  float64 // relative to the reference core on which run times are stated
	MemMiB float64
}

// Provider is one FaaS target: a provider in a region with its memory menu.
type Provider struct {
	Name         string
	Configs      []Config
	SpeedPerVCPU float64
	InvokeUs     int64 // request to handler on a warm container
	ColdStartUs  int64
	KeepWarmUs   int64 // idle time after which a container is gone; negative: always cold
	Rates        pricing.Rates
	MaxDurUs     int64   // longest handler time
	Quota        int     // concurrent invocations
	RampPerS     float64 // new containers a second once RampBurst are used up; 0: no limit
	RampBurst    int     // new containers at once
	MaxDataBytes float64 // most bytes in plus out of a task; 0: no limit
	StoreBps     float64 // object-store throughput of one function; 0: I/O takes no time
}

// Config is one memory size of a provider.
type Config struct {
	MemMiB int
	VCPU   float64
}

// WAN describes the links between domains: one up (private to any provider),
// one down, and one for each ordered pair of providers.
type WAN struct {
	UpBps, DownBps, CrossBps float64 // bytes per second; CrossBps 0: as DownBps
	LatencyUs                int64
	Independent              bool // transfers do not share their link
}

// Defaults stand in for what a trace leaves out.
type Defaults struct {
	MemMiB float64 // 0: 512
	Cores  float64 // 0: 1
}

// ProviderIndex finds a provider by name; it is -1 when there is none.
func (p *Platform) ProviderIndex(name string) int {
	for k := range p.Providers {
		if p.Providers[k].Name == name {
			return k
		}
	}
	return -1
}

// ConfigIndex finds the first configuration with that memory size, or -1.
func (q *Provider) ConfigIndex(memMiB int) int {
	for c := range q.Configs {
		if q.Configs[c].MemMiB == memMiB {
			return c
		}
	}
	return -1
}

// Validate says what makes a platform unusable, each fault with its path in
// the JSON form, all at once.
func (p *Platform) Validate() error { return errors.Join(p.validate()...) }

func (p *Platform) validate() []error {
	var c checker
	for k := range p.Nodes {
		n, path := &p.Nodes[k], fmt.Sprintf("private.nodes[%d].", k)
		c.require(n.Cores >= 1, path+"cores", n.Cores, "at least 1")
		c.positive(path+"speed", n.Speed)
		c.require(n.MemMiB >= 0, path+"mem_mib", n.MemMiB, "at least 0")
	}
	c.price("private.price_core_hour", p.CoreHour)
	for k := range p.Providers {
		p.Providers[k].check(&c)
	}
	c.positive("wan.up_Bps", p.WAN.UpBps)
	c.positive("wan.down_Bps", p.WAN.DownBps)
	c.require(p.WAN.CrossBps >= 0, "wan.x_Bps", p.WAN.CrossBps, "more than 0")
	c.require(p.WAN.LatencyUs >= 0, "wan.latency_s", p.WAN.LatencyUs, "at least 0")
	c.require(p.Defaults.MemMiB >= 0, "defaults.mem_mib", p.Defaults.MemMiB, "at least 0")
	c.require(p.Defaults.Cores >= 0, "defaults.cores", p.Defaults.Cores, "at least 0")
	return c.errs
}

func (q *Provider) check(c *checker) {
	path := "providers." + q.Name + "."
	c.require(q.Name != "" && q.Name != "private", "providers", q.Name, "names other than \"\" and \"private\"")
	c.require(len(q.Configs) > 0, path+"configs", len(q.Configs), "at least one")
	for k, cf := range q.Configs {
		c.require(cf.MemMiB >= 1, fmt.Sprintf("%sconfigs[%d].mem_mib", path, k), cf.MemMiB, "at least 1")
		c.positive(fmt.Sprintf("%sconfigs[%d].vcpu", path, k), cf.VCPU)
	}
	c.positive(path+"speed_per_vcpu", q.SpeedPerVCPU)
	c.require(q.InvokeUs >= 0, path+"invoke_s", q.InvokeUs, "at least 0")
	c.require(q.ColdStartUs >= 0, path+"cold_start_s", q.ColdStartUs, "at least 0")
	c.require(q.MaxDurUs >= 0, path+"max_duration_s", q.MaxDurUs, "at least 0")
	c.require(q.Quota >= 0, path+"quota", q.Quota, "at least 0")
	c.require(q.RampPerS >= 0 && q.RampPerS <= 1e6, path+"ramp_per_s", q.RampPerS, "0 to 1e6")
	c.require(q.RampBurst >= 0 && (q.RampBurst >= 1 || q.RampPerS == 0), path+"ramp_burst", q.RampBurst, "at least 1 with ramp_per_s")
	c.require(q.MaxDataBytes >= 0, path+"max_data_bytes", q.MaxDataBytes, "at least 0")
	c.require(q.StoreBps >= 0, path+"store_bw_Bps", q.StoreBps, "at least 0")
	c.require(q.Rates.GranularityUs >= 0, path+"granularity_s", q.Rates.GranularityUs, "at least 0")
	c.require(q.Rates.MinimumUs >= 0, path+"min_billed_s", q.Rates.MinimumUs, "at least 0")
	c.price(path+"price_gib_s", q.Rates.PerGiBSecond)
	c.price(path+"price_vcpu_s", q.Rates.PerVCPUSecond)
	c.price(path+"price_request", q.Rates.PerRequest)
	c.price(path+"price_put", q.Rates.PerPut)
	c.price(path+"price_get", q.Rates.PerGet)
	c.price(path+"egress_price_gib", q.Rates.PerEgressGiB)
}

type checker struct{ errs []error }

func (c *checker) require(ok bool, path string, got any, want string) {
	if !ok {
		c.errs = append(c.errs, fmt.Errorf("%s: is %v, want %s", path, got, want))
	}
}

func (c *checker) positive(path string, x float64) {
	c.require(x > 0 && x <= math.MaxFloat64, path, x, "more than 0")
}

// price bounds a price so that a single line item cannot exceed Money.
func (c *checker) price(path string, x float64) {
	c.require(x >= 0 && x <= 1e6, path, x, "0 to 1e6 USD")
}
