package cases

import (
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// States of a subscription group, as Braze calls them.
const (
	Subscribed   = "subscribed"
	Unsubscribed = "unsubscribed"
)

// Group is what has to be said of subscription groups now, for accounts that have named one in
// [Rules.SuppressGroup]: unsubscribed while a case is open, and subscribed again afterwards. Known is the
// state that the profile is known to have in that group, or empty.
//
// Only who was subscribed is taken out, and only who was taken out by us is put back: to subscribe a
// customer who has unsubscribed himself is worse than any promotion. Of whom nothing is known is left
// alone, unless [Rules.AssumeSubscribed].
//
// The state remembers what was said, so keep it whenever the result is not empty.
func (r *Rules) Group(s *State, known string, now time.Time) (say []event.Subscription) {
	wanted, at := "", s.clock(now)
	if r.SuppressGroup != "" {
		for i := range s.cases {
			if r.open(&s.cases[i], at) {
				wanted = strings.ToLower(r.SuppressGroup)
				break
			}
		}
	}
	if s.group != "" && !s.Holds(wanted) {
		say = append(say, event.Subscription{GroupID: s.group, State: Subscribed})
		s.group = ""
	}
	if wanted != "" && s.group == "" && (known == Subscribed || known == "" && r.AssumeSubscribed) {
		say = append(say, event.Subscription{GroupID: wanted, State: Unsubscribed})
		s.group = wanted
	}
	return say
}

// Holds says that the user has been taken out of the group by us. Somebody else's "subscribed" is to be
// held back meanwhile: it is what he will be given back anyway.
func (s *State) Holds(group string) bool { return group != "" && strings.EqualFold(s.group, group) }

// Stated takes notice of what somebody else says of a group. Who unsubscribes while we hold the group
// means it: he will not be put back. Where a system only passes on what it has read from Braze, nobody is put
// back: that is the smaller mistake. It says whether the state is another one.
func (s *State) Stated(sub event.Subscription) bool {
	if sub.State != Unsubscribed || !s.Holds(sub.GroupID) {
		return false
	}
	s.group = ""
	return true
}

// isUUID takes the form 8-4-4-4-12, with letters of either size.
func isUUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i, c := range []byte(text) {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f'):
			return false
		}
	}
	return true
}
