package avro

import (
	"time"

	"github.com/twmb/avro"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
)

// AppendUpdate appends a braze.attributes record of version 1, header included; id is the id of that
// version's schema in the registry. Attributes and properties must be valid JSON objects.
func AppendUpdate(dst []byte, id int, u *event.Update) []byte {
	dst = AppendHeader(dst, id)
	dst = AppendString(dst, u.ID)
	dst = appendKey(dst, u.User)
	dst = appendUser(dst, u.User)
	dst = AppendTime(dst, u.OccurredAt)
	dst = AppendTime(dst, u.DecidedAt)
	dst = AppendOptBytes(dst, u.Attributes)
	dst = AppendOptString(dst, u.Trigger)
	dst = AppendOptBytes(dst, u.Properties)
	dst = AppendLong(dst, u.DataPoints)
	dst = appendArray(dst, len(u.Causes), func(dst []byte, i int) []byte {
		c := &u.Causes[i]
		dst = AppendString(AppendString(AppendString(dst, c.ID), c.Source), c.Topic)
		return AppendLong(AppendLong(dst, int64(c.Partition)), c.Offset)
	})
	return appendArray(dst, len(u.Declined), func(dst []byte, i int) []byte {
		d := &u.Declined[i]
		dst = AppendString(AppendString(AppendString(AppendString(dst, d.ID), d.Source), d.Field), d.Reason)
		return AppendOptString(dst, d.Detail)
	})
}

// UpdateDecoder reads records of braze.attributes.
type UpdateDecoder = Decoder[event.Update]

// NewUpdateDecoder asks source for each schema id once.
func NewUpdateDecoder(source Source) *UpdateDecoder {
	return &UpdateDecoder{source: source, kind: updateKind}
}

var updateKind = kindOf(schema.BrazeAttributes, []plan[event.Update]{readUpdate}, checkUpdate, fillUpdate)

func checkUpdate(writer []avro.SchemaField) error {
	return checkTimes(writer, "occurred_at", "decided_at")
}

// The fewest bytes that a cause and a declined write can have: one for each field.
const leastCause, leastDeclined = 5, 5

// readUpdate reads the body of a braze.attributes record of version 1. It returns the record's own
// user_id beside the update, which aliases the body.
func readUpdate(body []byte, u *event.Update) (userID string, err error) {
	r := NewReader(body)
	*u = event.Update{}
	u.ID = r.String("event_id")
	userID, u.User = readUser(&r)
	u.OccurredAt = r.Time("occurred_at")
	u.DecidedAt = r.Time("decided_at")
	u.Attributes = r.OptBytes("attributes_json")
	u.Trigger = r.OptString("trigger_name")
	u.Properties = r.OptBytes("properties_json")
	u.DataPoints = r.Long("data_points")
	u.Causes = readArray(&r, "causes", leastCause, func(r *Reader) event.Cause {
		return event.Cause{
			ID: r.String("causes.event_id"), Source: r.String("causes.source"), Topic: r.String("causes.source_topic"),
			Partition: r.Int("causes.source_partition"), Offset: r.Long("causes.source_offset"),
		}
	})
	u.Declined = readArray(&r, "declined", leastDeclined, func(r *Reader) event.Declined {
		return event.Declined{
			ID: r.String("declined.event_id"), Source: r.String("declined.source"), Field: r.String("declined.field"),
			Reason: r.String("declined.reason"), Detail: r.OptString("declined.detail"),
		}
	})
	return userID, r.Err()
}

// wireUpdate is version 1 of braze.attributes, as the resolving decoder fills it.
type wireUpdate struct {
	wireUser
	EventID        string         `avro:"event_id"`
	OccurredAt     time.Time      `avro:"occurred_at"`
	DecidedAt      time.Time      `avro:"decided_at"`
	AttributesJSON *string        `avro:"attributes_json"`
	TriggerName    *string        `avro:"trigger_name"`
	PropertiesJSON *string        `avro:"properties_json"`
	DataPoints     int64          `avro:"data_points"`
	Causes         []wireCause    `avro:"causes"`
	Declined       []wireDeclined `avro:"declined"`
}

type wireCause struct {
	EventID   string `avro:"event_id"`
	Source    string `avro:"source"`
	Topic     string `avro:"source_topic"`
	Partition int32  `avro:"source_partition"`
	Offset    int64  `avro:"source_offset"`
}

type wireDeclined struct {
	EventID string  `avro:"event_id"`
	Source  string  `avro:"source"`
	Field   string  `avro:"field"`
	Reason  string  `avro:"reason"`
	Detail  *string `avro:"detail"`
}

func fillUpdate(w *wireUpdate, u *event.Update) (userID string, err error) {
	*u = event.Update{
		ID: w.EventID, User: w.user(), OccurredAt: w.OccurredAt.UTC(), DecidedAt: w.DecidedAt.UTC(),
		Attributes: orNil(w.AttributesJSON), Trigger: orEmpty(w.TriggerName), Properties: orNil(w.PropertiesJSON), DataPoints: w.DataPoints,
	}
	for _, c := range w.Causes {
		u.Causes = append(u.Causes, event.Cause{ID: c.EventID, Source: c.Source, Topic: c.Topic, Partition: c.Partition, Offset: c.Offset})
	}
	for _, d := range w.Declined {
		u.Declined = append(u.Declined, event.Declined{ID: d.EventID, Source: d.Source, Field: d.Field, Reason: d.Reason, Detail: orEmpty(d.Detail)})
	}
	return w.UserID, nil
}
