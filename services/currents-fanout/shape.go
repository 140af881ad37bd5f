package currentsfanout

import (
	"bytes"
	"encoding/base64"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// shape makes of a decoded record what the sink gets to see. An outcome other than none says that nothing can be
// made of it.
func (r *redactor) shape(e *sink.Event, of feed, d draft, key string) outcome.Outcome {
	var doc []byte
	var user event.User
	if of == ofActions {
		a := d.action
		user = a.User
		e.ID, e.Type, e.OccurredAt, e.ReceivedAt, e.Action = actionID(a), actionType(a), a.OccurredAt, a.ReceivedAt, a
		doc = a.JSON
	} else {
		g := d.engagement
		user = g.User
		e.ID, e.Type, e.OccurredAt, e.ReceivedAt, e.Engagement = g.ID, g.Type, g.OccurredAt, g.ReceivedAt, g
		doc = g.JSON
	}
	e.Key, e.Topic = key, feedNames[of]
	doc, err := oneLine(doc)
	// An action's is checked where it is put together.
	if err == nil && of == ofEngagements && !d.vouched && !jsontext.Value(doc).IsValid(leave...) {
		err = errNotJSON
	}
	if r != nil && err == nil {
		e.Key = r.key(&user, key)
		doc, err = r.redact(e, doc)
	}
	if err != nil {
		return outcome.Outcome{Kind: outcome.Refused, Reason: "invalid_json", Detail: err.Error()}
	}
	if e.Action == nil {
		e.Engagement.JSON, e.JSON = doc, doc
		return outcome.Outcome{}
	}
	e.Action.JSON = doc
	if e.JSON, err = actionDocument(e.Action); err != nil {
		return outcome.Outcome{Kind: outcome.Refused, Reason: "invalid_json", Detail: err.Error()}
	}
	return outcome.Outcome{}
}

// redact makes the event's columns unreadable, and the document.
func (r *redactor) redact(e *sink.Event, doc []byte) ([]byte, error) {
	if e.Action != nil {
		r.user(&e.Action.User)
		// Nobody knows where a field stands in a body that is not JSON.
		e.Action.Body = nil
		e.Action.Workspace, e.Action.Source = r.text("workspace", e.Action.Workspace), r.text("source", e.Action.Source)
		if doc == nil {
			return nil, nil
		}
		return r.document(doc)
	}
	r.engagement(e.Engagement)
	return r.document(doc)
}

// oneLine is a document on one line, as nearly all come.
func oneLine(doc []byte) ([]byte, error) {
	if bytes.IndexByte(doc, '\n') < 0 {
		return doc, nil
	}
	v := jsontext.Value(slices.Clone(doc))
	if err := v.Compact(leave...); err != nil {
		return nil, errNotJSON
	}
	return v, nil
}

// actionDocument is a webhook as one object, in the words that Braze has for its events.
func actionDocument(a *event.Action) ([]byte, error) {
	var out bytes.Buffer
	w := jsontext.NewEncoder(&out, leave...)
	text := func(name, value string) error {
		if value == "" {
			return nil
		}
		if err := w.WriteToken(jsontext.String(name)); err != nil {
			return err
		}
		return w.WriteToken(jsontext.String(value))
	}
	texts := func(pairs ...string) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := text(pairs[i], pairs[i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	steps := []func() error{
		func() error { return w.WriteToken(jsontext.BeginObject) },
		func() error { return texts("event_type", actionType(a), "id", a.ID) },
		func() error { return w.WriteToken(jsontext.String("time")) },
		func() error { return w.WriteToken(jsontext.Int(a.OccurredAt.Unix())) },
		func() error {
			return texts("received_at", a.ReceivedAt.UTC().Format(time.RFC3339Nano), "source", a.Source, "workspace", a.Workspace)
		},
		func() error { return w.WriteToken(jsontext.String("user")) },
		func() error { return w.WriteToken(jsontext.BeginObject) },
		func() error {
			return texts("user_id", a.User.BrazeID, "external_user_id", a.User.ExternalID, "alias_label", a.User.AliasLabel,
				"alias_name", a.User.AliasName, "email", a.User.Email, "phone", a.User.Phone)
		},
		func() error { return w.WriteToken(jsontext.EndObject) },
		func() error { return text("content_type", a.ContentType) },
		func() error {
			if a.JSON == nil {
				return text("body_base64", base64.StdEncoding.EncodeToString(a.Body))
			}
			if err := w.WriteToken(jsontext.String("payload")); err != nil {
				return err
			}
			return w.WriteValue(a.JSON)
		},
		func() error { return w.WriteToken(jsontext.EndObject) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, errNotJSON
		}
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// refusal is the outcome of a record that cannot be read; ok is false for any other error.
func refusal(err error) (what outcome.Outcome, ok bool) {
	u, ok := avro.AsUnreadable(err)
	if !ok {
		return outcome.Outcome{}, false
	}
	return outcome.Outcome{Kind: outcome.Refused, Reason: u.Reason, Detail: u.Detail}, true
}
