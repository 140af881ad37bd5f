package braze

import "net/http"

// Verdict is what an answer, or its absence, means for the whole request.
type Verdict uint8

// The verdicts. What to do with each is the caller's business; what they promise is this.
const (
	_ Verdict = iota // nothing yet: a forgotten verdict cannot pass for acceptance
	// Accepted: Braze has queued the batch, but for the objects that Answer.Items names.
	Accepted
	// Malformed: Braze refuses the batch as a whole because of something in it. Nothing was applied.
	// Halving it finds what.
	Malformed
	// Throttled: the quota is used up. Nothing was applied; Answer.Hint says when to come back.
	Throttled
	// Unavailable: Braze, or what stands before it, answered that it cannot. Whether a 5xx may have been
	// applied in part is not documented, see Answer.MaybeApplied.
	Unavailable
	// InDoubt: the request left and no answer came. It may have been applied or not.
	InDoubt
	// NotSent: no connection, or it broke before the request had left. Sending it again is harmless.
	NotSent
	// Stopped: the configuration is at fault: key, permission, address, account. Every other batch would
	// be answered the same, so nothing in this one is to blame.
	Stopped
)

var verdictNames = [...]string{
	"", "accepted", "malformed", "throttled", "unavailable", "in_doubt", "not_sent", "stopped",
}

// String is a word for metrics and logs.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return ""
}

// classify is the one place that knows what a status means. Status is 0 when no answer came; notSent
// tells whether the request had then not left.
func classify(status int, notSent bool) Verdict {
	switch {
	case status == 0 && notSent:
		return NotSent
	case status == 0:
		return InDoubt
	case status >= 200 && status <= 299:
		// 201 is the documented one; older editions have 202 while Braze queues during maintenance.
		return Accepted
	case status == http.StatusTooManyRequests:
		return Throttled
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge, status == http.StatusUnprocessableEntity:
		return Malformed
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500 && status <= 599:
		return Unavailable
	case status >= 300 && status <= 499:
		// 401, 403, 404 and 415 are documented. A redirect, or any other 4xx, speaks of how and where
		// we ask and not of a customer's data: halving would dead-letter all of it, one by one.
		return Stopped
	default:
		// No status that HTTP knows. Something answered, who knows what.
		return InDoubt
	}
}
