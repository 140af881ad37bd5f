package replay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Cluster is what an operator's command looks at.
type Cluster struct {
	Kafka   stream.Config
	Admin   *stream.Admin
	Schemas avro.Source
	// Progress is told how many of a topic's records have been read, now and then; nil for nobody.
	Progress func(topic string, read, of int64)
}

// Ours is a topic's name without the prefix that it has on the cluster.
func (c *Cluster) Ours(topic string) string { return strings.TrimPrefix(topic, c.Kafka.TopicPrefix) }

// Existing returns those of the topics we know that the cluster has, with their partitions.
func (c *Cluster) Existing(ctx context.Context) (map[string]int32, error) {
	var names []string
	for _, t := range schema.Tables() {
		names = append(names, c.Kafka.Topic(t.Name))
	}
	states, err := c.Admin.Topics(ctx, nil, names...)
	if err != nil {
		return nil, err
	}
	partitions := map[string]int32{}
	for _, s := range states {
		if s.Exists {
			partitions[s.Name] = s.Partitions
		}
	}
	return partitions, nil
}

// tellEvery is after how many records progress is told.
const tellEvery = 2_000

// Read is stream.Read that tells of its progress.
func (c *Cluster) Read(ctx context.Context, r stream.Range, each func(*stream.Record) error) error {
	of, err := c.size(ctx, r)
	if err != nil {
		return err
	}
	tell := func(read int64) {
		if c.Progress != nil {
			c.Progress(c.Ours(r.Topic), min(read, of), of)
		}
	}
	tell(0)
	var read int64
	err = stream.Read(ctx, c.Kafka, r, func(rec *stream.Record) error {
		if read++; read%tellEvery == 0 {
			tell(read)
		}
		return each(rec)
	})
	if err != nil {
		return fmt.Errorf("reading %s: %w", r.Topic, cause(ctx, err))
	}
	tell(of)
	return nil
}

// size is how many offsets a range has: about as many as records.
func (c *Cluster) size(ctx context.Context, r stream.Range) (int64, error) {
	if c.Progress == nil {
		return 0, nil
	}
	extents, err := c.Admin.Extents(ctx, r.Topic)
	if err != nil {
		return 0, err
	}
	var since map[int32]int64
	if !r.Since.IsZero() {
		if since, err = c.Admin.OffsetsAt(ctx, r.Topic, r.Since); err != nil {
			return 0, err
		}
	}
	var n int64
	for partition, e := range extents {
		from, named := r.From[partition]
		if r.From != nil && !named {
			continue
		}
		end := e.End
		if until, ok := r.Until[partition]; ok {
			end = min(end, until)
		}
		n += max(0, end-max(e.First, from, since[partition]))
	}
	return n, nil
}

// Partitions makes the From of a range that reads these partitions of a topic from their beginning.
func Partitions(numbers map[int32]bool) map[int32]int64 {
	from := make(map[int32]int64, len(numbers))
	for n := range numbers {
		from[n] = 0
	}
	return from
}

// Ahead is how far a record's stamp may be ahead of our clock: brokers refuse more (Kafka:
// message.timestamp.after.max.ms). Whoever looks for what came of a record looks from so long before it.
const Ahead = time.Hour

// Before is a moment so long before another that no clock's error matters; none for none.
func Before(t time.Time, by time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(-by)
}

// cause puts the reason for which a context ended in the place of its bare end.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return context.Cause(ctx)
	}
	return err
}
