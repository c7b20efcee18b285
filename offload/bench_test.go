package offload

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/spillway/spillway/pricing"
)

// layered is a synthetic workflow of n tasks in layers a tenth as wide, on 75
// private cores and one provider, half of its tasks bought.
func layered(t testing.TB, n int) (*Problem, *Plan) {
	t.Helper()
	g := rand.New(rand.NewPCG(uint64(n), 1))
	width := max(n/10, 1)
	p := &Problem{Platform: benchPlatform(), DeadlineUs: 1_000 * second}
	plan := &Plan{Placements: make([]Placement, n)}
	for i := range n {
		out := int32(len(p.Files))
		p.Files = append(p.Files, File{Name: fmt.Sprint(i), Size: int64(g.IntN(5_000_000))})
		task := Task{ID: fmt.Sprint(i), Cores: 1, MemBytes: 400 * mib, RuntimeS: 1 + 20*g.Float64(), Out: []int32{out}}
		for range 3 {
			if row := i / width; row > 0 {
				task.In = append(task.In, int32((row-1)*width+g.IntN(width)))
			}
		}
		p.Tasks = append(p.Tasks, task)
		plan.Order = append(plan.Order, int32(i))
		plan.Placements[i] = Placement{Target: Private, Node: -1}
		if g.IntN(2) == 0 {
			plan.Placements[i].Target, plan.Placements[i].Config = 0, 1
		}
	}
	if err := p.Prepare(); err != nil {
		t.Fatal(err)
	}
	return p, plan
}

func benchPlatform() Platform {
	book, _ := pricing.Lookup("aws-lambda-x86_64")
	pf := Platform{
		ReturnOutputs: true, WAN: WAN{UpBps: 125e6, DownBps: 125e6, LatencyUs: 50_000},
		Providers: []Provider{{
			Name: "aws", SpeedPerVCPU: 1, InvokeUs: 50_000, ColdStartUs: second, KeepWarmUs: 300 * second,
			MaxDurUs: 900 * second, Quota: 1000, StoreBps: 80e6, Rates: book.Rates,
			Configs: []Config{{1024, 0.579}, {1769, 1}, {3538, 2}},
		}},
	}
	for k := range 5 {
		pf.Nodes = append(pf.Nodes, Node{Name: fmt.Sprint(k), Cores: 15, Speed: 1, MemMiB: 60 << 10})
	}
	return pf
}

var sizes = []int{1_000, 10_000, 100_000}

// BenchmarkSimulate is one decode with reused scratch, as planners do it.
func BenchmarkSimulate(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p, plan := layered(b, n)
			d, err := p.decide(plan)
			if err != nil {
				b.Fatal(err)
			}
			s := newSimulator(p)
			b.ReportAllocs()
			for b.Loop() {
				s.run(d, nil)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/task")
		})
	}
}

// BenchmarkPlan is a whole plan with reasons and bound.
func BenchmarkPlan(b *testing.B) {
	for _, s := range Planners() {
		for _, n := range sizes[:2] {
			b.Run(fmt.Sprintf("%s/%d", s.Name, n), func(b *testing.B) {
				p, _ := layered(b, n)
				p.DeadlineUs = int64(n) * second / 10
				for b.Loop() {
					if _, err := s.Plan(*p, Budget{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
