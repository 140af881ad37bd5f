package watch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/retry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Group is the consumer group, without prefix, whose members share who watches. It commits nothing, and has no
// name that a sink's group could have.
const Group = "currents-fanout-watch"

// Options are what a Watch works with.
type Options struct {
	Config
	Kafka   stream.Config
	Schemas avro.Source
	Metrics prometheus.Registerer
	Log     zerolog.Logger
}

// Watch keeps the books of all connectors, in one replica of all at a time.
type Watch struct {
	Options
	topic   string // on the cluster
	metrics *metrics
	shift   atomic.Pointer[shift] // nil while another replica watches
}

// Open registers the metrics, and dials nothing yet.
func Open(o Options) *Watch {
	w := &Watch{Options: o, topic: o.Kafka.Topic(schema.BrazeEngagements)}
	w.metrics = newMetrics(o.Metrics, w)
	return w
}

// Run takes part until the context ends. Whoever has partition 0 of the topic in the group keeps the books of all
// partitions: there is exactly one such replica, and when it goes another one is told within a session's time.
func (w *Watch) Run(ctx context.Context) error {
	if w.Off {
		<-ctx.Done()
		return nil
	}
	var on duty
	defer on.end()
	return stream.Join(ctx, w.Kafka, stream.Membership{
		Group: w.Kafka.Group(Group), Topic: w.topic, Log: w.Log,
		Assigned: func(partitions []int32, _ int32) {
			if slices.Contains(partitions, 0) {
				on.begin(ctx, w.watch)
			}
		},
		Revoked: func(partitions []int32) {
			if slices.Contains(partitions, 0) {
				on.end()
			}
		},
	})
}

// Snapshot returns the books as they are; ok is false where another replica keeps them, or where they are not up
// to date yet.
func (w *Watch) Snapshot() (s Snapshot, ok bool) {
	on := w.shift.Load()
	if on == nil || !on.judged.Load() {
		return s, false
	}
	return on.book.Snapshot(time.Now()), true
}

// duty is work that is begun and ended by others.
type duty struct {
	mu     sync.Mutex
	cancel context.CancelFunc
	done   chan struct{}
}

func (d *duty) begin(ctx context.Context, work func(context.Context)) {
	d.end()
	d.mu.Lock()
	defer d.mu.Unlock()
	ctx, d.cancel = context.WithCancel(ctx)
	d.done = make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		work(ctx)
	}(d.done)
}

// end returns when nothing is done any more.
func (d *duty) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cancel == nil {
		return
	}
	d.cancel()
	<-d.done
	d.cancel = nil
}

// again is how soon a shift that could not begin does.
var again = retry.Schedule{Base: time.Second, Cap: time.Minute}

// watch keeps the books until the context ends. What cannot be read is tried again for ever: the watch never
// ends what it watches over.
func (w *Watch) watch(ctx context.Context) {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		err := w.keepBooks(ctx)
		if ctx.Err() != nil {
			return
		}
		w.Log.Warn().Err(err).Msg("watching Currents was interrupted, and begins again")
		select {
		case <-ctx.Done():
		case <-time.After(again.Next(attempt, 0)):
		}
	}
}

func (w *Watch) keepBooks(ctx context.Context) error {
	admin, err := stream.NewAdmin(w.Kafka)
	if err != nil {
		return err
	}
	defer admin.Close()
	follower, err := stream.NewFollower(w.Kafka, w.topic)
	if err != nil {
		return err
	}
	defer follower.Close()
	s := &shift{
		Watch: w, admin: admin, follower: follower, decoder: avro.NewEngagementDecoder(w.Schemas), reads: map[int32]*reading{},
	}
	if err := s.begin(ctx, time.Now()); err != nil {
		return err
	}
	w.shift.Store(s)
	defer w.shift.Store(nil)

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var checks sync.WaitGroup
	defer checks.Wait()
	checks.Go(func() { cancel(s.check(ctx)) })
	err = s.read(ctx)
	cancel(errors.New("the reading has ended"))
	return err
}
