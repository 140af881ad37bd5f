package currentsfanout

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Pause is what currents-fanout.state says of a sink, under its name.
type Pause struct {
	Paused bool      `json:"paused"`
	Since  time.Time `json:"since,omitzero"`
	By     string    `json:"by,omitempty"`
	Why    string    `json:"why,omitempty"`
}

// pauses knows which sinks are paused. An operator's word stands on a topic, so that it holds for every replica and
// after every restart.
type pauses struct {
	kafka stream.Config
	topic string
	log   zerolog.Logger

	mu   sync.Mutex
	said map[string]Pause
	next map[int32]int64
}

// readPauses reads what is said so far.
func readPauses(ctx context.Context, kafka stream.Config, log zerolog.Logger) (*pauses, error) {
	p := &pauses{kafka: kafka, topic: kafka.Topic(schema.State(Name)), log: log, said: map[string]Pause{}, next: map[int32]int64{}}
	admin, err := stream.NewAdmin(kafka)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	extents, err := admin.Extents(ctx, p.topic)
	if err != nil {
		return nil, fmt.Errorf("reading which sinks are paused: %w", err)
	}
	for number, extent := range extents {
		p.next[number] = extent.First
	}
	err = stream.Read(ctx, kafka, stream.Range{Topic: p.topic}, p.hear)
	if err != nil {
		return nil, fmt.Errorf("reading which sinks are paused: %w", err)
	}
	return p, nil
}

// follow calls changed whenever something is said, until the context ends.
func (p *pauses) follow(ctx context.Context, changed func()) {
	for ctx.Err() == nil {
		p.mu.Lock()
		from := maps.Clone(p.next)
		p.mu.Unlock()
		err := stream.Read(ctx, p.kafka, stream.Range{Topic: p.topic, From: from, Follow: true}, func(r *stream.Record) error {
			err := p.hear(r)
			changed()
			return err
		})
		if ctx.Err() != nil {
			return
		}
		p.log.Warn().Err(err).Msg("reading which sinks are paused; it is tried again")
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// hear takes one record in. What cannot be read changes nothing.
func (p *pauses) hear(r *stream.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next[r.Partition] = r.Offset + 1
	var said Pause
	if len(r.Value) > 0 {
		if err := json.Unmarshal(r.Value, &said); err != nil {
			p.log.Warn().Err(err).Str("sink", string(r.Key)).Msg("what is said of a pause cannot be read, and changes nothing")
			return nil
		}
	}
	p.said[string(r.Key)] = said
	return nil
}

func (p *pauses) of(sink string) Pause {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said[sink]
}
