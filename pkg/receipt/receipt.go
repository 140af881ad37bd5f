// Package receipt is the record of braze.deliveries: what became of a record on its way to Braze.
// braze-sender writes it before it commits and reads it after a crash; people read it to answer what
// happened to a customer's event.
package receipt

import (
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/outcome"
)

// Receipt is one record of braze.deliveries.
type Receipt struct {
	EventID   string // empty when the record could not be read
	UserID    string
	Topic     string // of the record, on the cluster
	Partition int32
	Offset    int64
	Outcome   outcome.Outcome
	Endpoint  string // "/users/track"; empty when nothing was sent
	Status    int    // HTTP status of Braze's answer; 0 when there was none
	RequestID string // our id of the request; all its records share it
	Latency   time.Duration
	Attempts  int // requests that carried the record so far
	SettledAt time.Time
	// PartsDone is how many of the things that the record asks for Braze had taken by then; 0 where it
	// asks for one, or none is done.
	PartsDone int
	// Source is the system that the record comes from, within which its event id is unique; empty where
	// there is none, or it is not known.
	Source string
}

// Append appends the record of version 3, header included; id is the id of that version's schema in
// the registry.
func (r *Receipt) Append(dst []byte, id int) []byte {
	dst = avro.AppendHeader(dst, id)
	dst = avro.AppendString(dst, r.EventID)
	dst = avro.AppendString(dst, r.UserID)
	dst = avro.AppendString(dst, r.Topic)
	dst = avro.AppendLong(dst, int64(r.Partition))
	dst = avro.AppendLong(dst, r.Offset)
	dst = avro.AppendString(dst, r.Outcome.Kind.String())
	dst = avro.AppendOptString(dst, r.Outcome.Reason)
	dst = avro.AppendOptString(dst, r.Outcome.Detail)
	dst = avro.AppendOptString(dst, r.Endpoint)
	dst = avro.AppendOptLong(dst, int64(r.Status), r.Status != 0)
	dst = avro.AppendOptString(dst, r.RequestID)
	dst = avro.AppendOptLong(dst, r.Latency.Milliseconds(), r.RequestID != "")
	dst = avro.AppendLong(dst, int64(r.Attempts))
	dst = avro.AppendTime(dst, r.SettledAt)
	dst = avro.AppendOptLong(dst, int64(r.PartsDone), r.PartsDone > 0)
	return avro.AppendOptString(dst, r.Source)
}

// Read reads a record's value, written with version 1, 2 or 3. The receipt aliases it.
func Read(value []byte) (Receipt, error) {
	var r Receipt
	_, body, err := avro.Split(value)
	if err != nil {
		return r, err
	}
	in := avro.NewReader(body)
	r.EventID = in.String("event_id")
	r.UserID = in.String("user_id")
	r.Topic = in.String("source_topic")
	r.Partition = int32(in.Long("source_partition"))
	r.Offset = in.Long("source_offset")
	word := in.String("outcome")
	r.Outcome.Reason = in.OptString("reason")
	r.Outcome.Detail = in.OptString("detail")
	r.Endpoint = in.OptString("endpoint")
	if in.Present("http_status") {
		r.Status = int(in.Long("http_status"))
	}
	r.RequestID = in.OptString("request_id")
	if in.Present("latency_ms") {
		r.Latency = time.Duration(in.Long("latency_ms")) * time.Millisecond
	}
	r.Attempts = int(in.Long("attempts"))
	r.SettledAt = in.Time("settled_at")
	if in.More() && in.Present("parts_done") { // version 1 ends before it
		r.PartsDone = int(in.Long("parts_done"))
	}
	if in.More() { // and version 2 before this
		r.Source = in.OptString("source")
	}
	if err := in.Err(); err != nil {
		return r, err
	}
	kind, ok := outcome.Parse(word)
	if !ok {
		return r, &avro.Unreadable{Reason: "undecodable", Detail: "outcome: no such word"}
	}
	r.Outcome.Kind = kind
	return r, nil
}
