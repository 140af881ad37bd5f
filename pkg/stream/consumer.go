package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehq/sluice/pkg/ledger"
)

// Handler does the work of a Consumer. Its methods are never called at the same time.
type Handler interface {
	// Assigned is told which partitions are ours before their first record comes.
	Assigned(ctx context.Context, parts []*Partition) error
	// Take is lent records of one or more partitions, in order. It returns soon: no rebalance can
	// happen while it runs. The slice is its own only until it returns.
	Take(ctx context.Context, lent []Delivery) error
	// Revoked gives partitions back. When it returns, every delivery of theirs is settled or
	// forgotten, and no work on them is going on anywhere.
	Revoked(ctx context.Context, parts []*Partition)
}

// ConsumerOptions shape a Consumer.
type ConsumerOptions struct {
	Group    string   // on the cluster
	Topics   []string // on the cluster
	Receipts string   // the topic, on the cluster, where the handler leaves its receipts
	// ReceiptsBy is the producer that writes them, and no other does: what an earlier owner's still has
	// on its way when we take a partition over does not count any more.
	ReceiptsBy *Producer

	// WindowRecords bounds the records lent out and not settled over all partitions: beyond it nothing
	// is polled. It is also how far one partition may be ahead of its commit: beyond it that partition
	// is paused, and the others go on. 40,000 when 0.
	WindowRecords int
	WindowBytes   int64         // the first bound in bytes of values; 128 MiB when 0
	CommitEvery   time.Duration // 500 ms when 0
	// FetchBytes bounds what is fetched at once from a broker, compressed, and a sixteenth of it what of one
	// partition; 4 MiB when 0. Of each broker one fetch waits in memory until it is polled: a process with many
	// consumers sets it low.
	FetchBytes int32
	// FromEnd begins partitions that have no commit at their ends; else at their beginnings.
	FromEnd bool
	Log     zerolog.Logger
}

// Consumer reads topics as a member of a group and lends the records to its Handler.
type Consumer struct {
	opts    []kgo.Opt
	client  *kgo.Client
	admin   *kadm.Client
	joined  chan struct{} // closed once client and admin are set: callbacks may come before
	o       ConsumerOptions
	handler Handler
	relief  chan struct{} // a paused partition has caught up
	room    chan struct{} // there is room for more
	records atomic.Int64  // lent out and not settled
	bytes   atomic.Int64  // of their values
	wider   atomic.Int64  // records that the window has been widened by
	larger  atomic.Int64  // likewise, bytes
	eager   atomic.Bool   // a paused partition goes on as soon as it is not full

	mu    sync.Mutex // held while committing: nothing is revoked in the middle of a commit
	parts map[place]*Partition
	last  map[place]ledger.Position // what was committed last

	running context.Context         // Run's, for callbacks
	failed  context.CancelCauseFunc // ends Run from a callback
}

type place struct {
	topic  string
	number int32
}

const maxPoll = 5_000 // records handed over at once

// NewConsumer joins no group yet: Run does.
func NewConsumer(c Config, o ConsumerOptions, h Handler) (*Consumer, error) {
	if o.Receipts != "" && o.ReceiptsBy == nil {
		return nil, errors.New("creating the Kafka consumer: a receipts' topic, and nobody who writes to it")
	}
	if o.WindowRecords == 0 {
		o.WindowRecords = 40_000
	}
	if o.WindowBytes == 0 {
		o.WindowBytes = 128 << 20
	}
	if o.CommitEvery == 0 {
		o.CommitEvery = 500 * time.Millisecond
	}
	if o.FetchBytes == 0 {
		o.FetchBytes = 4 << 20
	}
	opts, err := c.options()
	if err != nil {
		return nil, err
	}
	k := &Consumer{
		o: o, handler: h,
		joined: make(chan struct{}),
		relief: make(chan struct{}, 1),
		room:   make(chan struct{}, 1),
		parts:  map[place]*Partition{},
		last:   map[place]ledger.Position{},
	}
	if c.SessionTimeout > 0 {
		// A heartbeat every fifteenth, as the usual 3 s are of the usual 45.
		opts = append(opts, kgo.SessionTimeout(c.SessionTimeout), kgo.HeartbeatInterval(max(c.SessionTimeout/15, 100*time.Millisecond)))
	}
	k.opts = append(opts,
		patient(),
		kgo.ConsumerGroup(o.Group),
		kgo.ConsumeTopics(o.Topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// Range puts partition n of every topic on one member: a user is owned by one process.
		kgo.Balancers(kgo.RangeBalancer()),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		// Compressed bytes: what is fetched of a partition that is then paused is fetched again.
		kgo.FetchMaxBytes(o.FetchBytes),
		kgo.FetchMaxPartitionBytes(max(o.FetchBytes/16, 1)),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.OnPartitionsAssigned(k.onAssigned),
		kgo.OnPartitionsRevoked(k.onRevoked),
		kgo.OnPartitionsLost(k.onLost),
	)
	return k, nil
}

// Run consumes until the context ends, then gives every partition back: the handler finishes what is
// under way, the last positions are committed, the group is left. It returns nil after such a drain.
func (k *Consumer) Run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	k.running, k.failed = ctx, fail
	var err error
	if k.client, err = kgo.NewClient(k.opts...); err != nil {
		return fmt.Errorf("creating the Kafka consumer: %w", err)
	}
	k.admin = kadm.NewClient(k.client)
	close(k.joined)

	var side sync.WaitGroup
	side.Go(func() { k.keepBooks(ctx) })
	err = k.poll(ctx)
	fail(err)
	side.Wait()

	k.client.CloseAllowingRebalance() // leaves the group, which calls onRevoked for what we have
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// poll hands records over until the context ends or the handler fails.
func (k *Consumer) poll(ctx context.Context) error {
	lent := make([]Delivery, 0, min(maxPoll, k.windowRecords()))
	for k.awaitRoom(ctx) {
		fetches := k.client.PollRecords(ctx, min(maxPoll, max(1, k.windowRecords()-int(k.records.Load()))))
		if fetches.IsClientClosed() {
			return errors.New("the Kafka client was closed")
		}
		for _, e := range fetches.Errors() {
			if ctx.Err() == nil && !errors.Is(e.Err, context.Canceled) {
				k.o.Log.Warn().Err(e.Err).Str("topic", e.Topic).Int32("partition", e.Partition).Msg("fetching records")
			}
		}
		lent = k.lend(lent[:0], fetches)
		var err error
		if len(lent) > 0 {
			err = k.handler.Take(ctx, lent)
			clear(lent)
		}
		k.pauseFull(fetches)
		k.client.AllowRebalance()
		if err != nil {
			return err
		}
	}
	return nil
}

// awaitRoom waits while as much is lent out as may be. It reports false when the context ends. Waiting
// is cheaper than pausing every partition, which throws away what has been fetched; nor does it keep
// a rebalance from happening.
func (k *Consumer) awaitRoom(ctx context.Context) bool {
	for k.records.Load() >= int64(k.windowRecords()) || k.bytes.Load() >= k.windowBytes() {
		select {
		case <-ctx.Done():
			return false
		case <-k.room:
		}
	}
	return ctx.Err() == nil
}

// returned takes note that something lent out has come back.
func (k *Consumer) returned(records int, bytes int64) {
	left, size := k.records.Add(-int64(records)), k.bytes.Add(-bytes)
	if left <= int64(k.windowRecords())*3/4 && size <= k.windowBytes()*3/4 {
		signal(k.room)
	}
}

func (k *Consumer) windowRecords() int { return k.o.WindowRecords + int(k.wider.Load()) }

func (k *Consumer) windowBytes() int64 { return k.o.WindowBytes + k.larger.Load() }

// Widen is for a handler that cannot settle anything before it has been lent more. Partitions that are paused go on
// as soon as there is any room for them, and where there is none the window becomes larger by so much. It reports
// whether it did, and lasts until Narrow.
func (k *Consumer) Widen(records int, bytes int64) bool {
	k.eager.Store(true)
	widened := k.records.Load() >= int64(k.windowRecords())*3/4 || k.bytes.Load() >= k.windowBytes()*3/4
	if widened {
		k.wider.Add(int64(records))
		k.larger.Add(bytes)
		signal(k.room)
	}
	signal(k.relief)
	return widened
}

// Narrow makes the window what it was at first: memory that was needed once is not needed for ever.
func (k *Consumer) Narrow() {
	k.eager.Store(false)
	k.wider.Store(0)
	k.larger.Store(0)
}

// signal wakes whoever waits for c, without waiting itself.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it has been woken already
	}
}

// lend enters records into the books of their partitions.
func (k *Consumer) lend(lent []Delivery, fetches kgo.Fetches) []Delivery {
	fetches.EachPartition(func(tp kgo.FetchTopicPartition) {
		if len(tp.Records) == 0 {
			return
		}
		part := k.part(place{tp.Topic, tp.Partition})
		if part == nil {
			return // it went away between the fetch and the poll; the next owner reads it
		}
		var size int64
		for _, r := range tp.Records {
			lent = append(lent, Delivery{r, part, part.books.Take(r.Offset, r.Timestamp.UnixMilli())})
			size += int64(len(r.Value))
		}
		part.records.Add(int64(len(tp.Records)))
		part.bytes.Add(size)
		part.behind.Store(max(0, tp.HighWatermark-1-tp.Records[len(tp.Records)-1].Offset))
		k.records.Add(int64(len(tp.Records)))
		k.bytes.Add(size)
	})
	return lent
}

func (k *Consumer) part(p place) *Partition {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.parts[p]
}

// pauseFull stops fetching partitions that have run too far ahead.
func (k *Consumer) pauseFull(fetches kgo.Fetches) {
	fetches.EachPartition(func(tp kgo.FetchTopicPartition) {
		part := k.part(place{tp.Topic, tp.Partition})
		if part == nil || !part.full() || part.paused.Load() {
			return
		}
		k.client.PauseFetchPartitions(map[string][]int32{tp.Topic: {tp.Partition}})
		part.paused.Store(true)
		if part.relieved() { // everything was settled before anyone could see the pause
			k.resumeRelieved()
		}
	})
}

// resumeRelieved lets paused partitions that have caught up go on.
func (k *Consumer) resumeRelieved() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for p, part := range k.parts {
		if part.paused.Load() && part.relieved() && part.paused.CompareAndSwap(true, false) {
			k.client.ResumeFetchPartitions(map[string][]int32{p.topic: {p.number}})
		}
	}
}

// keepBooks commits regularly and resumes partitions, beside the polling.
func (k *Consumer) keepBooks(ctx context.Context) {
	tick := time.NewTicker(k.o.CommitEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.relief:
			k.resumeRelieved()
		case <-tick.C:
			if err := k.commit(ctx, nil); err != nil && ctx.Err() == nil {
				k.o.Log.Warn().Err(err).Msg("committing offsets")
			}
		}
	}
}

// Stats is what a Consumer holds at a moment.
type Stats struct {
	Partitions int
	Held       int   // records lent out and not settled
	Ahead      int   // records beyond the commits: those held, and those settled behind them
	HeldBytes  int64 // of records lent out and not settled
	Paused     int   // partitions that have run too far ahead
	Behind     int64 // records between what was lent out and the ends of the topics, as last heard
	Oldest     time.Time
}

// Stats looks at the books. Oldest is the timestamp of the oldest unsettled record, zero if all are.
func (k *Consumer) Stats() Stats {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := Stats{Partitions: len(k.parts), Held: int(k.records.Load()), HeldBytes: k.bytes.Load()}
	for _, part := range k.parts {
		s.Ahead += part.books.Open()
		s.Behind += part.behind.Load()
		if part.paused.Load() {
			s.Paused++
		}
		if stamp, ok := part.books.Oldest(); ok {
			if at := time.UnixMilli(stamp); s.Oldest.IsZero() || at.Before(s.Oldest) {
				s.Oldest = at
			}
		}
	}
	return s
}
