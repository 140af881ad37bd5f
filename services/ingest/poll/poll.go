// Package poll asks the systems of an enterprise over HTTP for what has changed, where they do not tell
// by themselves. What it knows of a system is the poll block of an entry in the file of sources
// ([webhook.Poll]); what an item means, the entry's programs say as they do for webhooks.
//
// A change's path:
//
//	Polls.Run        a source is asked by the one replica that has its partition (polls.go)
//	worker.run       takes up the source's checkpoint, as far as the file of sources is still the one that it
//	                 was written for (changed.go), and begins a round whenever one is due (worker.go)
//	worker.round     page after page to the last; only then the cursor moves (round.go, advance.go)
//	client.ask       one page: credentials, limits, what the answer means (ask.go, auth.go)
//	Polling.Read     the page's items, their ids and versions (package webhook)
//	worker.take      without those that earlier pages or rounds have shown (take.go, recent.go, known.go)
//	worker.doubt     of what is known, the part that is about to be otherwise (doubt.go)
//	Sink.Take        records of them, durable
//	store.save       and only then the checkpoint (checkpoint.go, store.go)
//
// A feed, which is all there is in one file, goes another way: fetched to the disk and read twice, first to see
// whether it is to be believed, then to tell what is different (feed.go, package feed).
//
// A crash between the last two reads the page again, and makes the same records with the same event ids. An
// item that is told again because it is once more what it was has the round in its event id.
//
// What may change while we read, and why nothing is lost by it:
//
//   - A round asks from the last change seen, less an overlap: for what comes to light late, and for what
//     has the same time as the last item. What the overlap shows again is remembered by its hash.
//   - Items sorted by their change move to the end when they change, and pull others over the edge
//     between two pages. So such pages are asked for by the last change, not by number (advance.go).
//   - Pages in another order lose an item at an edge only when one before it is deleted. A round over
//     everything (full_every) finds it; what is missing counts as gone only the second time (known.go).
package poll

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// Sink makes records of items.
type Sink interface {
	// Take returns nil once each item has become its records, or a dead letter, for good. It waits for
	// as long as Kafka is away, and returns an error only when the context ends.
	Take(ctx context.Context, source *webhook.Polling, items []webhook.Item) error
}

// Options shape the polling of sources.
type Options struct {
	Kafka   stream.Config
	Topic   string             // of checkpoints, on the cluster
	Group   string             // of the replicas, on the cluster
	Sources []*webhook.Polling // those that are not disabled
	Sink    Sink
	Metrics prometheus.Registerer
	Log     zerolog.Logger
	// Transport carries the requests; one with connections of its own when nil.
	Transport http.RoundTripper
}
