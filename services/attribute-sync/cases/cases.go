// Package cases is what a customer's support cases mean for his profile and for what he is sent: until
// when promotions are held back, how many cases are open, whether he is at risk, and when it is time to
// ask him how it went. It is pure: no Kafka, no clock, no goroutine. The time is an argument.
//
// A helpdesk's reports come twice, late and in any order, and some never come. So nothing here counts up
// and down. A [State] keeps per case only what the newest report of each sort said, and when; two such
// memories of one case can be joined in either order, or with themselves, and come out the same. What
// follows is computed anew each time:
//
//   - The newest of opened, escalated, reopened and resolved says whether a case is open. At the same
//     moment resolved beats opened and escalated, since sources with a clock of seconds open and close
//     within one; and reopened beats resolved, since a case that is open by mistake ends by itself while
//     one that is closed by mistake sends an angry customer a survey. The words updated and at_risk open a
//     case nobody has heard of, but never one that has been resolved: a note of an agent is no reopening.
//   - An open case holds promotions back until its last news and a span by its severity, rounded up to
//     [Rules.RenewStep], so that a chatty case costs a data point or two a day and not one per comment. Only
//     news moves that date, never time. When it passes with nothing heard, the case counts as closed: were
//     everything lost from here on, this very process included, the customer is free, for the date stands
//     in his profile.
//   - A date that has passed is left where it is; to unset it would cost a second data point to say the
//     same.
//
// One user's share of a record's way:
//
//	changed := rules.Apply(state, c, now)   // per record
//	ripe := rules.Advance(state, now)       // once per window, and whenever Due says so
//	rules.Attributes(state, now)            // what the profile ought to have: for the difference
//	rules.Group(state, known, now)          // accounts that also unsubscribe a group
//	state.Append(nil), rules.Due(state)     // the state and its timer, if anything changed
//
// Durations are read when a state is next touched: a changed rule reaches a silent customer at his next
// report or timer.
package cases

import (
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// MaxCases is how many cases are kept of one user. Of one case more the closed one with the oldest news
// is forgotten, or, where all are open, the open one; its date stays.
const MaxCases = 200

// MaxText is the longest source, case id and channel, in bytes: they become properties of an event, where
// Braze takes no more than 255 characters (braze-docs: event_object).
const MaxText = 255

// State is what is known of one user's cases. The zero value knows of none. It is not for concurrent use.
type State struct {
	cases []file // by source, then id

	// seen is the moment up to which lapsed cases have been taken notice of, in milliseconds. A user's time
	// does not run backwards, whatever the clocks of two replicas say.
	seen int64
	// past is the latest date of a case that is no longer kept, last the newest rating of one.
	past int64
	last rating
	// group is the subscription group that the user has been taken out of, by us.
	group string
}

// Empty says that nothing is left to keep.
func (s *State) Empty() bool { return len(s.cases) == 0 && s.group == "" }

// Reset forgets everything.
func (s *State) Reset() {
	clear(s.cases)
	*s = State{cases: s.cases[:0]}
}

// Len is how many cases are kept.
func (s *State) Len() int { return len(s.cases) }

// clock is now in milliseconds, or what this user has seen already if that is later.
func (s *State) clock(now time.Time) int64 { return max(now.UnixMilli(), s.seen) }

// find returns where the case is, or would be.
func (s *State) find(source, id string) (int, bool) {
	return slices.BinarySearchFunc(s.cases, key{source, id}, func(f file, k key) int { return f.compare(k) })
}

// drop forgets the case at i, but neither its date nor its rating.
func (s *State) drop(r *Rules, i int) {
	s.past = max(s.past, r.date(&s.cases[i]))
	s.last.join(s.cases[i].rated)
	s.cases = slices.Delete(s.cases, i, i+1)
}

type key struct{ source, id string }

func (k key) compare(o key) int {
	if c := strings.Compare(k.source, o.source); c != 0 {
		return c
	}
	return strings.Compare(k.id, o.id)
}

// rating is what the customer gave, and when; nothing at 0.
type rating struct {
	at    int64
	value int8
}

// join keeps the newer one; of two at the same moment the lower, lest an unhappy customer be overlooked.
func (r *rating) join(o rating) {
	if o.at > r.at || o.at == r.at && o.value < r.value {
		*r = o
	}
}

// severities in rising order; 0 is none.
var severities = [...]event.Severity{"", event.SeverityLow, event.SeverityNormal, event.SeverityHigh, event.SeverityUrgent}

const (
	low = 1 + iota
	normal
	high
	urgent
)
