package brazefake

import (
	"cmp"
	"encoding/json"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
)

// Fate is what became of an object that came in, as far as can be told from this side of the wire.
type Fate string

// The fates.
const (
	// InFlight: its request is still under way.
	InFlight Fate = "in_flight"
	// Answered: accepted, and the 2xx that says so was written while the client was there.
	Answered Fate = "answered"
	// AppliedUnanswered: accepted, yet the client was told 5xx, or nothing.
	AppliedUnanswered Fate = "applied_unanswered"
	// ClientGone: accepted, yet the client had gone when it should have been told.
	ClientGone Fate = "client_gone"
	// RefusedItem: named in the answer's list of errors, or refused with its whole request.
	RefusedItem Fate = "refused_item"
	// NotApplied: the request came to nothing before it was applied.
	NotApplied Fate = "not_applied"
)

// Applied reports whether an object of that fate has been, or is going to be, applied.
func (f Fate) Applied() bool { return f == Answered || f == AppliedUnanswered || f == ClientGone }

// Received is an object that came in.
type Received struct {
	Request int64       `json:"request"` // its number
	Place   int64       `json:"place"`   // in the order in which all objects came in
	Array   braze.Array `json:"-"`
	Index   int         `json:"index"`
	User    string      `json:"user"` // canonical id
	Name    string      `json:"name,omitempty"`
	// Properties are those of the event or purchase; of attributes, the whole object.
	Properties json.RawMessage `json:"properties,omitempty"`
	Time       time.Time       `json:"time,omitzero"` // when it happened, as it is stored
	Clamped    bool            `json:"clamped,omitempty"`
	At         time.Time       `json:"at"` // when it came in
	Fate       Fate            `json:"fate"`
	Refusal    string          `json:"refusal,omitempty"` // why it was refused
	Mishap     string          `json:"mishap,omitempty"`  // what went wrong with its request
}

// MarshalJSON adds the array's name on the wire.
func (r Received) MarshalJSON() ([]byte, error) {
	type plain Received
	return json.Marshal(struct {
		Array string `json:"input_array"`
		plain
	}{r.Array.String(), plain(r)})
}

// receivedLog is what came in, request by request. Beyond limit objects the oldest requests are forgotten.
type receivedLog struct {
	limit int

	mu      sync.Mutex
	batches []*batch
	objects int
}

// batch is what came in with one request.
type batch struct {
	entries []Received
	fate    Fate // of those that were not refused
	mishap  string
}

func (l *receivedLog) add(b *batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches = append(l.batches, b)
	l.objects += len(b.entries)
	for l.limit > 0 && l.objects > l.limit && len(l.batches) > 1 {
		l.objects -= len(l.batches[0].entries)
		l.batches[0] = nil
		l.batches = l.batches[1:]
	}
}

// settle sets what became of a request's objects.
func (l *receivedLog) settle(b *batch, fate Fate, mishap string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.fate, b.mishap = fate, mishap
}

// judge copies into the entries what the rules found out about their objects.
func (l *receivedLog) judge(objects []object) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range objects {
		o := &objects[i]
		o.entry.Time, o.entry.Clamped, o.entry.Refusal = o.at, o.clamped, o.refusal
	}
}

func (l *receivedLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches, l.objects = nil, 0
}

// last returns at most n of the entries that match, the newest first.
func (l *receivedLog) last(n int, matches func(*Received) bool) []Received {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Received{}
	for _, b := range slices.Backward(l.batches) {
		for i := range slices.Backward(b.entries) {
			if len(out) == n {
				return out
			}
			if matches(&b.entries[i]) {
				out = append(out, b.entry(i))
			}
		}
	}
	return out
}

// entry is an entry with its fate.
func (b *batch) entry(i int) Received {
	e := b.entries[i]
	e.Fate, e.Mishap = b.fate, b.mishap
	if e.Refusal != "" && b.fate != NotApplied {
		e.Fate = RefusedItem
	}
	return e
}

// Received yields everything that came in and is remembered, in the order in which it came, with its
// fate so far. An entry stands there before its answer is written, and has its final fate then, but for
// a client that goes away in that very moment.
func (s *Sandbox) Received() iter.Seq[Received] {
	return func(yield func(Received) bool) {
		s.log.mu.Lock()
		batches := slices.Clone(s.log.batches)
		s.log.mu.Unlock()
		slices.SortStableFunc(batches, func(a, b *batch) int { return cmp.Compare(a.entries[0].Place, b.entries[0].Place) })
		for _, b := range batches {
			for i := range b.entries {
				s.log.mu.Lock()
				e := b.entry(i)
				s.log.mu.Unlock()
				if !yield(e) {
					return
				}
			}
		}
	}
}
