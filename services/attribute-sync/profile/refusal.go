package profile

import "github.com/sluicehq/sluice/pkg/braze"

// The reasons for which a record is refused, as words for dead letters and metrics.
const (
	ReasonInvalid       = "invalid"         // something in it that Braze would not take
	ReasonTooManyFields = "too_many_fields" // more than MaxFields for one user
	ReasonStateFull     = "state_full"      // more than MaxBytes for one user
)

// The reasons for which a single write is declined, beside ReasonInvalid where fields.yaml says drop.
const (
	DeclinedStale     = "stale"          // a newer write stands
	DeclinedNotOwner  = "not_owner"      // the field belongs to another source
	DeclinedBlocked   = "blocked"        // nobody's writes to the field are sent
	DeclinedDuplicate = "duplicate"      // the same event was applied before
	DeclinedWrongType = "wrong_type"     // an operator on what it cannot change
	DeclinedTooMany   = "too_many_items" // an array would outgrow its limit
)

// Refusal says why a record was not taken in. It is an error; beware of storing a nil one in an error
// variable.
type Refusal struct {
	Reason string // one of the Reason constants
	// Violation is the rule that is broken, where it is one of Braze's; nil otherwise.
	Violation *braze.Violation
	Detail    string // for a person, where there is no violation
}

// Error explains the refusal.
func (r *Refusal) Error() string {
	if r.Violation != nil {
		return r.Violation.Error()
	}
	return r.Detail
}

func invalid(v *braze.Violation) *Refusal { return &Refusal{Reason: ReasonInvalid, Violation: v} }
