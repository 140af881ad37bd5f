// Package tap shows the records of a topic as lines of JSON, one a record, whoever wrote them.
//
// A value is read with the very schema it was written with and rendered without loss: whole numbers
// and decimals keep every digit, fields keep the schema's order. What cannot be read is shown too,
// with its bytes in base64 and the reason.
//
//	{"topic":"customer.events","partition":3,"offset":17,"timestamp":"2026-03-02T09:15:04.210Z",
//	 "key":"cus-48213","headers":{"event-id":"e-1"},"schema_id":1,"value":{"event_id":"e-1",…}}
//
// Timestamps and dates are RFC 3339 text, bytes are base64, and of a union only the value is shown.
package tap

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Renderer makes lines of records. It may be shared.
type Renderer struct {
	schemas avro.Source
	plans   sync.Map // schema id → *plan; ids never change their meaning
	// Expand shows fields called *_json, which hold JSON as text, as the JSON they hold.
	Expand bool
}

// NewRenderer asks schemas for each id once.
func NewRenderer(schemas avro.Source) *Renderer { return &Renderer{schemas: schemas} }

// Line is a record as it is shown.
type Line struct {
	Topic     string          `json:"topic"` // on the cluster
	Partition int32           `json:"partition"`
	Offset    int64           `json:"offset"`
	Timestamp string          `json:"timestamp"` // RFC 3339 in milliseconds, UTC
	Key       *string         `json:"key"`       // null when there is none
	KeyBytes  []byte          `json:"key_base64,omitempty"`
	Headers   headers         `json:"headers"`
	SchemaID  int             `json:"schema_id,omitempty"`
	Value     json.RawMessage `json:"value"`
	// Unreadable says why Value is null although the record has one, which is then in ValueBytes.
	Unreadable *Reason `json:"unreadable,omitempty"`
	ValueBytes []byte  `json:"value_base64,omitempty"`
}

// Reason is why a record cannot be read: not_avro, unknown_schema, incompatible_schema, undecodable.
type Reason struct {
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

// Millis is how moments are shown.
const Millis = "2006-01-02T15:04:05.000Z07:00"

// Render makes a line of a record. It fails only when the registry cannot be asked.
func (r *Renderer) Render(ctx context.Context, rec *stream.Record) (Line, error) {
	l := Line{
		Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset,
		Timestamp: rec.Timestamp.UTC().Format(Millis),
		Headers:   rec.Headers,
		Value:     json.RawMessage("null"),
	}
	if rec.Key != nil {
		if utf8.Valid(rec.Key) {
			key := string(rec.Key)
			l.Key = &key
		} else {
			l.KeyBytes = rec.Key
		}
	}
	if rec.Value == nil {
		return l, nil // a tombstone
	}
	id, body, err := avro.Split(rec.Value)
	if err == nil {
		l.SchemaID = id
		l.Value, err = r.value(ctx, id, body)
	}
	if unreadable, ok := avro.AsUnreadable(err); ok {
		l.Value = json.RawMessage("null")
		l.Unreadable = &Reason{unreadable.Reason, unreadable.Detail}
		l.ValueBytes = rec.Value
		return l, nil
	}
	return l, err
}

func (r *Renderer) value(ctx context.Context, id int, body []byte) (json.RawMessage, error) {
	known, ok := r.plans.Load(id)
	if !ok {
		text, err := r.schemas.SchemaByID(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("looking up schema %d: %w", id, err)
		}
		known = newPlan(text)
		r.plans.Store(id, known)
	}
	return known.(*plan).render(body, r.Expand)
}

// headers are shown as an object; a name that comes twice has a list.
type headers []stream.Header

// MarshalJSON keeps the order in which the names first come.
func (hs headers) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, h := range hs {
		if index(hs[:i], h.Key) >= 0 {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(appendJSON(b, h.Key), ':')
		if index(hs[i+1:], h.Key) < 0 {
			b = appendHeader(b, h.Value)
			continue
		}
		b = append(b, '[')
		for j, other := range hs[i:] {
			if other.Key != h.Key {
				continue
			}
			if j > 0 {
				b = append(b, ',')
			}
			b = appendHeader(b, other.Value)
		}
		b = append(b, ']')
	}
	return append(b, '}'), nil
}

func index(hs []stream.Header, name string) int {
	for i, h := range hs {
		if h.Key == name {
			return i
		}
	}
	return -1
}

func appendHeader(b, value []byte) []byte {
	switch {
	case value == nil:
		return append(b, "null"...)
	case utf8.Valid(value):
		return appendJSON(b, string(value))
	}
	b = append(b, `{"base64":"`...)
	b = base64.StdEncoding.AppendEncode(b, value)
	return append(b, `"}`...)
}

// Moment reads a point in time as --since and --until take it: RFC 3339, a date, or how long ago.
func Moment(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-max(d, -d)), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("want a time such as 2026-03-02T09:15:04Z, a date, or how long ago, such as 10m")
}
