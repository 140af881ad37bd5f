package brazesender

import (
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
)

// item is a record on its way to Braze: at most one attributes object and one event, which Braze
// applies in that order.
type item struct {
	delivery   stream.Delivery
	event      event.Event // aliases the delivery's value
	attributes []attribute // of event.Attributes, taken apart

	next     *item
	attempts int
	first    time.Time // of the attempts
	alone    bool      // not to be folded again: Braze refused a folded object
	blame    int       // times that its request failed with 5xx while others went well
	reported bool      // a deferred receipt has been written
}

func (it *item) hasAttributes() bool { return len(it.attributes) > 0 }
func (it *item) hasEvent() bool      { return it.event.Name != "" }

// size bounds the bytes of the item's objects in a request from above.
func (it *item) size() int {
	e := &it.event
	text := len(e.Name) + len(e.AppID) + 2*(len(e.User.ExternalID)+len(e.User.BrazeID)+len(e.User.AliasName)+len(e.User.AliasLabel)+len(e.User.Email)+len(e.User.Phone))
	return 6*text + len(e.Properties) + len(e.Attributes) + 256 // a character takes at most six bytes when escaped
}

// user is the queue of one person's records. At most one request carries any of them at a time.
type user struct {
	key         string
	first, last *item
	objects     int // in the queue, at most
	state       state
	readySince  time.Time
	notBefore   time.Time // while waiting
	written     []write   // attributes written within the spacing
}

type state uint8

const (
	idle    state = iota // nothing queued
	ready                // may be packed
	busy                 // a request is under way
	waiting              // for a time: a retry, or an attribute that was written a moment ago
)

// write remembers that an attribute was given a value.
type write struct {
	key, value uint64 // hashes
	until      time.Time
}

// tooMuchBlame is when a record is no longer believed to be the victim of its company.
const tooMuchBlame = 4

// suspect reports whether the next record may be what makes its requests fail: Braze answers 5xx to
// some, and everyone who shares a request with it would be sent again and again.
func (u *user) suspect() bool { return u.first != nil && u.first.blame >= tooMuchBlame }

func (u *user) push(it *item) {
	it.next = nil
	if u.last == nil {
		u.first = it
	} else {
		u.last.next = it
	}
	u.last = it
	u.objects += objectsOf(it)
}

// putBack puts items, in order, before everything else.
func (u *user) putBack(items []*item) {
	for i := len(items) - 1; i >= 0; i-- {
		items[i].next = u.first
		u.first = items[i]
		if u.last == nil {
			u.last = items[i]
		}
		u.objects += objectsOf(items[i])
	}
}

func (u *user) pop() *item {
	it := u.first
	u.first = it.next
	if u.first == nil {
		u.last = nil
	}
	it.next = nil
	u.objects -= objectsOf(it)
	return it
}

func objectsOf(it *item) int {
	n := 0
	if it.hasAttributes() {
		n++
	}
	if it.hasEvent() {
		n++
	}
	return n
}

// room is what a request can still take.
type room struct {
	total  int    // over all arrays; the legacy contract has no such limit
	arrays [3]int // per array
	bytes  int
}

func newRoom(c braze.Config) room {
	r := room{total: c.MaxObjects, arrays: [3]int{c.MaxObjects, c.MaxObjects, c.MaxObjects}, bytes: braze.MaxBody - 1024}
	if c.LegacyArrays {
		r.total = 3 * c.MaxObjects
	}
	return r
}

// newRoomFor has room for one record and nobody else.
func newRoomFor(it *item) room {
	n := objectsOf(it)
	return room{total: n, arrays: [3]int{n, n, n}, bytes: braze.MaxBody}
}

func (r *room) take(attributes, events, bytes int) bool {
	if attributes+events > r.total || attributes > r.arrays[braze.Attributes] || events > r.arrays[braze.Events] || bytes > r.bytes {
		return false
	}
	r.total -= attributes + events
	r.arrays[braze.Attributes] -= attributes
	r.arrays[braze.Events] -= events
	r.bytes -= bytes
	return true
}

// shareEnd says why a share is not longer.
type shareEnd uint8

const (
	allTaken    shareEnd = iota // the queue is empty now
	orderEnds                   // what follows would be applied too early; it waits for the next request
	roomEnds                    // the request is full
	spacingEnds                 // what follows writes an attribute that was written a moment ago
)

// share moves the longest prefix of the queue into a request that Braze's own order (attributes,
// then events) leaves as it is: once an event is in, no attributes may follow. Attribute sets with
// no event between them fold into one object where nothing is lost by it. When spacing ends the
// share, until says when to look again.
//
// Until calm no attributes go at all: an earlier owner may have written some a moment ago.
func (u *user) share(taken []*item, r *room, now, calm time.Time) (_ []*item, why shareEnd, until time.Time) {
	u.forget(now)
	var folded []*item // whose attributes make one object
	events := false
	for it := u.first; it != nil; it = u.first {
		attributes := 0
		if it.hasAttributes() {
			if events {
				return taken, orderEnds, until
			}
			if calm.After(now) {
				return taken, spacingEnds, calm
			}
			if until, conflict := u.conflict(it); conflict {
				return taken, spacingEnds, until
			}
			if len(folded) == 0 {
				attributes = 1
			} else if !foldable(folded, it) {
				return taken, orderEnds, until // two objects of one array: their order is not documented
			}
		}
		if !r.take(attributes, objectsOf(it)-boolInt(it.hasAttributes()), it.size()) {
			return taken, roomEnds, until
		}
		if it.hasAttributes() {
			folded = append(folded, it)
		}
		events = events || it.hasEvent()
		taken = append(taken, u.pop())
	}
	return taken, allTaken, until
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// foldable reports whether an item's attributes may join those of items right before it in one object
// with the same effect as all of them in turn: plain values fold, the newest winning; an operator
// builds on what was there and folds with nothing of the same key.
func foldable(folded []*item, it *item) bool {
	for _, earlier := range folded {
		if it.alone || earlier.alone || earlier.event.User != it.event.User {
			return false
		}
		for _, y := range earlier.attributes {
			for _, x := range it.attributes {
				if x.key == y.key && x.operator {
					return false
				}
			}
		}
	}
	return true
}

// forget drops writes that have had time to be applied.
func (u *user) forget(now time.Time) {
	kept := u.written[:0]
	for _, w := range u.written {
		if w.until.After(now) {
			kept = append(kept, w)
		}
	}
	u.written = kept
}

// conflict reports whether an item writes an attribute that an earlier request wrote differently
// within the spacing: Braze may apply the two requests in either order.
func (u *user) conflict(it *item) (until time.Time, conflict bool) {
	if len(u.written) == 0 {
		return time.Time{}, false
	}
	for _, a := range it.attributes {
		key, value := xxhash.Sum64String(a.key), xxhash.Sum64(a.value)
		for _, w := range u.written {
			if w.key == key && (w.value != value || a.operator) && w.until.After(until) {
				until, conflict = w.until, true
			}
		}
	}
	return until, conflict
}

// wrote remembers the attributes of items that Braze may have by now.
func (u *user) wrote(items []*item, until time.Time) {
	for _, it := range items {
		for _, a := range it.attributes {
			u.written = append(u.written, write{xxhash.Sum64String(a.key), xxhash.Sum64(a.value), until})
		}
	}
}
