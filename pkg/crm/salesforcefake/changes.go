package salesforcefake

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Change is what really changed of a record, and who did it.
type Change struct {
	Seq     int64
	Object  string
	ID      string
	Fields  map[string]jsontext.Value // only those that have another value than before; null for one that is empty now
	Actor   string
	Created bool
	At      time.Time
}

// tell hands a change to everybody who wants to know of such. It holds the lock.
func (s *Sandbox) tell(c Change) {
	for _, out := range s.out {
		out.take(c, s.knobs.TellAfter)
	}
}
