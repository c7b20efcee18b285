package offload

import (
	"math"
	"slices"
)

// candidate is a task that may run at home: in microseconds and reference-core
// microseconds.
type candidate struct {
	task        int32
	bound       bool // it can run nowhere else
	work        float64
	first, last float64
	held        [quick]float64 // of each resource, for each microsecond of work at least
	wall        float64        // on the fastest node
	slowest     int            // of the nodes' speeds, the last that is fast enough for its window
}

// What the private cluster is short of: cores, memory and, from quick on, time on the
// cores of nodes at least as fast as each of the speeds.
const (
	cores = iota
	memory
	quick
)

// row is a limit: its candidates' parts are at most its room, as far as they stay
// at home. A part is what a candidate takes of a resource between two times or, in a
// row of a chain, the time that buying it saves.
type row struct {
	resource int
	from, to float64
	room     float64
	saves    []float64 // by candidate, in a row of a chain; nil: an interval's
}

// cluster is the private capacity: in all, and what is taken from it.
type cluster struct {
	slowest, fastest float64
	capacity         [quick]float64
	speeds           []float64 // fastest first
	quick            []float64 // cores of nodes at least that fast
	blocked          []block   // by time
}

// block is what others hold of the cores until some time, from now: at most what
// the node has.
type block struct {
	until float64
	speed float64
	cores float64
}

func (b *bounding) cluster() (c cluster) {
	c.slowest = math.Inf(1)
	for k := range b.p.Platform.Nodes {
		node := &b.p.Platform.Nodes[k]
		c.capacity[cores] += float64(float64(node.Cores) * node.Speed)
		c.capacity[memory] += float64(node.MemMiB * mib)
		c.slowest, c.fastest = min(c.slowest, node.Speed), max(c.fastest, node.Speed)
		c.blocked = append(c.blocked, b.blockedOn(k)...)
	}
	c.speeds, c.quick = b.speeds, make([]float64, len(b.speeds))
	for s, v := range b.speeds {
		for k := range b.p.Platform.Nodes {
			if b.p.Platform.Nodes[k].Speed >= v {
				c.quick[s] += float64(b.p.Platform.Nodes[k].Cores)
			}
		}
	}
	return c
}

// blockedOn lists what started tasks and reservations hold of a node.
func (b *bounding) blockedOn(node int) (list []block) {
	n := &b.p.Platform.Nodes[node]
	for k := range b.p.Fixed {
		f := &b.p.Fixed[k]
		if f.Target == Private && f.Node == node && !f.Done {
			list = append(list, block{float64(b.endOf(f)), n.Speed, float64(b.p.Tasks[f.Task].Cores)})
		}
	}
	for _, r := range b.p.Reserved {
		if r.Target == Private && r.Node == node && r.UntilUs > b.p.NowUs && r.Cores > 0 {
			list = append(list, block{float64(r.UntilUs), n.Speed, float64(r.Cores)})
		}
	}
	// Where others hold more than there is, those who hold it longest count.
	slices.SortFunc(list, func(x, y block) int { return int(y.until - x.until) })
	left := float64(n.Cores)
	for k := range list {
		list[k].cores = min(list[k].cores, left)
		left -= list[k].cores
	}
	return list
}

// room is what the cluster can hold between two times.
func (c *cluster) room(resource int, from, to float64) float64 {
	if resource == memory {
		return c.capacity[memory] * (to - from)
	}
	room := float64(c.capacity[cores] * (to - from))
	if resource >= quick {
		room = float64(c.quick[resource-quick] * (to - from))
	}
	for _, x := range c.blocked {
		held := float64(x.cores * max(0, min(x.until, to)-from))
		if resource == cores {
			room -= float64(x.speed * held)
		} else if x.speed >= c.speeds[resource-quick] {
			room -= held
		}
	}
	return room
}

// candidates lists the tasks that can be at home.
func (b *bounding) candidates(c *cluster) (tasks []candidate) {
	for i := range b.p.Tasks {
		k := i * b.domains
		if !b.possible(k) || b.pinned[i] {
			continue
		}
		t := &b.p.Tasks[i]
		work := b.leastWork(i)
		if work <= 0 {
			continue
		}
		tasks = append(tasks, candidate{
			task: int32(i), bound: math.IsInf(b.buy[i], 1), work: work, first: float64(b.first[k]), last: float64(b.last[k]),
			held: [quick]float64{float64(t.Cores), t.MemBytes / c.fastest},
			wall: float64(b.work(k)), slowest: b.slowestFit(i),
		})
	}
	return tasks
}

// slowestFit is, of the nodes' speeds, the last that is fast enough for task i: by its
// window, and by the ways left to it where they tell.
func (b *bounding) slowestFit(i int) int {
	k, last := i*b.domains, len(b.speeds)-1
	if _, same := b.p.override(i, Private, 0); same {
		return last
	}
	if len(b.p.Tasks) > partedTasks {
		for last > 0 && !(b.fitsAt(i, b.speeds[last]) && b.first[k]+b.p.privateUs(i, b.speeds[last], 1) <= b.last[k]) {
			last--
		}
		return last
	}
	left := b.hi[k] - b.homeLo[k]
	for s, v := range b.speeds {
		if b.fitsAt(i, v) {
			if left--; left == 0 {
				return s
			}
		}
	}
	return last
}

// leastWork is what task i takes of the cores for the time it holds them, on the
// node where that is least.
func (b *bounding) leastWork(i int) float64 {
	least := math.Inf(1)
	for _, speed := range b.speeds {
		least = min(least, float64(float64(b.p.privateUs(i, speed, 1))*speed))
	}
	return least
}

// part is what candidate k has of a row; at most 0: nothing.
func (d *dual) part(r *row, k int) float64 {
	if r.saves != nil {
		return r.saves[k]
	}
	t := &d.tasks[k]
	if r.resource >= quick {
		if t.slowest > r.resource-quick {
			return 0
		}
		return t.held[cores] * min(r.to-r.from, t.wall-max(0, r.from-t.first), t.wall-max(0, t.last-r.to))
	}
	return d.cluster.inside(t, r.from, r.to) * t.held[r.resource]
}

// inside is the least work of a candidate that any start in its window leaves in
// an interval.
func (c *cluster) inside(t *candidate, from, to float64) float64 {
	return min(float64(c.slowest*(to-from)), t.work-float64(c.fastest*max(0, from-t.first)), t.work-float64(c.fastest*max(0, t.last-to)))
}

// memoryBinds says whether memory can be scarcer than cores.
func (b *bounding) memoryBinds(tasks []candidate) bool {
	least := math.Inf(1)
	for k := range b.p.Platform.Nodes {
		least = min(least, float64(b.p.Platform.Nodes[k].MemMiB*mib)/float64(b.p.Platform.Nodes[k].Cores))
	}
	return slices.ContainsFunc(tasks, func(t candidate) bool {
		return b.p.Tasks[t.task].MemBytes > least*float64(b.p.Tasks[t.task].Cores)
	})
}

// grid is a sample of the distinct values, and one more.
func grid(tasks []candidate, points int, extra float64, value func(*candidate) float64) []float64 {
	all := make([]float64, 0, len(tasks))
	for k := range tasks {
		all = append(all, value(&tasks[k]))
	}
	slices.Sort(all)
	all = slices.Compact(all)
	picked := []float64{extra}
	if len(all) <= points {
		picked = append(picked, all...)
	} else {
		for k := range points {
			picked = append(picked, all[int(math.RoundToEven(float64(k*(len(all)-1))/float64(points-1)))])
		}
	}
	slices.Sort(picked)
	return slices.Compact(picked)
}

// intervals lists the rows of a grid.
func (b *bounding) intervals(c *cluster, tasks []candidate, points int) (list []row) {
	until := 0.0
	for k := range tasks {
		until = max(until, float64(b.due(int(tasks[k].task))))
	}
	begins := grid(tasks, points, float64(b.p.NowUs), func(t *candidate) float64 { return t.first })
	ends := grid(tasks, points, until, func(t *candidate) float64 { return t.last })
	used := []int{cores}
	if b.memoryBinds(tasks) {
		used = append(used, memory)
	}
	for s := range len(c.speeds) - 1 {
		if slices.ContainsFunc(tasks, func(t candidate) bool { return t.slowest <= s }) {
			used = append(used, quick+s)
		}
	}
	for _, r := range used {
		for _, from := range begins {
			for _, to := range ends {
				if to > from {
					list = append(list, row{resource: r, from: from, to: to, room: c.room(r, from, to)})
				}
			}
		}
	}
	return list
}
