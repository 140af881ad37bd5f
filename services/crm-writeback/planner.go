package crmwriteback

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/table"
	"github.com/sluicehq/sluice/services/crm-writeback/plan"
	"github.com/sluicehq/sluice/services/crm-writeback/rules"
)

// planner is the first stage as it runs: package plan upon a table.
type planner struct {
	store     *table.Store
	processor *table.Processor
}

func (s *Service) openPlanner(set *rules.Set, p *daemon.Process) (*planner, error) {
	work, err := plan.New(plan.Options{
		Rules: set, Kafka: s.config.Kafka, Source: s.source, IDs: s.ids, Log: s.log, Metrics: p.Metrics,
		State: func(err error) { p.Health.Set("state", err) },
	})
	if err != nil {
		return nil, fmt.Errorf("opening the planner: %w", err)
	}
	store, err := s.config.State.Open(Name, s.log)
	if err != nil {
		return nil, err
	}
	o := work.Processor()
	o.Linger, o.MaxRecords, o.MaxBytes = s.config.Writeback.Linger, s.config.Writeback.Batch, s.config.Writeback.BatchBytes
	o.Progress = s.restoring
	processor, err := table.NewProcessor(s.config.Kafka, store, o, work)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	work.Watch(processor.Stats)
	return &planner{store, processor}, nil
}

// run plans until the context ends, then finishes and commits the batch in hand.
func (p *planner) run(ctx context.Context) error {
	if err := p.processor.Run(ctx); err != nil {
		return fmt.Errorf("planning: %w", err)
	}
	return nil
}

// restoring tells how the local copy fills.
func (s *Service) restoring(p table.Progress) {
	e := s.log.Info().Int("partitions", p.Partitions).Int64("records", p.Records).Int64("of", p.Of).Float64("per_second", p.Rate())
	if p.Done {
		e.Dur("took", p.Elapsed).Msg("the state is restored")
		return
	}
	e.Msg("restoring the state")
}
