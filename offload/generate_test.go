package offload

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
)

// doc is a JSON object under construction.
type doc = map[string]any

// generator draws small instances, platforms and plans that are full of ties,
// zeros and scarce capacity.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 7))} }

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

func (g generator) chance(p float64) bool { return g.Float64() < p }

func (g generator) trace(n int) *trace {
	tr := &trace{Name: "generated"}
	spec, exec := &tr.Workflow.Specification, &tr.Workflow.Execution
	for k := range 1 + g.IntN(3) {
		spec.Files = append(spec.Files, traceFile{fmt.Sprintf("initial%d", k), g.size()})
	}
	initial := len(spec.Files)
	for i := range n {
		t := traceTask{Name: "t", ID: fmt.Sprintf("t%d", i), Parents: []string{}, Children: []string{}, InputFiles: []string{}, OutputFiles: []string{}}
		for k := range g.IntN(3) {
			name := fmt.Sprintf("f%d.%d", i, k)
			t.OutputFiles = append(t.OutputFiles, name)
			if g.chance(0.95) { // else its size is not listed
				spec.Files = append(spec.Files, traceFile{name, g.size()})
			}
		}
		for range g.IntN(4) {
			if g.chance(0.3) || i == 0 {
				t.InputFiles = append(t.InputFiles, fmt.Sprintf("initial%d", g.IntN(initial)))
				continue
			}
			from := &spec.Tasks[max(0, i-1-g.IntN(6))]
			if len(from.OutputFiles) > 0 && g.chance(0.8) {
				t.InputFiles = append(t.InputFiles, pick(g, from.OutputFiles...))
			} else if g.chance(0.5) {
				t.Parents = append(t.Parents, from.ID)
			} else {
				from.Children = append(from.Children, t.ID)
			}
		}
		if g.chance(0.05) && len(t.OutputFiles) > 0 {
			t.InputFiles = append(t.InputFiles, t.OutputFiles[0]) // reads its own output
		}
		if g.chance(0.05) && i > 0 && len(spec.Tasks[i-1].OutputFiles) > 0 {
			t.OutputFiles = append(t.OutputFiles, spec.Tasks[i-1].OutputFiles[0]) // a second writer
		}
		spec.Tasks = append(spec.Tasks, t)
		exec.Tasks = append(exec.Tasks, traceRun{t.ID, g.runtime(), float64(pick(g, 0, 1, 1, 1, 2, 4)), pick(g, 0, 1e6, 600e6, 3e9)})
	}
	return tr
}

func (g generator) size() int64 {
	return pick(g, 0, 1000, 1000, 1_000_000, int64(g.IntN(500_000_000)))
}

func (g generator) runtime() float64 {
	return pick(g, 0, 0, 1, 2, 5, 10, float64(g.IntN(1_000_000))/1000, g.Float64()*30)
}

func (g generator) platform() doc {
	var nodes []doc
	for range 1 + g.IntN(3) {
		nodes = append(nodes, doc{"cores": pick(g, 1, 2, 4), "speed": pick(g, 1.0, 1, 2, 0.7), "mem_mib": pick(g, 1024, 4096, 8192)})
	}
	providers := doc{}
	for k := range g.IntN(4) {
		providers[fmt.Sprintf("p%d", k)] = g.provider()
	}
	wan := doc{"up_Bps": pick(g, 1e5, 1e7, 125e6), "down_Bps": pick(g, 1e5, 1e7, 125e6), "latency_s": pick(g, 0, 0.05, 1)}
	if g.chance(0.5) {
		wan["x_Bps"] = 5e6
	}
	if g.chance(0.7) {
		wan["mode"] = pick(g, "shared", "shared", "independent")
	}
	private := doc{"nodes": nodes}
	if g.chance(0.5) {
		private["price_core_hour"] = pick(g, 0, 0.05, 1.2345678901)
	}
	pf := doc{"private": private, "providers": providers, "wan": wan}
	if g.chance(0.7) {
		pf["return_outputs"] = g.chance(0.6)
	}
	if g.chance(0.5) {
		pf["defaults"] = doc{"mem_mib": pick(g, 256, 1024), "cores": pick(g, 1, 2)}
	}
	return pf
}

func (g generator) provider() doc {
	q := doc{
		"configs":        []doc{{"mem_mib": 512, "vcpu": 0.289}, {"mem_mib": 1024, "vcpu": 1.0}, {"mem_mib": 4096, "vcpu": pick(g, 2.0, 3.5)}},
		"speed_per_vcpu": pick(g, 1, 0.9, 1.3), "invoke_s": pick(g, 0, 0.05), "cold_start_s": pick(g, 0, 1, 2.5),
		"keep_warm_s": pick(g, -1, 0, 5, 300), "price_gib_s": pick(g, 0, 0.0000166667, 0.01), "price_request": pick(g, 0, 2e-7, 0.001),
		"granularity_s": pick(g, 0.001, 0.1, 1), "max_duration_s": pick(g, 20, 900), "quota": pick(g, 1, 2, 5, 1000),
		"egress_price_gib": pick(g, 0, 0.09, 0.12),
	}
	optional := func(key string, value any) {
		if g.chance(0.6) {
			q[key] = value
		}
	}
	optional("bill_cold_start", g.chance(0.5))
	optional("price_vcpu_s", pick(g, 0, 0.000024))
	optional("max_data_bytes", pick(g, 1e6, 1e10))
	optional("store_bw_Bps", pick(g, 80e6, 1e6))
	return q
}

// plan places every task at random; now and then it names what is not there.
func (g generator) plan(tr *trace, pf doc) doc {
	order := []string{}
	tasks := doc{}
	providers := pf["providers"].(doc)
	nodes := pf["private"].(doc)["nodes"].([]doc)
	public := g.Float64()
	for _, k := range g.Perm(len(tr.Workflow.Specification.Tasks)) {
		id := tr.Workflow.Specification.Tasks[k].ID
		if g.chance(0.97) {
			order = append(order, id)
		}
		e := doc{"target": "private"}
		if len(providers) > 0 && g.chance(public) {
			e = doc{"target": fmt.Sprintf("p%d", g.IntN(len(providers))), "mem_mib": pick(g, 512, 1024, 1024, 4096)}
		} else if g.chance(0.15) {
			e["node"] = g.IntN(len(nodes))
		}
		if g.chance(0.1) {
			e["not_before"] = float64(g.IntN(40)) / 2
		}
		if g.chance(0.003) {
			e = doc{"target": pick(g, "nowhere", "p0"), "mem_mib": 3}
		}
		tasks[id] = e
	}
	return doc{"order": order, "tasks": tasks}
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
