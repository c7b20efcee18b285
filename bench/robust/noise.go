package main

import (
	"math"
	"math/rand/v2"

	"github.com/spillway/spillway/bench/noise"
)

// families of noise with mean 1. Policies expect the first; the others ask
// what happens when they are wrong about it.
var families = map[string]func(n int, sigma float64, seed int64) []float64{
	"lognormal": noise.Multipliers,
	"gamma":     gammas,
	"bimodal":   stragglers,
}

// gammas have the variance of a log-normal factor of that spread.
func gammas(n int, sigma float64, seed int64) []float64 {
	shape := 1 / math.Expm1(sigma*sigma)
	rng := rand.New(rand.NewPCG(uint64(seed), 1))
	out := make([]float64, n)
	for i := range out {
		out[i] = gamma(rng, shape) / shape
	}
	return out
}

// gamma is Marsaglia and Tsang's method (ACM TOMS 26, 2000) for shapes of 1 and
// more, which spreads below 0.8 have.
func gamma(rng *rand.Rand, shape float64) float64 {
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := rng.NormFloat64()
		v := 1 + c*x
		v = v * v * v
		if v > 0 && math.Log(1-rng.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

// stragglers are tasks of which one in twenty takes far longer than the rest:
// by so much that the variance is that of a log-normal factor of that spread.
func stragglers(n int, sigma float64, seed int64) []float64 {
	const rare = 0.05
	variance := math.Expm1(sigma * sigma)
	usual := 1 - math.Sqrt(variance*rare/(1-rare))
	late := (1 - (1-rare)*usual) / rare
	rng := rand.New(rand.NewPCG(uint64(seed), 2))
	out := make([]float64, n)
	for i := range out {
		if out[i] = usual; rng.Float64() < rare {
			out[i] = late
		}
	}
	return out
}
