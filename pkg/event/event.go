// Package event is the vocabulary of what happened: to whom, when, according to which source.
// It imports nothing, so that every other package can speak it.
package event

import "time"

// Event is a customer's key action, the content of one record of customer.events.
//
// Strings and byte slices may alias the buffer an Event was decoded from; whoever keeps an Event
// keeps that buffer too, unchanged.
type Event struct {
	ID         string    // idempotency key within Source
	User       User      // whom it concerns; its canonical key is the Kafka key
	Name       string    // as the source calls it, such as "Order Completed"
	Kind       string    // "track", "page", "screen", "identify" or "erase"
	OccurredAt time.Time // by the source's clock, corrected for skew where that is known; UTC, milliseconds
	ReceivedAt time.Time // by our clock
	Source     string    // the system that says so
	AppID      string    // Braze app identifier, where the source names one
	// Properties and Attributes are JSON objects, valid and bounded, or nil. Attributes are set on the
	// user's profile together with the event.
	Properties []byte
	Attributes []byte
	// IdentifiedAs is the external id of the person whom the user turned out to be; of KindIdentify only.
	IdentifiedAs string
	// BrazeDisabled is the source's wish that Braze should not see this event.
	BrazeDisabled bool
}

// Kinds of event.
const (
	KindTrack  = "track"
	KindPage   = "page"
	KindScreen = "screen"
	// KindIdentify says that the user, known by an alias, an email or a phone so far, is IdentifiedAs.
	KindIdentify = "identify"
	// KindErase asks for the user to be deleted.
	KindErase = "erase"
)
