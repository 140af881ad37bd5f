package schema

import "strconv"

// MaxMessageBytes bounds one batch of records on a topic, and so one record. A dead letter holds a whole
// record, or a whole webhook of up to 5 MB, which is nowhere else.
const (
	MaxMessageBytes    = 1 << 20
	MaxDeadLetterBytes = 6 << 20
)

// Configs are the topic's settings on the broker. Every one is explicit, so that a topic is the same
// on every cluster.
func (t Topic) Configs() map[string]string {
	limit := MaxMessageBytes
	if t.RecordType == deadLetterType {
		limit = MaxDeadLetterBytes
	}
	return map[string]string{
		"cleanup.policy":         "delete",
		"retention.ms":           strconv.FormatInt(t.Retention.Milliseconds(), 10),
		"max.message.bytes":      strconv.Itoa(limit),
		"message.timestamp.type": "CreateTime",
	}
}
