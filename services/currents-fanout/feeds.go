package currentsfanout

import (
	"context"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// feed is what a record is, whichever topic it is read from.
type feed uint8

const (
	ofEngagements feed = iota
	ofActions
	ofNothing // nothing that we know
)

// feedNames are the topics' names without a prefix, by feed.
var feedNames = [...]string{schema.BrazeEngagements, schema.BrazeActions}

// feeds reads the topics' records.
type feeds struct {
	topics      [len(feedNames)]string // on the cluster
	retries     string                 // likewise
	engagements *avro.EngagementDecoder
	actions     *avro.ActionDecoder
}

func newFeeds(kafka stream.Config, source avro.Source) *feeds {
	f := &feeds{
		engagements: avro.NewEngagementDecoder(source), actions: avro.NewActionDecoder(source),
		retries: kafka.Topic(schema.Retries(Name)),
	}
	for i, name := range feedNames {
		f.topics[i] = kafka.Topic(name)
	}
	return f
}

// named is the feed of a topic's name without prefix.
func named(topic string) feed {
	for i, name := range feedNames {
		if name == topic {
			return feed(i)
		}
	}
	return ofNothing
}

// on is the feed of a topic on the cluster.
func (f *feeds) on(topic string) feed {
	for i := range f.topics {
		if f.topics[i] == topic {
			return feed(i)
		}
	}
	return ofNothing
}

// draft is what a record is decoded into. One of the two is set, as its feed says.
type draft struct {
	engagement *event.Engagement
	action     *event.Action
	vouched    bool // that its JSON is valid, by a service of ours that has read it
}

func newDraft() draft { return draft{engagement: new(event.Engagement), action: new(event.Action)} }

// vouched reports whether a record says that a service of ours has written it, which looks at what it writes. Whoever
// says so of JSON that is none has the batch refused that it comes into, and it alone once the batch is halved.
func vouched(headers []stream.Header) bool {
	for i := range headers {
		if headers[i].Key == "origin" {
			return string(headers[i].Value) == "ingest" || string(headers[i].Value) == "backfill"
		}
	}
	return false
}

// decode reads a record. An *avro.Unreadable is final, any other error says that the registry could not be asked.
func (f *feeds) decode(ctx context.Context, of feed, value []byte, d draft) (err error) {
	if of == ofActions {
		_, err = f.actions.Decode(ctx, value, d.action)
	} else {
		_, err = f.engagements.Decode(ctx, value, d.engagement)
	}
	return err
}

// known reports whether a record can be read without asking the registry.
func (f *feeds) known(of feed, value []byte) bool {
	if of == ofActions {
		return f.actions.Known(value)
	}
	return f.engagements.Known(value)
}

// learn asks the registry for a record's schema.
func (f *feeds) learn(ctx context.Context, of feed, value []byte) error {
	err := f.decode(ctx, of, value, newDraft())
	if _, unreadable := avro.AsUnreadable(err); unreadable {
		return nil // that much is known now
	}
	return err
}
