package plan

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
)

// largestRow is the size of a row that surely fits into a record.
const largestRow = 900 << 10

// emit puts a row beside the record that it comes from. One that would not fit is refused, and takes itself back by
// its delivery.
func (t *turn) emit(w *crm.Write, r *stream.Record) {
	b := &t.p.batch
	var err error
	if b.scratch, err = w.Append(b.scratch[:0]); err != nil || len(b.scratch) > largestRow {
		detail := fmt.Sprintf("%d bytes; at most %d can be written", len(b.scratch), largestRow)
		if err != nil {
			detail = err.Error()
		}
		w.Settled = &crm.Settled{Outcome: outcome.Refused.String(), Reason: "too_large", Detail: detail}
		w.Fields, w.Conflicts, w.Groups = nil, nil, nil
		t.refused("too_large", detail)
		if b.scratch, err = w.Append(b.scratch[:0]); err != nil {
			return // of texts alone: it cannot be
		}
	}
	out := &struct { // one piece of memory
		record  stream.Record
		headers [5]stream.Header
	}{}
	headers := append(out.headers[:0], stream.Header{Key: "event-id", Value: []byte(w.ID)}, stream.Header{Key: "source", Value: []byte(source)})
	if w.Origin != "" {
		headers = append(headers, stream.Header{Key: "origin", Value: []byte(w.Origin)})
	}
	if w.Hops > 0 {
		headers = append(headers, stream.Header{Key: "hops", Value: []byte(strconv.Itoa(w.Hops))})
	}
	for _, h := range r.Headers {
		if h.Key == "traceparent" {
			headers = append(headers, h)
			break
		}
	}
	out.record = stream.Record{Topic: t.p.writes, Partition: t.partition, Key: t.key, Value: b.memory.keep(b.scratch), Headers: headers}
	_ = t.tx.Emit(&out.record) // it keeps its error, which fails the batch
	b.tally.row(w)
}

// largestChange is the size of a change that surely fits into a record.
const largestChange = 900 << 10

// pass writes a change once more, under another key.
func (t *turn) pass(c *event.Change, key string, headers []stream.Header) error {
	b := &t.p.batch
	b.scratch = avro.AppendChange(b.scratch[:0], t.p.changesID, c)
	if len(b.scratch)+len(key) > largestChange {
		return fmt.Errorf("%d bytes; at most %d fit", len(b.scratch), largestChange)
	}
	if headers == nil {
		headers = []stream.Header{{Key: "event-id", Value: []byte(c.ID)}, {Key: "source", Value: []byte(source)}}
	}
	_ = t.tx.Emit(&stream.Record{Topic: t.p.names[aChange], Key: []byte(key), Value: b.memory.keep(b.scratch), Headers: headers}) // as above
	return nil
}

// refuse writes a dead letter.
func (t *turn) refuse(r *stream.Record, k kind, id string, what outcome.Outcome) error {
	letter, err := t.p.letters.Fitting(deadletter.Letter{
		Reason: what.Reason, Detail: what.Detail,
		OriginTopic: r.Topic, OriginPartition: r.Partition, OriginOffset: r.Offset, AppendedAt: r.Timestamp,
		Key: r.Key, Value: r.Value, Headers: r.Headers, EventID: strings.ToValidUTF8(id, "\ufffd"),
		FirstAttemptAt: t.now, LastAttemptAt: t.now,
	})
	if err != nil {
		return fmt.Errorf("writing a dead letter: %w", err)
	}
	_ = t.tx.Emit(letter) // as above
	t.p.batch.tally.ended[ending{k, outcome.Refused, what.Reason}]++
	return nil
}

// record is what waits, as it stood on its topic.
func (w *waiting) record(topic string, partition int32, key []byte) *stream.Record {
	return &stream.Record{
		Topic: topic, Partition: partition, Offset: w.offset, Timestamp: time.UnixMilli(w.stamp).UTC(),
		Key: key, Value: w.value, Headers: w.headers,
	}
}
