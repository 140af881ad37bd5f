package main

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/braze-sender/commerce"
	"github.com/sluicehq/sluice/services/braze-sender/routes"
)

// event is the request of a custom event, with the record's attributes where they go with it.
func (r request) event(a routes.Action, rec routes.Record) request {
	e := event.Event{User: identity(rec), Name: a.Name, Properties: a.Properties}
	if rec.Commerce != nil {
		e.OccurredAt, e.AppID = rec.Commerce.OccurredAt, rec.Commerce.AppID
	} else {
		e.OccurredAt, e.AppID = rec.Event.OccurredAt, rec.Event.AppID
	}
	if a.AsIs {
		e.Name, e.Properties = rec.Event.Name, rec.Event.Properties
	}
	var body braze.Request
	if a.Attributes && rec.Event != nil && len(rec.Event.Attributes) > 0 {
		body.AppendFunc(braze.Attributes, func(dst []byte) []byte { return appendMembers(appendWho(dst, rec), rec.Event.Attributes) })
	}
	body.AppendFunc(braze.Events, func(dst []byte) []byte { return appendEvent(dst, rec, &e, a.ExistingOnly) })
	return r.track(e.Name, &body)
}

// commerce is the request of what a commerce event becomes.
func (r request) commerce(rec routes.Record) request {
	m, _, err := commerce.Event(nil, rec.Commerce)
	if err != nil {
		return r.invalid(err)
	}
	var body braze.Request
	body.AppendFunc(braze.Events, func(dst []byte) []byte { return appendEvent(dst, rec, &m.Event, false) })
	return r.track(m.Event.Name, &body)
}

// attributes is the request that sets attributes alone.
func (r request) attributes(rec routes.Record, object []byte) request {
	var body braze.Request
	body.AppendFunc(braze.Attributes, func(dst []byte) []byte { return appendMembers(appendWho(dst, rec), object) })
	return r.track(r.Target, &body)
}

func (r request) purchase(a routes.Action, rec routes.Record) request {
	p := braze.Purchase{
		User: userOf(rec), ProductID: a.ProductID, Currency: a.Currency, Price: a.Price, Quantity: a.Quantity, Properties: a.Properties,
	}
	if rec.Commerce != nil {
		p.Time, p.AppID = rec.Commerce.OccurredAt, rec.Commerce.AppID
	} else {
		p.Time, p.AppID = rec.Event.OccurredAt, rec.Event.AppID
	}
	switch {
	case a.ExistingOnly:
		p.Existing = braze.CreateNever
	case onlyAlias(identity(rec)):
		p.Existing = braze.CreateAlways
	}
	if v := p.Check(); v != nil {
		return r.invalid(v)
	}
	var body braze.Request
	body.AppendFunc(braze.Purchases, p.AppendBody)
	return r.track(a.ProductID, &body)
}

func (r request) track(target string, body *braze.Request) request {
	r.Target, r.Call, r.Body = target, braze.UsersTrack.Method+" "+braze.UsersTrack.Path, body.AppendBody(nil)
	return r
}

func appendEvent(dst []byte, rec routes.Record, e *event.Event, existingOnly bool) []byte {
	dst = braze.AppendString(append(appendWho(dst, rec), `,"name":`...), e.Name)
	dst = braze.AppendTime(append(dst, `,"time":`...), e.OccurredAt)
	if e.AppID != "" {
		dst = braze.AppendString(append(dst, `,"app_id":`...), e.AppID)
	}
	if len(e.Properties) > 0 {
		dst = append(append(dst, `,"properties":`...), compacted(e.Properties)...)
	}
	switch {
	case existingOnly:
		dst = append(dst, `,"_update_existing_only":true`...)
	case onlyAlias(e.User):
		dst = append(dst, `,"_update_existing_only":false`...)
	}
	return append(dst, '}')
}

func onlyAlias(u event.User) bool { return u.ExternalID == "" && u.BrazeID == "" && u.AliasName != "" }

// appendWho begins an object with whom it is about.
func appendWho(dst []byte, rec routes.Record) []byte {
	u := identity(rec)
	name, value := "phone", u.Phone
	switch {
	case u.ExternalID != "":
		name, value = "external_id", u.ExternalID
	case u.BrazeID != "":
		name, value = "braze_id", u.BrazeID
	case u.AliasName != "":
		return appendAlias(dst, u)
	case u.Email != "":
		name, value = "email", u.Email
	}
	return braze.AppendString(append(braze.AppendString(append(dst, '{'), name), ':'), value)
}

func appendAlias(dst []byte, u event.User) []byte {
	dst = braze.AppendString(append(dst, `{"user_alias":{"alias_name":`...), u.AliasName)
	return append(braze.AppendString(append(dst, `,"alias_label":`...), u.AliasLabel), '}')
}

// appendMembers adds an object's members to one that has been begun, and ends it.
func appendMembers(dst, object []byte) []byte {
	if members := compacted(object); len(members) > len("{}") {
		dst = append(append(dst, ','), members[1:len(members)-1]...)
	}
	if bytes.HasPrefix(dst, []byte(`{"user_alias"`)) {
		dst = append(dst, `,"_update_existing_only":false`...)
	}
	return append(dst, '}')
}

// compacted is a JSON object without spaces, which would only make lines longer. It is known to be one.
func compacted(text []byte) []byte {
	v := jsontext.Value(text).Clone()
	_ = v.Compact(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return v
}
