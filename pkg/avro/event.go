package avro

import "github.com/sluicehq/sluice/pkg/event"

// AppendEvent appends a customer.events record of version 2, header included; id is the id of that
// version's schema in the registry. The event's properties and attributes must be valid JSON.
func AppendEvent(dst []byte, id int, e *event.Event) []byte {
	dst = AppendHeader(dst, id)
	dst = AppendString(dst, e.ID)
	dst = appendKey(dst, e.User)
	dst = appendUser(dst, e.User)
	dst = AppendString(dst, e.Name)
	dst = AppendString(dst, e.Kind)
	dst = AppendTime(dst, e.OccurredAt)
	dst = AppendTime(dst, e.ReceivedAt)
	dst = AppendString(dst, e.Source)
	dst = AppendOptBytes(dst, e.Properties)
	dst = AppendOptBytes(dst, e.Attributes)
	dst = AppendOptString(dst, e.AppID)
	if e.BrazeDisabled {
		dst = append(dst, branchValue, 1)
	} else {
		dst = append(dst, branchNull)
	}
	return AppendOptString(dst, e.IdentifiedAs)
}

// appendKey appends the user's canonical key as an Avro string.
func appendKey(dst []byte, u event.User) []byte {
	if u.ExternalID != "" {
		return AppendString(dst, u.ExternalID)
	}
	var buf [128]byte
	return AppendBytes(dst, u.AppendKey(buf[:0]))
}

func appendUser(dst []byte, u event.User) []byte {
	dst = AppendOptString(dst, u.ExternalID)
	dst = AppendOptString(dst, u.BrazeID)
	dst = AppendOptString(dst, u.AliasLabel)
	dst = AppendOptString(dst, u.AliasName)
	dst = AppendOptString(dst, u.Email)
	return AppendOptString(dst, u.Phone)
}

// readEvent reads the body of a customer.events record of version 2. It returns the record's own
// user_id beside the event, which aliases the body.
func readEvent(body []byte, e *event.Event) (userID string, err error) {
	r := NewReader(body)
	userID = readEventFields(&r, e)
	e.IdentifiedAs = r.OptString("identified_as")
	return userID, r.Err()
}

// readEvent1 is readEvent for version 1.
func readEvent1(body []byte, e *event.Event) (userID string, err error) {
	r := NewReader(body)
	userID = readEventFields(&r, e)
	e.IdentifiedAs = ""
	return userID, r.Err()
}

// readEventFields reads the fields of version 1, with which all others begin.
func readEventFields(r *Reader, e *event.Event) (userID string) {
	e.ID = r.String("event_id")
	userID, e.User = readUser(r)
	e.Name = r.String("event_name")
	e.Kind = r.String("event_kind")
	e.OccurredAt = r.Time("occurred_at")
	e.ReceivedAt = r.Time("received_at")
	e.Source = r.String("source")
	e.Properties = r.OptBytes("properties_json")
	e.Attributes = r.OptBytes("attributes_json")
	e.AppID = r.OptString("app_id")
	e.BrazeDisabled = r.Present("braze_disabled") && r.Bool("braze_disabled")
	return userID
}
