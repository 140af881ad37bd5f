package currentsfanout

import (
	"context"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// slab is the memory of a batch. A lane uses it again for the next one when nothing of this one comes again.
type slab struct {
	events      []sink.Event
	engagements []event.Engagement
	actions     []event.Action
	batch       []*sink.Event
}

// draft finds room for one more record of a feed. The slab has room for as many as its batch has, so that nothing moves.
func (s *slab) draft(of feed, batch int) (e *sink.Event, d draft) {
	if cap(s.events) == 0 {
		s.events, s.batch = make([]sink.Event, 0, batch), make([]*sink.Event, 0, batch)
	}
	s.events = append(s.events, sink.Event{})
	if of == ofActions {
		if cap(s.actions) == 0 {
			s.actions = make([]event.Action, 0, batch)
		}
		s.actions = s.actions[:len(s.actions)+1]
		d.action = &s.actions[len(s.actions)-1]
	} else {
		if cap(s.engagements) == 0 {
			s.engagements = make([]event.Engagement, 0, batch)
		}
		s.engagements = s.engagements[:len(s.engagements)+1]
		d.engagement = &s.engagements[len(s.engagements)-1]
	}
	return &s.events[len(s.events)-1], d
}

// emptied is the slab for a next batch of so many records: the same where that has room for them.
func (s *slab) emptied(batch int) *slab {
	if cap(s.events) < batch || s.actions != nil && cap(s.actions) < batch || s.engagements != nil && cap(s.engagements) < batch {
		return &slab{}
	}
	clear(s.batch)
	s.events, s.batch, s.engagements, s.actions = s.events[:0], s.batch[:0], s.engagements[:0], s.actions[:0]
	return s
}

// pack makes the events that are handed over. Of those that cannot be made unfit says why.
func (l *lane) pack(ctx context.Context, batch []*item) (events []*sink.Event, unfit []refusedItem) {
	fresh := 0
	for _, it := range batch {
		if it.event == nil {
			fresh++
		}
	}
	if l.slab == nil || fresh < len(batch) { // of an earlier batch some is in use
		l.slab = &slab{}
	}
	l.slab = l.slab.emptied(fresh)
	events = l.slab.batch
	for _, it := range batch {
		if it.event == nil {
			e, d := l.slab.draft(it.of, fresh)
			if what := l.runner.make(ctx, it, e, d); what.Kind != 0 {
				unfit = append(unfit, refusedItem{*it, what})
				continue
			}
			it.event = e
		}
		events = append(events, it.event)
	}
	l.slab.batch = events
	return events, unfit
}
