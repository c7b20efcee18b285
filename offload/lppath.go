package offload

// chains lists rows of chains that are too long at home: what their tasks save by
// being bought must make up for it. The first is the longest chain; each further one
// is the longest if all tasks of those before were bought.
func (b *bounding) chains(tasks []candidate) (rows []row) {
	most := 4
	if len(b.p.Tasks) > 3000 {
		most = 1
	}
	n := len(b.p.Tasks)
	stay, fast := make([]int64, n), make([]int64, n)
	for i := range n {
		stay[i], fast[i] = b.fastest(i)
	}
	bought := make([]bool, n)
	for range most {
		chain, excess := b.longest(stay, fast, bought)
		if excess <= 0 {
			break
		}
		rows = append(rows, b.chainRow(tasks, chain, stay, fast))
		for _, i := range chain {
			bought[i] = true
		}
	}
	return rows
}

// fastest is the shortest stay of task i at home, and bought; the other's where it
// cannot be on one side.
func (b *bounding) fastest(i int) (stay, bought int64) {
	stay, bought = -1, -1
	for d := range b.domains {
		k := i*b.domains + d
		switch {
		case !b.possible(k):
		case d == 0:
			stay = b.work(k)
		case bought < 0 || b.work(k) < bought:
			bought = b.work(k)
		}
	}
	if stay < 0 {
		stay = bought
	}
	if bought < 0 {
		bought = stay
	}
	return stay, bought
}

// longest is the chain that exceeds its time by most, and by how much: from its
// first task's release, or a started task's end, to its last task's deadline, moving
// no files.
func (b *bounding) longest(stay, fast []int64, bought []bool) (chain []int32, excess int64) {
	n := len(stay)
	end, via := make([]int64, n), make([]int32, n)
	last := int32(-1)
	for _, i := range b.p.graph.Order() {
		end[i], via[i] = b.p.NowUs, -1
		if len(b.p.graph.Pred(int(i))) == 0 {
			end[i] = b.release(int(i))
		}
		for _, parent := range b.p.graph.Pred(int(i)) {
			if via[i] < 0 || end[parent] > end[i] {
				end[i], via[i] = end[parent], parent
			}
		}
		switch {
		case b.pinned[i]:
			end[i], via[i] = b.first[int(i)*b.domains+b.stays[i]+1], -1
		case bought[i]:
			end[i] += min(stay[i], fast[i])
		default:
			end[i] += stay[i]
		}
		if over := end[i] - b.due(int(i)); over > excess && !b.pinned[i] {
			last, excess = i, over
		}
	}
	for i := last; i >= 0; i = via[i] {
		chain = append(chain, i)
	}
	return chain, excess
}

// chainRow is the row of a chain, last task first.
func (b *bounding) chainRow(tasks []candidate, chain []int32, stay, fast []int64) row {
	on := map[int32]bool{}
	length := int64(0)
	for _, i := range chain {
		if !b.pinned[i] {
			length += stay[i]
			on[i] = true
		}
	}
	first := chain[len(chain)-1]
	start := b.p.NowUs
	switch {
	case b.pinned[first]:
		start = b.first[int(first)*b.domains+b.stays[first]+1]
	case len(b.p.graph.Pred(int(first))) == 0:
		start = b.release(int(first))
	}
	r := row{saves: make([]float64, len(tasks))}
	all := int64(0)
	for k := range tasks {
		if i := tasks[k].task; on[i] && !tasks[k].bound && stay[i] > fast[i] {
			r.saves[k] = float64(stay[i] - fast[i])
			all += stay[i] - fast[i]
		}
	}
	r.room = float64(all - (start + length - b.due(int(chain[0]))))
	return r
}
