package brazesender

import (
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/stream"
)

// item is a record on its way to Braze: what it asks for, in order, and how far that has come.
type item struct {
	delivery stream.Delivery
	id       string // of the event; aliases the delivery's value
	source   string // within which the id is unique; likewise
	feed     feed
	identity identity // zero where nothing can repeat it, or nobody minds
	parts    []part
	order    *order // of a commerce event that is about one
	next     *item

	first    int64 // Unix nanoseconds of the first attempt
	attempts int32
	done     uint16 // parts that have come to their end
	blame    uint8  // times that its request failed with 5xx while others went well
	alone    bool   // not to be folded again: Braze refused a folded object
	reported bool   // a deferred receipt has been written

	again     bool // an earlier one with its identity is, or was when it came, on its way
	replayed  bool // somebody had it sent once more, on purpose
	delivered bool // Braze has all of it; whose request carried it says so
}

// part is one thing that a record asks of Braze: one object of a request.
type part struct {
	line *line // the kind of request that it may travel in
	// object is the encoded object. Of attributes it is only what names the user: what follows is
	// written when it is known which sets fold.
	object     []byte
	attributes []attribute
	array      braze.Array // of /users/track
	park       bool        // given up, rather than perhaps doubled, when nobody knows whether Braze has it
	repeatable bool        // Braze ends in the same state however often it gets the part
	alias      bool        // the user is known by an alias alone
	merge      bool        // objects among the attributes are laid over those that are there
}

// left are the parts that are still to be sent.
func (it *item) left() []part { return it.parts[it.done:] }

// size bounds the bytes of the part in a request from above.
func (p *part) size() int {
	n := len(p.object) + 64
	for _, a := range p.attributes {
		n += 6*len(a.key) + len(a.value) + 4 // a character takes at most six bytes when escaped
	}
	return n
}

// begin notes an attempt.
func (it *item) begin(now time.Time) {
	it.attempts++
	if it.first == 0 {
		it.first = now.UnixNano()
	}
}

// waitingFor is how long the item has been tried.
func (it *item) waitingFor(now time.Time) time.Duration {
	return time.Duration(now.UnixNano() - it.first)
}
