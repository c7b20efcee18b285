package offload

import (
	"math"

	"github.com/spillway/spillway/pricing"
)

const (
	second = 1_000_000 // microseconds
	mib    = 1 << 20
)

// micros rounds seconds half up to microseconds. Times beyond 285 years
// saturate, so that sums of them stay far from overflow.
func micros(seconds float64) int64 {
	const most = math.MaxInt64 >> 10
	return int64(max(-most, min(most, math.Floor(float64(seconds*second)+0.5))))
}

// override is the measured run time of task i on an offering, if there is one.
func (p *Problem) override(i, target, config int) (seconds float64, ok bool) {
	for _, r := range p.Tasks[i].RuntimeOn {
		if r.Target == target && (target == Private || r.Config < 0 || r.Config == config) {
			return r.Seconds, true
		}
	}
	return 0, false
}

// privateUs is the run time of task i on a private node of that speed.
func (p *Problem) privateUs(i int, speed, mult float64) int64 {
	if s, ok := p.override(i, Private, 0); ok {
		return micros(float64(s * mult))
	}
	return micros(float64(p.Tasks[i].RuntimeS*mult) / speed)
}

// handlerUs is the time of task i inside a function: object-store I/O, then
// the computation on as many vCPU as the task can use. The explicit conversions
// keep machines with fused multiply-add on the same result.
func (p *Problem) handlerUs(i, target, config int, mult float64) int64 {
	q, t := &p.Platform.Providers[target], &p.Tasks[i]
	io := 0.0
	if q.StoreBps > 0 {
		io = float64(p.bytesIn[i]+p.bytesOut[i]) / q.StoreBps
	}
	if s, ok := p.override(i, target, config); ok {
		return micros(io + float64(s*mult))
	}
	cores := float64(t.Cores)
	work := float64(float64(t.RuntimeS*mult) * cores)
	return micros(io + work/float64(q.SpeedPerVCPU*min(cores, q.Configs[config].VCPU)))
}

// invocation is the use that one execution at a provider is billed for.
func (q *Provider) invocation(config int, handlerUs int64, cold bool) pricing.Usage {
	u := pricing.Usage{Requests: 1, HandlerUs: handlerUs, MemMiB: q.Configs[config].MemMiB, VCPU: q.Configs[config].VCPU}
	if cold {
		u.ColdStartUs = q.ColdStartUs
	}
	return u
}

// wallUs is the time from request to answer.
func (q *Provider) wallUs(handlerUs int64, cold bool) int64 {
	wall := q.InvokeUs + handlerUs
	if cold {
		wall += q.ColdStartUs
	}
	return wall
}

// denied says why task i must not run at a target; empty when it may.
func (t *Task) denied(target int) string {
	why := ""
	switch {
	case target == Private && t.PublicOnly:
		why = "public only"
	case target != Private && t.PrivateOnly:
		why = "private only"
	case target != Private && target < len(t.Deny) && t.Deny[target]:
		why = "denied"
	}
	if k := target + 1; why != "" && k < len(t.WhyNot) && t.WhyNot[k] != "" {
		return t.WhyNot[k]
	}
	return why
}

// fits says whether an idle node can hold task i.
func (n *Node) fits(t *Task) bool {
	return n.Cores >= t.Cores && float64(n.MemMiB*mib) >= t.MemBytes
}

var limitNames = [...]string{"memory", "data", "duration"}

// limits says which static limits task i breaks at an offering.
func (p *Problem) limits(i, target, config int, handlerUs int64) [len(limitNames)]bool {
	q := &p.Platform.Providers[target]
	return [...]bool{
		p.Tasks[i].MemBytes > float64(q.Configs[config].MemMiB)*mib,
		q.MaxDataBytes > 0 && float64(p.bytesIn[i]+p.bytesOut[i]) > q.MaxDataBytes,
		handlerUs > q.MaxDurUs,
	}
}

// bps is the bandwidth from one domain to another.
func (w *WAN) bps(from, to int) float64 {
	switch {
	case from == Private:
		return w.UpBps
	case to == Private || w.CrossBps == 0:
		return w.DownBps
	}
	return w.CrossBps
}

// sendUs is how long a link is busy with that many bytes.
func (w *WAN) sendUs(from, to int, size int64) int64 {
	return micros(float64(size) / w.bps(from, to))
}
