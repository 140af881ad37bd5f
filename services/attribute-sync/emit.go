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
	"github.com/go-json-experiment/json/jsontext"

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

// made says what came of a difference: whether anything was told at all, and of the attributes that are made here.
type made struct{ told, cases, orders bool }

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
	lost := chunks(append(d.Declined, t.lost...))
	u := event.Update{OccurredAt: d.OccurredAt, Causes: t.causesOf(d, m)}
	for i, o := range d.Objects {
		u.ID, u.Declined = updateID(t.at.key, d.Number, int64(i)), nil
		if u.Attributes, u.DataPoints = t.without(o.Attributes), o.Points; u.Attributes == nil {
			continue // that was all
		}
		if len(lost) > 0 {
			u.Declined, lost = lost[0], lost[1:] // said once
		}
		t.emit(&u)
		m.told = true
	}
	for i, declined := range lost { // nothing to be told, and somebody may want to know why
		t.emit(&event.Update{ID: updateID(t.at.key, 0, t.last()) + "." + strconv.Itoa(i), Declined: declined})
	}
	return m
}

// without leaves out the attribute by which Braze is told whom an update is about, since it cannot stand there
// twice: the e-mail address of somebody who is known by nothing else, and likewise the phone. What is left of
// nothing else is nil.
func (t *turn) without(attributes []byte) []byte {
	name := ""
	switch who := t.user.who; {
	case who.Email != "":
		name = "email"
	case who.Phone != "":
		name = "phone"
	}
	if name == "" || !bytes.Contains(attributes, []byte(`"`+name+`"`)) {
		return attributes
	}
	d := jsontext.NewDecoder(bytes.NewReader(attributes), jsontext.AllowDuplicateNames(true))
	kept := []byte{'{'}
	_, err := d.ReadToken()
	for err == nil && d.PeekKind() == '"' {
		var key, value jsontext.Value
		if key, err = d.ReadValue(); err == nil {
			key = slices.Clone(key)
			value, err = d.ReadValue()
		}
		if err == nil && string(key) != `"`+name+`"` {
			kept = append(append(append(append(kept, key...), ':'), value...), ',')
		}
	}
	switch {
	case err != nil: // it is JSON of our own
		return attributes
	case len(kept) == 1:
		return nil
	}
	kept[len(kept)-1] = '}'
	return kept
}

// mostDeclined is how many bytes of declined writes stand in one update: a backlog of stale records may have a
// hundred in each.
const mostDeclined = 128 << 10

// chunks divides declined writes among as many updates as they need.
func chunks(declined []event.Declined) (parts [][]event.Declined) {
	from, size := 0, 0
	for i := range declined {
		d := &declined[i]
		n := len(d.ID) + len(d.Source) + len(d.Field) + len(d.Reason) + len(d.Detail) + 16
		if size += n; size > mostDeclined && i > from {
			parts, from, size = append(parts, declined[from:i:i]), i, n
		}
	}
	if from < len(declined) {
		parts = append(parts, declined[from:])
	}
	return parts
}

// last tells apart the updates in which there is nothing but declined writes.
func (t *turn) last() int64 {
	if n := len(t.waiting); n > 0 {
		return t.waiting[n-1].record.Offset
	}
	return t.tx.Now.UnixMilli()
}

// causesOf are the records that a difference comes from: those that the profile names, and those that have
// changed what is made here.
func (t *turn) causesOf(d *profile.Difference, m made) []event.Cause {
	t.causes = t.causes[:0]
	for _, c := range d.Causes {
		if c.Topic != "" {
			t.causes = append(t.causes, c)
		}
	}
	for _, w := range t.waiting {
		if w.reason == "" && (w.kind == aCase && m.cases || w.kind == anOrder && m.orders) {
			t.causes = append(t.causes, w.cause)
		}
	}
	return t.causes
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
	b := &t.s.batch
	out := &struct { // one piece of memory
		record  stream.Record
		headers [4]stream.Header
	}{}
	headers := append(out.headers[:0], stream.Header{Key: "event-id", Value: []byte(u.ID)}, stream.Header{Key: "source", Value: []byte(source)})
	if t.trace != nil {
		headers = append(headers, stream.Header{Key: "traceparent", Value: t.trace})
	}
	if len(t.waiting) > 0 && !t.live {
		headers = append(headers, stream.Header{Key: "priority", Value: []byte("backfill")})
	}
	b.scratch = avro.AppendUpdate(b.scratch[:0], t.s.updates.id, u)
	out.record = stream.Record{
		Topic: t.s.updates.name, Partition: t.at.partition, Key: t.key, Value: b.memory.keep(b.scratch), Headers: headers,
	}
	_ = t.tx.Emit(&out.record) // it keeps its error, which fails the batch
}

// end says what became of each record that was taken in.
func (t *turn) end(d *profile.Difference, m made) {
	for _, w := range t.waiting {
		what := ending{kind: w.kind, what: outcome.Skipped, reason: w.reason}
		switch {
		case w.reason != "":
		case w.kind == aCase && m.cases, w.kind == anOrder && m.orders, w.kind == aProfile && m.told && names(d, &w.cause):
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

// lesson is what a receipt means for what is known of a customer.
type lesson int

const (
	nothing   lesson = iota
	refusal          // Braze did not take an update
	deletion         // the customer is gone
	departure        // the customer is somebody else now
)

func (s *Service) lesson(slip *receipt.Receipt) lesson {
	switch {
	case slip.Outcome.Kind == outcome.Refused && slip.Topic == s.updates.name:
		return refusal
	case slip.Outcome.Kind != outcome.Delivered:
	case slip.Endpoint == braze.UsersDelete.Path:
		return deletion
	case slip.Endpoint == braze.UsersIdentify.Path, slip.Endpoint == braze.UsersMerge.Path:
		return departure
	}
	return nothing
}

// teaches reports whether a receipt changes what is known of anybody.
func (s *Service) teaches(r *stream.Record) bool {
	slip, err := receipt.Read(r.Value)
	if err != nil {
		s.batch.tally.unread++
		return false
	}
	return s.lesson(&slip) != nothing
}

// receipt learns from what became of the customer's records at Braze.
func (t *turn) receipt(r *stream.Record) {
	slip, err := receipt.Read(r.Value)
	if err != nil {
		return
	}
	switch t.s.lesson(&slip) {
	case refusal:
		if n, part, ok := updateNumber(slip.EventID, t.at.key); ok {
			t.user.profile.Forget(n, part) // what was in it is sent again when it is said again
		}
	case deletion:
		t.tell() // what was said before is about who is gone, and not to be lost sight of
		t.user.reset()
	case departure:
		t.user.profile.ForgetAll() // who they turned out to be has a profile of their own
	case nothing:
	}
}

// keep stores what is known of the customer now, if it is not what was known before.
func (t *turn) keep(before []byte, due bool) error {
	b := &t.s.batch
	b.scratch = t.user.append(b.scratch[:0])
	after := b.scratch
	switch {
	case len(after) == 0 && len(before) == 0:
		return nil
	case len(after) == 0:
		return t.tx.Delete(t.at.partition, t.key)
	case !due && bytes.Equal(before, after):
		return nil
	}
	return t.tx.Put(t.at.partition, t.key, b.memory.keep(after), t.s.fields.Support.Due(&t.user.cases))
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

// updateNumber is the number and the part in an id that updateID has made for that key.
func updateNumber(id, key string) (number uint64, part int, ok bool) {
	whose, rest, ok := strings.Cut(id, "-")
	if mine, _, _ := strings.Cut(updateID(key, 0, 0), "-"); !ok || whose != mine {
		return 0, 0, false
	}
	digits, further, several := strings.Cut(rest, ".")
	number, err := strconv.ParseUint(digits, 10, 64)
	if several && err == nil {
		part, err = strconv.Atoi(further)
	}
	return number, part, err == nil && number > 0 && part >= 0
}
