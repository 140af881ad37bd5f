package replay

import (
	"context"
	"errors"
	"sync"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Copied is what came of a copy.
type Copied struct {
	Records int `json:"copied"`
	// Unfit are records that have no room for one header more, or that Kafka does not take any more.
	Unfit int `json:"unfit"`
}

// Copy produces once more what the plan says is to go again, each customer's in its order. When it
// fails, or the context ends, a second plan goes on behind what is done.
func (p *Plan) Copy(ctx context.Context) (Copied, error) {
	producer, err := NewProducer(p.cluster.Kafka, p.Topic)
	if err != nil {
		return Copied{}, err
	}
	defer producer.Close()
	t, judge := tally{}, p.judge()
	// What has been handed over is waited for, whatever happens to the context.
	sending := context.WithoutCancel(ctx)
	err = p.read(ctx, func(r *stream.Record, e *event.Event) error {
		if judge.decide(r, e.ID) != again {
			return nil
		}
		producer.Produce(sending, Copy(PlaceOf(r), r.Key, r.Value, r.Headers, p.partitions), t.done)
		return t.failure()
	})
	if flushed := producer.Flush(sending); err == nil {
		err = flushed
	}
	if err == nil {
		err = t.failure()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.made, err
}

// NewProducer makes a producer of copies for these topics (on the cluster).
func NewProducer(kafka stream.Config, topics ...string) (*stream.Producer, error) {
	return stream.NewProducer(kafka, stream.ProducerOptions{
		ByPartition:   topics,
		MaxBatchBytes: schema.MaxMessageBytes, // a copy is larger than its original
	})
}

// tally counts what has become of copies.
type tally struct {
	mu   sync.Mutex
	made Copied
	err  error
}

func (t *tally) done(_ *stream.Record, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err == nil:
		t.made.Records++
	case stream.Permanent(err):
		t.made.Unfit++
	default:
		t.err = errors.Join(t.err, err)
	}
}

func (t *tally) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}
