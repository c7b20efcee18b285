package offload

// link sends one file at a time; what it has sent arrives a latency later, in
// the same order.
type link struct {
	waiting numbers // urgent(): the most urgent reader first, then the smaller file and domain
	busyUs  int64   // until then it sends
	flying  []flight
	landed  int // of flying, how many have arrived
}

type flight struct {
	at    int64
	stage int32
}

// stageMask takes the stage out of an urgency.
const stageMask = 1<<32 - 1

// urgent orders what waits for a link: by the rank of the first reader, then by
// stage, which is file * domains + domain + 1.
func urgent(rank, stage int32) uint64 { return uint64(rank)<<32 | uint64(stage) }

func (l *link) reset(now int64) {
	*l = link{waiting: l.waiting[:0], busyUs: now, flying: l.flying[:0]}
}

// next is when something happens on the link: a file lands, or the next one
// can be sent.
func (l *link) next() int64 {
	at := int64(Never)
	if l.landed < len(l.flying) {
		at = l.flying[l.landed].at
	}
	if len(l.waiting) > 0 {
		at = min(at, l.busyUs)
	}
	return at
}
