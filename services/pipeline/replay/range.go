package replay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/tap"
)

// Edge is where a range begins or ends: at an offset, or at a moment. The zero value says nothing.
type Edge struct {
	At       time.Time
	Offset   int64
	ByOffset bool
}

// IsZero reports whether the edge says nothing.
func (e Edge) IsZero() bool { return e == Edge{} }

// ParseEdge reads an offset, a time (RFC 3339), a date, how long ago, or start.
func ParseEdge(text string, now time.Time) (Edge, error) {
	if text == "start" {
		return Edge{ByOffset: true}, nil
	}
	if offset, err := strconv.ParseInt(text, 10, 64); err == nil {
		if offset < 0 {
			return Edge{}, errors.New("an offset is nothing less than 0")
		}
		return Edge{Offset: offset, ByOffset: true}, nil
	}
	at, err := tap.Moment(text, now)
	if err != nil {
		return Edge{}, errors.New("want start, an offset such as 4711, a time such as 2026-03-02T09:15:04Z, a date, or how long ago, such as 10m")
	}
	return Edge{At: at}, nil
}

// offsets finds what an edge means in each partition.
func (e Edge) offsets(ctx context.Context, c *Cluster, topic string, extents map[int32]stream.Extent) (map[int32]int64, error) {
	if !e.ByOffset {
		return c.Admin.OffsetsAt(ctx, topic, e.At)
	}
	all := map[int32]int64{}
	for partition := range extents {
		all[partition] = e.Offset
	}
	return all, nil
}

// stretches finds the partitions that the order is about. An offset is set back only, never forward:
// that would drop records.
func (o Order) stretches(ctx context.Context, c *Cluster, committed map[int32]int64) ([]Stretch, error) {
	topic := c.Kafka.Topic(o.Topic)
	extents, err := c.Admin.Extents(ctx, topic)
	if err != nil {
		return nil, err
	}
	for _, partition := range o.Only {
		if _, ok := extents[partition]; !ok {
			return nil, fmt.Errorf("%s has no partition %d; it has %d, from 0 on", topic, partition, len(extents))
		}
	}
	if o.From.ByOffset && o.From.Offset > 0 && len(o.Only) == 0 && len(extents) > 1 {
		return nil, fmt.Errorf("offset %d stands for other records in each of the %d partitions of %s: say which with --partition, or give a time", o.From.Offset, len(extents), topic)
	}
	from, err := o.From.offsets(ctx, c, topic, extents)
	if err != nil {
		return nil, err
	}
	until := map[int32]int64{}
	if !o.Until.IsZero() {
		if until, err = o.Until.offsets(ctx, c, topic, extents); err != nil {
			return nil, err
		}
	}
	var list []Stretch
	for _, partition := range slices.Sorted(maps.Keys(extents)) {
		e := extents[partition]
		s := Stretch{partition, max(from[partition], e.First), e.End, committed[partition]}
		if u, ok := until[partition]; ok {
			s.Until = min(s.Until, u)
		}
		if len(o.Only) > 0 && !slices.Contains(o.Only, partition) || s.From >= s.Until || !o.Copy && s.From >= s.Committed {
			continue
		}
		list = append(list, s)
	}
	return list, nil
}
