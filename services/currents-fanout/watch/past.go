package watch

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Past is where a topic is looked into for connectors that spoke before the time that is read in full.
type Past struct {
	Kafka  stream.Config
	Admin  *stream.Admin
	Topic  string // on the cluster
	Decode func(context.Context, *stream.Record) (e *event.Engagement, ok bool, err error)
	Now    time.Time
	Until  map[int32]int64 // first offset of each partition that is read in full
}

// How a topic is sampled: so many records of each partition, every so often, back to where Braze has given up.
const (
	sampleEvery   = 6 * time.Hour
	sampleRecords = 100
)

// LookBack finds connectors that fell silent before the day that is read in full, so that whoever opens books
// still knows of them, and when they will be cut off. The last sample in which one appears makes it seem silent
// for up to six hours longer than it is: rather too early an alarm than too late.
func LookBack(ctx context.Context, b *Book, p Past) error {
	for at := p.Now.Add(-CutOff - 24*time.Hour); at.Before(b.since); at = at.Add(sampleEvery) {
		from, err := p.Admin.OffsetsAt(ctx, p.Topic, at)
		if err != nil {
			return err
		}
		end := map[int32]int64{}
		for partition, first := range from {
			if end[partition] = min(first+sampleRecords, p.Until[partition]); first >= end[partition] {
				delete(from, partition)
			}
		}
		if len(from) == 0 {
			continue // and not all partitions, as nil would be
		}
		err = stream.Read(ctx, p.Kafka, stream.Range{Topic: p.Topic, From: from, Until: end}, func(r *stream.Record) error {
			e, ok, err := p.Decode(ctx, r)
			if ok {
				b.Past(e.Workspace, e.ReceivedAt)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
