// Package target says what every target promises: it is given rows that fit into one call, and says of each what became
// of it. Which rows those are, when they are tried again and in which order is not its affair: that is the
// writer's, and the same for all of them.
//
// A kind of target is a package beneath this one. It has Options, which stand in writeback.yaml under the kind's name, and
// an Open that makes a [Target] of them without waiting for the far end.
package target

import (
	"context"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
)

// Row is one object, or one note, to be written. It is read only.
type Row struct {
	ID       string         // idempotency key: the same whenever the row is tried again
	Object   string         // in the target's own words
	KeyField string         // the external key
	Key      string         // its value
	Mode     string         // crm.Upsert, crm.Update or crm.Note
	Fields   jsontext.Value // JSON object without the key; null empties a field
	User     event.User
	EditedAt time.Time
}

// Form is what one call takes.
type Form struct {
	Rows  int // at most
	Bytes int // of all rows' fields and keys, at most; 0: no bound
	// Alike says whether two rows may stand in one call: an equivalence, so that rows need be compared with the call's first
	// alone. That no key stands in a call twice is the writer's affair.
	Alike func(a, b *Row) bool
	// Calls is how many calls may be under way at once; 1 when 0.
	Calls int
}

// Target is one CRM, billing or loyalty system. Write may be called from several goroutines, up to Form.Calls, never
// with rows of one object in two of them.
type Target interface {
	// Form is asked before every call: it may change with what is left of a budget.
	Form() Form
	// Write makes the rows' one call, or the few that it takes, and returns when their fate is known or the context
	// ends. It does not try again by itself, but for a token that has expired, once. The rows are the caller's
	// again afterwards.
	Write(ctx context.Context, rows []*Row) Answer
	// Close lets go of connections.
	Close() error
}

// Result is what became of one row.
type Result struct {
	outcome.Outcome
	// ID is the target's own id of the object; empty where it does not say.
	ID string
}

// Answer is what became of a call.
type Answer struct {
	// All is what became of every row, where Each is nil.
	All outcome.Outcome
	// Each is what became of each row, in the rows' order: delivered, skipped (an update of an object that is not
	// there: "missing"), refused with the target's word as reason and its sentence as detail, or deferred (a lock).
	Each []Result
	// RetryAfter is how long the target wants to be left alone; 0 where it does not say.
	RetryAfter time.Duration
	// Split says that the call was not taken as a whole, and that a smaller one may be: one bad row among good ones
	// and nobody says which. All is Deferred then; of a single row it is Refused instead, and Split is false.
	Split bool
	// Halt says that nothing will be taken until a person has changed something: a credential, a right, a URL. All is
	// Deferred; the writer asks again gently and turns the target's state red. No other target notices.
	Halt      bool
	Status    int    // HTTP status of the answer; 0 when there was none
	RequestID string // the target's own, or ours
}

// Of is what became of the row at an index.
func (a Answer) Of(i int) Result {
	if a.Each == nil {
		return Result{Outcome: a.All}
	}
	return a.Each[i]
}

// Deferred is the answer for rows that are to come again, with a stable word and the target's own words.
func Deferred(reason, detail string, after time.Duration) Answer {
	return Answer{All: outcome.Outcome{Kind: outcome.Deferred, Reason: reason, Detail: detail}, RetryAfter: after}
}

// Refused is the answer for rows of which none will ever be taken.
func Refused(reason, detail string) Answer {
	return Answer{All: outcome.Outcome{Kind: outcome.Refused, Reason: reason, Detail: detail}}
}

// Deps are what a Target works with.
type Deps struct {
	Name    string                // of the target in writeback.yaml
	HTTP    *http.Client          // bounded in time, without redirects; a kind may wrap its transport
	Metrics prometheus.Registerer // carries the target's name as a label already
	Log     zerolog.Logger
	Now     func() time.Time // time.Now outside tests
}
