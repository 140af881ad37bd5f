// Package crmwriteback keeps CRMs, billing and loyalty systems in step with Braze, both ways: what a customer does there
// is written to them, and what they say has changed goes back, without an echo ever coming round.
//
// It has two stages, with crm-writeback.writes between them. The planner (package plan) reads what Braze and the systems
// report, and decides with the user's state what is to be written where; its state, its rows and its offsets are
// committed in one transaction. HTTP cannot be part of one, and so a row is written by the second stage.
//
// One row's way there: the [member] of its target's group takes it (take.go), behind the other rows of its object
// (object.go). When nothing of the object is under way it waits in a line with others that may stand in one call,
// until the call is full or the first has waited long enough (dispatch.go). What has come for an object meanwhile is
// folded into one row (fold.go). The call passes the gate (gate.go), which is shut while the target is down or
// wants to be left alone, and the target's quota (call.go). From the answer each row has its own fate (land.go, judge.go):
// delivered, skipped and refused are settled by a delivery on crm.deliveries, after the dead letter of what is refused
// (settle.go); what is deferred waits and comes again, and holds up nothing but its object. Only then may the consumer
// commit past it, and the object's next row go. Whoever takes over after a crash reads the deliveries beyond the
// commit first (recall.go).
//
// Each target has a group, a window and a producer of its own: a dead one delays no other. Rows for Braze itself, and
// those about which everything was known when they were planned, are the forwarder's (forward.go).
package crmwriteback

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/topics"
	"github.com/sluicehq/sluice/services/crm-writeback/plan"
	"github.com/sluicehq/sluice/services/crm-writeback/rules"
)

// Name is the service's name in logs, groups and topics.
const Name = "crm-writeback"

// Service is crm-writeback.
type Service struct {
	config    Config
	log       zerolog.Logger
	source    avro.Source
	ids       topics.IDs
	metrics   *metrics
	letters   *deadletter.Writer
	ends      *ends
	writers   []*writer
	forwarder *forwarder
	planner   *planner // nil where the second stage runs alone
}

// Open connects to Kafka and the registry, prepares the topics, opens the planner's state and every target of
// writeback.yaml. It is what daemon.Main runs.
func Open(ctx context.Context, c Config, p *daemon.Process) (daemon.Service, error) {
	s, err := BuiltIn.Open(ctx, c, p)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Open is the package's Open, with other kinds of targets.
func (k Kinds) Open(ctx context.Context, c Config, p *daemon.Process) (*Service, error) {
	environment := c.Environment
	if environment == nil {
		environment = os.LookupEnv
	}
	set, err := rules.LoadWith(c.Writeback.File, environment)
	if err != nil {
		return nil, fmt.Errorf("reading what is written back (WRITEBACK_FILE): %w", err)
	}
	systems, err := k.Systems(set)
	if err != nil {
		return nil, fmt.Errorf("reading the targets (WRITEBACK_FILE): %w", err)
	}
	if len(systems) == 0 {
		p.Log.Info().Msg("there are no targets: nothing is written back (WRITEBACK_FILE)")
	}
	s, err := OpenWriters(ctx, c, systems, p)
	if err != nil {
		return nil, err
	}
	if s.planner, err = s.openPlanner(set, p); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// OpenWriters opens the second stage alone: a writer for each system, and the forwarder. Somebody else writes
// crm-writeback.writes then.
func OpenWriters(ctx context.Context, c Config, systems []System, p *daemon.Process) (*Service, error) {
	reg, err := registry.New(c.Registry)
	if err != nil {
		return nil, err
	}
	if c.Kafka.ClientID == "" {
		c.Kafka.ClientID = Name
	}
	s := &Service{config: c, log: p.Log, source: avro.FromRegistry(reg), metrics: newMetrics(p.Metrics), ends: &ends{at: map[int32]int64{}}}
	s.ids, err = topics.Prepare(ctx, c.Kafka, reg, append(plan.Topics(), schema.CustomerProfiles)...)
	if err != nil {
		return nil, fmt.Errorf("preparing topics: %w", err)
	}
	if s.letters, err = deadletter.Open(c.Kafka, Name, s.ids[schema.DeadLetters(Name)]); err != nil {
		return nil, err
	}
	for _, system := range systems {
		if err := s.openWriter(ctx, system, p); err != nil {
			return nil, errors.Join(fmt.Errorf("opening the target %s: %w", system.Name, err), s.close())
		}
	}
	if s.forwarder, err = s.newForwarder(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.metrics.watch(s.Stats)
	return s, nil
}

// Run works until the context ends, then drains: calls under way are answered, their deliveries written, the offsets committed.
// Rows that are merely queued stay on the topic.
func (s *Service) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	for _, w := range s.writers {
		all.Go(func() { w.run(ctx) })
	}
	all.Go(func() { s.forwarder.run(ctx, s.forwarder) })
	all.Go(func() { s.watchBudgets(ctx) })
	var failed error
	if s.planner != nil {
		// Without the planner's state nobody can say what is an echo: its end is everybody's.
		failed = s.planner.run(ctx)
		stop()
	}
	<-ctx.Done()
	all.Wait()
	return errors.Join(failed, s.close())
}

// close lets go of what was opened.
func (s *Service) close() error {
	var failed error
	for _, w := range s.writers {
		if err := w.close(); err != nil {
			failed = errors.Join(failed, fmt.Errorf("closing the target %s: %w", w.name, err))
		}
	}
	if s.planner != nil {
		failed = errors.Join(failed, s.planner.store.Close())
	}
	if s.forwarder != nil {
		s.forwarder.receipts.Close()
	}
	s.letters.Close()
	return failed
}

// Held says what would be lost sight of now.
func (s *Service) Held() string {
	n, planned := s.forwarder.held.Load(), 0
	for _, w := range s.writers {
		n += w.held.Load()
	}
	if s.planner != nil {
		planned = s.planner.processor.Stats().Held
	}
	if n == 0 && planned == 0 {
		return ""
	}
	return fmt.Sprintf("%d rows for %d targets, %d records to be planned", n, len(s.writers)+1, planned)
}
