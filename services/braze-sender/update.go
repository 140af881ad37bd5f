package brazesender

import (
	"bytes"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/braze-sender/routes"
)

// nothingToSend is the outcome of a record that asks for nothing: what it tells of is which writes to the
// profile came to nothing.
var nothingToSend = outcome.Outcome{Kind: outcome.Skipped, Reason: "nothing_to_send", Detail: "the record has neither attributes nor a trigger"}

// triggeredBy is the source of a record of braze.attributes: attribute-sync's, where something has
// happened that is to happen once. A change of attributes comes of several sources, and may as well be
// made twice.
func triggeredBy(u *event.Update) string {
	if u.Trigger == "" {
		return ""
	}
	return "attribute-sync"
}

// routeUpdate is route for a record of braze.attributes: its attributes are set, and what it triggers is an
// event like any other.
func (s *Sender) routeUpdate(it *item, d *drafts) outcome.Outcome {
	u := &d.update
	if u.OccurredAt.After(d.now) {
		u.OccurredAt = d.now
	}
	var r routes.Record
	var refusal *outcome.Outcome
	if u.Trigger != "" {
		r = routes.OfUpdate(u)
		e := *r.Event
		e.Attributes = checked(u.Attributes)
		refusal = checkEvent(&e)
	} else {
		d.event = event.Event{ID: u.ID, User: u.User, OccurredAt: u.OccurredAt, Attributes: u.Attributes}
		r = routes.Record{Event: &d.event, Update: u}
		refusal = checkAttributes(u)
	}
	switch {
	case refusal != nil:
		return *refusal
	case u.Attributes == nil && u.Trigger == "":
		return nothingToSend
	}
	r.Backfill = d.notes.backfill
	return s.plan(it, d, r)
}

// checkAttributes holds an update without a trigger to what Braze documents.
func checkAttributes(u *event.Update) *outcome.Outcome {
	if refusal := checkUser(u.ID, &u.User); refusal != nil {
		return refusal
	}
	o := invalid("attributes_json", "empty: null or a JSON object")
	if v := braze.CheckAttributes(checked(u.Attributes)); v != nil {
		o.Detail = v.Error()
	} else if u.Attributes == nil || len(u.Attributes) > 0 {
		return nil
	}
	return &o
}

// checked is the object that is held to the rules: those of an update may have the flag that others may not,
// which stands there under a name that anybody may use.
func checked(attributes []byte) []byte {
	flag := []byte(`"` + mergeObjects + `"`)
	if !bytes.Contains(attributes, flag) {
		return attributes
	}
	return bytes.ReplaceAll(attributes, flag, []byte(`"-`+mergeObjects[1:]+`"`))
}
