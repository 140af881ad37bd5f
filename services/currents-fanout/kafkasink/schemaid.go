package kafkasink

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
)

// schemaID is the id of the schema of braze.engagements in the far registry, asked for when the first
// record is written: a registry that is down at start is one that will be asked again.
type schemaID struct {
	client *registry.Client
	topic  string
	turn   chan struct{} // a lock that can be waited for with a context
	id     int           // 0 while it is not known; registries count from 1
}

func newSchemaID(client *registry.Client, topic string) *schemaID {
	return &schemaID{client: client, topic: topic, turn: make(chan struct{}, 1)}
}

func (s *schemaID) get(ctx context.Context) (int, error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	if s.id != 0 {
		return s.id, nil
	}
	t, known := schema.Find(schema.BrazeEngagements)
	if !known {
		return 0, fmt.Errorf("finding the schema of %s: %w", schema.BrazeEngagements, registry.ErrNotFound)
	}
	id, err := s.client.Register(ctx, schema.Subject(s.topic), t.Text())
	if err != nil {
		return 0, fmt.Errorf("registering the schema of %s: %w", s.topic, err)
	}
	s.id = id
	return id, nil
}
