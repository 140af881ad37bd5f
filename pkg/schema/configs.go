package schema

import (
	"strconv"
	"time"
)

// MaxMessageBytes bounds one batch of records on a topic, and so one record. A dead letter holds a whole
// record, or a whole webhook of up to 5 MB, which is nowhere else.
const (
	MaxMessageBytes    = 1 << 20
	MaxDeadLetterBytes = 6 << 20
)

// TombstoneRetention is how long a compacted topic keeps word of what was deleted. A local copy that is
// older may hold what is gone, and is thrown away.
const TombstoneRetention = 7 * 24 * time.Hour

// Configs are the topic's settings on the broker. Every one is explicit, so that a topic is the same
// on every cluster.
func (t Topic) Configs() map[string]string {
	limit := MaxMessageBytes
	if t.RecordType == deadLetterType {
		limit = MaxDeadLetterBytes
	}
	if t.Compacted {
		return map[string]string{
			"cleanup.policy":      "compact",
			"delete.retention.ms": strconv.FormatInt(t.Retention.Milliseconds(), 10),
			// Small segments, so that what is stale goes soon: the last one is never compacted.
			"segment.bytes":          strconv.Itoa(64 << 20),
			"max.message.bytes":      strconv.Itoa(limit),
			"message.timestamp.type": "CreateTime",
		}
	}
	return map[string]string{
		"cleanup.policy":         "delete",
		"retention.ms":           strconv.FormatInt(t.Retention.Milliseconds(), 10),
		"max.message.bytes":      strconv.Itoa(limit),
		"message.timestamp.type": "CreateTime",
	}
}
