package crm

import (
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/outcome"
)

// Delivery is one record of crm.deliveries.
type Delivery struct {
	WriteID   string
	UserID    string
	Target    string
	Object    string
	Key       string
	CRMID     string // the target's own id of the object; empty where its answer names none
	Mode      string
	Fields    []byte // JSON object; nil where there are none
	Rule      string
	Cause     Cause
	Partition int32 // of crm-writeback.writes
	Offset    int64 // there
	Outcome   outcome.Outcome
	Conflicts []byte // JSON array of [Conflict]; nil where there is none
	Status    int    // HTTP status; 0 when there was no answer
	RequestID string
	Latency   time.Duration
	Attempts  int
	Hops      int
	EditedAt  time.Time
	SettledAt time.Time
}

// Append appends the record of version 1, header included; id is the id of that version's schema in the registry.
func (d *Delivery) Append(dst []byte, id int) []byte {
	dst = avro.AppendHeader(dst, id)
	dst = avro.AppendString(dst, d.WriteID)
	dst = avro.AppendString(dst, d.UserID)
	dst = avro.AppendString(dst, d.Target)
	dst = avro.AppendString(dst, d.Object)
	dst = avro.AppendString(dst, d.Key)
	dst = avro.AppendOptString(dst, d.CRMID)
	dst = avro.AppendString(dst, d.Mode)
	dst = avro.AppendOptBytes(dst, d.Fields)
	dst = avro.AppendOptString(dst, d.Rule)
	dst = avro.AppendString(dst, d.Cause.EventID)
	dst = avro.AppendString(dst, d.Cause.Topic)
	dst = avro.AppendLong(dst, int64(d.Cause.Partition))
	dst = avro.AppendLong(dst, d.Cause.Offset)
	dst = avro.AppendLong(dst, int64(d.Partition))
	dst = avro.AppendLong(dst, d.Offset)
	dst = avro.AppendString(dst, d.Outcome.Kind.String())
	dst = avro.AppendOptString(dst, d.Outcome.Reason)
	dst = avro.AppendOptString(dst, d.Outcome.Detail)
	dst = avro.AppendOptBytes(dst, d.Conflicts)
	dst = avro.AppendOptLong(dst, int64(d.Status), d.Status != 0)
	dst = avro.AppendOptString(dst, d.RequestID)
	dst = avro.AppendOptLong(dst, d.Latency.Milliseconds(), d.RequestID != "")
	dst = avro.AppendLong(dst, int64(d.Attempts))
	dst = avro.AppendLong(dst, int64(d.Hops))
	dst = avro.AppendTime(dst, d.EditedAt)
	return avro.AppendTime(dst, d.SettledAt)
}

// ReadDelivery reads a record's value. The delivery aliases it.
func ReadDelivery(value []byte) (Delivery, error) {
	var d Delivery
	_, body, err := avro.Split(value)
	if err != nil {
		return d, err
	}
	in := avro.NewReader(body)
	d.WriteID = in.String("write_id")
	d.UserID = in.String("user_id")
	d.Target = in.String("target")
	d.Object = in.String("object")
	d.Key = in.String("object_key")
	d.CRMID = in.OptString("crm_id")
	d.Mode = in.String("mode")
	d.Fields = in.OptBytes("fields_json")
	d.Rule = in.OptString("rule")
	d.Cause.EventID = in.String("event_id")
	d.Cause.Topic = in.String("source_topic")
	d.Cause.Partition = int32(in.Long("source_partition"))
	d.Cause.Offset = in.Long("source_offset")
	d.Partition = int32(in.Long("write_partition"))
	d.Offset = in.Long("write_offset")
	word := in.String("outcome")
	d.Outcome.Reason = in.OptString("reason")
	d.Outcome.Detail = in.OptString("detail")
	d.Conflicts = in.OptBytes("conflict_json")
	if in.Present("http_status") {
		d.Status = int(in.Long("http_status"))
	}
	d.RequestID = in.OptString("request_id")
	if in.Present("latency_ms") {
		d.Latency = time.Duration(in.Long("latency_ms")) * time.Millisecond
	}
	d.Attempts = int(in.Long("attempts"))
	d.Hops = int(in.Long("hops"))
	d.EditedAt = in.Time("edited_at")
	d.SettledAt = in.Time("settled_at")
	if err := in.Err(); err != nil {
		return d, err
	}
	kind, ok := outcome.Parse(word)
	if !ok {
		return d, &avro.Unreadable{Reason: "undecodable", Detail: "outcome: no such word"}
	}
	d.Outcome.Kind = kind
	return d, nil
}
