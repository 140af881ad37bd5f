package trace

import (
	"bytes"
	"context"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// about finds the entry that a letter or receipt is about. Where the record is not there any more it
// makes one of what is left; where the limit has cut it off, there is none.
func (f *finder) about(place replay.Place, at *Entry) *Entry {
	if e := f.entries[place]; e != nil {
		return e
	}
	part := replay.Place{Topic: place.Topic, Partition: place.Partition}
	if cut, ok := f.cut[part]; ok && place.Partition >= 0 && place.Offset < cut {
		return nil
	}
	f.trim()
	at.Place, at.Topic, at.Gone = place, f.cluster.Ours(place.Topic), true
	f.entries[place] = at
	return at
}

// gone is what is said of a record of which only letters or receipts are left.
func (f *finder) gone() string {
	if !f.query.Since.IsZero() {
		return "a record from before, or not on its topic any more"
	}
	return "a record that is not on its topic any more"
}

// letter takes a dead letter that is about a record found, or belongs to the question itself.
func (f *finder) letter(ctx context.Context, t schema.Topic, r *stream.Record) error {
	l, err := f.letters.Decode(ctx, r.Value)
	if _, unreadable := avro.AsUnreadable(err); unreadable {
		return nil
	}
	if err != nil {
		return err
	}
	origin := replay.Place{Topic: l.OriginTopic, Partition: l.OriginPartition, Offset: l.OriginOffset}
	own := f.as == Key && string(l.Key) == f.query.Text || f.as == Event && l.EventID == f.query.Text
	if f.entries[origin] == nil && !own {
		return nil
	}
	if origin.Partition < 0 { // of those that never stood on a topic each is its own
		origin = replay.Place{Topic: l.OriginTopic, Partition: -1, Offset: r.Offset}
	}
	e := f.about(origin, &Entry{At: l.AppendedAt.UTC(), EventID: l.EventID, Key: string(l.Key), What: f.gone()})
	if e == nil {
		return nil
	}
	if e.Gone && origin.Partition < 0 {
		e.What = "an item that became no record"
	}
	e.Letters = append(e.Letters, Letter{
		At: r.Timestamp.UTC(), ID: replay.PlaceOf(r), Service: strings.TrimSuffix(t.Name, schema.DeadLetters("")),
		Reason: l.Reason, Detail: l.Detail, Attempts: l.Attempts,
	})
	return nil
}

// receipt takes a receipt likewise. It is read with its writer's schema, whichever service that is.
func (f *finder) receipt(ctx context.Context, t schema.Topic, r *stream.Record) error {
	if f.as == Event && len(f.entries) == 0 && !bytes.Contains(r.Value, []byte(f.query.Text)) {
		return nil // by far the most, when all partitions have to be read
	}
	line, err := f.render.Render(ctx, r)
	if err != nil {
		return err
	}
	var slip struct {
		EventID   string `json:"event_id"`
		UserID    string `json:"user_id"`
		Topic     string `json:"source_topic"`
		Partition int32  `json:"source_partition"`
		Offset    int64  `json:"source_offset"`
		Outcome   string `json:"outcome"`
		Reason    string `json:"reason"`
		Detail    string `json:"detail"`
		Endpoint  string `json:"endpoint"`
		Status    int    `json:"http_status"`
		RequestID string `json:"request_id"`
		LatencyMS int64  `json:"latency_ms"`
		Attempts  int    `json:"attempts"`
		WriteID   string `json:"write_id"`
		Target    string `json:"target"`
		Object    string `json:"object"`
		Hops      int    `json:"hops"`
	}
	if err := json.Unmarshal(line.Value, &slip); err != nil || slip.Topic == "" {
		return nil //nolint:nilerr // not one that says what it is about
	}
	place := replay.Place{Topic: slip.Topic, Partition: slip.Partition, Offset: slip.Offset}
	own := f.as == Key && string(r.Key) == f.query.Text || f.as == Event && slip.EventID == f.query.Text
	if f.entries[place] == nil && !own {
		return nil
	}
	e := f.about(place, &Entry{At: r.Timestamp.UTC(), EventID: slip.EventID, Key: slip.UserID, What: f.gone()})
	if e == nil {
		return nil
	}
	e.Receipts = append(e.Receipts, Receipt{
		At: r.Timestamp.UTC(), Place: replay.PlaceOf(r), Service: t.WrittenBy,
		Outcome: slip.Outcome, Reason: slip.Reason, Detail: slip.Detail, Endpoint: slip.Endpoint,
		Status: slip.Status, RequestID: slip.RequestID, LatencyMS: slip.LatencyMS, Attempts: slip.Attempts,
		WriteID: slip.WriteID, Target: slip.Target, Object: slip.Object, Hops: slip.Hops,
	})
	return nil
}
