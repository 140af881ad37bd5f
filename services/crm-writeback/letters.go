package crmwriteback

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Headers of a dead letter's record, by which operators pick what to replay: for which target it was, and why it did not
// take it. A replayed row carries them on, and loses them to new ones if it is refused again.
const (
	targetHeader = "target"
	reasonHeader = "reason"
)

// letter is the row as it stands on its topic, so that a replay puts it there once more, and what the target has said of it.
func (m *member) letter(it *item, what outcome.Outcome) deadletter.Letter {
	d, now := it.delivery, time.Now()
	headers := slices.DeleteFunc(slices.Clone(d.Headers()), func(h stream.Header) bool { return h.Key == targetHeader || h.Key == reasonHeader })
	reason := fit(what.Reason, mostReason)
	name := it.write.Target
	if name == "" {
		name = m.name
	}
	headers = append(headers, stream.Header{Key: targetHeader, Value: []byte(name)}, stream.Header{Key: reasonHeader, Value: []byte(reason)})
	l := deadletter.Letter{
		Reason: reason, Detail: "target " + name,
		OriginTopic: d.Partition().Topic, OriginPartition: d.Partition().Number, OriginOffset: d.Offset(), AppendedAt: d.AppendedAt(),
		Key: d.Key(), Value: d.Value(), Headers: headers, EventID: it.write.ID,
		Attempts: it.attempts, FirstAttemptAt: now, LastAttemptAt: now,
	}
	if what.Detail != "" {
		l.Detail += ": " + fit(what.Detail, mostDetail)
	}
	if !it.first.IsZero() {
		l.FirstAttemptAt = it.first
	}
	return l
}

// conflictsOf is a write's conflicts as JSON; nil where there are none.
func conflictsOf(w *crm.Write) []byte {
	if len(w.Conflicts) == 0 {
		return nil
	}
	text, err := json.Marshal(w.Conflicts)
	if err != nil { // they were read from JSON
		return nil
	}
	return text
}
