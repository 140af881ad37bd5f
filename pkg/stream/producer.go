package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ProducerOptions shape a Producer. The zero value waits for every in-sync replica, for ever.
type ProducerOptions struct {
	// Linger is how long a lone record waits for company on its way to the broker.
	Linger time.Duration
	// DeliveryTimeout is when a record that Kafka does not take fails; 0 waits for ever.
	DeliveryTimeout time.Duration
	// MaxBufferedBytes bounds what waits for the broker; 64 MiB when 0.
	MaxBufferedBytes int
	// MaxBatchBytes bounds a batch, and so a record; 1,000,012 when 0, as Kafka's own clients have it.
	MaxBatchBytes int32
	// ByPartition names topics (on the cluster) whose records say their partition themselves. All
	// others are placed by key as Kafka's own clients place them (murmur2).
	ByPartition []string
}

// Producer writes records, idempotently, acknowledged by every in-sync replica.
type Producer struct{ client *kgo.Client }

// ErrBufferFull is returned by TryProduce when Kafka takes less than is offered.
var ErrBufferFull = kgo.ErrMaxBuffered

// NewProducer dials nothing yet: the first record does.
func NewProducer(c Config, o ProducerOptions) (*Producer, error) {
	opts, err := c.options()
	if err != nil {
		return nil, err
	}
	if o.MaxBufferedBytes == 0 {
		o.MaxBufferedBytes = 64 << 20
	}
	opts = append(opts,
		patient(),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(o.Linger),
		kgo.ProducerBatchCompression(c.codec(), kgo.NoCompression()),
		kgo.MaxBufferedBytes(o.MaxBufferedBytes),
		kgo.MaxBufferedRecords(200_000),
		kgo.RecordPartitioner(newPartitioner(o.ByPartition)),
	)
	if o.MaxBatchBytes > 0 {
		opts = append(opts, kgo.ProducerBatchMaxBytes(o.MaxBatchBytes))
	}
	if o.DeliveryTimeout > 0 {
		opts = append(opts, kgo.RecordDeliveryTimeout(o.DeliveryTimeout))
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("creating the Kafka producer: %w", err)
	}
	return &Producer{client}, nil
}

// Produce sends a record and calls done from the client's own goroutine once every in-sync replica
// has it, or once it is certain that they will not. Records of one partition are done in order. It
// blocks while the buffer is full.
func (p *Producer) Produce(ctx context.Context, r *Record, done func(*Record, error)) {
	p.client.Produce(ctx, r, done)
}

// TryProduce is Produce that fails with ErrBufferFull instead of blocking.
func (p *Producer) TryProduce(ctx context.Context, r *Record, done func(*Record, error)) {
	p.client.TryProduce(ctx, r, done)
}

// ProduceAll sends records and waits until all of them are durable.
func (p *Producer) ProduceAll(ctx context.Context, records ...*Record) error {
	if err := p.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("producing: %w", err)
	}
	return nil
}

// Flush waits until nothing is on its way any more.
func (p *Producer) Flush(ctx context.Context) error {
	if err := p.client.Flush(ctx); err != nil {
		return fmt.Errorf("flushing the Kafka producer: %w", err)
	}
	return nil
}

// Ping asks a broker for a sign of life.
func (p *Producer) Ping(ctx context.Context) error { return p.client.Ping(ctx) }

// id is the number that the broker knows the producer by. It stays the same as long as the producer
// lives, but for some ten thousand failures in a row.
func (p *Producer) id(ctx context.Context) (int64, error) {
	id, _, err := p.client.ProducerID(ctx)
	if err != nil {
		return 0, fmt.Errorf("asking for a producer id: %w", err)
	}
	return id, nil
}

// Close gives up what is still on its way; Flush first.
func (p *Producer) Close() { p.client.Close() }

// Permanent reports whether an error of Produce says that this very record will never be taken,
// whatever the state of the cluster: it is too large, or malformed.
func Permanent(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) ||
		errors.Is(err, kerr.InvalidRecord) ||
		errors.Is(err, kerr.InvalidTimestamp)
}

// newPartitioner places records as their key says, except for topics whose records say it themselves.
func newPartitioner(manual []string) kgo.Partitioner {
	byKey, byNumber := kgo.StickyKeyPartitioner(nil), kgo.ManualPartitioner()
	return partitioner(func(topic string) kgo.TopicPartitioner {
		for _, t := range manual {
			if t == topic {
				return byNumber.ForTopic(topic)
			}
		}
		return byKey.ForTopic(topic)
	})
}

type partitioner func(topic string) kgo.TopicPartitioner

func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner { return p(topic) }
