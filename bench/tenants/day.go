package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/spillway/spillway/bench/gen"
	"github.com/spillway/spillway/bench/planners"
	"github.com/spillway/spillway/offload"
)

const (
	second = int64(1_000_000) // microseconds
	minute = 60 * second
	hour   = 60 * minute
	dayUs  = 24 * hour
)

// project is a tenant. Astro asks for half of the work that is not scheduled, so
// that the shares, which are equal, have something to decide.
type project struct {
	name     string
	weight   float64 // of its share of the private cluster
	asks     float64 // part of the arrivals
	families []string
}

var projects = []project{
	{"astro", 1, 0.5, []string{"montage", "layered"}},
	{"bio", 1, 0.3, []string{"epigenomics", "scattergather"}},
	{"ops", 1, 0.2, []string{"forkjoin", "layered", "chain"}},
}

// schedule is a cron line: the same shape each time, with other data.
type schedule struct {
	name    string
	project string
	family  string
	tasks   int
	firstUs int64
	everyUs int64
	factor  float64 // of the critical path; 0: byUs counts
	byUs    int64   // deadline after the release
}

var schedules = []schedule{
	{"nightly", "astro", "montage", 300, 2 * hour, dayUs, 0, 4 * hour}, // by 06:00
	{"hourly", "bio", "scattergather", 80, 5 * minute, hour, 3, 0},
	{"digest", "ops", "forkjoin", 30, 30 * minute, hour, 4, 0},
}

// arrival is one workflow of the day.
type arrival struct {
	name       string
	project    int
	atUs       int64
	deadlineUs int64            // on the day's axis; 0: none
	problem    *offload.Problem // on its own axis
	criticalUs int64            // longest path by run time, with a core for every task
	workUs     int64            // core-microseconds at home
	guess      *offload.Problem // of a scheduled one: what is known of it before it comes
}

// factors of the critical path that deadlines are; 0: none.
var factors = []float64{1.5, 2.5, 4, 8, 0}

// config says which day.
type config struct {
	seed  int64
	cores int
	hours int64   // length of the day
	load  float64 // work of the day over what the private cores can do in it
}

// makeDay draws a day: the schedules' workflows, and others until the load is
// reached. These come as a Poisson process with three times the rate between
// 8:00 and 18:00: given their number, their times are independent.
func makeDay(c config, pf offload.Platform) ([]*arrival, error) {
	m := maker{rng: rand.New(rand.NewPCG(uint64(c.seed), uint64(math.Round(c.load*1000)))), pf: pf, endUs: c.hours * hour}
	if err := m.scheduled(); err != nil {
		return nil, err
	}
	capacity := c.load * float64(c.cores) * float64(m.endUs)
	for float64(m.workUs) < capacity {
		if err := m.walkIn(); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(m.day, func(a, b *arrival) int { return cmp.Compare(a.atUs, b.atUs) })
	return m.day, nil
}

type maker struct {
	rng    *rand.Rand
	pf     offload.Platform
	day    []*arrival
	workUs int64
	endUs  int64
}

func (m *maker) scheduled() error {
	for _, s := range schedules {
		guess, err := m.problem(s.family, s.tasks)
		if err != nil {
			return err
		}
		for k, at := 0, s.firstUs; at < m.endUs; k, at = k+1, at+s.everyUs {
			a, err := m.arrival(fmt.Sprintf("%s-%d", s.name, k), s.project, s.family, s.tasks, at)
			if err != nil {
				return err
			}
			if a.guess, a.deadlineUs = guess, at+s.byUs; s.factor > 0 {
				a.deadlineUs = at + int64(s.factor*float64(a.criticalUs))
			}
		}
	}
	return nil
}

// walkIn adds an unscheduled workflow of 20 to 500 tasks, small ones more often.
func (m *maker) walkIn() error {
	share, p := m.rng.Float64(), 0
	for share -= projects[0].asks; share >= 0 && p < len(projects)-1; share -= projects[p].asks {
		p++
	}
	family := projects[p].families[m.rng.IntN(len(projects[p].families))]
	tasks := int(20 * math.Pow(25, m.rng.Float64()))
	if family == "chain" {
		tasks = 10 + tasks/20
	}
	at := int64(m.rng.Float64() * float64(m.endUs))
	for h := at / hour; h < 8 || h >= 18; h = at / hour { // a third of the rate by night
		if m.rng.IntN(3) == 0 {
			break
		}
		at = int64(m.rng.Float64() * float64(m.endUs))
	}
	a, err := m.arrival(fmt.Sprintf("%s-%d", family, len(m.day)), projects[p].name, family, tasks, at)
	if err != nil {
		return err
	}
	if f := factors[m.rng.IntN(len(factors))]; f > 0 {
		a.deadlineUs = at + int64(f*float64(a.criticalUs))
	}
	return nil
}

func (m *maker) arrival(name, of, family string, tasks int, at int64) (*arrival, error) {
	p, err := m.problem(family, tasks)
	if err != nil {
		return nil, err
	}
	a := &arrival{name: name, atUs: at, problem: p}
	a.project = slices.IndexFunc(projects, func(p project) bool { return p.name == of })
	_, a.criticalUs = p.Graph().CriticalPath(func(i int) int64 { return int64(p.Tasks[i].RuntimeS * float64(second)) })
	a.workUs = work(p)
	m.workUs += a.workUs
	m.day = append(m.day, a)
	return a, nil
}

// work is what a workflow takes at home, in core-microseconds.
func work(p *offload.Problem) (us int64) {
	for i := range p.Tasks {
		us += int64(p.Tasks[i].RuntimeS*float64(second)) * int64(p.Tasks[i].Cores)
	}
	return us
}

func (m *maker) problem(family string, tasks int) (*offload.Problem, error) {
	in, err := gen.Generate(family, tasks, m.rng.Int64N(1<<40))
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	parsed, err := planners.Parse(in.Name, text)
	if err != nil {
		return nil, err
	}
	p, err := parsed.On(m.pf)
	if err != nil {
		return nil, err
	}
	return p, p.Prepare()
}
