package plan

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
)

// subject holds the record's key, its user_id and its identifiers to one another, and its time to the record's stamp, and
// looks whether the record was here before. It is false where there is nothing more to decide.
func (t *turn) subject(r *stream.Record, k kind, u *event.User, key, stated, id, within string, at *time.Time) (sub subject, ok bool) {
	switch {
	case len(id) > longestID || len(within) > longestID || len(r.Key) > longestKey:
		t.refused("too_large", fmt.Sprintf("an event_id has at most %d bytes, a user %d", longestID, longestKey))
		return sub, false
	case !utf8.Valid(r.Key) || !utf8.ValidString(id):
		t.refused("undecodable", "event_id or key: not UTF-8")
		return sub, false
	case key != string(r.Key) || stated != key:
		t.refused("key_mismatch", fmt.Sprintf("the key (%d bytes), user_id and the record's identifiers are not of the same user", len(r.Key)))
		return sub, false
	case t.about == ofObject:
		t.refused("key_mismatch", "the key is that of a system's object")
		return sub, false
	}
	t.about = ofUser
	if t.user.who == (event.User{}) {
		t.user.who = only(*u)
	}
	if at.After(r.Timestamp.Add(ahead)) { // it would win until time has caught up with it
		*at = r.Timestamp.UTC()
	}
	sub = subject{key: key, user: *u, at: *at, cause: crm.Cause{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, EventID: id}}
	hash := eventHash(k, within, id)
	if t.user.repeated(hash, t.p.core.judge.now) {
		t.out.settle(outcome.Outcome{Kind: outcome.Skipped, Reason: "duplicate"})
		return sub, false
	}
	t.event = hash
	return sub, true
}

// eventHash names an event; an id is unique within an action's name, or a system.
func eventHash(k kind, within, id string) uint64 {
	var d xxhash.Digest
	d.Reset()
	for _, part := range [...]string{inputNames[k], within, id} {
		_, _ = d.WriteString(part)
		_, _ = d.Write([]byte{0})
	}
	return d.Sum64()
}
