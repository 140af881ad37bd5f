package chaos

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/schemas"
)

// papers are what stands on the topics. Receipts are read while the run goes on, because when a
// receipt could be read decides whether it must have been heeded.
type papers struct {
	kafka stream.Config

	mu       sync.Mutex
	next     map[int32]int64 // offset of the next receipt
	receipts []Receipt
	ended    map[place]bool
	strange  []string
}

func newPapers(kafka stream.Config) *papers {
	return &papers{kafka: kafka, next: map[int32]int64{}, ended: map[place]bool{}}
}

// done is how many records have had their end.
func (p *papers) done() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ended)
}

// follow reads receipts until the context ends, whatever becomes of the brokers meanwhile.
func (p *papers) follow(ctx context.Context) {
	for ctx.Err() == nil {
		err := stream.Read(ctx, p.kafka, p.rest(true), p.file)
		if err != nil && ctx.Err() == nil {
			_ = pause(ctx, 100*time.Millisecond)
		}
	}
}

// rest is what has not been read of the receipts.
func (p *papers) rest(follow bool) stream.Range {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := stream.Range{Topic: p.kafka.Topic(schema.BrazeDeliveries), Follow: follow}
	if len(p.next) > 0 {
		// Every partition is named, or those without a receipt so far would be left out.
		r.From = maps.Clone(p.next)
		for n := range int32(partitions) {
			r.From[n] += 0
		}
	}
	return r
}

// partitions of every topic.
const partitions = 12

// file reads one receipt.
func (p *papers) file(r *stream.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Offset < p.next[r.Partition] {
		return nil
	}
	p.next[r.Partition] = r.Offset + 1
	slip, err := receipt.Read(r.Value)
	if err != nil {
		p.strange = append(p.strange, fmt.Sprintf("receipt %d/%d: %v", r.Partition, r.Offset, err))
		return nil
	}
	if !slip.Outcome.Kind.Final() {
		return nil
	}
	p.ended[place{slip.Partition, slip.Offset}] = true
	p.receipts = append(p.receipts, Receipt{
		Partition: slip.Partition, Offset: slip.Offset, Kind: slip.Outcome.Kind,
		Reason: slip.Outcome.Reason + ": " + slip.Outcome.Detail, Settled: slip.SettledAt, Seen: time.Now(),
	})
	return nil
}

// gather reads what is left when all is over.
func (p *papers) gather(ctx context.Context, h *History) error {
	ctx, cancel := within(ctx, 5*time.Minute, "reading the topics")
	defer cancel()
	if err := stream.Read(ctx, p.kafka, p.rest(false), p.file); err != nil {
		return fmt.Errorf("the last receipts: %w", err)
	}
	p.mu.Lock()
	h.Receipts, h.Strange = p.receipts, append(h.Strange, p.strange...)
	p.mu.Unlock()
	if err := p.gatherTopic(ctx, h); err != nil {
		return err
	}
	return p.gatherLetters(ctx, h)
}

func (p *papers) gatherTopic(ctx context.Context, h *History) error {
	decoder := avro.NewEventDecoder(ownSchema{})
	return stream.Read(ctx, p.kafka, stream.Range{Topic: p.kafka.Topic(schema.CustomerEvents)}, func(r *stream.Record) error {
		var e event.Event
		user, err := decoder.Decode(ctx, r.Value, &e)
		which, ok := parseID(e.ID)
		if err != nil || !ok || user != which.User || string(r.Key) != user {
			h.Strange = append(h.Strange, fmt.Sprintf("record %d/%d: id %q, user %q, key %q: %v", r.Partition, r.Offset, e.ID, user, r.Key, err))
			return nil
		}
		which = Event{string([]byte(which.User)), which.Seq}
		h.Topic = append(h.Topic, Record{r.Partition, r.Offset, which, bytes.Clone(r.Value)})
		return nil
	})
}

// ownSchema says that everything was written with our own: the front door is the only one that writes.
type ownSchema struct{}

// SchemaByID implements [avro.Source].
func (ownSchema) SchemaByID(context.Context, int) (string, error) {
	return schemas.Latest(schema.CustomerEvents), nil
}

func (p *papers) gatherLetters(ctx context.Context, h *History) error {
	topic, _ := schema.Find(schema.DeadLetters(Sender))
	codec, err := avro.NewCodec(topic.Text(), 1)
	if err != nil {
		return err
	}
	return stream.Read(ctx, p.kafka, stream.Range{Topic: p.kafka.Topic(topic.Name)}, func(r *stream.Record) error {
		l, err := deadletter.Read(codec, r.Value)
		if err != nil {
			h.Strange = append(h.Strange, fmt.Sprintf("dead letter %d/%d: %v", r.Partition, r.Offset, err))
			return nil
		}
		h.Letters = append(h.Letters, Letter{l.OriginPartition, l.OriginOffset, l.Value, l.LastAttemptAt})
		return nil
	})
}
