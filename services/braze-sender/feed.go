package brazesender

import (
	"context"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// feed is a topic that is read. The zero feed is customer.events.
type feed uint8

const (
	ofEvents feed = iota
	ofCommerce
	ofUpdates
	ofCases
)

// feedNames are the topics' names without a prefix, by feed.
var feedNames = [...]string{schema.CustomerEvents, schema.CommerceEvents, schema.BrazeAttributes, schema.SupportCases}

// feeds reads the topics' records.
type feeds struct {
	topics   [len(feedNames)]string // on the cluster
	events   *avro.EventDecoder
	commerce *avro.CommerceDecoder
	updates  *avro.UpdateDecoder
	cases    *avro.CaseDecoder
}

func newFeeds(kafka stream.Config, source avro.Source) feeds {
	f := feeds{
		events: avro.NewEventDecoder(source), commerce: avro.NewCommerceDecoder(source),
		updates: avro.NewUpdateDecoder(source), cases: avro.NewCaseDecoder(source),
	}
	for i, name := range feedNames {
		f.topics[i] = kafka.Topic(name)
	}
	return f
}

// of tells which feed a topic on the cluster is; ok is false for any other.
func (f *feeds) of(topic string) (_ feed, ok bool) {
	for i := range f.topics {
		if f.topics[i] == topic {
			return feed(i), true
		}
	}
	return 0, false
}

// known reports whether a record can be judged without asking the registry.
func (f *feeds) known(d stream.Delivery) bool {
	switch of, _ := f.of(d.Partition().Topic); of {
	case ofCommerce:
		return f.commerce.Known(d.Value())
	case ofUpdates:
		return f.updates.Known(d.Value())
	case ofCases:
		return f.cases.Known(d.Value())
	case ofEvents:
	}
	return f.events.Known(d.Value())
}

// learn asks the registry for a record's schema.
func (f *feeds) learn(ctx context.Context, d stream.Delivery) (err error) {
	switch of, _ := f.of(d.Partition().Topic); of {
	case ofCommerce:
		_, err = f.commerce.Decode(ctx, d.Value(), &event.Commerce{})
	case ofUpdates:
		_, err = f.updates.Decode(ctx, d.Value(), &event.Update{})
	case ofCases:
		_, err = f.cases.Decode(ctx, d.Value(), &event.Case{})
	case ofEvents:
		_, err = f.events.Decode(ctx, d.Value(), &event.Event{})
	}
	if _, unreadable := avro.AsUnreadable(err); unreadable {
		return nil // that much is known now
	}
	return err
}

// read decodes a record, holds its key to its user, and decides what becomes of it. An error says that
// the registry could not be asked: a record that might be readable is never given up.
func (s *Sender) read(ctx context.Context, it *item, d *drafts) (what outcome.Outcome, err error) {
	lent := it.delivery
	d.notes = readNotes(lent.Headers())
	it.feed, _ = s.feeds.of(lent.Partition().Topic)
	var userID, id, source string
	var user *event.User
	switch it.feed {
	case ofEvents:
		userID, err = s.feeds.events.Decode(ctx, lent.Value(), &d.event)
		id, source, user = d.event.ID, d.event.Source, &d.event.User
	case ofCommerce:
		userID, err = s.feeds.commerce.Decode(ctx, lent.Value(), &d.commerce)
		id, source, user = d.commerce.ID, d.commerce.Source, &d.commerce.User
	case ofUpdates:
		userID, err = s.feeds.updates.Decode(ctx, lent.Value(), &d.update)
		id, source, user = d.update.ID, triggeredBy(&d.update), &d.update.User
	case ofCases:
		userID, err = s.feeds.cases.Decode(ctx, lent.Value(), &d.supportCase)
		id, source, user = d.supportCase.ID, d.supportCase.Source, &d.supportCase.User
	}
	if u, ok := avro.AsUnreadable(err); ok {
		return outcome.Outcome{Kind: outcome.Refused, Reason: u.Reason, Detail: u.Detail}, nil
	}
	if err != nil {
		return outcome.Outcome{}, err
	}
	it.id, it.source = id, source
	if what = checkKey(lent.Key(), userID, user); what != send {
		return what, nil
	}
	switch it.feed {
	case ofCommerce:
		return s.routeCommerce(it, d), nil
	case ofUpdates:
		return s.routeUpdate(it, d), nil
	case ofCases:
		return s.routeCase(it, d), nil
	case ofEvents:
	}
	return s.route(it, d), nil
}
