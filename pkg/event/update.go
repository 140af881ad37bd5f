package event

import "time"

// Update is what Braze is to be told of one user's profile, the content of one record of
// braze.attributes: the difference between what Braze has and what it ought to have, or a trigger that
// follows from the profile's state.
type Update struct {
	ID         string    // unique; receipts name it
	User       User      // whom it concerns; its canonical key is the Kafka key
	OccurredAt time.Time // of the newest change in it, by its source's clock
	DecidedAt  time.Time // by our clock
	// Attributes is a JSON object as /users/track takes it, without what names the user; nil when
	// nothing differs.
	Attributes []byte
	Trigger    string // name of an event to be sent, such as support_survey_due; empty for none
	// Properties are those of the trigger: a JSON object, or nil.
	Properties []byte
	DataPoints int64      // that Braze will charge for it
	Causes     []Cause    // the records that it comes from, oldest first
	Declined   []Declined // writes that did not win
}

// Cause is a record that an update comes from.
type Cause struct {
	ID        string // its event_id
	Source    string
	Topic     string
	Partition int32
	Offset    int64
}

// Declined is a write to one field that came to nothing, and why.
type Declined struct {
	ID     string // event_id of the record that wanted it
	Source string // of that record
	Field  string
	Reason string // stable word in snake_case, such as stale or not_owner
	Detail string // for a person: which write stands
}
