package trace

import (
	"cmp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/services/pipeline/tap"
)

// fields are what records of any topic may say about themselves.
type fields struct {
	EventID string `json:"event_id"`
	Source  string `json:"source"`

	EventName  string `json:"event_name"`
	EventKind  string `json:"event_kind"`
	EventType  string `json:"event_type"`
	OrderID    string `json:"order_id"`
	CartID     string `json:"cart_id"`
	CheckoutID string `json:"checkout_id"`

	CaseID    string `json:"case_id"`
	CaseEvent string `json:"case_event"`
	Severity  string `json:"severity"`
	Trigger   string `json:"trigger_name"`

	Action   string         `json:"action_name"`
	Kind     string         `json:"kind"`
	System   string         `json:"system"`
	Object   string         `json:"object"`
	ObjectID string         `json:"object_id"`
	Changes  jsontext.Value `json:"changes_json"`

	Attributes    jsontext.Value `json:"attributes_json"`
	Set           jsontext.Value `json:"set_json"`
	Add           jsontext.Value `json:"add_json"`
	Remove        jsontext.Value `json:"remove_json"`
	Increment     jsontext.Value `json:"increment_json"`
	Unset         []string       `json:"unset_fields"`
	Subscriptions []struct{}     `json:"subscriptions"`
	PreviousKey   string         `json:"previous_user_id"`
	Declined      []struct{}     `json:"declined"`
}

// fieldsOf reads what a value says; what is of another type than expected is passed over.
func fieldsOf(value []byte) fields {
	var members map[string]jsontext.Value
	var f fields
	if json.Unmarshal(value, &members) != nil {
		return f
	}
	for name, to := range map[string]any{
		"event_id": &f.EventID, "source": &f.Source, "event_name": &f.EventName, "event_kind": &f.EventKind,
		"event_type": &f.EventType, "order_id": &f.OrderID, "cart_id": &f.CartID, "checkout_id": &f.CheckoutID,
		"case_id": &f.CaseID, "case_event": &f.CaseEvent, "severity": &f.Severity, "trigger_name": &f.Trigger, "action_name": &f.Action,
		"kind": &f.Kind, "system": &f.System, "object": &f.Object, "object_id": &f.ObjectID, "changes_json": &f.Changes, "declined": &f.Declined,
		"attributes_json": &f.Attributes, "set_json": &f.Set, "add_json": &f.Add, "remove_json": &f.Remove, "increment_json": &f.Increment,
		"unset_fields": &f.Unset, "subscriptions": &f.Subscriptions, "previous_user_id": &f.PreviousKey,
	} {
		if member, ok := members[name]; ok {
			_ = json.Unmarshal(member, to) // of another type: it stays empty
		}
	}
	return f
}

// headline is a record in a few words: names, and no values.
func headline(t schema.Topic, line tap.Line) string {
	switch {
	case line.Unreadable != nil:
		return "unreadable: " + line.Unreadable.Reason
	case string(line.Value) == "null":
		return "a tombstone"
	}
	f := fieldsOf(line.Value)
	words := []string{cmp.Or(f.EventName, f.EventType)}
	if f.EventKind == "page" || f.EventKind == "screen" {
		words[0] += " (" + f.EventKind + ")"
	}
	if f.CaseID != "" {
		words = append(words, f.supportCase())
	}
	if f.Action != "" {
		words = append(words, "webhook "+f.Action)
	}
	if f.System != "" && f.ObjectID != "" {
		words = append(words, f.System+" "+f.Object+" "+f.ObjectID+" "+f.Kind)
	}
	if f.Trigger != "" {
		words = append(words, "triggers "+f.Trigger)
	}
	for _, id := range [][2]string{{"order", f.OrderID}, {"cart", f.CartID}, {"checkout", f.CheckoutID}} {
		if id[1] != "" {
			words = append(words, id[0]+" "+id[1])
		}
	}
	for _, part := range []struct {
		verb  string
		names []string
	}{
		{"sets", append(append(names(f.Attributes), names(f.Set)...), names(f.Changes)...)},
		{"unsets", f.Unset},
		{"adds to", names(f.Add)},
		{"removes from", names(f.Remove)},
		{"increments", names(f.Increment)},
	} {
		if len(part.names) > 0 {
			words = append(words, part.verb+" "+strings.Join(part.names, ", "))
		}
	}
	if len(f.Subscriptions) > 0 {
		words = append(words, "changes subscriptions")
	}
	if f.PreviousKey != "" {
		words = append(words, "links an earlier id")
	}
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
	if len(words) == 0 && len(f.Declined) > 0 {
		return "nothing to tell Braze: every write was declined"
	}
	if len(words) == 0 {
		return "a record of " + t.RecordType
	}
	return strings.Join(words, "; ")
}

// supportCase is what happened to a case: "case 35436 escalated (high)".
func (f *fields) supportCase() string {
	words := "case " + f.CaseID + " " + f.CaseEvent
	if f.Severity != "" {
		words += " (" + f.Severity + ")"
	}
	return words
}

// someNames is how many names are told.
const someNames = 6

// names are those of an object's members.
func names(object jsontext.Value) []string {
	var members map[string]jsontext.Value
	if object.Kind() != '{' || json.Unmarshal(object, &members) != nil {
		return nil
	}
	list := make([]string, 0, len(members))
	for name := range members {
		list = append(list, name)
	}
	slices.Sort(list)
	if len(list) > someNames {
		list = append(list[:someNames], "…")
	}
	return list
}
