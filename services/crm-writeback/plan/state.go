package plan

import (
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// side is where an edit was made, or where a value goes.
type side byte

const (
	nobody side = iota
	inBraze
	inCRM
)

func (s side) other() side {
	if s == inCRM {
		return inBraze
	}
	return inCRM
}

func (s side) String() string {
	switch s {
	case inBraze:
		return "braze"
	case inCRM:
		return "crm"
	case nobody:
	}
	return "nobody"
}

// Bounds of what is kept of one user. A source that makes up keys or fields must not fill the changelog.
const (
	maxObjects = 64
	maxFields  = 200       // of one object
	maxLedger  = 32        // writes of one field whose echo may come
	maxSeen    = 512       // records of the last day
	maxText    = 256       // bytes of a value that is kept to be written back
	maxPath    = 6         // steps of the way of a value
	maxState   = 512 << 10 // bytes of all of it; oldest objects go first
	seenFor    = 24 * time.Hour
	// unanswered is how long a write may be on its way: longer than the topic keeps it.
	unanswered = 14 * 24 * time.Hour
	// replayable is how long a refused write may be sent once more: as long as its dead letter is kept.
	replayable = 30 * 24 * time.Hour
)

// state is what is known of one user. All times are in milliseconds; 0 is never.
type state struct {
	who     event.User // as the key says, with nothing else beside; nobody under the key of a record without a user
	seen    []seen
	objects []object
}

// seen is a record that was planned already.
type seen struct {
	hash uint64
	at   int64
}

// object is one object of a system that is the user's.
type object struct {
	target, object string
	keyField, key  string // empty until something is written to it
	mode           string // of the last write
	id             string // the system's own; empty until it has told
	fields         []field
}

// field is what is known of a field on both sides.
type field struct {
	name string
	win  value // what both sides are to have
	// toBraze and toCRM are the last writes that were planned to each side: nothing planned before them can arrive
	// after them, for the order of one user is kept.
	toBraze, toCRM sent
	// refused says that the system has not taken win: it is to be sent again when it is said again.
	refused bool
	// heard is the newest thing that the system said of the field, edit or echo; spoke, the newest edit.
	heard  heard
	spoke  int64
	number int64 // the system's version of the object at spoke
	counts bool  // there is one
	// hops counts how often the value has changed sides, the last time at turned; path is its way.
	hops   int
	turned int64
	path   []step
	ledger []entry
}

// value is a value in the system's words.
type value struct {
	hash   uint64
	text   string // JSON; empty where it is too long to keep
	side   side   // who set it; nobody: nothing is known
	edited int64
}

// sent is the last write to a side.
type sent struct {
	write   uint64 // hash of its id; 0 of one to Braze
	hash    uint64
	planned int64 // 0: there was none
	written int64 // known to be done; 0 while it is not
}

type heard struct {
	hash uint64
	at   int64
}

// step is a change of sides.
type step struct {
	side  side
	hash  uint64
	at    int64
	event string // id of the record, shortened
}

// entry is a write to the system whose echo may come.
type entry struct {
	write   uint64 // hash of its id
	hash    uint64 // of the value
	planned int64
	written int64
	expires int64
	before  int64 // its echo is no later than this; 0: nobody knows
	refused bool  // there is no echo, unless it is sent once more
}

func (s *state) reset() {
	s.who = event.User{}
	s.seen, s.objects = s.seen[:0], s.objects[:0]
}

// add appends an object, in the memory of one that was there before.
func (s *state) add() *object {
	if n := len(s.objects); n < cap(s.objects) {
		s.objects = s.objects[:n+1]
		s.objects[n] = object{fields: s.objects[n].fields[:0]}
	} else {
		s.objects = append(s.objects, object{})
	}
	return &s.objects[len(s.objects)-1]
}

func (o *object) add() *field {
	if n := len(o.fields); n < cap(o.fields) {
		o.fields = o.fields[:n+1]
		o.fields[n] = field{path: o.fields[n].path[:0], ledger: o.fields[n].ledger[:0]}
	} else {
		o.fields = append(o.fields, field{})
	}
	return &o.fields[len(o.fields)-1]
}
