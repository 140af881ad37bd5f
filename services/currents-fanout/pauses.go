package currentsfanout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/retry"
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

	known chan struct{} // closed once it is read what was said before the start

	mu      sync.Mutex
	said    map[string]Pause
	next    map[int32]int64
	failing error // why it is not known
}

// newPauses knows nothing yet: a Kafka that is away is waited for while the process runs, and not at its start.
func newPauses(kafka stream.Config, log zerolog.Logger) *pauses {
	return &pauses{
		kafka: kafka, topic: kafka.Topic(schema.State(Name)), log: log, known: make(chan struct{}),
		said: map[string]Pause{}, next: map[int32]int64{}, failing: errors.New("it has not answered yet"),
	}
}

// waiting says why no sink works, while it is not known which are paused: one of them might be.
func (p *pauses) waiting() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failing == nil {
		return nil
	}
	return fmt.Errorf("waiting for Kafka (KAFKA_BROKERS) to say which sinks are paused, none works before: %w", p.failing)
}

// await waits until it is known who is paused. It reports false when the context ends.
func (p *pauses) await(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-p.known:
		return true
	}
}

// asking is how long to wait before Kafka is asked once more.
var asking = retry.Schedule{Base: 200 * time.Millisecond, Cap: 5 * time.Second}

// learn reads what was said before the start, as soon as that can be read. It reports false when the context ends.
func (p *pauses) learn(ctx context.Context) bool {
	for attempt := 0; ; attempt++ {
		err := p.read(ctx)
		if ctx.Err() != nil {
			return false
		}
		p.mu.Lock()
		p.failing = err
		p.mu.Unlock()
		if err == nil {
			return true
		}
		p.log.Warn().Err(err).Msg("waiting for Kafka: reading which sinks are paused; none works before that is known")
		if !wait(ctx, asking.Next(attempt, 0)) {
			return false
		}
	}
}

// read reads what is said so far.
func (p *pauses) read(ctx context.Context) error {
	admin, err := stream.NewAdmin(p.kafka)
	if err != nil {
		return err
	}
	defer admin.Close()
	extents, err := admin.Extents(ctx, p.topic)
	if err != nil {
		return err
	}
	p.mu.Lock()
	for number, extent := range extents {
		p.next[number] = extent.First
	}
	p.mu.Unlock()
	return stream.Read(ctx, p.kafka, stream.Range{Topic: p.topic}, p.hear)
}

// follow calls changed once it is known who is paused, and then whenever something is said, until the context ends.
func (p *pauses) follow(ctx context.Context, changed func()) {
	if !p.learn(ctx) {
		return
	}
	changed()
	close(p.known)
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
		wait(ctx, time.Second)
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
