package replay

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/sluicehq/sluice/pkg/stream"
)

// Header names the place of the record of which another is a copy. A record that was copied several
// times over has one for each.
const Header = "replayed-from"

// Origins are the places that a record is a copy of.
func Origins(r *stream.Record) []Place {
	var places []Place
	for _, h := range r.Headers {
		if h.Key != Header {
			continue
		}
		if p, err := ParsePlace(string(h.Value)); err == nil {
			places = append(places, p)
		}
	}
	return places
}

// Copies calls each with every copy that stands in these partitions of a topic (on the cluster) from a
// moment on.
func (c *Cluster) Copies(ctx context.Context, topic string, partitions map[int32]bool, since time.Time, each func(of Place, r *stream.Record)) error {
	return c.Read(ctx, stream.Range{Topic: topic, From: Partitions(partitions), Since: since}, func(r *stream.Record) error {
		for _, of := range Origins(r) {
			each(of, r)
		}
		return nil
	})
}

// Copy makes the copy of a record: key, value and headers untouched, and one header more. It goes where
// its key belongs, or, without a key, back to its partition. The topic must be one of the producer's
// ByPartition.
func Copy(of Place, key, value []byte, headers []stream.Header, partitions int32) *stream.Record {
	r := &stream.Record{
		Topic: of.Topic, Partition: of.Partition, Key: key, Value: value,
		Headers: append(headers[:len(headers):len(headers)], stream.Header{Key: Header, Value: []byte(of.String())}),
	}
	if key != nil {
		r.Partition = stream.PartitionOf(key, partitions)
	}
	return r
}

// seed makes the same hash of the same thing, within one process.
var seed = maphash.MakeSeed()

// sameEvent is a number for an event: of one customer, with one id.
func sameEvent(key, id string) uint64 {
	return maphash.String(seed, key+"\x00"+id)
}

// header is what a record's headers say under a name; empty when they say nothing.
func header(headers []stream.Header, name string) string {
	for _, h := range headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}
