// Package replay lets a service have records of a topic once more, and says beforehand what that would
// mean: how many records of how many customers, how many of them Braze has already, how many requests
// and data points it takes.
//
//	range.go      from where to where: by time or by offset, in each partition
//	plan.go       reading receipts, marks and the range; nothing moves
//	estimate.go   what is counted on the way
//	backfill.go   what changes of profiles would cost, with what is known now
//	move.go       setting a group's offsets back: everything from there on is sent again
//	copy.go       producing the records once more: only what has not arrived
//	receipts.go   what became of records, as braze.deliveries says
//	copies.go     how a copy says of what it is one
//
// There are two ways. A group that nobody belongs to can be set back: its service then reads the topic
// again from there, receipts or not, since an offset that somebody moves by hand means just that (see
// package stream). Records can also be copied: produced to their topic once more, with the same key,
// value and headers, and the header replayed-from that names the place of the original. Copying needs
// no pause of the service, keeps back what has arrived, and is done once: whoever copies a second time
// finds the headers of the first. It was preferred to a list of what was copied, kept elsewhere: a
// header is durable in the same moment as its record, and cannot disagree with it.
package replay

import (
	"github.com/sluicehq/sluice/pkg/quota"
)

// Order is what an operator wants.
type Order struct {
	Topic   string // without prefix
	Service string // who is to have the records; its group is the service's name, prefix before it
	From    Edge
	Until   Edge    // the zero value is the topic's end
	Only    []int32 // partitions; all when empty
	// Copy produces the records once more, instead of setting the service's offsets back.
	Copy bool
	// Everything copies what has been delivered or copied already, too.
	Everything bool

	MaxObjects int        // of a request, for the estimate
	Rate       quota.Rate // of requests, likewise
	Profiles   *Profiles  // likewise, for changes of profiles; nil for no estimate of them
}

// Stretch is what a plan is about in one partition.
type Stretch struct {
	Partition int32 `json:"partition"`
	From      int64 `json:"from"`
	Until     int64 `json:"until"`     // without it
	Committed int64 `json:"committed"` // by the service; 0 when it has committed nothing
}
