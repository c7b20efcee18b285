package offload

import (
	"fmt"
	"math"
)

// deadlineUs is the deadline of task i's workflow; 0: none.
func (p *Problem) deadlineUs(i int) int64 {
	if len(p.Workflows) == 0 {
		return p.DeadlineUs
	}
	return p.Workflows[p.Tasks[i].Workflow].DeadlineUs
}

// releaseUs is when task i may start at the earliest.
func (p *Problem) releaseUs(i int) int64 {
	if len(p.Workflows) == 0 {
		return p.NowUs
	}
	return max(p.NowUs, p.Workflows[p.Tasks[i].Workflow].ReleaseUs)
}

// fileReleaseUs is when an initial file may move: with the first of its readers.
func (p *Problem) fileReleaseUs(f int32) int64 {
	if len(p.Workflows) == 0 {
		return p.NowUs
	}
	at := int64(Never)
	for _, i := range p.readers.of(int(f)) {
		at = min(at, p.releaseUs(int(i)))
	}
	return at
}

func (p *Problem) checkWorkflows() error {
	for w := range p.Workflows {
		if x := p.Workflows[w].Weight; !(x >= 0 && x <= 1e6) {
			return fmt.Errorf("workflow %q: weight %g, want 0 to 1e6", p.Workflows[w].Name, x)
		}
	}
	for i := range p.Tasks {
		if w := p.Tasks[i].Workflow; w < 0 || int(w) >= max(1, len(p.Workflows)) {
			return fmt.Errorf("task %q is of workflow %d of %d", p.Tasks[i].ID, w, len(p.Workflows))
		}
	}
	return nil
}

// findReleases sorts by workflow what waits for a release to come.
func (s *simulator) findReleases() {
	p := s.p
	s.roots, s.initial = make([][]int32, len(p.Workflows)), make([][]int32, len(p.Workflows))
	if len(p.Workflows) == 0 {
		return
	}
	for i := range int32(len(p.Tasks)) {
		if w := p.Tasks[i].Workflow; p.releaseUs(int(i)) > p.NowUs && len(p.graph.Pred(int(i))) == 0 {
			s.roots[w] = append(s.roots[w], i)
		}
	}
	for f := range int32(len(p.Files)) {
		at := p.fileReleaseUs(f)
		if p.Files[f].Producer >= 0 || at <= p.NowUs || at == Never {
			continue
		}
		for _, i := range p.readers.of(int(f)) {
			if p.releaseUs(int(i)) == at {
				s.initial[p.Tasks[i].Workflow] = append(s.initial[p.Tasks[i].Workflow], f)
				break
			}
		}
	}
}

// takeReleases holds the workflows that are yet to come.
func (s *simulator) takeReleases() {
	for w := range s.roots {
		for _, i := range s.roots[w] {
			s.need[i]++
		}
		if len(s.roots[w]) > 0 {
			s.push(s.p.Workflows[w].ReleaseUs, opened, int32(w))
		}
	}
}

// open releases a workflow.
func (s *simulator) open(w int32) {
	for _, f := range s.initial[w] {
		s.request(f)
	}
	for _, i := range s.roots[w] {
		s.satisfy(i)
	}
}

// mayGrow says whether a provider's ramp lets it start a container now, and
// counts it; else it wakes the provider when it does. The ramp is a token
// bucket, kept as the time at which it would be full again (the generic cell
// rate algorithm of ATM Forum UNI 3.1).
func (s *simulator) mayGrow(q int) bool {
	pr := &s.p.Platform.Providers[q]
	if pr.RampPerS == 0 {
		return true
	}
	interval := max(1, int64(math.Round(second/pr.RampPerS)))
	due := s.nextNew[q] - int64(pr.RampBurst-1)*interval
	if s.now < due {
		if s.wakes[q] != due {
			s.wakes[q] = due
			s.push(due, ramped, int32(q))
		}
		return false
	}
	s.nextNew[q] = max(s.nextNew[q], s.now) + interval
	return true
}

// lateness is how far the latest workflow ends beyond its deadline less the
// margin, negative when all are early, and the weighted sum of the late ones'.
func (s *simulator) lateness(marginUs int64) (worst, sum int64) {
	if len(s.p.Workflows) == 0 {
		if s.p.DeadlineUs == 0 {
			return -Never, 0
		}
		worst = s.ends - max(1, s.p.DeadlineUs-marginUs)
		return worst, max(0, worst)
	}
	worst = -Never
	for w := range s.p.Workflows {
		flow := &s.p.Workflows[w]
		if flow.DeadlineUs == 0 {
			continue
		}
		late := s.ended[w] - max(1, flow.DeadlineUs-marginUs)
		if worst = max(worst, late); late > 0 {
			sum += weighted(late, flow.Weight)
		}
	}
	return worst, sum
}

func weighted(late int64, weight float64) int64 {
	if weight == 0 {
		return late
	}
	return int64(min(float64(late)*weight, Never>>10))
}
