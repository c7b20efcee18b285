package engine

import (
	"container/heap"
	"fmt"
	"time"

	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/workflow"
)

// maxTransferTries bounds how often one file is sent before its site counts as out of reach.
const maxTransferTries = 6

// fileMade notes that file f exists at a site and sends it where planned readers wait for it. A file
// crosses to each site at most once.
func (s *State) fileMade(f, site int, out envelope.Stored, attempt string) []Command {
	fs := &s.files[f]
	fs.rec = workflow.FileRecord{Index: f, Key: out.Key, SHA256: out.SHA256, Size: out.Size,
		Site: s.Catalogue.Sites[site].Name, Attempt: attempt, Value: out.Value}
	fs.exists = true
	s.touchFile(f)
	s.arrived(f, site)
	return s.spread(f)
}

// arrived notes that file f can be read at a site.
func (s *State) arrived(f, site int) {
	if s.files[f].present[site] {
		return
	}
	s.files[f].present[site] = true
	for _, r := range s.Graph.Files[f].Readers {
		t := &s.tasks[r]
		if t.site == site && t.missing > 0 {
			t.missing--
			s.enqueue(int(r))
		}
	}
}

// spread sends file f to every site that needs it and has not got it yet.
func (s *State) spread(f int) []Command {
	if !s.files[f].exists {
		return nil
	}
	var out []Command
	file := &s.Graph.Files[f]
	for _, r := range file.Readers {
		t := &s.tasks[r]
		if t.site >= 0 && !t.rec.State.Terminal() {
			out = append(out, s.send(f, t.site)...)
		}
	}
	if len(file.Readers) == 0 && file.Producer >= 0 {
		out = append(out, s.send(f, 0)...) // a result of the run belongs home
	}
	return out
}

func (s *State) send(f, to int) []Command {
	k := transferKey{f, to}
	if s.Graph.Files[f].Label > s.Catalogue.Sites[to].Takes {
		return nil
	}
	tr := s.transfers[k]
	if s.files[f].present[to] || tr != nil && tr.State == workflow.TransferPending {
		return nil
	}
	from := s.sourceOf(f)
	next := &workflow.TransferRecord{File: f, From: s.Catalogue.Sites[from].Name, To: s.Catalogue.Sites[to].Name,
		State: workflow.TransferPending, Tries: 1, StartedAt: s.now}
	if tr != nil { // given up once: what that sent is still on the bill
		next.Bytes, next.Cost = tr.Bytes, tr.Cost
	}
	s.transfers[k] = next
	s.moving++
	s.touchTransfer(k)
	s.addOutbox(workflow.OutboxRecord{Kind: "transfer", File: f, From: s.transfers[k].From, To: s.transfers[k].To})
	s.urgent = true
	return []Command{Transfer{File: f, From: s.transfers[k].From, To: s.transfers[k].To}}
}

// sourceOf is the site a file is copied from: home where it is there, since leaving home is free.
func (s *State) sourceOf(f int) int {
	if s.files[f].present[0] {
		return 0
	}
	return s.Catalogue.site(s.files[f].rec.Site)
}

// moved settles a transfer: the bytes that left a provider are billed whether or not they arrived.
func (s *State) moved(e Moved) []Command {
	k := transferKey{e.File, s.Catalogue.site(e.To)}
	tr := s.transfers[k]
	if tr == nil || tr.State != workflow.TransferPending {
		return nil
	}
	s.billTransfer(tr, e.Bytes)
	s.touchTransfer(k)
	tr.Bytes += e.Bytes
	if e.Err != "" {
		return s.transferFailed(k, tr, e.Err)
	}
	tr.State, tr.FinishedAt, tr.Message = workflow.TransferDone, s.now, ""
	s.moving--
	s.settleOutbox(workflow.OutboxRecord{Kind: "transfer", File: e.File, To: e.To})
	s.record("file_moved", -1, "", map[string]any{"file": s.Graph.Files[e.File].Name, "to": e.To, "bytes": e.Bytes})
	s.arrived(e.File, k.to)
	return nil
}

func (s *State) transferFailed(k transferKey, tr *workflow.TransferRecord, why string) []Command {
	tr.Message = why
	s.record("transfer_failed", -1, "", map[string]any{"file": s.Graph.Files[k.file].Name, "to": tr.To, "error": why,
		"tries": tr.Tries})
	if tr.Tries < maxTransferTries {
		tr.Tries++
		at := s.now.Add(backoff(250*time.Millisecond, 10*time.Second, tr.Tries))
		heap.Push(&s.due, alarm{at: at, task: -1, move: &k})
		return nil
	}
	tr.State, tr.FinishedAt = workflow.TransferFailed, s.now
	s.moving--
	s.settleOutbox(workflow.OutboxRecord{Kind: "transfer", File: k.file, To: tr.To})
	return s.giveUpOn(k, why)
}

// giveUpOn decides for the readers of a file that cannot be brought to their site: elsewhere if that is
// possible, and a result that cannot come home fails its task's run.
func (s *State) giveUpOn(k transferKey, why string) []Command {
	for _, r := range s.Graph.Files[k.file].Readers {
		t := &s.tasks[r]
		if t.site != k.to || t.rec.State.Terminal() || t.attempt != "" {
			continue
		}
		if k.to == 0 {
			s.fail(int(r), "input "+s.Graph.Files[k.file].Name+" cannot be brought home: "+why)
			continue
		}
		s.deny(int(r), k.to)
		s.wantPlan("a file cannot reach "+s.Catalogue.Sites[k.to].Name, s.now)
	}
	if k.to == 0 && len(s.Graph.Files[k.file].Readers) == 0 {
		s.failed = true
		s.stranded = "result " + s.Graph.Files[k.file].Name + " cannot be brought home: " + why
		s.record("output_stranded", -1, "", map[string]string{"file": s.Graph.Files[k.file].Name, "error": why})
	}
	return nil
}

// sendAgain repeats a transfer whose pause is over.
func (s *State) sendAgain(k transferKey) []Command {
	tr := s.transfers[k]
	if tr == nil || tr.State != workflow.TransferPending {
		return nil
	}
	return []Command{Transfer{File: k.file, From: tr.From, To: tr.To}}
}

// resumeTransfers repeats, after a load, what was on its way: copying again is harmless.
func (s *State) resumeTransfers() []Command {
	var out []Command
	for f := range s.files {
		for to := range s.sites {
			if tr := s.transfers[transferKey{f, to}]; tr != nil && tr.State == workflow.TransferPending {
				out = append(out, Transfer{File: f, From: tr.From, To: tr.To})
			}
		}
	}
	return out
}

// countMissing counts the inputs of task i that its site has not got.
func (s *State) countMissing(i int) {
	t := &s.tasks[i]
	t.missing = 0
	if t.site < 0 {
		return
	}
	for _, f := range s.Graph.Instances[i].In {
		if !s.files[f].present[t.site] && !s.neverMade(f) {
			t.missing++
		}
	}
}

// neverMade tells whether the producer of file f ended without it. A condition may let its readers run all
// the same: they find what there is.
func (s *State) neverMade(f int32) bool {
	p := s.Graph.Files[f].Producer
	return p >= 0 && !s.files[f].exists && s.tasks[p].rec.State.Terminal()
}

// notSubmitted finds an initial file of task i that did not come with the run, as when its name became known
// only with the elements of a foreach; empty when there is none.
func (s *State) notSubmitted(i int) string {
	for _, f := range s.Graph.Instances[i].In {
		if file := &s.Graph.Files[f]; file.Producer < 0 && !s.files[f].exists {
			return file.Name
		}
	}
	return ""
}

// accept checks a manifest against what the task declared: nothing else is taken over.
func (s *State) accept(i int, m *envelope.Manifest) (map[int]envelope.Stored, error) {
	got := make(map[string]envelope.Stored, len(m.Outputs))
	for _, o := range m.Outputs {
		got[o.Path] = o
	}
	files := make(map[int]envelope.Stored, len(got))
	for _, f := range s.Graph.Instances[i].Out {
		o, ok := got[s.Graph.Files[f].Path]
		if !ok {
			return nil, fmt.Errorf("the result has no output %s", s.Graph.Files[f].Path)
		}
		files[int(f)] = o
		delete(got, s.Graph.Files[f].Path)
	}
	for p := range got {
		return nil, fmt.Errorf("the result has an output that was not declared: %s", p)
	}
	return files, nil
}

func (s *State) billTransfer(tr *workflow.TransferRecord, bytes int64) {
	from, to := s.Catalogue.site(tr.From), s.Catalogue.site(tr.To)
	like := workflow.ItemRecord{Task: -1, File: tr.File}
	if from > 0 && bytes > 0 {
		tr.Cost += s.addItems(pricing.Usage{EgressBytes: bytes, Gets: 1}, from, like)
	}
	if to > 0 {
		tr.Cost += s.addItems(pricing.Usage{Puts: 1}, to, like)
	}
}
