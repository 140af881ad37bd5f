package crmwriteback

import (
	"context"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/pkg/retry"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// writer takes one target's rows to it. Nothing of it is shared with other targets but the dead letters.
type writer struct {
	*member
	system   System
	target   target.Target
	form     target.Form // what a call takes, as the target said last; under the lock
	calls    int         // at once, at most; likewise
	quota    *quota.Quota
	schedule retry.Schedule
	wake     chan struct{}

	mu      sync.Mutex
	parts   map[int32]*part
	objects map[objectKey]*object
	lines   []*line
	timers  timers
	turn    int64
	halves  []*flight // formed already: of calls that were not taken as a whole
	flights map[*flight]struct{}
	gate    gate
	taken   int64     // rows that the target has delivered
	takenAt time.Time // when it last did
	writing writing
	fresh   fresh
	quiet   *sync.Cond // a partition has nothing under way any more
}

// writing is what is settled and not durably so.
type writing struct {
	rows int
	at   time.Time // when it was last none, or one became durable
}

// overdue is how long no delivery may have become durable before nothing more is written: what a system has and no
// delivery says is written again if this process dies.
const overdue = 3 * time.Second

// newWriter makes what needs no Kafka.
func newWriter(m *member, s System, t target.Target) *writer {
	w := &writer{
		member: m, system: s, target: t, quota: quota.New(s.Rate),
		schedule: retry.Schedule{Base: 200 * time.Millisecond, Cap: 30 * time.Second},
		wake:     make(chan struct{}, 1),
		parts:    map[int32]*part{}, objects: map[objectKey]*object{}, flights: map[*flight]struct{}{},
	}
	w.quiet = sync.NewCond(&w.mu)
	w.ask()
	return w
}

// ask asks the target what a call takes now: it may be more when much waits, or when a day's budget is short.
func (w *writer) ask() {
	w.form = w.target.Form()
	w.form.Rows = max(w.form.Rows, 1)
	w.calls = max(min(w.system.Concurrency, max(w.form.Calls, 1)), 1)
}

// alike reports whether two rows may stand in one call.
func (w *writer) alike(a, b *target.Row) bool { return w.form.Alike == nil || w.form.Alike(a, b) }

// run works until the context ends, and then until everything is given back.
func (w *writer) run(ctx context.Context) {
	side, stop := context.WithCancel(context.WithoutCancel(ctx)) // outlives the consumer, which waits for what is under way
	var all sync.WaitGroup
	all.Go(func() { w.dispatch(side) })
	w.member.run(ctx, w)
	stop()
	all.Wait()
}

// close lets go of the target, and of the producer.
func (w *writer) close() error {
	w.receipts.Close()
	return w.target.Close()
}

// signal has the dispatcher look again.
func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default: // it has been woken already
	}
}
