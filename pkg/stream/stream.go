// Package stream carries records to and from Kafka. It alone knows the client library, so that
// everything above it speaks of records, deliveries and settling.
//
// A record's way out: a [Producer] hands it to every in-sync replica before it calls back. A record's
// way in: a [Consumer] lends it to its [Handler] as a [Delivery]; the handler settles each delivery
// exactly once, in any order; the consumer commits the contiguous prefix of what is settled. A
// partition that runs too far ahead of its commit is paused, never buffered. Before a partition goes
// to another member, the handler is asked to finish what it holds, and nothing is committed after.
package stream

import "github.com/twmb/franz-go/pkg/kgo"

// Record is a record of a topic. It is the client library's own type under our name, so that no copy
// is made on the way.
type Record = kgo.Record

// Header is a header of a record.
type Header = kgo.RecordHeader
