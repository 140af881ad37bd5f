package avro

import (
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
)

// AppendChange appends a crm.changes record of version 1, header included; id is the id of that
// version's schema in the registry. Changes must be valid JSON.
func AppendChange(dst []byte, id int, c *event.Change) []byte {
	dst = AppendHeader(dst, id)
	dst = AppendString(dst, c.ID)
	dst = AppendString(dst, c.Key())
	dst = appendUser(dst, c.User)
	dst = AppendString(dst, c.Kind)
	dst = AppendString(dst, c.System)
	dst = AppendString(dst, c.Object)
	dst = AppendString(dst, c.ObjectID)
	dst = AppendOptBytes(dst, c.Changes)
	version := int64(0)
	if c.Version != nil {
		version = *c.Version
	}
	dst = AppendOptLong(dst, version, c.Version != nil)
	dst = AppendOptString(dst, c.Actor)
	dst = AppendTime(dst, c.OccurredAt)
	dst = AppendTime(dst, c.ReceivedAt)
	return AppendString(dst, c.Source)
}

// ChangeDecoder reads records of crm.changes.
type ChangeDecoder = Decoder[event.Change]

// NewChangeDecoder asks source for each schema id once.
func NewChangeDecoder(source Source) *ChangeDecoder {
	return &ChangeDecoder{source: source, kind: changeKind}
}

var changeKind = kindOf(schema.CRMChanges, []plan[event.Change]{readChange}, checkEvent, fillChange)

// readChange reads the body of a crm.changes record of version 1. It returns the record's own user_id
// beside the change, which aliases the body.
func readChange(body []byte, c *event.Change) (userID string, err error) {
	r := NewReader(body)
	*c = event.Change{}
	c.ID = r.String("event_id")
	userID, c.User = readUser(&r)
	c.Kind = r.String("kind")
	c.System = r.String("system")
	c.Object = r.String("object")
	c.ObjectID = r.String("object_id")
	c.Changes = r.OptBytes("changes_json")
	if r.Present("version") {
		version := r.Long("version")
		c.Version = &version
	}
	c.Actor = r.OptString("actor")
	c.OccurredAt = r.Time("occurred_at")
	c.ReceivedAt = r.Time("received_at")
	c.Source = r.String("source")
	return userID, r.Err()
}

// wireChange is version 1 of crm.changes, as the resolving decoder fills it.
type wireChange struct {
	wireUser
	EventID    string    `avro:"event_id"`
	Kind       string    `avro:"kind"`
	System     string    `avro:"system"`
	Object     string    `avro:"object"`
	ObjectID   string    `avro:"object_id"`
	Changes    *string   `avro:"changes_json"`
	Version    *int64    `avro:"version"`
	Actor      *string   `avro:"actor"`
	OccurredAt time.Time `avro:"occurred_at"`
	ReceivedAt time.Time `avro:"received_at"`
	Source     string    `avro:"source"`
}

func fillChange(w *wireChange, c *event.Change) (userID string, err error) {
	*c = event.Change{
		ID: w.EventID, User: w.user(), Kind: w.Kind, System: w.System, Object: w.Object, ObjectID: w.ObjectID,
		Changes: orNil(w.Changes), Version: w.Version, Actor: orEmpty(w.Actor),
		OccurredAt: w.OccurredAt.UTC(), ReceivedAt: w.ReceivedAt.UTC(), Source: w.Source,
	}
	return w.UserID, nil
}
