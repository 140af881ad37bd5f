package main

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/braze-sender/routes"
)

// trackRequest is the request to /users/track for an action, with what it is about.
func trackRequest(a routes.Action, rec routes.Record) (target, call string, body []byte) {
	var r braze.Request
	switch {
	case a.Kind == routes.Commerce:
		// What the sender makes of it has its own strict form; who tries a route wants to know that the
		// record goes that way, and which one it is.
		return string(rec.Commerce.Type), trackCall, nil
	case a.Kind == routes.Purchase:
		p := braze.Purchase{
			User: userOf(rec), ProductID: a.ProductID, Currency: a.Currency, Price: a.Price, Quantity: a.Quantity,
			Time: occurredAt(rec), AppID: appID(rec), Properties: a.Properties,
		}
		if a.ExistingOnly {
			p.Existing = braze.CreateNever
		}
		r.Append(braze.Purchases, p.AppendBody(nil))
		return a.ProductID, trackCall, r.AppendBody(nil)
	}
	e := rec.Event
	if (a.Kind == routes.Attributes || a.Attributes) && e != nil && len(e.Attributes) > 0 {
		r.AppendFunc(braze.Attributes, func(dst []byte) []byte { return appendMembers(appendWho(dst, rec), e.Attributes) })
	}
	if a.Kind == routes.Attributes {
		return "", trackCall, r.AppendBody(nil)
	}
	target, properties := a.Name, a.Properties
	if a.AsIs {
		target, properties = e.Name, e.Properties
	}
	r.AppendFunc(braze.Events, func(dst []byte) []byte {
		dst = braze.AppendString(append(appendWho(dst, rec), `,"name":`...), target)
		dst = braze.AppendTime(append(dst, `,"time":`...), occurredAt(rec))
		if app := appID(rec); app != "" {
			dst = braze.AppendString(append(dst, `,"app_id":`...), app)
		}
		if len(properties) > 0 {
			dst = append(append(dst, `,"properties":`...), compacted(properties)...)
		}
		switch u := identity(rec); {
		case a.ExistingOnly:
			dst = append(dst, `,"_update_existing_only":true`...)
		case u.ExternalID == "" && u.BrazeID == "" && u.AliasName != "":
			dst = append(dst, `,"_update_existing_only":false`...)
		}
		return append(dst, '}')
	})
	return target, trackCall, r.AppendBody(nil)
}

var trackCall = braze.UsersTrack.Method + " " + braze.UsersTrack.Path

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
		return append(append(dst, ','), members[1:]...)
	}
	return append(dst, '}')
}

// compacted is JSON without spaces; what is no JSON, which the sender refuses, stands there as a text.
func compacted(text []byte) []byte {
	v := jsontext.Value(text).Clone()
	if v.Compact(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) != nil || v.Kind() != '{' {
		return braze.AppendString(nil, string(text))
	}
	return v
}

func occurredAt(rec routes.Record) time.Time {
	if rec.Commerce != nil {
		return rec.Commerce.OccurredAt
	}
	return rec.Event.OccurredAt
}

func appID(rec routes.Record) string {
	if rec.Commerce != nil {
		return rec.Commerce.AppID
	}
	return rec.Event.AppID
}
