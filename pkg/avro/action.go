package avro

import (
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
)

// AppendAction appends a braze.actions record of version 1, header included; id is the id of that
// version's schema in the registry. JSON must be valid.
func AppendAction(dst []byte, id int, a *event.Action) []byte {
	dst = AppendHeader(dst, id)
	dst = AppendString(dst, a.ID)
	dst = AppendString(dst, a.Key())
	dst = appendUser(dst, a.User)
	dst = AppendString(dst, a.Name)
	dst = AppendTime(dst, a.OccurredAt)
	dst = AppendTime(dst, a.ReceivedAt)
	dst = AppendString(dst, a.Source)
	dst = AppendOptString(dst, a.Workspace)
	dst = AppendOptString(dst, a.ContentType)
	dst = AppendOptBytes(dst, a.JSON)
	return AppendOptBytes(dst, a.Body)
}

// ActionDecoder reads records of braze.actions.
type ActionDecoder = Decoder[event.Action]

// NewActionDecoder asks source for each schema id once.
func NewActionDecoder(source Source) *ActionDecoder {
	return &ActionDecoder{source: source, kind: actionKind}
}

var actionKind = kindOf(schema.BrazeActions, []plan[event.Action]{readAction}, checkEvent, fillAction)

// readAction reads the body of a braze.actions record of version 1. It returns the record's own
// user_id beside the action, which aliases the body.
func readAction(body []byte, a *event.Action) (userID string, err error) {
	r := NewReader(body)
	*a = event.Action{}
	a.ID = r.String("event_id")
	userID, a.User = readUser(&r)
	a.Name = r.String("action_name")
	a.OccurredAt = r.Time("occurred_at")
	a.ReceivedAt = r.Time("received_at")
	a.Source = r.String("source")
	a.Workspace = r.OptString("workspace")
	a.ContentType = r.OptString("content_type")
	a.JSON = r.OptBytes("payload_json")
	a.Body = r.OptBytes("payload")
	return userID, r.Err()
}

// wireAction is version 1 of braze.actions, as the resolving decoder fills it.
type wireAction struct {
	wireUser
	EventID     string    `avro:"event_id"`
	ActionName  string    `avro:"action_name"`
	OccurredAt  time.Time `avro:"occurred_at"`
	ReceivedAt  time.Time `avro:"received_at"`
	Source      string    `avro:"source"`
	Workspace   *string   `avro:"workspace"`
	ContentType *string   `avro:"content_type"`
	PayloadJSON *string   `avro:"payload_json"`
	Payload     []byte    `avro:"payload"`
}

func fillAction(w *wireAction, a *event.Action) (userID string, err error) {
	*a = event.Action{
		ID: w.EventID, User: w.user(), Name: w.ActionName, OccurredAt: w.OccurredAt.UTC(), ReceivedAt: w.ReceivedAt.UTC(),
		Source: w.Source, Workspace: orEmpty(w.Workspace), ContentType: orEmpty(w.ContentType), JSON: orNil(w.PayloadJSON), Body: w.Payload,
	}
	return w.UserID, nil
}
