// Package noise draws how far actual run times are off their estimates. Its
// numbers are those of the reference evaluator, which is written in Python:
// a seed gives the same run times here and there.
package noise

import "math"

// Multipliers are n log-normal factors with mean 1 whose logarithms have the
// standard deviation sigma, for the tasks in their order.
func Multipliers(n int, sigma float64, seed int64) []float64 {
	g := gaussian{twister: newTwister(seed)}
	out := make([]float64, n)
	for i := range out {
		out[i] = math.Exp(float64(g.next()*sigma) - float64(sigma*sigma)/2)
	}
	return out
}

// gaussian is random.gauss of Python: the Box-Muller transform, which gives
// two numbers at a time.
type gaussian struct {
	*twister
	spare float64
	kept  bool
}

func (g *gaussian) next() float64 {
	if g.kept {
		g.kept = false
		return g.spare
	}
	angle := g.float() * 2 * math.Pi
	radius := math.Sqrt(-2 * math.Log(1-g.float()))
	g.spare, g.kept = math.Sin(angle)*radius, true
	return math.Cos(angle) * radius
}

// twister is MT19937 (Matsumoto and Nishimura, 1998), the generator behind
// random.Random of Python.
type twister struct {
	state [624]uint32
	at    int
}

// newTwister seeds as random.Random(seed) does: init_by_array over the 32-bit
// digits of the seed's absolute value.
func newTwister(seed int64) *twister {
	abs := uint64(seed)
	if seed < 0 {
		abs = -abs
	}
	key := []uint32{uint32(abs)}
	if high := uint32(abs >> 32); high != 0 {
		key = append(key, high)
	}
	t := &twister{at: 624}
	t.state[0] = 19650218
	for i := 1; i < 624; i++ {
		t.state[i] = 1812433253*t.mixed(i-1) + uint32(i)
	}
	i, j := 1, 0
	step := func() {
		if i++; i == 624 {
			t.state[0], i = t.state[623], 1
		}
	}
	for range 624 { // no key here is longer
		t.state[i] = (t.state[i] ^ t.mixed(i-1)*1664525) + key[j] + uint32(j)
		j = (j + 1) % len(key)
		step()
	}
	for range 623 {
		t.state[i] = (t.state[i] ^ t.mixed(i-1)*1566083941) - uint32(i)
		step()
	}
	t.state[0] = 1 << 31
	return t
}

func (t *twister) mixed(i int) uint32 { return t.state[i] ^ t.state[i]>>30 }

// float is a number in [0, 1) with 53 random bits.
func (t *twister) float() float64 {
	high, low := t.word()>>5, t.word()>>6
	return (float64(high)*(1<<26) + float64(low)) / (1 << 53)
}

func (t *twister) word() uint32 {
	if t.at == 624 {
		t.twist()
	}
	y := t.state[t.at]
	t.at++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

func (t *twister) twist() {
	for i := range t.state {
		y := t.state[i]&(1<<31) | t.state[(i+1)%624]&(1<<31-1)
		t.state[i] = t.state[(i+397)%624] ^ y>>1 ^ y&1*0x9908b0df
	}
	t.at = 0
}
