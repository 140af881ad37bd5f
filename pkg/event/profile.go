package event

import "time"

// Profile is a change to a customer's profile, the content of one record of customer.profiles: only
// what the source says about it, not the whole profile.
type Profile struct {
	ID            string // idempotency key within Source
	User          User   // whom it concerns; its canonical key is the Kafka key
	Set           []byte // JSON object, attribute to value, or nil
	Unset         []string
	Add           []byte // JSON object, attribute to array of values, or nil
	Remove        []byte // likewise
	Increment     []byte // JSON object, attribute to whole number, or nil
	Subscriptions []Subscription
	PreviousKey   string // canonical key under which the person was known before, if the source links the two
	Source        string
	Version       *int64 // the source's version of the profile, if it has one; higher is newer
	OccurredAt    time.Time
	ReceivedAt    time.Time
}

// Subscription is a subscription group's new state for a user.
type Subscription struct {
	GroupID string `json:"group_id"`
	State   string `json:"state"` // "subscribed" or "unsubscribed"
}
