package offload

import (
	"math"
	"math/rand/v2"
)

// A run time is its estimate, a mean, times a log-normal factor whose logarithm
// has the standard deviation Task.Spread. Of a running task it is known that it
// exceeds what has passed.

// scenarios are n possible futures, each a multiplier by task. They are common
// random numbers: a task keeps its luck from call to call with the same seed,
// so that plans differ by what they do and not by what was drawn. Every second
// future mirrors the one before it.
func (p *Problem) scenarios(n int) [][]float64 {
	out := make([][]float64, n)
	least := p.elapsed()
	var z []float64
	for k := range out {
		if k%2 == 0 {
			z = normals(len(p.Tasks), p.Seed, k)
		} else {
			for i := range z {
				z[i] = -z[i]
			}
		}
		out[k] = make([]float64, len(p.Tasks))
		for i := range out[k] {
			out[k][i] = factor(z[i], p.Tasks[i].Spread, least[i])
		}
	}
	return out
}

// copyScenarios are those of copies: their luck is not that of their tasks. Of
// a running copy it is known that it has not finished.
func (p *Problem) copyScenarios(n int) [][]float64 {
	q := *p
	q.Seed, q.Fixed = p.Seed^0x0c0b1e5, nil
	for _, c := range p.Copies {
		if c.StartUs != Never && c.FinishUs == Never {
			f := FixedPlacement{Task: c.Task, Target: c.Target, Config: c.Config, StartUs: c.StartUs, Cold: true}
			q.Fixed = append(q.Fixed, f)
		}
	}
	return q.scenarios(n)
}

func normals(n int, seed int64, stream int) []float64 {
	rng := rand.New(rand.NewPCG(uint64(seed), uint64(stream)^0x5ca1ab1e))
	z := make([]float64, n)
	for i := range z {
		z[i] = rng.NormFloat64()
	}
	return z
}

// factor is the multiplier that a standard normal number stands for, given that
// it is more than least.
func factor(z, spread, least float64) float64 {
	if spread == 0 {
		return max(1, least)
	}
	if least > 0 {
		above := tail(standard(least, spread)) * tail(z)
		if above <= 0 {
			return least
		}
		z = math.Sqrt2 * math.Erfcinv(2*above)
	}
	return max(least, math.Exp(float64(z*spread)-float64(spread*spread)/2))
}

// longest is the multiplier that one run in some 700 exceeds: a provider ends
// what takes longer than its limit, and no deadline is worth that.
func (t *Task) longest() float64 { return factor(3, t.Spread, 0) }

// expected is the mean of a multiplier given that it is more than least.
func expected(spread, least float64) float64 {
	if spread == 0 || least <= 0 {
		return max(1, least)
	}
	x := standard(least, spread)
	if rest := tail(x); rest > 1e-12 {
		return max(least, tail(x-spread)/rest)
	}
	return least * (1 + spread/x)
}

// standard is a multiplier as a standard normal number.
func standard(m, spread float64) float64 { return (math.Log(m) + float64(spread*spread)/2) / spread }

// tail is the probability that a standard normal number exceeds x.
func tail(x float64) float64 { return math.Erfc(x/math.Sqrt2) / 2 }

// elapsed is, by task, the least multiplier that agrees with what is known: 0
// unless it runs.
func (p *Problem) elapsed() []float64 {
	least := make([]float64, len(p.Tasks))
	for k := range p.Fixed {
		f := &p.Fixed[k]
		if f.Done {
			continue
		}
		none, once := p.lastsUs(f, 0), p.lastsUs(f, 1)
		if passed := p.NowUs - f.StartUs; passed > none && once > none {
			least[f.Task] = float64(passed-none) / float64(once-none)
		}
	}
	return least
}

// lastsUs is how long a started task runs if its multiplier is that. Where no
// node is named, it runs on the fastest.
func (p *Problem) lastsUs(f *FixedPlacement, mult float64) int64 {
	if f.Target != Private {
		q := &p.Platform.Providers[f.Target]
		return q.wallUs(p.handlerUs(int(f.Task), f.Target, f.Config, mult), f.Cold)
	}
	speed := 0.0
	for k := range p.Platform.Nodes {
		if f.Node < 0 || f.Node == k {
			speed = max(speed, p.Platform.Nodes[k].Speed)
		}
	}
	return p.privateUs(int(f.Task), speed, mult)
}
