package routes

import (
	"context"
	"fmt"
	"slices"
)

// What becomes of a record that no route wants. The slices are shared by all such records, so that
// they cost nothing.
var (
	defaultEvent      = [2][]Action{{{Kind: Event, AsIs: true, Attributes: true}}, {{Kind: Event, AsIs: true, Attributes: true, Priority: Backfill}}}
	defaultCommerce   = [2][]Action{{{Kind: Commerce}}, {{Kind: Commerce, Priority: Backfill}}}
	defaultCase       = []Action{{Kind: Skip, Reason: "no route wants it"}}
	defaultAttributes = [2][]Action{{{Kind: Attributes, Priority: Profile}}, {{Kind: Attributes, Priority: Backfill}}}
)

func (r *Record) defaults() []Action {
	late := 0
	if r.Backfill {
		late = 1
	}
	switch {
	case r.Commerce != nil:
		return defaultCommerce[late]
	case r.Case != nil:
		return defaultCase
	case r.Update != nil && r.Update.Trigger == "":
		return defaultAttributes[late]
	}
	return defaultEvent[late]
}

// Apply says what to do for a record, in order; at least one thing, of which Skip is one. The slice is
// not to be written to: records that no route wants share theirs. An error is always a *[Failed], and
// the record is refused as a whole.
func (t *Table) Apply(r Record) ([]Action, error) {
	x := &t.events
	switch {
	case r.Commerce != nil:
		x = &t.commerce
	case r.Case != nil:
		x = &t.cases
	case r.Update != nil:
		if r.Update.Trigger == "" {
			return r.defaults(), nil // nothing has happened that a route could be about
		}
		x = &t.updates
	}
	list := x.candidates(r.name())
	for i, route := range list {
		if route.match.matches(&r) {
			return apply(r, list[i:])
		}
	}
	return r.defaults(), nil
}

// apply is the rest of Apply for a record that some route may want. It is a function of its own so
// that only here the record escapes to the heap.
func apply(r Record, list []*route) ([]Action, error) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	a := &application{ctx: ctx, record: r}
	for _, route := range list {
		if !route.match.matches(&r) {
			continue
		}
		wanted, err := a.wants(route)
		if err == nil && wanted {
			err = a.send(route)
		}
		if err != nil {
			return nil, &Failed{Route: route.name, Message: brief(err.Error())}
		}
		if wanted && !route.proceeds {
			return a.finished(route.name), nil
		}
	}
	if len(a.actions) == 0 {
		return r.defaults(), nil
	}
	a.actions = append(a.actions, r.defaults()...)
	return a.finished(""), nil
}

// application is one record on its way through the routes.
type application struct {
	ctx     context.Context
	record  Record
	seen    map[string]any // the record as jq sees it, once somebody has asked
	actions []Action
}

// view is the record as jq sees it, made once.
func (a *application) view() (map[string]any, error) {
	if a.seen != nil {
		return a.seen, nil
	}
	v, err := a.record.view()
	if err == nil {
		a.seen = v
	}
	return v, err
}

func (a *application) wants(r *route) (bool, error) {
	if r.when == nil {
		return true, nil
	}
	v, err := a.view()
	if err != nil {
		return false, err
	}
	yes, err := r.when.true(a.ctx, v, v)
	return yes, within("when", err)
}

func (a *application) send(r *route) error {
	for i := range r.sends {
		s := &r.sends[i]
		before := len(a.actions)
		if err := s.act(a); err != nil {
			return within(s.at, err)
		}
		if len(a.actions) > maxActions {
			return within(s.at, errTooManyActions)
		}
		for j := range a.actions[before:] {
			made := &a.actions[before+j]
			made.Route, made.InDoubt, made.Priority = r.name, s.inDoubt, s.priority
			if a.record.Backfill {
				made.Priority = Backfill
			}
		}
	}
	return nil
}

// finished drops a Skip beside which something is sent, since then it only says that the default is
// not wanted, and finds a place for the record's attributes: they go with the first event, or, where
// there is none and something is sent, by themselves. They belong to the customer, not to a message.
// Those of an update go even where nothing else does: only its trigger can be skipped.
func (a *application) finished(last string) []Action {
	if len(a.actions) == 0 { // a purchase for each of no lines
		a.actions = []Action{{Kind: Skip, Route: last, Reason: "the route makes nothing of it"}}
	}
	isSkip := func(act Action) bool { return act.Kind == Skip }
	if slices.ContainsFunc(a.actions, func(act Action) bool { return !isSkip(act) }) {
		a.actions = slices.DeleteFunc(a.actions, isSkip)
	}
	if a.record.Event == nil || len(a.record.Event.Attributes) == 0 || isSkip(a.actions[0]) && a.record.Update == nil {
		return a.actions
	}
	placed := false
	for i := range a.actions {
		if a.actions[i].Kind == Event {
			a.actions[i].Attributes = !placed
			placed = true
		}
	}
	if placed {
		return a.actions
	}
	return append([]Action{a.alone(last)}, slices.DeleteFunc(a.actions, isSkip)...)
}

// alone sends the record's attributes without an event.
func (a *application) alone(route string) Action {
	alone := Action{Kind: Attributes, Route: route}
	switch {
	case a.record.Backfill:
		alone.Priority = Backfill
	case a.record.Update != nil:
		alone.Priority = Profile
	}
	return alone
}

// ask runs a program on the record, or on a part of it.
func (a *application) ask(p *program, part *any) (any, error) {
	v, err := a.view()
	if err != nil {
		return nil, err
	}
	if part != nil {
		return p.one(a.ctx, *part, v)
	}
	return p.one(a.ctx, v, v)
}

// within puts the place before what is wrong there.
func within(place string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", place, err)
}
