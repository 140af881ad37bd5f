package event

import "time"

// Case is what happened to a customer's support case, the content of one record of support.cases.
type Case struct {
	ID         string // idempotency key within Source
	User       User   // whom it concerns; its canonical key is the Kafka key
	CaseID     string // the source's own; within one source it names the case
	Event      CaseEvent
	Severity   Severity  // as it is now; empty where the source does not say
	Rating     *int64    // what the customer gave, 0 to 10; of CaseRated
	Channel    string    // such as email, chat, phone; empty where the source does not say
	OccurredAt time.Time // by the source's clock; UTC, milliseconds
	ReceivedAt time.Time // by our clock
	Source     string    // the helpdesk that says so
	// Metadata is a JSON object with whatever else the source says, valid and bounded, or nil.
	Metadata []byte
}

// CaseEvent is what happened.
type CaseEvent string

// The events there are in the life of a case.
const (
	CaseOpened    CaseEvent = "opened"
	CaseUpdated   CaseEvent = "updated"
	CaseEscalated CaseEvent = "escalated"
	CaseAtRisk    CaseEvent = "at_risk"
	CaseResolved  CaseEvent = "resolved"
	CaseReopened  CaseEvent = "reopened"
	CaseRated     CaseEvent = "rated"
)

// CaseEvents are all of them, in the order of a case's life.
func CaseEvents() []CaseEvent {
	return []CaseEvent{CaseOpened, CaseUpdated, CaseEscalated, CaseAtRisk, CaseResolved, CaseReopened, CaseRated}
}

// Severity is how much a case matters.
type Severity string

// The severities there are, rising.
const (
	SeverityLow    Severity = "low"
	SeverityNormal Severity = "normal"
	SeverityHigh   Severity = "high"
	SeverityUrgent Severity = "urgent"
)

// Severities are all of them, rising.
func Severities() []Severity {
	return []Severity{SeverityLow, SeverityNormal, SeverityHigh, SeverityUrgent}
}

// MaxRating is the highest rating there is; 0 is the lowest. What a source's own scale means is said
// where it is translated.
const MaxRating = 10
