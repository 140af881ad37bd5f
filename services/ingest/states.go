package ingest

import (
	"bytes"

	"github.com/sluicehq/sluice/pkg/event"
)

// statesOf takes what somebody wants to be sent out of a change of a profile, if there is more to it, and
// returns it as an item of its own: a change is taken or refused whole further on, by rules that are not
// known here (fields.yaml), and a no must not be lost for what came with it.
func statesOf(it *item, s *scanner) (states item, ok bool) {
	p := it.profile
	if p == nil || it.fate != toTopic || it.problem.why != fine || !bytes.Contains(p.Set, []byte(`_subscribe"`)) {
		return item{}, false
	}
	said, rest := openObject(64), openObject(len(p.Set))
	s.reset(p.Set)
	for base, first := s.object(), true; s.member(base, first); first = false {
		name := s.name
		if value := s.raw(); name == "email_subscribe" || name == "push_subscribe" {
			said.member(name, value)
		} else {
			rest.member(name, value)
		}
	}
	if said.empty() || rest.empty() && len(p.Unset) == 0 {
		return item{}, false
	}
	if p.Set = nil; !rest.empty() {
		p.Set = rest.close()
	}
	states = item{start: it.start, end: it.end}
	states.profile = &event.Profile{User: p.User, OccurredAt: p.OccurredAt, Set: said.close()}
	if id := it.id(); id != "" {
		states.setID(idOf(id + ":states")) // the message's own id is the other change's
	}
	return states, true
}
