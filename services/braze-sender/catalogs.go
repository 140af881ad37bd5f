package brazesender

import (
	"context"
	"sync"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/content"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/services/braze-sender/catalog"
)

// catalogRules are the collections that are kept as catalogs in Braze.
func catalogRules(path string) ([]*content.Collection, error) {
	if path == "" {
		return nil, nil
	}
	rules, err := content.Load(path)
	return catalog.Catalogs(rules), err
}

// newCatalogs is what keeps them. Its requests have budgets of their own, which no message draws from, and
// take no place among those that may be under way: whatever is done for catalogs, no customer waits.
func newCatalogs(c Config, rules []*content.Collection, client *braze.Client, letters *deadletter.Writer, reg *registry.Client, p *daemon.Process) *catalog.Keeper {
	return catalog.New(catalog.Options{
		Service: Name, Kafka: c.Kafka, Source: avro.FromRegistry(reg), Client: client, Letters: letters, Rules: rules,
		Rates:   catalog.Rates{Catalogs: c.Sender.Rates.Catalogs, Fields: c.Sender.Rates.CatalogFields, Items: c.Sender.Rates.CatalogItems},
		Spacing: c.Sender.UserSpacing, Metrics: p.Metrics, Log: p.Log.With().Str("part", "catalogs").Logger(),
		Health: func(err error) { p.Health.Set("catalogs", err) },
	})
}

// keepCatalogs keeps them beside everything else, until the context ends.
func (s *Sender) keepCatalogs(ctx context.Context, fail context.CancelCauseFunc) *sync.WaitGroup {
	var working sync.WaitGroup
	if s.catalogs != nil {
		working.Go(func() {
			if err := s.catalogs.Run(ctx); err != nil {
				fail(err)
			}
		})
	}
	return &working
}
