package attributesync

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/attribute-sync/profile"
)

// tell writes what Braze has to be told after the records that were taken in, and ends them.
func (t *turn) tell() {
	due := t.make()
	d := t.user.profile.Update()
	told := t.difference(&d)
	for i := range due {
		t.emit(&event.Update{ID: due[i].ID, OccurredAt: due[i].OccurredAt, Trigger: due[i].Name, Properties: due[i].Properties})
	}
	t.end(&d, told)
	t.waiting, t.bytes, t.lost, t.live, t.trace = t.waiting[:0], 0, nil, false, nil
}

// made says of a difference what came of the attributes that are made here.
type made struct{ cases, orders bool }

// difference writes the updates of a difference, each with what it came from.
func (t *turn) difference(d *profile.Difference) (m made) {
	for _, c := range d.Counts {
		t.s.batch.tally.write(c)
		if c.Fate == profile.Sent {
			m.cases = m.cases || c.Source == supportSource
			m.orders = m.orders || c.Source == commerceSource
		}
	}
	for i := range d.Declined {
		t.s.batch.tally.declined(&d.Declined[i])
	}
	declined := append(d.Declined, t.lost...)
	if len(d.Objects) == 0 && len(declined) == 0 {
		return m
	}
	u := event.Update{OccurredAt: d.OccurredAt, Causes: t.causes(d, m), Declined: declined}
	if len(d.Objects) == 0 { // nothing to be told, and somebody may want to know why
		u.ID, u.OccurredAt = updateID(t.at.key, 0, t.declinedAt()), t.tx.Now
		t.emit(&u)
	}
	for i, o := range d.Objects {
		u.ID = updateID(t.at.key, d.Number, int64(i))
		u.Attributes, u.DataPoints = o.Attributes, o.Points
		t.emit(&u)
		u.Declined = nil // said once
	}
	return m
}

// declinedAt tells apart the updates in which there is nothing but declined writes.
func (t *turn) declinedAt() int64 {
	if n := len(t.waiting); n > 0 {
		return t.waiting[n-1].record.Offset
	}
	return t.tx.Now.UnixMilli()
}

// causes are the records that a difference comes from: those that the profile names, and those that have
// changed what is made here.
func (t *turn) causes(d *profile.Difference, m made) []event.Cause {
	causes := make([]event.Cause, 0, len(d.Causes)+len(t.waiting))
	for _, c := range d.Causes {
		if c.Topic != "" {
			causes = append(causes, c)
		}
	}
	for _, w := range t.waiting {
		if w.reason == "" && (w.kind == aCase && m.cases || w.kind == anOrder && m.orders) {
			causes = append(causes, w.cause)
		}
	}
	return causes
}

// emit puts one update beside the records that it comes from.
func (t *turn) emit(u *event.Update) {
	u.User, u.DecidedAt = t.user.who, t.tx.Now
	if u.OccurredAt.IsZero() {
		u.OccurredAt = t.tx.Now
	}
	source := Name
	if n := len(u.Causes); n > 0 {
		source = u.Causes[n-1].Source
	}
	headers := []stream.Header{{Key: "event-id", Value: []byte(u.ID)}, {Key: "source", Value: []byte(source)}}
	if t.trace != nil {
		headers = append(headers, stream.Header{Key: "traceparent", Value: t.trace})
	}
	if len(t.waiting) > 0 && !t.live {
		headers = append(headers, stream.Header{Key: "priority", Value: []byte("backfill")})
	}
	_ = t.tx.Emit(&stream.Record{ // it keeps its error, which fails the batch
		Topic: t.s.updates.name, Partition: t.at.partition, Key: []byte(t.at.key),
		Value: avro.AppendUpdate(nil, t.s.updates.id, u), Headers: headers,
	})
}

// end says what became of each record that was taken in.
func (t *turn) end(d *profile.Difference, m made) {
	for _, w := range t.waiting {
		what := ending{kind: w.kind, what: outcome.Skipped, reason: w.reason}
		switch {
		case w.reason != "":
		case w.kind == aCase && m.cases, w.kind == anOrder && m.orders, w.kind == aProfile && names(d, &w.cause):
			what.what = outcome.Delivered
		default:
			what.reason = whyNot(d, &w.cause)
		}
		t.s.batch.tally.ended[what]++
	}
}

// names reports whether a difference comes from a record.
func names(d *profile.Difference, c *event.Cause) bool {
	return slices.ContainsFunc(d.Causes, func(named event.Cause) bool {
		return named.Offset == c.Offset && named.Partition == c.Partition && named.Topic == c.Topic
	})
}

// whyNot says why nothing came of a record's writes.
func whyNot(d *profile.Difference, c *event.Cause) string {
	for i := range d.Declined {
		if x := &d.Declined[i]; x.ID == c.ID && x.Source == c.Source {
			return x.Reason
		}
	}
	return "unchanged"
}

// refuse writes a dead letter.
func (t *turn) refuse(r *stream.Record, k kind, id string, what outcome.Outcome) error {
	letter, err := t.s.letters.Fitting(deadletter.Letter{
		Reason: what.Reason, Detail: what.Detail,
		OriginTopic: r.Topic, OriginPartition: r.Partition, OriginOffset: r.Offset, AppendedAt: r.Timestamp,
		Key: r.Key, Value: r.Value, Headers: r.Headers, EventID: strings.ToValidUTF8(id, "\ufffd"),
		FirstAttemptAt: t.tx.Now, LastAttemptAt: t.tx.Now,
	})
	if err != nil {
		return fmt.Errorf("writing a dead letter: %w", err)
	}
	_ = t.tx.Emit(letter) // as above
	t.s.batch.tally.ended[ending{k, outcome.Refused, what.Reason}]++
	return nil
}

// receipt learns from what became of the customer's records at Braze.
func (t *turn) receipt(r *stream.Record) {
	slip, err := receipt.Read(r.Value)
	if err != nil {
		t.s.batch.tally.unread++
		return
	}
	switch {
	case slip.Outcome.Kind == outcome.Refused && slip.Topic == t.s.updates.name:
		if n, ok := updateNumber(slip.EventID, t.at.key); ok {
			t.user.profile.Forget(n) // what was in it is sent again when it is said again
		}
	case slip.Outcome.Kind != outcome.Delivered:
	case slip.Endpoint == braze.UsersDelete.Path:
		t.user.reset()
	case slip.Endpoint == braze.UsersIdentify.Path, slip.Endpoint == braze.UsersMerge.Path:
		t.user.profile.ForgetAll() // who they turned out to be has a profile of their own
	}
}

// keep stores what is known of the customer now, if it is not what was known before.
func (t *turn) keep(before []byte, due bool) error {
	after := t.user.append(nil)
	key := []byte(t.at.key)
	switch {
	case len(after) == 0 && len(before) == 0:
		return nil
	case len(after) == 0:
		return t.tx.Delete(t.at.partition, key)
	case !due && bytes.Equal(before, after):
		return nil
	}
	return t.tx.Put(t.at.partition, key, after, t.s.fields.Support.Due(&t.user.cases))
}

// updateID names an update: whose it is, its number among theirs, and its part.
func updateID(key string, number uint64, part int64) string {
	var sum [8]byte
	binary.BigEndian.PutUint64(sum[:], xxhash.Sum64String(key))
	id := hex.EncodeToString(sum[:]) + "-" + strconv.FormatUint(number, 10)
	if part > 0 {
		id += "." + strconv.FormatInt(part, 10)
	}
	return id
}

// updateNumber is the number in an id that updateID has made for that key.
func updateNumber(id, key string) (uint64, bool) {
	whose, rest, ok := strings.Cut(id, "-")
	if mine, _, _ := strings.Cut(updateID(key, 0, 0), "-"); !ok || whose != mine {
		return 0, false
	}
	digits, _, _ := strings.Cut(rest, ".")
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && n > 0
}
