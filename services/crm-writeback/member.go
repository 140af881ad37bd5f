package crmwriteback

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/ledger"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// member is what reads crm-writeback.writes for one target, in a group of its own: so each target has its own place in
// the topic, and a dead one delays no other. The forwarder is one too.
type member struct {
	name     string // of the target, or crm.Braze
	config   Config
	window   window
	log      zerolog.Logger
	metrics  *targetMetrics
	receipts *stream.Producer // its own: its commits say which deliveries are its own by their producer
	id       int              // of the deliveries' schema
	letters  letterWriter
	recall   recall
	ends     *ends

	held      atomic.Int64 // rows taken and not settled
	heldBytes atomic.Int64 // of their values
	consumer  atomic.Pointer[stream.Consumer]
	failed    atomic.Pointer[context.CancelCauseFunc] // ends the consumer, for its rows to be read again
}

// Group is the consumer group of a target, without prefix.
func Group(target string) string { return Name + "." + target }

// window is what a member may hold.
type window struct {
	records int
	bytes   int64
	fetch   int32
}

// A row that is held costs this much beside its value and what is decoded of it: the client's own struct, its place in
// the books and in a queue, and its object.
const perRow = 2 << 10

// windowOf makes bounds of a target's memory: half of it for values and what is decoded of them, half for what rows cost beside.
// Less than a few calls' rows it never is.
func windowOf(memory int64, rows int) window {
	return window{
		records: int(min(max(memory/2/perRow, int64(4*rows), 256), 1<<20)),
		bytes:   max(memory/4, 256<<10),
		fetch:   int32(min(max(memory/64, 32<<10), 2<<20)),
	}
}

// newMember makes a member and its producer.
func (s *Service) newMember(name string, w window) (*member, error) {
	receipts, err := stream.NewProducer(s.config.Kafka, stream.ProducerOptions{
		Linger:      5 * time.Millisecond,
		ByPartition: []string{s.config.Kafka.Topic(schema.CRMDeliveries)},
	})
	if err != nil {
		return nil, err
	}
	return &member{
		name: name, config: s.config, window: w, log: s.log.With().Str("target", name).Logger(),
		metrics: s.metrics.of(name), receipts: receipts, id: s.ids[schema.CRMDeliveries], letters: s.letters, ends: s.ends,
	}, nil
}

// run consumes until the context ends, and begins again where something could not be done: no target ends the others.
func (m *member) run(ctx context.Context, h stream.Handler) {
	for pause := time.Second; ctx.Err() == nil; pause = min(2*pause, time.Minute) {
		began := time.Now()
		if err := m.consume(ctx, h); err != nil && ctx.Err() == nil {
			m.log.Error().Err(err).Msg("reading the rows came to an end; it is begun again")
			if time.Since(began) > time.Minute {
				pause = time.Second
			}
			wait(ctx, pause)
		}
	}
}

// consume is a member of the group until the context ends, or something cannot be done.
func (m *member) consume(ctx context.Context, h stream.Handler) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	m.failed.Store(&fail)
	kafka := m.config.Kafka
	consumer, err := stream.NewConsumer(kafka, stream.ConsumerOptions{
		Group:         kafka.Group(Group(m.name)),
		Topics:        []string{kafka.Topic(schema.Writes(Name))},
		Receipts:      kafka.Topic(schema.CRMDeliveries),
		ReceiptsBy:    m.receipts,
		WindowRecords: m.window.records,
		WindowBytes:   m.window.bytes,
		FetchBytes:    m.window.fetch,
		CommitEvery:   m.config.Writeback.CommitEvery,
		Log:           m.log.Level(zerolog.WarnLevel),
	}, h)
	if err != nil {
		return err
	}
	m.consumer.Store(consumer)
	defer m.consumer.Store(nil)
	err = consumer.Run(ctx)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = errors.Join(err, cause)
	}
	return err
}

// fail has everything read again that is not settled.
func (m *member) fail(err error) {
	if f := m.failed.Load(); f != nil {
		(*f)(err)
	}
}

// remember reads back what an earlier owner of partitions settled beyond its last commit.
func (m *member) remember(ctx context.Context, parts []*stream.Partition) error {
	n, err := m.recall.read(ctx, m.config.Kafka, m.config.Kafka.Topic(schema.CRMDeliveries), parts)
	if err == nil && n > 0 {
		m.log.Info().Int("partitions", len(parts)).Int("recalled", n).Msg("deliveries read")
	}
	return err
}

// recalled settles a row of which an earlier owner's delivery stands.
func (m *member) recalled(d stream.Delivery) bool {
	delivery, ok := m.recall.take(d)
	if ok {
		m.metrics.recalled.Inc()
		d.Settle(delivery)
	}
	return ok
}

// passOver settles rows of a partition that are for somebody else. Where nothing of the partition is open every delivery of
// ours that there is stands below what others have written since, and whoever takes over need not look for it there: a target
// with few rows would else have everybody's deliveries of a week read.
func (m *member) passOver(p *part, d stream.Delivery) {
	end := int64(ledger.NoReceipt)
	if p.open == 0 {
		end = m.ends.of(p.Number)
	}
	d.Settle(end)
}

// ends are how far the partitions of crm.deliveries are known to go, from what all members of this process have written.
type ends struct {
	mu sync.Mutex
	at map[int32]int64
}

func (e *ends) of(partition int32) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at, ok := e.at[partition]; ok {
		return at
	}
	return ledger.NoReceipt
}

func (e *ends) reached(partition int32, offset int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at, ok := e.at[partition]; !ok || offset > at {
		e.at[partition] = offset
	}
}

// accept enters a row into the books.
func (m *member) accept(it *item) {
	m.metrics.accepted.Inc()
	m.held.Add(1)
	m.heldBytes.Add(it.size())
}

// giveBack takes a row out of the books that stays unsettled.
func (m *member) giveBack(it *item) {
	m.metrics.returned.Inc()
	m.held.Add(-1)
	m.heldBytes.Add(-it.size())
}

// wait reports false when the context ends first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
