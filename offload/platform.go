package offload

import "github.com/spillway/spillway/pricing"

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
func (p *Provider) ConfigIndex(memMiB int) int {
	for c := range p.Configs {
		if p.Configs[c].MemMiB == memMiB {
			return c
		}
	}
	return -1
}
