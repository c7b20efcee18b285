package offload

import (
	"slices"

	"github.com/spillway/spillway/pricing"
)

// tariff remembers times and prices that a simulator would otherwise compute
// anew in every run.
type tariff struct {
	speeds  []float64 // the distinct speeds of nodes
	class   []int32   // node -> its speed
	homeUs  []int64   // (task, speed) -> run time at home
	bills   []bill    // task -> its last offering
	files   []leaving // (file, provider)
	sendsUs []int64   // (file, way) -> time on the link; ways: up, down, across
	store   []store   // by provider
	sizes   []size    // by task
	widths  []int     // queue at home -> the least cores of its tasks, rising
	writer  []int32   // file -> its producer, or -1
}

// store is what an object costs to put and to get.
type store struct{ put, get pricing.Money }

// size is what a task holds of a node.
type size struct {
	cores int
	mem   float64
	queue int32 // of those at home: the last whose width it has
}

// bill is what one offering takes and costs for a task. It holds for one run
// time multiplier.
type bill struct {
	target, config int32 // target Private: nothing known yet
	mult           float64
	handlerUs      int64
	warm, cold     pricing.Money
	broken         [len(limitNames)]bool
}

// leaving is the egress of a file from a provider; known is false until asked.
type leaving struct {
	cost  pricing.Money
	known bool
}

func newTariff(p *Problem) tariff {
	t := tariff{bills: slices.Repeat([]bill{{target: Private}}, len(p.Tasks))}
	for k := range p.Platform.Nodes {
		speed := p.Platform.Nodes[k].Speed
		c := slices.Index(t.speeds, speed)
		if c < 0 {
			c = len(t.speeds)
			t.speeds = append(t.speeds, speed)
		}
		t.class = append(t.class, int32(c))
	}
	t.homeUs = make([]int64, 0, len(p.Tasks)*len(t.speeds))
	for i := range p.Tasks {
		for _, speed := range t.speeds {
			t.homeUs = append(t.homeUs, p.privateUs(i, speed, 1))
		}
	}
	for k := range p.Platform.Providers {
		r := &p.Platform.Providers[k].Rates
		put, _ := r.Total(pricing.Usage{Puts: 1}) // a price is bounded: one item cannot exceed Money
		get, _ := r.Total(pricing.Usage{Gets: 1})
		t.store = append(t.store, store{put, get})
	}
	t.sizes, t.writer = make([]size, len(p.Tasks)), make([]int32, len(p.Files))
	t.widths = widths(p.Tasks)
	for i := range p.Tasks {
		q, exact := slices.BinarySearch(t.widths, p.Tasks[i].Cores)
		if !exact {
			q--
		}
		t.sizes[i] = size{p.Tasks[i].Cores, p.Tasks[i].MemBytes, int32(q)}
	}
	for f := range p.Files {
		t.writer[f] = p.Files[f].Producer
	}
	t.files = make([]leaving, len(p.Files)*len(p.Platform.Providers))
	t.sendsUs = slices.Repeat([]int64{-1}, 3*len(p.Files))
	return t
}

// manyWidths is how many queues there are at most: the last one takes all that
// are wider.
const manyWidths = 8

// widths lists the distinct numbers of cores that tasks need, rising.
func widths(tasks []Task) (out []int) {
	for i := range tasks {
		if at, known := slices.BinarySearch(out, tasks[i].Cores); !known {
			out = slices.Insert(out, at, tasks[i].Cores)
		}
	}
	return out[:min(len(out), manyWidths)]
}

// privateUs is the run time of task i on a node.
func (t *tariff) privateUs(p *Problem, i, node int32, mult float64) int64 {
	if mult != 1 {
		return p.privateUs(int(i), p.Platform.Nodes[node].Speed, mult)
	}
	return t.homeUs[int(i)*len(t.speeds)+int(t.class[node])]
}

// bill is what an offering takes and costs for task i.
func (t *tariff) bill(p *Problem, i, target, config int32, mult float64) (*bill, error) {
	b := &t.bills[i]
	if b.target == target && b.config == config && b.mult == mult {
		return b, nil
	}
	q := &p.Platform.Providers[target]
	h := p.handlerUs(int(i), int(target), int(config), mult)
	*b = bill{target: target, config: config, mult: mult, handlerUs: h, broken: p.limits(int(i), int(target), int(config), h)}
	var err error
	if b.warm, err = q.Rates.Total(q.invocation(int(config), h, false)); err == nil {
		b.cold, err = q.Rates.Total(q.invocation(int(config), h, true))
	}
	if err != nil {
		b.target = Private
	}
	return b, err
}

// egress is the price of a file leaving a provider.
func (t *tariff) egress(p *Problem, f int32, provider int) (pricing.Money, error) {
	l := &t.files[int(f)*len(p.Platform.Providers)+provider]
	if l.known {
		return l.cost, nil
	}
	cost, err := p.Platform.Providers[provider].Rates.Total(pricing.Usage{EgressBytes: p.Files[f].Size})
	if err == nil {
		*l = leaving{cost, true}
	}
	return cost, err
}

// sendUs is how long a link is busy with a file.
func (t *tariff) sendUs(p *Problem, f int32, from, to int) int64 {
	way := 2
	switch {
	case from == Private:
		way = 0
	case to == Private:
		way = 1
	}
	known := &t.sendsUs[3*int(f)+way]
	if *known < 0 {
		*known = p.Platform.WAN.sendUs(from, to, p.Files[f].Size)
	}
	return *known
}
