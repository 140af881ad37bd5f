package rules

import (
	"encoding/base64"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/jsontree"
)

// sent is how documents are read: nobody has promised to name nothing twice, and then the last one counts, as it does to
// those who sent it.
var sent = jsontree.Options{Duplicates: true}

// actionInput is what a program sees of an action: user, name, id, time, payload.
func actionInput(a *event.Action) (any, error) {
	in := map[string]any{"user": userInput(a.User), "name": a.Name, "id": a.ID, "time": instant(a.OccurredAt), "payload": nil}
	switch {
	case a.JSON != nil:
		payload, err := jsontree.Read(a.JSON, sent)
		if err != nil {
			return nil, fmt.Errorf("reading payload: %w", err)
		}
		in["payload"] = payload
	case a.Body == nil:
	case utf8.Valid(a.Body):
		in["payload"] = string(a.Body)
	default:
		in["payload"] = base64.StdEncoding.EncodeToString(a.Body)
	}
	return in, nil
}

// engagementInput is what a program sees of an engagement: user, type, id, time, event.
func engagementInput(e *event.Engagement) (any, error) {
	document, err := jsontree.Read(e.JSON, sent)
	if err != nil {
		return nil, fmt.Errorf("reading event: %w", err)
	}
	return map[string]any{"user": userInput(e.User), "type": e.Type, "id": e.ID, "time": instant(e.OccurredAt), "event": document}, nil
}

// changeInput is what a program sees of a change: user, kind, system, object, object_id, changes, actor, time.
func changeInput(c *event.Change, changes map[string]any) any {
	return map[string]any{
		"user": userInput(c.User), "kind": c.Kind, "system": c.System, "object": c.Object, "object_id": c.ObjectID,
		"changes": changes, "actor": c.Actor, "time": instant(c.OccurredAt),
	}
}

func userInput(u event.User) map[string]any {
	in := map[string]any{}
	for name, value := range map[string]string{"external_id": u.ExternalID, "braze_id": u.BrazeID, "email": u.Email, "phone": u.Phone} {
		if value != "" {
			in[name] = value
		}
	}
	if u.AliasName != "" {
		in["alias"] = map[string]any{"label": u.AliasLabel, "name": u.AliasName}
	}
	return in
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
