package planners

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/pricing"
)

// Books are the names that Platform knows.
func Books() []string { return []string{"aws", "gcp", "both"} }

// Platform is the reference evaluator's: private nodes of 16 cores with 4 GiB
// a core, links of 1 Gbit/s, and the providers of a price book. Prices and
// limits are the published ones; speeds, start times, store bandwidth,
// keep-warm and the GCP quota are that evaluator's assumptions.
func Platform(book string, cores int, independent bool) (offload.Platform, error) {
	return platform(book, cores, 16, independent)
}

func platform(book string, cores, nodeCores int, independent bool) (offload.Platform, error) {
	pf := offload.Platform{
		Name: "ref-" + book, ReturnOutputs: true, Defaults: offload.Defaults{MemMiB: 512, Cores: 1},
		WAN: offload.WAN{UpBps: 125e6, DownBps: 125e6, CrossBps: 125e6, LatencyUs: 50_000, Independent: independent},
	}
	switch book {
	case "aws":
		pf.Providers = []offload.Provider{aws()}
	case "gcp":
		pf.Providers = []offload.Provider{gcp()}
	case "both":
		pf.Providers = []offload.Provider{aws(), gcp()}
	default:
		return pf, fmt.Errorf("unknown price book %q: want aws, gcp or both", book)
	}
	for ; cores > 0; cores -= nodeCores {
		c := min(cores, nodeCores)
		pf.Nodes = append(pf.Nodes, offload.Node{Name: fmt.Sprintf("n%d", len(pf.Nodes)), Cores: c, Speed: 1, MemMiB: float64(4096 * c)})
	}
	return pf, nil
}

const second = 1_000_000 // microseconds

func aws() offload.Provider {
	q := offload.Provider{
		Name: "aws", SpeedPerVCPU: 1, InvokeUs: 50_000, ColdStartUs: second, KeepWarmUs: 300 * second,
		MaxDurUs: 900 * second, Quota: 1000, MaxDataBytes: 10 << 30, StoreBps: 80e6,
		Rates: pricing.Rates{
			PerGiBSecond: 0.0000166667, PerRequest: 0.0000002, GranularityUs: 1000, PerEgressGiB: 0.09, BillColdStart: true,
		},
	}
	for _, mib := range []int{128, 256, 512, 1024, 1769, 2048, 3538, 5307, 7076, 8845, 10240} {
		q.Configs = append(q.Configs, offload.Config{MemMiB: mib, VCPU: sixDigits(min(6, float64(mib)/1769))})
	}
	return q
}

// sixDigits rounds as the reference evaluator does, by decimal digits.
func sixDigits(x float64) float64 {
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'f', 6, 64), 64)
	return rounded
}

func gcp() offload.Provider {
	return offload.Provider{
		Name: "gcp", SpeedPerVCPU: 0.9, InvokeUs: 80_000, ColdStartUs: 2_500_000, KeepWarmUs: 900 * second,
		MaxDurUs: 3600 * second, Quota: 100, MaxDataBytes: 16 << 30, StoreBps: 80e6,
		Rates: pricing.Rates{
			PerGiBSecond: 0.0000025, PerVCPUSecond: 0.000024, PerRequest: 0.0000004, GranularityUs: 100_000,
			PerEgressGiB: 0.12, BillColdStart: true,
		},
		Configs: []offload.Config{
			{MemMiB: 128, VCPU: .083}, {MemMiB: 256, VCPU: .167}, {MemMiB: 512, VCPU: .333}, {MemMiB: 1024, VCPU: .583},
			{MemMiB: 2048, VCPU: 1}, {MemMiB: 4096, VCPU: 2}, {MemMiB: 8192, VCPU: 2}, {MemMiB: 16384, VCPU: 4}, {MemMiB: 32768, VCPU: 8},
		},
	}
}

// Setting is where the planners are compared on one instance.
type Setting struct {
	Platform  offload.Platform
	Cores     int     // private ones
	CriticalS float64 // critical path: every task at its fastest, no I/O, no starts; deadlines are multiples of it
	PrivateS  float64 // makespan of the all-private plan; infinite when some task fits no node
}

// Reference finds the smallest private cluster whose all-private makespan is at
// most four critical paths: small enough that deadlines need offloading.
func Reference(in *Instance, book string, independent bool) (Setting, error) {
	vast, err := platform(book, 1<<12, 1<<12, independent)
	if err != nil {
		return Setting{}, err
	}
	p, err := in.On(vast)
	if err == nil {
		err = p.Prepare()
	}
	if err != nil {
		return Setting{}, err
	}
	s := search{p: p, book: book, independent: independent, order: privateOrder(p), most: 4 * criticalPath(p)}
	low, high := 1, 1
	for i := range p.Tasks {
		high = max(high, p.Tasks[i].Cores)
	}
	for high <= 1<<14 && !s.enough(high) {
		low, high = high+1, high*2
	}
	for low < high {
		if middle := (low + high) / 2; s.enough(middle) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	makespan := s.makespan(high)
	out := Setting{Cores: high, CriticalS: s.most / 4, PrivateS: makespan}
	out.Platform, _ = Platform(book, high, independent)
	return out, s.err
}

// search tries sizes of the private cluster.
type search struct {
	p           *offload.Problem
	book        string
	independent bool
	order       []int32
	most        float64 // seconds
	err         error
}

func (s *search) enough(cores int) bool { return s.makespan(cores) <= s.most }

// makespan is the all-private plan's in seconds.
func (s *search) makespan(cores int) float64 {
	pf, _ := Platform(s.book, cores, s.independent)
	for i := range s.p.Tasks {
		if !fits(&s.p.Tasks[i], pf.Nodes) {
			return math.Inf(1)
		}
	}
	p := offload.Problem{Tasks: s.p.Tasks, Files: slices.Clone(s.p.Files), Platform: pf}
	plan := offload.Plan{Order: s.order, Placements: make([]offload.Placement, len(p.Tasks))}
	for i := range plan.Placements {
		plan.Placements[i] = offload.Placement{Target: offload.Private, Node: -1}
	}
	o, err := offload.Simulate(&p, &plan, offload.SimOptions{})
	s.err = cmp.Or(s.err, err)
	return seconds(o.MakespanUs)
}

func fits(t *offload.Task, nodes []offload.Node) bool {
	return slices.ContainsFunc(nodes, func(n offload.Node) bool {
		return n.Cores >= t.Cores && n.MemMiB*(1<<20) >= t.MemBytes
	})
}

// privateOrder is the tasks by falling upward rank of their run times.
func privateOrder(p *offload.Problem) []int32 {
	rank := p.Graph().UpwardRank(func(i int) int64 { return micros(p.Tasks[i].RuntimeS) }, nil)
	order := slices.Clone(p.Graph().Order())
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(rank[b], rank[a]) })
	return order
}

// criticalPath is in seconds, summed in the reference evaluator's order.
func criticalPath(p *offload.Problem) float64 {
	rest, longest := make([]float64, len(p.Tasks)), 0.0
	for _, i := range slices.Backward(p.Graph().Order()) {
		after := 0.0
		for _, child := range p.Graph().Succ(int(i)) {
			after = max(after, rest[child])
		}
		rest[i] = fastest(p, int(i)) + after
		longest = max(longest, rest[i])
	}
	return longest
}

func fastest(p *offload.Problem, i int) float64 {
	t, best := &p.Tasks[i], math.Inf(1)
	if fits(t, p.Platform.Nodes) {
		best = t.RuntimeS
	}
	cores := float64(t.Cores)
	for k := range p.Platform.Providers {
		q := &p.Platform.Providers[k]
		for _, c := range q.Configs {
			best = min(best, t.RuntimeS*cores/(q.SpeedPerVCPU*min(cores, c.VCPU)))
		}
	}
	return best
}

func micros(s float64) int64 { return int64(math.Floor(float64(s*second) + 0.5)) }

func seconds(us int64) float64 {
	if us == offload.Never {
		return math.Inf(1)
	}
	return float64(us) / second
}
