// Package currents says how Braze's Currents is doing, from what stands on braze.engagements:
//
//	look.go      which connectors and types speak, are silent or have become rare, and what became of campaigns,
//	             by the very books that currents-fanout watches by (its package watch)
//	drift.go     types and fields that the catalogue of package currents does not know
//	mask.go      what a value looks like without what it says
//
// It only reads the topic.
package currents

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// reading is a topic of engagements that is being read.
type reading struct {
	*replay.Cluster
	topic      string // on the cluster
	decoder    *avro.EngagementDecoder
	event      event.Engagement
	unreadable int
}

// open fails where there is no topic to read.
func open(ctx context.Context, c *replay.Cluster) (*reading, error) {
	r := &reading{Cluster: c, topic: c.Kafka.Topic(schema.BrazeEngagements), decoder: avro.NewEngagementDecoder(c.Schemas)}
	states, err := c.Admin.Topics(ctx, nil, r.topic)
	if err != nil {
		return nil, err
	}
	if len(states) == 0 || !states[0].Exists {
		return nil, fmt.Errorf("there is no topic %s: Currents has never come in here", r.topic)
	}
	return r, nil
}

// decode reads an event, which stands until the next one is read. What is none is counted.
func (r *reading) decode(ctx context.Context, rec *stream.Record) (e *event.Engagement, ok bool, err error) {
	_, err = r.decoder.Decode(ctx, rec.Value, &r.event)
	var unreadable *avro.Unreadable
	if errors.As(err, &unreadable) {
		r.unreadable++
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading %s/%d/%d: %w", r.Ours(rec.Topic), rec.Partition, rec.Offset, err)
	}
	return &r.event, true, nil
}
