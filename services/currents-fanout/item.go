package currentsfanout

import (
	"context"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// item is a record that a sink is to have, from when it is sorted until it is settled.
type item struct {
	delivery stream.Delivery
	part     *part
	of       feed
	alone    bool        // it came to nothing by itself, and is handed over without others from then on
	blamed   uint8       // how often it was not taken while others were
	taken    int64       // when it was taken from Kafka; Unix nanoseconds
	first    int64       // when it was handed over first; 0 when it was not yet
	attempts int32       // how often it was handed over
	event    *sink.Event // as it is handed over; nil until then
}

// size is what it counts for in bytes.
func (it *item) size() int { return len(it.delivery.Value()) }

// part is a partition while it is assigned to a sink. The runner's lock guards it.
type part struct {
	*stream.Partition
	of    feed  // what its records are; ofNothing for the retries, whose headers say so
	read  int64 // the offset behind what was taken last; the consumer's own
	gone  bool  // it is being given back, or was
	over  bool  // and nothing of it is handed over any more
	held  int   // records taken and not settled
	top   int64 // the highest offset that was handed over
	inbox []arrival
	bytes int64 // of the inbox

	under  context.Context // ends when even dead letters are not waited for any more
	cancel context.CancelFunc

	stretch *stretch // of a sink that takes stretches
}

// arrival is a record in the inbox.
type arrival struct {
	stream.Delivery
	at int64 // Unix nanoseconds
}

// place names a partition.
type place struct {
	topic  string
	number int32
}
