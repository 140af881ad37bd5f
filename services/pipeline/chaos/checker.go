package chaos

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/outcome"
)

// The laws that a finding can be about.
const (
	Lost        = "lost"
	Disorder    = "out of order"
	Double      = "unexplained duplicate"
	TwoEnds     = "two ends"
	FalseYes    = "false receipt"
	DeadLetters = "dead letters"
	Sandbox     = "sandbox"
	Ended       = "ended by itself"
	Strange     = "strange"
)

// Cause is why Braze has an event more than once, and may.
type Cause uint8

// The causes. A double that has none of them is a finding.
const (
	_           Cause = iota
	InDoubt           // the request before got no answer, or a 5xx after it was applied
	InFlight          // the sender was killed while it waited for the answer
	Unreceipted       // it had the answer, but was killed before the receipt could be read by whoever came next
	Twice             // the record stands twice on the topic, because the door's answer was lost
)

var causes = [...]string{"", "in doubt", "in flight at a kill", "answered and not receipted at a kill", "twice on the topic"}

// String is how a report says it.
func (c Cause) String() string { return causes[c] }

// Finding is a promise that was broken.
type Finding struct {
	Law    string
	Detail string
}

// Check holds a history to what is promised: nothing lost, no user out of order, every duplicate
// explained, every record with exactly one end.
func Check(h *History) *Report {
	c := &checker{
		h: h,
		r: &Report{
			History: h, Doubles: map[Cause]int{}, Ends: map[outcome.Kind]int{},
		},
		records:  map[Event][]int{},
		at:       map[place]int{},
		receipts: map[place][]Receipt{},
		letters:  map[place][]Letter{},
		applied:  map[Event][]*Request{},
		refused:  map[Event]int{},
	}
	c.index()
	c.topic()
	c.ends()
	c.deadLetters()
	c.braze()
	c.doubles()
	c.processes()
	return c.r
}

type place struct {
	partition int32
	offset    int64
}

type checker struct {
	h *History
	r *Report

	records  map[Event][]int // indexes of its records on the topic
	at       map[place]int   // indexes of the records by their place
	receipts map[place][]Receipt
	letters  map[place][]Letter
	applied  map[Event][]*Request // in order of arrival
	refused  map[Event]int        // times that Braze refused it
}

func (c *checker) find(law, format string, args ...any) {
	c.r.Findings = append(c.r.Findings, Finding{law, fmt.Sprintf(format, args...)})
}

func (c *checker) index() {
	for i, r := range c.h.Topic {
		c.records[r.Event] = append(c.records[r.Event], i)
		c.at[place{r.Partition, r.Offset}] = i
	}
	for _, r := range c.h.Receipts {
		if !r.Kind.Final() {
			continue
		}
		at := place{r.Partition, r.Offset}
		c.receipts[at] = append(c.receipts[at], r)
	}
	for _, l := range c.h.Letters {
		at := place{l.Partition, l.Offset}
		c.letters[at] = append(c.letters[at], l)
	}
	for i := range c.h.Requests {
		q := &c.h.Requests[i]
		if !q.Applied {
			continue
		}
		for _, o := range q.Events {
			if o.Refused {
				c.refused[o.Event]++
			} else {
				c.applied[o.Event] = append(c.applied[o.Event], q)
			}
		}
		for _, o := range q.Marks {
			if o.Refused {
				c.refused[o.Event]++ // the event's attributes are a part of its record
			}
		}
	}
	for _, s := range c.h.Strange {
		c.find(Strange, "%s", s)
	}
}

// topic holds the topic to what the front door said.
func (c *checker) topic() {
	for _, e := range byUser(c.h.Asked) {
		asked, times := c.h.Asked[e], len(c.records[e])
		if asked.Accepted {
			c.r.Accepted++
			if times == 0 {
				c.find(Lost, "%v was accepted and is not on the topic", e)
			}
		}
		if times > 1 {
			c.r.Rewritten += times - 1
			// An answer that came says how often it was written: once at most.
			if times-1 > asked.Unanswered {
				c.find(Double, "%v stands %d times on the topic: %d of the %d requests that carried it were left unanswered", e, times, asked.Unanswered, asked.Requests)
			}
		}
	}
	next := map[string]int{}
	seen := map[Event]bool{}
	for _, r := range c.h.Topic {
		e := r.Event
		if _, known := c.h.Asked[e]; !known {
			c.find(Strange, "%v at %d/%d was never sent", e, r.Partition, r.Offset)
			continue
		}
		if seen[e] {
			continue
		}
		seen[e] = true
		if e.Seq < next[e.User] {
			c.find(Disorder, "on the topic %v comes first at %d/%d, behind %s %d", e, r.Partition, r.Offset, e.User, next[e.User])
		}
		next[e.User] = max(next[e.User], e.Seq)
	}
}

// ends looks for the one end of every record.
func (c *checker) ends() {
	delivered := map[Event]int{}
	for _, r := range c.h.Topic {
		receipts := c.receipts[place{r.Partition, r.Offset}]
		if len(receipts) == 0 {
			c.find(Lost, "%v at %d/%d has no receipt; Braze has it %d times", r.Event, r.Partition, r.Offset, len(c.applied[r.Event]))
			continue
		}
		c.r.Ends[receipts[0].Kind]++
		if receipts[0].Kind == outcome.Delivered {
			delivered[r.Event]++
		}
		if receipts[0].Kind == outcome.Refused && c.refused[r.Event] == 0 {
			c.find(FalseYes, "%v at %d/%d is receipted as refused (%s), and Braze never refused it", r.Event, r.Partition, r.Offset, receipts[0].Reason)
		}
		for i, again := range receipts[1:] {
			c.r.TwoReceipts++
			if first := receipts[i]; !c.crashed(first.Settled, again.Settled, first.Seen) {
				c.find(TwoEnds, "%v at %d/%d was %s at %s and %s at %s, and no crash lies between",
					r.Event, r.Partition, r.Offset, first.Kind, clock(first.Settled), again.Kind, clock(again.Settled))
			}
		}
	}
	for _, e := range byUser(delivered) {
		if n := len(c.applied[e]); delivered[e] > n {
			c.find(FalseYes, "%v is receipted as delivered %d times, and Braze has it %d times", e, delivered[e], n)
		}
	}
	for at, receipts := range c.receipts {
		if _, ok := c.at[at]; !ok {
			c.find(Strange, "a receipt says %s of %d/%d, where no record stands", receipts[0].Kind, at.partition, at.offset)
		}
	}
}

// crashed reports whether a sender was killed after what was written at first and before what was
// written again, while the first could not be read yet by whoever came next.
func (c *checker) crashed(first, again, firstSeen time.Time) bool {
	return slices.ContainsFunc(c.h.Ends, func(e End) bool {
		return e.excuses() && !first.After(e.Gone) && !again.Before(e.Begun.Truncate(time.Millisecond)) && firstSeen.After(e.Begun)
	})
}

// excuses reports whether what a sender held at its end may be done again by another.
func (e End) excuses() bool { return e.Role == Sender && (e.How == Killed || e.How == Died) }

// deadLetters holds the dead letters to the receipts and to the bytes on the topic.
func (c *checker) deadLetters() {
	for _, r := range c.h.Topic {
		at := place{r.Partition, r.Offset}
		letters, receipts := c.letters[at], c.receipts[at]
		refused := slices.IndexFunc(receipts, func(r Receipt) bool { return r.Kind == outcome.Refused })
		for _, l := range letters {
			if !bytes.Equal(l.Value, r.Value) {
				c.find(DeadLetters, "the dead letter of %v at %d/%d does not have the record's bytes", r.Event, r.Partition, r.Offset)
			}
		}
		switch {
		case refused >= 0 && len(letters) == 0:
			c.find(DeadLetters, "%v at %d/%d was refused and has no dead letter", r.Event, r.Partition, r.Offset)
		case refused < 0 && len(letters) > 0 && len(receipts) > 0 && !c.crashed(letters[0].Written, receipts[0].Settled, never):
			c.find(DeadLetters, "%v at %d/%d was %s and has a dead letter", r.Event, r.Partition, r.Offset, receipts[0].Kind)
		}
		for i := 1; i < len(letters); i++ {
			if !c.crashed(letters[i-1].Written, letters[i].Written, never) {
				c.find(DeadLetters, "%v at %d/%d has two dead letters, and no crash lies between", r.Event, r.Partition, r.Offset)
			}
		}
	}
	for at := range c.letters {
		if _, ok := c.at[at]; !ok {
			c.find(DeadLetters, "a dead letter is of %d/%d, where no record stands", at.partition, at.offset)
		}
	}
}

// never is later than every end: for what nobody reads back.
var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// braze holds what reached Braze to each user's order. An event has had its turn when it was applied
// or refused: a request that came to nothing is no turn.
func (c *checker) braze() {
	turn := map[string]int{}
	had := map[Event]bool{}
	marks := map[string][]mark{} // by user, in order of arrival
	for i := range c.h.Requests {
		q := &c.h.Requests[i]
		if n := len(q.Events) + len(q.Marks); n > c.h.Most {
			c.find(Sandbox, "a request of %s at %s holds %d objects: more than %d", q.Sender, clock(q.Arrived), n, c.h.Most)
		}
		if !q.Applied {
			continue
		}
		for _, o := range q.Marks {
			if !o.Refused {
				marks[o.User] = append(marks[o.User], mark{o.Seq, q})
			}
		}
		for _, o := range q.Events {
			if _, known := c.h.Asked[o.Event]; !known {
				c.find(Strange, "Braze has %v, which was never sent", o.Event)
			}
			if had[o.Event] {
				continue
			}
			had[o.Event] = true
			if o.Seq < turn[o.User] {
				c.find(Disorder, "Braze has %v for the first time at %s, behind %s %d", o.Event, clock(q.Arrived), o.User, turn[o.User])
			}
			turn[o.User] = max(turn[o.User], o.Seq)
		}
	}
	for _, user := range sorted(marks, cmp.Compare[string]) {
		had := marks[user]
		newest := slices.MaxFunc(had, func(a, b mark) int { return cmp.Compare(a.seq, b.seq) })
		if last := had[len(had)-1]; last.seq != newest.seq {
			c.find(Disorder, "the profile of %s ends with the attribute of event %d, which is older than that of %d: %v", user, last.seq, newest.seq, had)
		}
	}
	for _, s := range c.h.Sandbox {
		c.find(Sandbox, "%s", s)
	}
}

// mark is an attribute that Braze was given: that of the event with the number.
type mark struct {
	seq int
	by  *Request
}

// String is how a finding says it.
func (m mark) String() string {
	return fmt.Sprintf("%d at %s (answered %d to %s)", m.seq, clock(m.by.Arrived), m.by.Status, m.by.Sender)
}

// doubles looks for the cause of every application of an event behind its first. An application was
// made again for good reason when nobody could know that it had been made; of all others each record
// of the event accounts for one.
func (c *checker) doubles() {
	for _, e := range byUser(c.applied) {
		applied := c.applied[e]
		if len(applied) == 1 {
			continue
		}
		final := 0
		for i, q := range applied {
			switch behind := applied[i+1:]; {
			case len(behind) > 0 && (q.Status < 200 || q.Status >= 500):
				c.r.Doubles[InDoubt]++
			default:
				if cause := c.heldAtCrash(e, q, behind); cause != 0 {
					c.r.Doubles[cause]++
				} else {
					final++
				}
			}
		}
		records := max(1, len(c.records[e]))
		c.r.Doubles[Twice] += min(final, records) - 1
		c.r.Unexplained += max(0, final-records)
		if final > records {
			c.find(Double, "%v stands on the topic %d times; Braze has it %s", e, len(c.records[e]), told(applied))
		}
	}
}

func told(requests []*Request) string {
	var b strings.Builder
	for i, q := range requests {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "at %s (answered %d to %s)", clock(q.Arrived), q.Status, q.Sender)
	}
	return b.String()
}

// heldAtCrash tells what a request was waiting for when its sender was killed: its answer, or its
// receipts. It is nothing where the receipt of the event could be read by then, or where no request
// with the event came after.
func (c *checker) heldAtCrash(e Event, q *Request, behind []*Request) Cause {
	for _, end := range c.h.Ends {
		if !end.excuses() || end.Process != q.Sender || len(behind) == 0 || behind[len(behind)-1].Arrived.Before(end.Begun) {
			continue
		}
		unread := slices.ContainsFunc(c.records[e], func(i int) bool {
			r := c.h.Topic[i]
			receipts := c.receipts[place{r.Partition, r.Offset}]
			return len(receipts) == 0 || receipts[0].Seen.After(end.Begun)
		})
		switch {
		case !unread:
		case q.Answered.IsZero() || !q.Answered.Before(end.Begun):
			return InFlight
		default:
			c.r.Waited = max(c.r.Waited, end.Begun.Sub(q.Answered))
			return Unreceipted
		}
	}
	return 0
}

// processes counts the ends, and reports those that nobody asked for.
func (c *checker) processes() {
	for _, e := range c.h.Ends {
		switch {
		case e.How == Died:
			c.find(Ended, "%s at %s: %s", e.Process, clock(e.Gone), e.Words)
		case e.How == Killed && e.Role == Sender:
			c.r.KilledSenders++
		case e.How == Killed:
			c.r.KilledDoors++
		case e.How == Left:
			c.r.Left++
		}
	}
}

// byUser are the events of a map in order.
func byUser[V any](m map[Event]V) []Event {
	return sorted(m, func(a, b Event) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Seq, b.Seq))
	})
}

func sorted[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compare)
	return keys
}

func clock(t time.Time) string { return t.Format("15:04:05.000") }
