// Package currentsfanout hands what Braze reports, and the webhooks that it sends, to everybody who needs it: collectors over
// HTTP, files, databases, other topics. Each of them is a sink with an own consumer group, so that each has an
// own place in the topic, an own pace, and troubles that are nobody else's.
//
// One record's way: the consumer of a sink lends it to its [runner], which puts it into the inbox of its
// partition. There it waits until it is known whether it is a double (doubles.go). Then the sorter
// (sorter.go) decides whether the sink gets it at all (select.go), and queues it in the lane of its customer.
// A lane (lane.go) gathers a batch until it is full or due, passes the gate (gate.go), which is shut while
// the far end is down or wants to be left alone, has the batch shaped and redacted (shape.go, redact.go), hands it over,
// and reads from the answer what became of each event (conclude.go). Delivered and skipped are settled; what
// is refused is settled once its dead letter is durable; what is deferred stays at the head of its lane and
// comes again. The consumer commits what is settled without a gap.
//
// A sink that takes stretches of a partition instead (files) has a stretch for each partition in the place
// of lanes (stretch.go), and nothing is committed but whole stretches.
//
// Memory: what all sinks hold is bounded by FANOUT_MEMORY. A sink that has its share takes nothing more from
// Kafka until something is settled, and no other notices.
package currentsfanout

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/topics"
	"github.com/sluicehq/sluice/services/currents-fanout/watch"
)

// Name is the service's name in logs, groups and topics.
const Name = "currents-fanout"

// Service is currents-fanout.
type Service struct {
	config  Config
	log     zerolog.Logger
	health  *daemon.Health
	feeds   *feeds
	letters *deadletter.Writer
	doubles *doubles
	pauses  *pauses
	runners []*runner
	watch   *watch.Watch
}

// Open connects to Kafka and the registry, prepares the topics and opens every sink of sinks.yaml. It is what
// daemon.Main runs.
func Open(ctx context.Context, c Config, p *daemon.Process) (daemon.Service, error) {
	s, err := BuiltIn.Open(ctx, c, p)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Open is the package's Open, with other kinds of sinks.
func (k Kinds) Open(ctx context.Context, c Config, p *daemon.Process) (*Service, error) {
	file, err := k.Load(c.Fanout.SinksFile, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the sinks (SINKS_FILE): %w", err)
	}
	reg, err := registry.New(c.Registry)
	if err != nil {
		return nil, err
	}
	if c.Kafka.ClientID == "" {
		c.Kafka.ClientID = Name
	}
	ids, err := topics.Prepare(ctx, c.Kafka, reg, schema.BrazeEngagements, schema.BrazeActions,
		schema.DeadLetters(Name), schema.Retries(Name), schema.State(Name))
	if err != nil {
		return nil, fmt.Errorf("preparing topics: %w", err)
	}
	s := &Service{config: c, log: p.Log, health: p.Health, feeds: newFeeds(c.Kafka, avro.FromRegistry(reg))}
	s.watch = watch.Open(watch.Options{Config: c.Watch, Kafka: c.Kafka, Schemas: avro.FromRegistry(reg), Metrics: p.Metrics, Log: p.Log})
	if s.letters, err = deadletter.Open(c.Kafka, Name, ids[schema.DeadLetters(Name)]); err != nil {
		return nil, err
	}
	if err = s.open(ctx, file, p); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// open opens what depends on the sinks.
func (s *Service) open(ctx context.Context, file *File, p *daemon.Process) (err error) {
	if s.doubles, err = openDoubles(s.config, file, s.feeds, s.log); err != nil {
		return err
	}
	s.health.Register("doubles", func(context.Context) error { return s.doubles.failing() })
	s.pauses = newPauses(s.config.Kafka, s.log)
	s.health.Register("pauses", func(context.Context) error { return s.pauses.waiting() })
	m := newMetrics(p.Metrics)
	shares := share(int64(s.config.Fanout.Memory), file.Sinks)
	for i, c := range file.Sinks {
		r, err := s.newRunner(ctx, c, shares[i], m, p)
		if err != nil {
			return fmt.Errorf("opening the sink %s: %w", c.Name, err)
		}
		s.runners = append(s.runners, r)
	}
	m.watch(s.Stats)
	return nil
}

// Run hands out until the context ends, then drains: batches under way are answered, the offsets committed. Events that
// are merely queued stay on the topic.
func (s *Service) Run(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { s.pauses.follow(ctx, s.applyPauses) })
	all.Go(func() { s.watchBudgets(ctx) })
	all.Go(func() {
		if err := s.watch.Run(ctx); err != nil {
			s.log.Error().Err(err).Msg("nobody watches over Currents here")
		}
	})
	for _, r := range s.runners {
		all.Go(func() {
			if s.pauses.await(ctx) {
				r.run(ctx)
			}
		})
	}
	if len(s.runners) == 0 {
		s.log.Info().Msg("there are no sinks: nothing is handed out (SINKS_FILE)")
	}
	<-ctx.Done()
	all.Wait()
	return s.close()
}

// close lets go of what Open has opened.
func (s *Service) close() error {
	var failed error
	for _, r := range s.runners {
		if err := r.sink.Close(); err != nil {
			failed = errors.Join(failed, fmt.Errorf("closing the sink %s: %w", r.config.Name, err))
		}
	}
	s.letters.Close()
	if s.doubles != nil {
		failed = errors.Join(failed, s.doubles.close())
	}
	return failed
}

// Held says what would be lost sight of now.
func (s *Service) Held() string {
	n := int64(0)
	for _, r := range s.runners {
		n += r.held.Load()
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d events for %d sinks", n, len(s.runners))
}

// applyPauses has sinks pause and go on as the state says.
func (s *Service) applyPauses() {
	for _, r := range s.runners {
		r.setPaused(s.pauses.of(r.config.Name))
	}
}

// watchBudgets looks at the failure budgets now and then: a sink that is asked once an hour needs its notices too.
func (s *Service) watchBudgets(ctx context.Context) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, r := range s.runners {
				r.notice(now)
			}
		}
	}
}
