// Package outcome says what became of a record. The same four words stand in code, logs, metrics,
// dead letters and on the command line, so that the law of the pipeline can be read anywhere:
//
//	accepted = delivered + skipped + refused + still held
package outcome

// Kind is what became of a record. The zero value is no outcome at all, so a forgotten one cannot
// pass for a delivery.
type Kind uint8

// The four outcomes. The first three are final; Deferred is not.
const (
	_         Kind = iota // nothing yet
	Delivered             // the destination has it
	Skipped               // nothing to send, and Reason says why
	Refused               // it will never be accepted: dead letter
	Deferred              // not now: wait, then send again
)

var names = [...]string{"", "delivered", "skipped", "refused", "deferred"}

// String is the word that stands in metrics, receipts and logs.
func (k Kind) String() string {
	if int(k) < len(names) {
		return names[k]
	}
	return ""
}

// Final reports whether the record is done with: delivered, skipped or refused.
func (k Kind) Final() bool { return k == Delivered || k == Skipped || k == Refused }

// Parse reads a word written by [Kind.String]; ok is false for any other.
func Parse(word string) (k Kind, ok bool) {
	for i := Delivered; i <= Deferred; i++ {
		if names[i] == word {
			return i, true
		}
	}
	return 0, false
}

// Outcome is a Kind with its explanation.
type Outcome struct {
	Kind Kind
	// Reason is a short stable word in snake_case for metrics and rules, such as "undecodable",
	// "rate_limited" or "item_error". Empty for a plain delivery.
	Reason string
	// Detail is what a person wants to read: the destination's own words, the field at fault.
	Detail string
}
