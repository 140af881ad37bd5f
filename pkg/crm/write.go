// Package crm is what crm-writeback says on topics: a [Write] that is to be made, and the [Delivery] that tells what
// became of it.
package crm

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/event"
)

// Braze is the target of a change that came from a CRM and goes to customer.profiles.
const Braze = "braze"

// The modes of a write.
const (
	Upsert = "upsert" // the object is made where it is missing
	Update = "update" // an object that is missing is left missing: skipped
	Note   = "note"   // an activity of its own; its key is that of the object which it is about, or the id of the write where there is none
)

// Write is one row on its way to a target, the value of one record of crm-writeback.writes, as JSON. The record's key
// is the user's canonical id.
type Write struct {
	// ID is the idempotency key: the same for the same cause, rule and object however often it is planned.
	ID       string               `json:"id"`
	Target   string               `json:"target"` // name in writeback.yaml, or Braze
	Rule     string               `json:"rule,omitzero"`
	Object   string               `json:"object"`             // in the target's own words; "profile" of Braze
	KeyField string               `json:"key_field,omitzero"` // the external key
	Key      string               `json:"key"`                // its value
	Mode     string               `json:"mode"`               // Upsert, Update or Note
	Fields   jsontext.Value       `json:"fields,omitzero"`    // JSON object: only what differs; null empties a field
	User     event.User           `json:"user"`               // whom it is about
	EditedAt time.Time            `json:"edited_at"`          // when somebody made the edit, by the clock of where it was made
	Cause    Cause                `json:"cause"`              // the record that it comes from
	Hops     int                  `json:"hops,omitzero"`      // how often the value has changed sides
	Path     []string             `json:"path,omitzero"`      // the way that it took, oldest first, for a loop's dead letter
	Origin   string               `json:"origin,omitzero"`    // of a change for Braze: the system that it comes from
	Version  *int64               `json:"version,omitzero"`   // likewise, that system's version of the object
	Groups   []event.Subscription `json:"groups,omitzero"`    // likewise, subscription groups
	// Settled says that nothing is to be sent and why, for its Delivery to say so: echo, unchanged, conflict, loop.
	Settled   *Settled   `json:"settled,omitzero"`
	Conflicts []Conflict `json:"conflicts,omitzero"` // fields about which the two sides disagreed
}

// Cause names the record that a write comes from.
type Cause struct {
	Topic     string `json:"topic"` // on the cluster
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	EventID   string `json:"event_id"`
}

// Settled is an outcome that was known when the write was planned.
type Settled struct {
	Outcome string `json:"outcome"` // skipped or refused
	Reason  string `json:"reason"`
	Detail  string `json:"detail,omitzero"`
}

// Conflict is a field that both sides have changed.
type Conflict struct {
	Field  string         `json:"field"`  // as the CRM names it
	Ours   jsontext.Value `json:"ours"`   // what Braze has
	Theirs jsontext.Value `json:"theirs"` // what the CRM has
	Winner string         `json:"winner"` // braze or crm
	Rule   string         `json:"rule"`   // crm, braze or newest
}

// Append appends the record's value.
func (w *Write) Append(dst []byte) ([]byte, error) {
	text, err := json.Marshal(w)
	if err != nil {
		return dst, fmt.Errorf("encoding write: %w", err)
	}
	return append(dst, text...), nil
}

// ReadWrite reads a record's value. What it does not know it passes over: a newer release may say more.
func ReadWrite(value []byte) (Write, error) {
	var w Write
	if err := json.Unmarshal(value, &w); err != nil {
		return Write{}, fmt.Errorf("reading write: %w", err)
	}
	switch {
	case w.ID == "":
		return Write{}, fmt.Errorf("reading write: no id")
	case w.Target == "":
		return Write{}, fmt.Errorf("reading write: no target")
	case len(w.Fields) > 0 && w.Fields.Kind() != '{':
		return Write{}, fmt.Errorf("reading write: fields is no object")
	}
	return w, nil
}
