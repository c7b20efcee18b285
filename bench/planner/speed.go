//go:build linux || darwin

package main

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/spillway/spillway/bench/figures"
	"github.com/spillway/spillway/bench/gen"
	"github.com/spillway/spillway/bench/planners"
	"github.com/spillway/spillway/internal/cores"
	"github.com/spillway/spillway/offload"
)

// The workflow whose size grows, and what it runs on: a third of the private
// cores that its critical path would leave busy. Its deadline is half way from
// the critical path to what home alone takes.
const (
	speedFamily = "layered"
	speedBook   = "aws"
)

// speed measures planning time against a bare simulation of the same instance in
// the same run, at sizes ten times apart.
func (b *bench) speed() error {
	fmt.Fprintf(b.out, "\n== planning time, %s workflows ==\n", speedFamily)
	fmt.Fprintf(b.out, "%-10s %12s  %24s %24s %24s\n", "tasks", "simulation", leader+", first answer", leader+", default", "density")
	of := map[int]timing{}
	sizes := []int{1_000, 10_000, 100_000}
	if b.full {
		sizes = append(sizes, 1_000_000)
	}
	for _, n := range sizes {
		b.notef("%d tasks", n)
		t, err := b.timed(n)
		if err != nil {
			return fmt.Errorf("%d tasks: %w", n, err)
		}
		of[n] = t
		fmt.Fprintf(b.out, "%-10d %9.2f ms  %s %s %s\n", n, 1000*t.decode.clock, t.text(t.first), t.text(t.all), t.text(t.density))
		b.add(t.rows(n)...)
	}
	b.add(growth(of, 10_000, 100_000)...)
	if b.full {
		b.add(growth(of, 10_000, 1_000_000)...)
	}
	return nil
}

// timing is what each takes.
type timing struct {
	decode, first, all, density took
	peakBytes                   float64
}

// took is the median of some runs, in seconds of the clock and of the processors;
// zero: not measured. The processors' are more than the clock's where a planner
// works side by side, and hardly change when others use the machine.
type took struct{ clock, cpu float64 }

func (t *timing) text(m took) string {
	if m == (took{}) {
		return fmt.Sprintf("%24s", "-")
	}
	return fmt.Sprintf("%24s", fmt.Sprintf("%.3g ms = %.0f sim.", 1000*m.clock, m.clock/t.decode.clock))
}

func (t *timing) rows(n int) (rows []figures.Row) {
	name := fmt.Sprintf("%s of %d", speedFamily, n)
	for _, m := range []struct {
		metric string
		took   took
	}{{leader + ", first answer", t.first}, {leader + ", default answer", t.all}, {"density", t.density}} {
		if m.took != (took{}) {
			rows = append(rows,
				figures.Beside(name, m.metric, m.took.clock, "s", t.decode.clock),
				figures.Beside(name, m.metric+", processor time", m.took.cpu, "s", t.decode.cpu))
		}
	}
	if t.peakBytes > 0 {
		rows = append(rows, figures.Row{Case: name, Metric: "density, most memory", Value: t.peakBytes / 1e9, Unit: "GB"})
	}
	return rows
}

// growth is the exponent of n in the processor time, beside that of n log n.
func growth(of map[int]timing, small, large int) (rows []figures.Row) {
	between := math.Log(float64(large) / float64(small))
	nLogN := 1 + math.Log(math.Log(float64(large))/math.Log(float64(small)))/between
	a, b := of[small], of[large]
	name := fmt.Sprintf("%s of %d to %d", speedFamily, small, large)
	for _, m := range []struct {
		metric   string
		from, to took
	}{{"simulation, growth", a.decode, b.decode}, {leader + ", growth", a.all, b.all}, {"density, growth", a.density, b.density}} {
		if m.from.cpu > 0 && m.to.cpu > 0 {
			rows = append(rows, figures.Beside(name, m.metric, math.Log(m.to.cpu/m.from.cpu)/between, "exponent of n", nLogN))
		}
	}
	return rows
}

// pacerTasks is how many tasks the leader is timed with at most.
const pacerTasks = 100_000

func (b *bench) timed(n int) (timing, error) {
	var t timing
	p, plan, err := speedProblem(n)
	if err != nil {
		return t, err
	}
	runs := max(1, min(7, 50_000/n))
	if t.decode, err = median(max(3, runs), func() error {
		_, err := offload.Simulate(p, plan, offload.SimOptions{})
		return err
	}); err != nil {
		return t, err
	}
	if n <= pacerTasks {
		if t.first, err = firstAnswer(p, runs); err != nil {
			return t, err
		}
		if t.all, err = planned(p, leader, 0, runs); err != nil {
			return t, err
		}
	}
	resetPeak()
	if t.density, err = planned(p, "density", 0, runs); err != nil {
		return t, err
	}
	t.peakBytes = peakBytes()
	return t, nil
}

// speedProblem is a workflow on its platform, with its deadline, and the
// all-private plan. What it was generated from is gone when it returns.
func speedProblem(n int) (*offload.Problem, *offload.Plan, error) {
	in, err := gen.Generate(speedFamily, n, 1)
	if err != nil {
		return nil, nil, err
	}
	work := 0.0
	for k := range in.Workflow.Execution.Tasks {
		m := &in.Workflow.Execution.Tasks[k]
		work += m.RuntimeInSeconds * float64(m.CoreCount)
	}
	critical := in.Workflow.Execution.MakespanInSeconds
	pf, err := planners.Platform(speedBook, max(16, int(work/critical/3)), false)
	if err != nil {
		return nil, nil, err
	}
	p := problem(in, pf)
	private, _ := offload.Lookup("private")
	plan, err := private(*p, offload.Budget{})
	if err != nil {
		return nil, nil, err
	}
	p.DeadlineUs = (int64(critical*1e6) + plan.Predicted.MakespanUs) / 2
	for i := range plan.Placements {
		plan.Placements[i].Reason = offload.Reason{}
	}
	return p, &plan, p.Prepare()
}

// firstAnswer is the time with the least budget that gives a plan in time, the
// default one where no small one does.
func firstAnswer(p *offload.Problem, runs int) (took, error) {
	planner, _ := offload.Lookup(leader)
	for _, decodes := range []int{1, 4, 8, 15, 30, 60} {
		met := false
		once, err := median(1, func() error {
			plan, err := planner(*p, offload.Budget{Decodes: decodes, Parallel: cores.Each})
			met = plan.Predicted.DeadlineMet
			return err
		})
		switch {
		case err != nil:
			return took{}, err
		case met && runs == 1:
			return once, nil
		case met:
			return planned(p, leader, decodes, runs)
		}
	}
	return planned(p, leader, 0, runs)
}

func planned(p *offload.Problem, name string, decodes, runs int) (took, error) {
	planner, _ := offload.Lookup(name)
	return median(runs, func() error {
		plan, err := planner(*p, offload.Budget{Decodes: decodes, Parallel: cores.Each})
		if err == nil && !plan.Predicted.DeadlineMet {
			err = fmt.Errorf("the plan of %s is late", name)
		}
		return err
	})
}

// median is that of some runs, each from a clean heap.
func median(runs int, do func() error) (took, error) {
	var clock, cpu []float64
	for range runs {
		runtime.GC()
		used, began := processorSeconds(), time.Now()
		if err := do(); err != nil {
			return took{}, err
		}
		clock, cpu = append(clock, time.Since(began).Seconds()), append(cpu, processorSeconds()-used)
	}
	slices.Sort(clock)
	slices.Sort(cpu)
	return took{clock[runs/2], cpu[runs/2]}, nil
}

// processorSeconds is what this process has used of the processors.
func processorSeconds() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return math.NaN()
	}
	return float64(u.Utime.Sec) + float64(u.Utime.Usec)/1e6 + float64(u.Stime.Sec) + float64(u.Stime.Usec)/1e6
}

// resetPeak has the most memory counted anew.
func resetPeak() {
	debug.FreeOSMemory()
	forgetPeak()
}
