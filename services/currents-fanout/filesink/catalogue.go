package filesink

import "github.com/sluicehq/sluice/pkg/currents"

// field is one of the catalogue's fields that is a column of its own.
type field struct {
	column
	source string // its name in the JSON
	in     int
}

// theirs are the members of user and properties that the envelope has already, under the same or
// another name: user_id is Braze's id of the user, which is our braze_id.
var theirs = map[string]bool{
	"user_id": true, "external_user_id": true, "channel": true,
	"app_id": true, "campaign_id": true, "campaign_name": true, "message_variation_id": true,
	"canvas_id": true, "canvas_name": true, "canvas_variation_id": true, "canvas_step_id": true,
	"canvas_step_message_variation_id": true, "send_id": true, "dispatch_id": true, "device_id": true,
}

// taken are the names that a field of Braze's cannot have: our own columns and the folders' names.
var taken = map[string]bool{
	"event_id": true, "external_id": true, "braze_id": true, eventType: true, occurredAt: true,
	receivedAt: true, "workspace": true, eventJSON: true, "event_type": true, "date": true,
}

// distinctive are the fields with another value in nearly every row.
var distinctive = map[string]bool{
	"ad_id": true, "canvas_entry_id": true, "channel_identifier": true, "content_card_id": true,
	"email_address": true, "message_body": true, "message_extras": true, "orphaned_by_id": true,
	"phone_number": true, "push_token": true, "push_to_start_token": true, "session_id": true,
	"to_phone_number": true, "update_token": true, "user_phone_number": true,
}

// typed is the fields of a type that become columns, in the catalogue's order; ok is false of a type
// that is not in it.
func typed(name string) (fields []field, ok bool) {
	t, ok := currents.Lookup(name)
	if !ok {
		return nil, false
	}
	have := map[string]bool{}
	for _, f := range t.Fields {
		if theirs[f.Name] {
			continue
		}
		c := field{source: f.Name, in: inProperties, column: column{name: f.Name, kind: kindOf(f.Kind), distinct: distinctive[f.Name]}}
		if f.In == currents.InUser {
			c.in = inUser
		}
		if taken[c.name] || have[c.name] {
			c.name = f.In + "_" + f.Name
		}
		have[c.name] = true
		fields = append(fields, c)
	}
	return fields, true
}

// kindOf is the column for a kind of field. A float is a double here: what comes over HTTP has all its
// digits, and 32 bits would take some from a price or a place on the map.
func kindOf(k currents.Kind) kind {
	switch k {
	case currents.Int:
		return int32s
	case currents.Long:
		return int64s
	case currents.Float, currents.Double:
		return doubles
	case currents.Boolean:
		return boolean
	case currents.Strings:
		return texts
	case currents.JSON:
		return document
	case currents.String:
	}
	return text
}
