package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spillway/spillway/internal/clock"
	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/providers"
	"github.com/spillway/spillway/workflow"
)

// Dispatcher carries commands to sites.
type Dispatcher interface {
	// Execute runs one attempt to its end at its site. It blocks, and never retries.
	Execute(ctx context.Context, o Order, started func(time.Time)) providers.Result
	// Transfer copies a file between the stores of two sites and tells the bytes that were sent.
	Transfer(ctx context.Context, m Move) (int64, error)
	// Manifest looks for the result of an attempt in the store of its site; nil when there is none. What is
	// there but is no manifest of the attempt is a *providers.Error, for it will not change.
	Manifest(ctx context.Context, run string, a workflow.AttemptRecord) (*envelope.Manifest, error)
}

// Witness is a Dispatcher some of whose sites can be asked what became of an attempt.
type Witness interface {
	// Fate tells what the attempt's site knows of it.
	Fate(ctx context.Context, run string, a workflow.AttemptRecord) (Fate, error)
}

// Fate is what a site itself knows of an attempt.
type Fate struct {
	Known    bool // the site keeps a record that would name the attempt
	Accepted bool // it has begun, and bills
	Ended    bool
	Usage    providers.Usage // once it has ended
}

// Order is everything a dispatcher needs to send one attempt. It holds no secrets and no signed URLs.
type Order struct {
	Run     workflow.RunRecord
	Attempt workflow.AttemptRecord
	TaskID  string
	Command workflow.Command
	Inputs  []OrderInput
	Outputs []OrderOutput
	// MemoryBytes limits the command at the private site; 0: no limit.
	MemoryBytes int64
}

// OrderInput is a stored file and where the command expects it.
type OrderInput struct {
	Path       string
	Executable bool
	File       workflow.FileRecord
}

// OrderOutput is a file that the command leaves.
type OrderOutput struct {
	Name, Path string
	Value      bool
	Size       int64 // bytes, as estimated
}

// Move is one file on its way between two sites.
type Move struct {
	Run      string
	File     workflow.FileRecord
	From, To string
}

// PlanFunc makes a plan of what has not started. why is what made it necessary.
type PlanFunc func(s *State, why string, now time.Time) (Plan, error)

// Runner takes runs through the engine, one Run call a run. It is the shell around Decide.
type Runner struct {
	Store      Store
	Dispatcher Dispatcher
	Catalogue  Catalogue
	Plan       PlanFunc
	Clock      clock.Clock
	Owner      string        // unique for this process
	LeaseFor   time.Duration // 0: 15 s
	Log        *slog.Logger
	Observe    func(*State) // after every batch; must not keep the state
	// Adopt, where set, is called once the lease is held and before attempts that an earlier engine left are
	// looked for: it ends what that engine left running at sites that die with their engine.
	Adopt func(ctx context.Context, run string) error
}

// Run takes a run to its end, or until it is held for money, or until ctx ends. A run whose lease is held
// elsewhere is ErrLeased. Whatever stops it, the run can be taken up again.
func (r *Runner) Run(ctx context.Context, run string) (workflow.RunRecord, error) {
	for {
		rec, err := r.runOnce(ctx, run)
		if !errors.Is(err, ErrStale) || ctx.Err() != nil {
			return rec, err
		}
		r.Log.Warn("the run changed under this engine: loading it again", "run", run)
	}
}

func (r *Runner) runOnce(ctx context.Context, run string) (workflow.RunRecord, error) {
	lease := r.LeaseFor
	if lease == 0 {
		lease = 15 * time.Second
	}
	now := r.Clock.Now()
	epoch, err := r.Store.Lease(ctx, run, r.Owner, now, now.Add(lease))
	if err != nil {
		return workflow.RunRecord{}, err
	}
	rec, g, err := r.load(ctx, run)
	if err != nil || g == nil {
		r.release(ctx, workflow.RunRecord{ID: run, Epoch: epoch})
		return rec.Run, err
	}
	attempts, stop := context.WithCancel(ctx)
	l := &loop{Runner: r, state: NewState(g, r.Catalogue, rec), lease: lease, mail: newMailbox(),
		work: attempts, cancels: map[string]context.CancelFunc{}}
	err = l.run(ctx, rec)
	stop()
	l.flying.Wait()
	if !errors.Is(err, ErrStale) {
		r.release(ctx, l.state.Run())
	}
	return l.state.Run(), err
}

// load reads a run and makes its graph, nil when the run has ended.
func (r *Runner) load(ctx context.Context, run string) (workflow.Record, *workflow.Graph, error) {
	rec, err := r.Store.Load(ctx, run)
	if err != nil || rec.Run.State.Terminal() {
		return rec, nil, err
	}
	if err := r.Catalogue.knows(&rec); err != nil {
		return rec, nil, fmt.Errorf("run %s: %w", run, err)
	}
	if r.Adopt != nil && len(rec.Attempts) > 0 {
		if err := r.Adopt(ctx, run); err != nil {
			return rec, nil, err
		}
	}
	g, err := workflow.Rebuild(&rec)
	if err != nil {
		return rec, nil, fmt.Errorf("the stored definition of run %s: %w", run, err)
	}
	return rec, g, nil
}

// release hands the lease back even when ctx has ended; a lease that cannot be handed back runs out.
func (r *Runner) release(ctx context.Context, rec workflow.RunRecord) {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer done()
	if err := r.Store.Release(ctx, rec.ID, rec.Epoch); err != nil && !errors.Is(err, ErrStale) {
		r.Log.Warn("lease not handed back", "run", rec.ID, "error", err)
	}
}

// loop is one run in the hands of this engine.
type loop struct {
	*Runner
	state   *State
	lease   time.Duration
	mail    *mailbox
	work    context.Context // ends the attempts of this loop
	flying  sync.WaitGroup
	cancels map[string]context.CancelFunc // by attempt; only the loop's goroutine touches it
	orders  []Command                     // decided, to be carried out after the commit
}

// signalEvery is how often wishes of people are looked for.
const signalEvery = 500 * time.Millisecond

func (l *loop) run(ctx context.Context, rec workflow.Record) error {
	l.recover(rec)
	l.readSignals(ctx) // a raised budget counts before the first task is looked at
	l.apply(Opened{Owner: l.Owner})
	if err := l.settle(ctx); err != nil {
		return err
	}
	signals, renew := time.NewTicker(signalEvery), time.NewTicker(l.lease/3)
	defer signals.Stop()
	defer renew.Stop()
	for !l.over() {
		wake, stop := l.alarm()
		select {
		case <-ctx.Done():
			stop()
			return context.Cause(ctx)
		case <-l.mail.ready:
			for _, e := range l.mail.take() {
				l.apply(e)
			}
		case <-wake:
			l.apply(Tick{})
		case <-signals.C:
			l.readSignals(ctx)
		case <-renew.C:
			if err := l.renew(ctx); err != nil {
				stop()
				return err
			}
		}
		stop()
		if err := l.settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// over tells whether this engine has nothing to do for the run any more.
func (l *loop) over() bool {
	return l.state.Finished() || l.state.Run().State == workflow.RunHeld
}

// lazyCommit is how long a change may wait that only notes the beginning of attempts.
const lazyCommit = 200 * time.Millisecond

// alarm returns a channel that fires at the state's next tick, or when a lazy change has waited enough.
func (l *loop) alarm() (<-chan struct{}, func()) {
	at := l.state.NextTick()
	now := l.Clock.Now()
	if lazy := now.Add(lazyCommit); l.state.dirty() && (at.IsZero() || lazy.Before(at)) {
		at = lazy
	}
	if at.IsZero() {
		return nil, func() {}
	}
	c := make(chan struct{}, 1)
	stop := l.Clock.AfterFunc(max(0, at.Sub(now)), func() { c <- struct{}{} })
	return c, func() { stop() }
}

func (l *loop) apply(e Event) {
	if _, tick := e.(Tick); tick && l.state.dirty() {
		l.state.urgent = true
	}
	if end, ok := e.(Ended); ok {
		delete(l.cancels, end.Attempt)
	}
	l.orders = append(l.orders, Decide(l.state, e, l.Clock.Now())...)
}

// settle plans where that is wanted, commits, and carries out what was decided.
func (l *loop) settle(ctx context.Context) error {
	now := l.Clock.Now()
	if why := l.state.WantsPlan(now); why != "" {
		p, err := l.Plan(l.state, why, now)
		if err != nil {
			return fmt.Errorf("planning: %w", err)
		}
		l.apply(Planned{p})
	}
	if l.state.Urgent() {
		if err := l.commit(ctx); err != nil {
			return err
		}
	}
	if l.Observe != nil {
		l.Observe(l.state)
	}
	if l.state.dirty() && len(l.orders) > 0 {
		return nil // not reached: whatever gives commands is urgent
	}
	for _, c := range l.orders {
		l.carryOut(c)
	}
	l.orders = l.orders[:0]
	return nil
}

// commit writes the change, however long the store is away: the attempts under way go on meanwhile.
func (l *loop) commit(ctx context.Context) error {
	c, ok := l.state.Change()
	if !ok {
		return nil
	}
	for try := 1; ; try++ {
		rev, err := l.Store.Commit(ctx, c)
		if err == nil {
			l.state.Committed(rev)
			return nil
		}
		if done, cerr := l.wasCommitted(ctx, c, err, try); done || cerr != nil {
			return cerr
		}
		l.Log.Warn("commit failed, trying again", "run", c.RunID, "try", try, "error", err)
		if !sleep(ctx, backoff(50*time.Millisecond, 2*time.Second, try)) {
			return context.Cause(ctx)
		}
	}
}

// wasCommitted decides about a commit that failed. One that was stale at the first try is stale; after a
// lost answer it may be our own earlier try that got through, which the epoch proves.
func (l *loop) wasCommitted(ctx context.Context, c Change, err error, try int) (bool, error) {
	if !errors.Is(err, ErrStale) {
		return false, nil
	}
	if try > 1 {
		rec, lerr := l.Store.Load(ctx, c.RunID)
		if lerr == nil && rec.Run.Epoch == c.Epoch && rec.Run.Revision == c.Revision+1 {
			l.state.Committed(rec.Run.Revision)
			return true, nil
		}
	}
	return false, err
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (l *loop) readSignals(ctx context.Context) {
	sg, err := l.Store.Signals(ctx, l.state.Run().ID)
	if err != nil {
		l.Log.Warn("signals not read", "error", err)
		return
	}
	if sg.Cancel && !l.state.cancelling {
		l.apply(CancelAsked{})
	}
	if sg.BudgetMax > 0 && sg.BudgetMax != int64(l.state.run.BudgetMax) {
		l.apply(BudgetSet{sg.BudgetMax})
	}
}

// renew prolongs the lease. A store that does not answer is no reason to stop: commits are fenced.
func (l *loop) renew(ctx context.Context) error {
	err := l.Store.Renew(ctx, l.state.Run().ID, l.state.Run().Epoch, l.Clock.Now().Add(l.lease))
	if errors.Is(err, ErrStale) {
		return err
	}
	if err != nil {
		l.Log.Warn("lease not renewed", "error", err)
	}
	return nil
}
