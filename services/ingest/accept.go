package ingest

import (
	"context"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// accept writes every item that can be written and waits until each has its verdict. The items go to
// Kafka in their order, from this goroutine, so that a user's events stand on the topic as they stand
// in the request; behind the first that Kafka does not take no other is offered.
//
// It returns false if it gave up waiting for some. Then the request's memory is still in use.
func (rq *request) accept() bool {
	s := rq.service
	// The deadline is for the wait, and for records that are not on their way by then. It does not
	// come from the HTTP request: a client that hangs up must not tear a batch apart.
	ctx, cancel := context.WithTimeout(context.Background(), s.options.DeliveryTimeout)
	defer cancel()
	rq.makeSlots()
	rq.makeRoom()
	for i := range rq.items {
		rq.send(ctx, i)
	}
	return rq.wait(ctx)
}

// makeRoom makes the slab large enough, so that it need not move while it is filled.
func (rq *request) makeRoom() {
	const perItem = 320 // what a record says beside what the item said, ids given by us included
	need := len(rq.body) + len(rq.body)/2 + perItem*len(rq.items)
	if cap(rq.slab) < need {
		rq.slab = make([]byte, 0, need)
	}
	rq.slab = rq.slab[:0]
	if need := maxHeaders * len(rq.items); cap(rq.headers) < need {
		rq.headers = make([]stream.Header, 0, need)
	}
	clear(rq.headers)
	rq.headers = rq.headers[:0]
}

// send decides about item i at once, or hands its record to Kafka.
func (rq *request) send(ctx context.Context, i int) {
	it, sl := &rq.items[i], &rq.slots[i]
	switch {
	case it.fate == skip:
		sl.verdict.Store(uint32(skipped))
		return
	case it.fate == toTopic && it.problem.why != fine:
		sl.verdict.Store(uint32(rejected))
		return
	}
	w := rq.window
	if id := it.id(); id == "" {
		it.setID(rq.freshID())
	} else if !w.claim(w.fingerprint(rq.salt(it), id), rq.received, sl) {
		return
	}
	rq.hold()
	switch {
	case rq.failed.Load():
		sl.finish(unavailable, false)
	case it.fate == deadLetter:
		rq.service.letters.Write(ctx, rq.letter(it), sl.buried)
	case rq.encode(it, sl) != nil:
		it.refuse(problem{why: notMoney})
		sl.finish(rejected, false)
	default:
		rq.service.producer.Produce(ctx, &sl.record, sl.done)
	}
}

// salt is that of the source whose id the item has. Each topic but that of events has ids of its own: a shop
// that reports an order as an event too may well give both the order's number.
func (rq *request) salt(it *item) fingerprint {
	w, salt := rq.window, rq.holder.salt
	if it.fate == deadLetter { // what is sent again may become a record
		return w.fingerprint(salt, schema.DeadLetters(Name))
	}
	if it.change != nil { // whoever tells of it: two ways into the door may bring the same
		return w.fingerprint(w.fingerprint(fingerprint{}, rq.service.changes.name), it.change.System)
	}
	if source := *it.source(); source != "" && source != rq.holder.source {
		salt = w.fingerprint(fingerprint{}, source)
	}
	if t := rq.service.topicFor(it); t != &rq.service.events {
		salt = w.fingerprint(salt, t.name)
	}
	if it.action != nil {
		salt = w.fingerprint(salt, it.action.Name)
	}
	return salt
}

// letter keeps the bytes of an item that cannot become a record.
func (rq *request) letter(it *item) deadletter.Letter {
	detail := it.problem.reason()
	if it.problem.field != "" {
		detail = it.problem.field + " " + detail
	}
	var value []byte // none where it was left at its origin
	if it.start < it.end {
		value = rq.body[it.start:it.end:it.end]
	}
	return deadletter.Letter{
		Reason: it.problem.why.String(), Detail: detail,
		OriginTopic: rq.path, OriginPartition: -1, OriginOffset: -1,
		AppendedAt: rq.received, FirstAttemptAt: rq.received, LastAttemptAt: rq.received,
		Value:   value,
		Headers: append([]stream.Header{{Key: "source", Value: rq.holder.header}}, rq.kept...),
		EventID: strings.Clone(it.id()),
	}
}

// freshID makes an id for an item that came without.
func (rq *request) freshID() string {
	at := len(rq.slab)
	rq.slab = appendID(rq.slab, rq.received)
	return alias(rq.slab[at:])
}

// maxHeaders is how many headers a record has at most.
const maxHeaders = 5

var (
	originIngest = []byte("ingest")
	noHops       = []byte("0")
)

// encode fills the slot's record. Value, key and id are copied into the slab: the record outlives the
// body if the request gives up on it. It fails for an amount of money that is none, which nothing that
// was checked has.
func (rq *request) encode(it *item, sl *slot) (err error) {
	topic := rq.service.topicFor(it)
	source := rq.speaker(it)
	at := len(rq.slab)
	switch {
	case it.profile != nil:
		p := it.profile
		p.ReceivedAt, p.OccurredAt = rq.received, rq.when(p.OccurredAt)
		rq.slab = avro.AppendProfile(rq.slab, topic.id, p)
	case it.commerce != nil:
		c := it.commerce
		c.ReceivedAt, c.OccurredAt = rq.received, rq.when(c.OccurredAt)
		if rq.slab, err = avro.AppendCommerce(rq.slab, topic.id, c); err != nil {
			return err
		}
	case it.support != nil:
		c := it.support
		c.ReceivedAt, c.OccurredAt = rq.received, rq.when(c.OccurredAt)
		rq.slab = avro.AppendCase(rq.slab, topic.id, c)
	case it.engagement != nil: // which Braze's clock has timed
		rq.slab = avro.AppendEngagement(rq.slab, topic.id, it.engagement)
	case it.action != nil:
		a := it.action
		a.ReceivedAt, a.OccurredAt = rq.received, rq.when(a.OccurredAt)
		rq.slab = avro.AppendAction(rq.slab, topic.id, a)
	case it.content != nil:
		c := it.content
		c.ReceivedAt, c.OccurredAt = rq.received, rq.when(c.OccurredAt)
		rq.slab = avro.AppendContent(rq.slab, topic.id, c)
	case it.change != nil:
		c := it.change
		c.ReceivedAt, c.OccurredAt = rq.received, rq.when(c.OccurredAt)
		rq.slab = avro.AppendChange(rq.slab, topic.id, c)
	default:
		e := &it.event
		e.ReceivedAt, e.OccurredAt = rq.received, rq.when(e.OccurredAt)
		rq.slab = avro.AppendEvent(rq.slab, topic.id, e)
	}
	value := len(rq.slab)
	rq.slab = it.appendKey(rq.slab)
	key := len(rq.slab)
	rq.slab = append(rq.slab, it.id()...)

	first := len(rq.headers)
	rq.headers = append(rq.headers,
		stream.Header{Key: "event-id", Value: rq.slab[key:len(rq.slab):len(rq.slab)]},
		stream.Header{Key: "source", Value: source},
		stream.Header{Key: "origin", Value: originIngest},
		stream.Header{Key: "hops", Value: noHops},
	)
	if rq.trace != nil {
		rq.headers = append(rq.headers, stream.Header{Key: "traceparent", Value: rq.trace})
	}
	sl.record = stream.Record{
		Topic:     topic.name,
		Key:       rq.slab[value:key:key],
		Value:     rq.slab[at:value:value],
		Headers:   rq.headers[first:len(rq.headers):len(rq.headers)],
		Timestamp: rq.received,
	}
	if it.content != nil {
		rq.service.placeContent(it, &sl.record)
	}
	return nil
}

// when is an item's time by its sender's clock, or the arrival: a clock that runs ahead must not become
// the truth.
func (rq *request) when(t time.Time) time.Time {
	if t.IsZero() || t.After(rq.received) {
		return rq.received
	}
	return t
}

// speaker settles which source the item is from, the holder's own unless it names another, and returns
// its name for the record's header. What is named lives in the body, so it is copied to the slab.
func (rq *request) speaker(it *item) []byte {
	source := it.source()
	if *source == "" || *source == rq.holder.source {
		*source = rq.holder.source
		return rq.holder.header
	}
	at := len(rq.slab)
	rq.slab = append(rq.slab, *source...)
	return rq.slab[at:len(rq.slab):len(rq.slab)]
}

// topic is a topic to write to: its name on the cluster, and the id of its schema.
type topic struct {
	name string
	id   int
}

// fate is where an item goes.
type fate uint8

const (
	toTopic    fate = iota // its record goes to the topic that it belongs to, unless it has a problem
	skip                   // there is nothing to write
	deadLetter             // its problem does not come back to the sender, so its bytes are kept
)
