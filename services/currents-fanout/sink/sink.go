// Package sink says what every sink promises: it is given events that are chosen and shaped for it, in
// batches, and says of each what became of it. How often it is asked, when again, in which order and with
// how much at once is not its affair: that is the fan-out's, and the same for all of them.
//
// A kind of sink is a package beside this one. It has Options, which stand in sinks.yaml under the
// kind's name, and an Open that makes a [Sink] of them without waiting for the far end: a sink that is
// down at start is one that will be tried again.
package sink

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
)

// Event is one record for one sink. It is read only: other sinks may hold what it points to.
type Event struct {
	ID         string // unique; of a webhook its name, a slash, and the id that it has within that name; the far end's means against doubles
	Type       string // Braze's dotted name; of a webhook "action." and its name
	Key        string // the customer: events of one key are in order
	OccurredAt time.Time
	ReceivedAt time.Time

	// Engagement is the event with its columns, redacted as the sink's configuration says; nil where
	// the record is an Action.
	Engagement *event.Engagement
	Action     *event.Action

	// JSON is the document to hand over: one JSON object on one line, valid, redacted. Of an
	// engagement it is what Braze sent; of an action, its name, ids, times and payload.
	JSON []byte

	Topic     string // without prefix: braze.engagements or braze.actions
	Partition int32
	Offset    int64
}

// Sink is one destination. Write may be called at the same time from several goroutines, never with
// events of one key in two of them.
type Sink interface {
	// Write hands over a batch and returns when its fate is known, or when the context ends. It does
	// not try again by itself. The batch is the caller's again afterwards.
	Write(ctx context.Context, batch []*Event) Answer
	// Close gives up what is left and lets go of connections.
	Close() error
}

// Answer is what became of a batch.
type Answer struct {
	// All is what became of every event, where Each is nil. Its Kind is never Skipped; one of Each may be, for an event that
	// the sink has nothing to say of.
	All outcome.Outcome
	// Each is what became of each event, in the batch's order.
	Each []outcome.Outcome
	// RetryAfter is how long the far end wants to be left alone; 0 where it does not say.
	RetryAfter time.Duration
	// Split says that the batch as a whole was not taken, and that smaller ones may be: too large, or
	// one bad event among good ones and nobody says which. All is Deferred then; of a batch of one it
	// is Refused instead, and Split is false.
	Split bool
	// Halt says that nothing will be taken until a person has changed something: a credential, a URL,
	// a right. All is Deferred; the fan-out asks again gently and turns the sink's state red.
	Halt bool
}

// Delivered is the answer for a batch that is taken.
func Delivered() Answer { return Answer{All: outcome.Outcome{Kind: outcome.Delivered}} }

// Deferred is the answer for a batch that is to come again, with a stable word and the far end's own.
func Deferred(reason, detail string, after time.Duration) Answer {
	return Answer{All: outcome.Outcome{Kind: outcome.Deferred, Reason: reason, Detail: detail}, RetryAfter: after}
}

// Refused is the answer for a batch of which nothing will ever be taken.
func Refused(reason, detail string) Answer {
	return Answer{All: outcome.Outcome{Kind: outcome.Refused, Reason: reason, Detail: detail}}
}

// Of is what became of the event at an index of the batch.
func (a Answer) Of(i int) outcome.Outcome {
	if a.Each == nil {
		return a.All
	}
	return a.Each[i]
}

// Stretch is the records of one partition from First up to, and without, End, whatever became of them.
type Stretch struct {
	Topic     string // without prefix
	Partition int32
	First     int64
	End       int64
}

// Stretcher is a Sink that takes whole stretches of a partition instead of batches, such as one that
// writes files, each of which must have the same contents however often it is written.
//
// The fan-out asks Begun with the first offset that is not committed, and before each stretch that it
// puts together. Where one was begun there and perhaps not finished, it hands over exactly that one
// again; otherwise one of its own choice, which WriteStretch makes known before anything else of it.
type Stretcher interface {
	Sink
	// Begun says where the stretch ends that begins with a record; ok is false where none was begun.
	Begun(ctx context.Context, topic string, partition int32, first int64) (end int64, ok bool, err error)
	// WriteStretch hands over the events of a stretch: those that were filtered away or are doubles
	// are missing, so that there may be none. When another process began a stretch with another end
	// there, the answer is Deferred with the reason [Overtaken], and Begun tells where it ends.
	WriteStretch(ctx context.Context, s Stretch, events []*Event) Answer
}

// Owner is a Stretcher that remembers where its stretches ended. Owned is called whenever a partition comes to this
// process, for the first time or again, before anything else is asked about it: another process may have had it
// meanwhile, and its offset may have been moved.
type Owner interface {
	Stretcher
	Owned(topic string, partition int32)
}

// Overtaken is the reason of a stretch that another process has begun too.
const Overtaken = "overtaken"

// Deps are what a Sink works with.
type Deps struct {
	Name    string                // of the sink in sinks.yaml
	HTTP    *http.Client          // bounded in time and redirects; a kind may wrap its transport
	Metrics prometheus.Registerer // carries the sink's name as a label already
	Log     zerolog.Logger
}
