package poll

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// Polls asks sources, sharing them with other replicas.
type Polls struct {
	o       Options
	scales  map[string]scale // by source
	metrics *metrics

	mu      sync.Mutex
	working map[string]*work // by source
}

// work is a worker under way.
type work struct {
	partition int32
	stop      context.CancelFunc
	done      chan struct{}
}

// New asks nobody yet: Run does.
func New(o Options) (*Polls, error) {
	p := &Polls{o: o, scales: map[string]scale{}, working: map[string]*work{}, metrics: newMetrics(o.Metrics)}
	for _, source := range o.Sources {
		s, err := newScale(source.Since)
		if err != nil {
			return nil, fmt.Errorf("reading source %s: %w", source.Name(), err)
		}
		p.scales[source.Name()] = s
	}
	if p.o.Transport == nil {
		base, ok := http.DefaultTransport.(*http.Transport)
		if !ok {
			return nil, errors.New("the process has replaced http.DefaultTransport")
		}
		p.o.Transport = base.Clone()
	}
	return p, nil
}

// Run polls the sources whose partitions fall to this replica until the context ends; then all have
// stopped.
func (p *Polls) Run(ctx context.Context) error {
	producer, err := stream.NewProducer(p.o.Kafka, stream.ProducerOptions{ByPartition: []string{p.o.Topic}})
	if err != nil {
		return err
	}
	defer producer.Close()
	if t, ok := p.o.Transport.(*http.Transport); ok {
		defer t.CloseIdleConnections()
	}
	defer p.stop(nil)
	return stream.Join(ctx, p.o.Kafka, stream.Membership{
		Group: p.o.Group, Topic: p.o.Topic, Log: p.o.Log,
		Assigned: func(partitions []int32, of int32) { p.start(ctx, producer, partitions, of) },
		Revoked:  p.stop,
	})
}

// start begins the work on the sources of partitions.
func (p *Polls) start(ctx context.Context, producer *stream.Producer, partitions []int32, of int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, source := range p.o.Sources {
		number := stream.PartitionOf([]byte(source.Name()), of)
		if !slices.Contains(partitions, number) || p.working[source.Name()] != nil {
			continue
		}
		log := p.o.Log.With().Str("source", source.Name()).Logger()
		w := p.worker(source, &topicStore{p.o.Kafka, p.o.Topic, producer, number, log})
		w.log = log
		ctx, cancel := context.WithCancel(ctx)
		job := &work{number, cancel, make(chan struct{})}
		p.working[source.Name()] = job
		go func() {
			defer close(job.done)
			w.run(ctx)
		}()
	}
}

func (p *Polls) worker(source *webhook.Polling, s store) *worker {
	w := &worker{
		polling: source, scale: p.scales[source.Name()], client: newClient(source, p.o.Transport),
		sink: p.o.Sink, store: s, stats: p.metrics.of(source.Name()), log: p.o.Log,
	}
	if !source.AsksSince() || source.FullEvery > 0 {
		w.known = newKnown()
	}
	return w
}

// stop ends the work on the sources of partitions, or of all when nil, and waits for that.
func (p *Polls) stop(partitions []int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	began := time.Now()
	var ending []*work
	for name, job := range p.working {
		if partitions == nil || slices.Contains(partitions, job.partition) {
			job.stop()
			ending = append(ending, job)
			delete(p.working, name)
		}
	}
	for _, job := range ending {
		<-job.done
	}
	if len(ending) > 0 {
		p.o.Log.Info().Int("sources", len(ending)).Dur("took", time.Since(began)).Msg("polling ends here: another replica goes on, if there is one")
	}
}
