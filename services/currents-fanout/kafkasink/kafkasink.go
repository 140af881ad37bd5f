// Package kafkasink is the sink that writes to a topic: of another cluster, or another topic of our own.
//
// Every event is one record, acknowledged by every in-sync replica. With the customer as the key, which
// is the default, the events of each stay in order. What Kafka or this process does twice carries the
// same header event-id.
package kafkasink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// Headers of the records.
const (
	HeaderEventID   = "event-id"
	HeaderEventType = "event-type"
)

const (
	// linger lets the records of one batch travel together.
	linger = 5 * time.Millisecond
	// maxBuffered bounds what waits for the brokers. Beyond it Write waits.
	maxBuffered = 16 << 20
)

// Sink writes events to one topic. It may be used from several goroutines.
type Sink struct {
	options  Options
	producer *stream.Producer
	schema   *schemaID // nil for JSON
}

// Open makes a sink of options. It dials nothing yet.
func Open(_ context.Context, o Options, d sink.Deps) (sink.Sink, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.filled()
	s := &Sink{options: o}
	if o.Value == valueAvro {
		client, err := registry.New(o.Registry)
		if err != nil {
			return nil, fmt.Errorf("opening the Kafka sink %s: %w", d.Name, err)
		}
		s.schema = newSchemaID(client, o.Topic)
	}
	var err error
	s.producer, err = stream.NewProducer(o.cluster("sluice-"+d.Name), stream.ProducerOptions{
		Linger: linger, DeliveryTimeout: o.Timeout, MaxBufferedBytes: max(maxBuffered, 2*o.MaxRecordBytes), MaxBatchBytes: int32(o.MaxRecordBytes),
	})
	if err != nil {
		return nil, fmt.Errorf("opening the Kafka sink %s: %w", d.Name, err)
	}
	return s, nil
}

// Write produces a batch and waits for what becomes of each record.
func (s *Sink) Write(ctx context.Context, batch []*sink.Event) sink.Answer {
	if len(batch) == 0 {
		return sink.Delivered()
	}
	id := 0
	if s.schema != nil {
		var err error
		if id, err = s.schema.get(ctx); err != nil {
			return withoutSchema(ctx, err)
		}
	}
	records, p := s.records(batch, id), newPending(len(batch))
	for i := range records {
		if len(records[i].Value) == 0 {
			p.refuse(i)
			continue
		}
		s.producer.Produce(ctx, &records[i], func(_ *stream.Record, err error) { p.done(i, err) })
	}
	select {
	case <-p.all:
	case <-ctx.Done():
	}
	return p.answer()
}

// Close gives up what is still on its way.
func (s *Sink) Close() error {
	s.producer.Close()
	if s.schema != nil {
		s.schema.client.Close()
	}
	return nil
}

// withoutSchema is the answer where the registry gives no id.
func withoutSchema(ctx context.Context, err error) sink.Answer {
	switch {
	case ctx.Err() != nil:
		return sink.Deferred(reasonInterrupted, "", 0)
	case errors.Is(err, registry.ErrIncompatible), errors.Is(err, registry.ErrInvalid), errors.Is(err, registry.ErrUnsupported):
		a := sink.Deferred(reasonSchema, err.Error(), 0)
		a.Halt = true
		return a
	}
	return sink.Deferred(reasonRegistry, err.Error(), 0)
}
