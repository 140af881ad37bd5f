package brazesender

import (
	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/braze-sender/routes"
)

// routePerson decides about records that say something of the person and not of what they did: who they
// turned out to be, or that they are to be deleted. They stand among the customer's other records, and
// keep their place among them.
func (s *Sender) routePerson(it *item, d *drafts) outcome.Outcome {
	e := &d.event
	if refusal := checkUser(e.ID, &e.User); refusal != nil {
		return *refusal
	}
	action := &routes.Action{}
	if d.notes.backfill {
		action.Priority = routes.Backfill
	}
	var body braze.Body
	if e.Kind == event.KindErase {
		body = &braze.Delete{Users: []braze.Target{target(&e.User)}}
	} else {
		switch {
		case e.IdentifiedAs == "":
			return invalid("identified_as", "empty, though event_kind is identify")
		case len(e.IdentifiedAs) > braze.MaxExternalID:
			return invalid("identified_as", "longer than an external id may be")
		case e.IdentifiedAs == e.User.ExternalID:
			return outcome.Outcome{Kind: outcome.Skipped, Reason: "same_user", Detail: "the user has that external id"}
		}
		body, it.order = s.identify(e), linkOf(e)
		it.order.replayed = d.notes.replayed
	}
	from := len(d.parts)
	if err := s.askCall(d, action, body); err != nil {
		return outcome.Outcome{Kind: outcome.Refused, Reason: "invalid", Detail: err.Error()}
	}
	it.parts = d.parts[from:len(d.parts):len(d.parts)]
	return send
}

// identify is the request by which the profile that an event's user has becomes, or joins, that of the
// person they turned out to be. Somebody with another external id, or a Braze id, is merged: identifying
// is for users without one (braze-docs: post_user_identify).
func (s *Sender) identify(e *event.Event) braze.Body {
	known := target(&e.User)
	if e.User.ExternalID != "" || e.User.BrazeID != "" {
		return &braze.Merge{Updates: []braze.MergeUpdate{{From: known, Into: braze.Target{User: braze.User{ExternalID: e.IdentifiedAs}}}}}
	}
	if known.Prioritization != nil {
		known.Prioritization = []braze.Prioritization{braze.Unidentified, braze.MostRecentlyUpdated}
	}
	return &braze.Identify{Users: []braze.Identification{{ExternalID: e.IdentifiedAs, Known: known}}}
}
