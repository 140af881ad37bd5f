package brazesender

import (
	"bytes"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/sluicehq/sluice/pkg/braze"
)

// user is the queue of one person's records. At most one request carries any of them at a time.
type user struct {
	key         string
	first, last *item
	objects     int // in the queue
	state       state
	line        *line // while ready
	readySince  time.Time
	notBefore   time.Time // while waiting
	alarm       time.Time // when the lane looks at the user again; zero when it does not
	written     []write   // attributes written within the spacing
	resting     bool      // kept for the case that more comes
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
	u.objects += len(it.left())
}

// putBack puts items, in order, before everything else.
func (u *user) putBack(items []*item) {
	for i := len(items) - 1; i >= 0; i-- {
		items[i].next = u.first
		u.first = items[i]
		if u.last == nil {
			u.last = items[i]
		}
		u.objects += len(items[i].left())
	}
}

func (u *user) pop() *item {
	it := u.first
	u.first = it.next
	if u.first == nil {
		u.last = nil
	}
	it.next = nil
	u.objects -= len(it.left())
	return it
}

// room is what a request can still take.
type room struct {
	total   int    // over all arrays; the legacy contract has no such limit
	arrays  [3]int // per array
	bytes   int
	perUser int
}

func (ln *line) room(legacy bool) room {
	r := room{total: ln.most, arrays: [3]int{ln.most, ln.most, ln.most}, bytes: ln.bytes - 1024, perUser: ln.perUser}
	if legacy && ln.arrays {
		r.total = 3 * ln.most
	}
	return r
}

// roomFor has room for one record and nobody else.
func (ln *line) roomFor(it *item) room {
	n := min(len(it.left()), ln.most)
	return room{total: n, arrays: [3]int{n, n, n}, bytes: ln.bytes - 1024, perUser: n}
}

// take makes room smaller by parts, all of them or none.
func (r *room) take(parts []part, folded bool) bool {
	after := *r
	for i := range parts {
		p := &parts[i]
		after.bytes -= p.size()
		if p.array == braze.Attributes && folded {
			continue // its values stand in an object that is there already
		}
		after.total--
		after.arrays[p.array]--
	}
	if after.total < 0 || after.bytes < 0 || after.arrays[braze.Attributes] < 0 || after.arrays[braze.Events] < 0 || after.arrays[braze.Purchases] < 0 {
		return false
	}
	*r = after
	return true
}

// load is what a request carries of an item: its parts from from to to.
type load struct {
	*item
	from, to uint16
}

func (ld load) carried() []part { return ld.parts[ld.from:ld.to] }

// attributes is the load's attributes object, which is always its first part; nil when it has none.
func (ld load) attributes() *part {
	if p := &ld.parts[ld.from]; len(p.attributes) > 0 {
		return p
	}
	return nil
}

// shareEnd says why a share is not longer.
type shareEnd uint8

const (
	allTaken    shareEnd = iota // the queue is empty now
	orderEnds                   // what follows would be applied too early; it waits for the next request
	roomEnds                    // the request is full
	spacingEnds                 // what follows writes an attribute that was written a moment ago
)

// share moves the longest prefix of the queue into a request that Braze's own order (attributes, then
// events, then purchases) leaves as it is: once an event is in, no attributes may follow. Attribute
// sets with nothing between them fold into one object where nothing is lost by it. When spacing ends
// the share, until says when to look again.
//
// Of a record that asks for several kinds of request only those parts move that this one can take, and
// nothing behind them. Other requests than those to /users/track take one part of a user: Braze says
// nothing of an order between their objects, or lets the last one win.
//
// Until calm no attributes go at all: an earlier owner may have written some a moment ago.
func (u *user) share(loads []load, ln *line, r *room, now, calm time.Time) (_ []load, why shareEnd, until time.Time) {
	u.forget(now)
	mine := len(loads) // where the user's loads begin
	folding := false
	highest := braze.Attributes
	left := r.perUser
	for it := u.first; it != nil; it = u.first {
		if it.again && len(loads) > mine {
			return loads, orderEnds, until // what it may repeat is in this request
		}
		left0 := it.left()
		n := 0
		for n < len(left0) && left0[n].line == ln && (n == 0 || ln.arrays && left0[n].array >= max(left0[n-1].array, braze.Events)) {
			n++ // attributes can only be the first: behind anything they would be applied before it
		}
		if n == 0 {
			return loads, orderEnds, until // its turn comes in another line
		}
		parts := left0[:n]
		if parts[0].array < highest {
			return loads, orderEnds, until
		}
		folded := false
		if len(parts[0].attributes) > 0 {
			if calm.After(now) {
				return loads, spacingEnds, calm
			}
			if until, conflict := u.conflict(&parts[0]); conflict {
				return loads, spacingEnds, until
			}
			if folding && !foldable(loads[mine:], it) {
				return loads, orderEnds, until // two objects of one array: their order is not documented
			}
			folded = folding
			folding = true
		}
		fits := (n <= left || len(loads) == mine) && r.take(parts, folded)
		for !fits && len(loads) == 0 && n > 1 { // it asks for more than any request holds
			n--
			parts = left0[:n]
			fits = r.take(parts, folded)
		}
		if !fits {
			return loads, roomEnds, until
		}
		left -= n
		highest = parts[n-1].array
		u.pop()
		loads = append(loads, load{it, it.done, it.done + uint16(n)})
		if n < len(left0) || !ln.arrays {
			return loads, orderEnds, until
		}
	}
	return loads, allTaken, until
}

// foldable reports whether an item's attributes may join those of loads right before it in one object
// with the same effect as all of them in turn: plain values fold, the newest winning; an operator
// builds on what was there and folds with nothing of the same key; what is merged folds with nothing.
func foldable(folded []load, it *item) bool {
	mine := &it.left()[0]
	for _, earlier := range folded {
		theirs := earlier.attributes()
		if theirs == nil {
			continue
		}
		if it.alone || earlier.alone || mine.merge || theirs.merge || !bytes.Equal(theirs.object, mine.object) {
			return false
		}
		for _, y := range theirs.attributes {
			for _, x := range mine.attributes {
				if x.key == y.key && (x.operator || adds(x.key)) {
					return false
				}
			}
		}
	}
	return true
}

// adds reports whether Braze adds the value of an attribute to what it has, and does not put it in its place.
func adds(key string) bool { return key == "subscription_groups" || key == "push_tokens" }

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

// conflict reports whether attributes write one that an earlier request wrote differently within the
// spacing: Braze may apply the two requests in either order.
func (u *user) conflict(p *part) (until time.Time, conflict bool) {
	if len(u.written) == 0 {
		return time.Time{}, false
	}
	for _, a := range p.attributes {
		key, value := xxhash.Sum64String(a.key), xxhash.Sum64(a.value)
		for _, w := range u.written {
			if w.key == key && (w.value != value || a.operator) && w.until.After(until) {
				until, conflict = w.until, true
			}
		}
	}
	return until, conflict
}

// wrote remembers the attributes of loads that Braze may have by now.
func (u *user) wrote(loads []load, until time.Time) {
	for _, ld := range loads {
		p := ld.attributes()
		if p == nil {
			continue
		}
		for _, a := range p.attributes {
			u.written = append(u.written, write{xxhash.Sum64String(a.key), xxhash.Sum64(a.value), until})
		}
	}
}
