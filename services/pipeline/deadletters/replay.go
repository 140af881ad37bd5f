package deadletters

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// Done is what came of a replay.
type Done struct {
	Replayed int       `json:"replayed"`
	Failed   []Failure `json:"failed,omitempty"`
}

// Failure is a letter that its topic does not take, such as one that has no room for one header more.
type Failure struct {
	ID  replay.Place `json:"id"`
	Why string       `json:"why"`
}

// batch is how many letters go out before their marks are made.
const batch = 500

// Marker makes the writer of marks among a service's dead letters.
type Marker func(service string) (*deadletter.Writer, error)

// Do sends back what the plan says, in the order of the origins, and marks it. When it fails, or the
// context ends, what was sent is marked, and a second plan goes on with the rest.
func (p *Plan) Do(ctx context.Context, marker Marker, each func(done, of int)) (Done, error) {
	var topics []string
	var items []*Item
	services := map[string]*deadletter.Writer{}
	for i := range p.Items {
		it := &p.Items[i]
		if it.Verdict != Replay {
			continue
		}
		items = append(items, it)
		if services[it.Service] == nil {
			w, err := marker(it.Service)
			if err != nil {
				return Done{}, fmt.Errorf("opening the dead letters of %s: %w", it.Service, err)
			}
			defer w.Close()
			services[it.Service] = w
		}
	}
	for topic := range p.openBy(p.target) {
		topics = append(topics, topic)
	}
	producer, err := replay.NewProducer(p.cluster.Kafka, topics...)
	if err != nil {
		return Done{}, err
	}
	defer producer.Close()
	var done Done
	for from := 0; from < len(items); from += batch {
		if ctx.Err() != nil {
			return done, context.Cause(ctx)
		}
		part := items[from:min(from+batch, len(items))]
		sent, err := p.send(ctx, producer, part, &done)
		err = errors.Join(err, mark(ctx, services, sent))
		done.Replayed += len(sent)
		each(done.Replayed, len(items))
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// grace is how long Kafka may take for a batch.
const grace = time.Minute

// send produces copies and returns the letters whose copies are durable.
func (p *Plan) send(ctx context.Context, producer *stream.Producer, items []*Item, done *Done) ([]*Item, error) {
	// What is begun is finished, whatever happens to the context.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	errs := make([]error, len(items))
	var all sync.WaitGroup
	for i, it := range items {
		all.Add(1)
		r := p.copy(it)
		producer.Produce(ctx, r, func(_ *stream.Record, err error) {
			errs[i] = err
			all.Done()
		})
	}
	all.Wait()
	var sent []*Item
	var failed error
	for i, it := range items {
		switch {
		case errs[i] == nil:
			sent = append(sent, it)
		case stream.Permanent(errs[i]):
			done.Failed = append(done.Failed, Failure{it.ID, errs[i].Error()})
		default:
			failed = fmt.Errorf("sending %s back to %s: %w", it.ID, p.target(it), errs[i])
		}
	}
	return sent, failed
}

// mark writes among the dead letters that these have been replayed.
func mark(ctx context.Context, services map[string]*deadletter.Writer, sent []*Item) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	now := time.Now()
	errs := make(chan error, len(sent))
	for _, it := range sent {
		services[it.Service].Write(ctx, deadletter.Letter{
			Reason: deadletter.Replayed, Detail: "by an operator, from the letter " + it.ID.String(),
			OriginTopic: it.OriginTopic, OriginPartition: it.OriginPartition, OriginOffset: it.OriginOffset,
			AppendedAt: it.AppendedAt, Key: it.Key, EventID: it.EventID, FirstAttemptAt: now, LastAttemptAt: now,
			Headers: it.markHeaders(),
		}, func(err error) { errs <- err })
	}
	var failed error
	for range sent {
		if err := <-errs; err != nil {
			failed = errors.Join(failed, fmt.Errorf("marking what was replayed: %w", err))
		}
	}
	return failed
}
