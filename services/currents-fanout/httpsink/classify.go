package httpsink

import (
	"net/http"
	"net/url"
	"time"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/quota"
)

// Reasons of outcomes: stable words for metrics. What the far end says itself stands in the detail,
// since there is no end of what it may say.
const (
	reasonLeftOut      = "left_out"       // skipped: the template makes nothing of the event
	reasonTemplate     = "template_error" // refused: the template fails for the event
	reasonEventTooBig  = "event_too_large"
	reasonEmpty        = "empty_document"
	reasonRejected     = "rejected"      // by the status of an answer
	reasonItemRejected = "item_rejected" // by what the answer says of the event
	reasonItemDeferred = "item_deferred"
	reasonAnswer       = "deferred_by_answer" // the answer says of all of it that it may come again
	reasonTooLarge     = "too_large"
	reasonRateLimited  = "rate_limited"
	reasonUnavailable  = "unavailable"
	reasonConflict     = "conflict"
	reasonStatus       = "unexpected_status"
	reasonRedirected   = "redirected"
	reasonUnauthorized = "unauthorized"
	reasonForbidden    = "forbidden"
	reasonNotFound     = "not_found"
	reasonUnusable     = "request_not_accepted" // the way we ask is wrong, not what is in it
	reasonUnreadable   = "unreadable_answer"
	reasonUnreachable  = "unreachable"
	reasonTimeout      = "timeout"
	reasonCertificate  = "certificate"
	reasonInterrupted  = "interrupted"
	reasonBehind       = "behind_deferred" // an earlier event of the customer has to go first
)

// verdict is what an answer, or its absence, means for the events of one request.
type verdict struct {
	all   outcome.Outcome   // of each, where rows says nothing else
	rows  []outcome.Outcome // nil, or one for each item of the body; no Kind where all holds
	after time.Duration     // how long we are to stay away
	split bool              // all is Deferred; fewer of them may be taken
	halt  bool              // all is Deferred; nobody's event is at fault
	pass  bool              // all is Deferred; other events may be taken all the same
}

func deferred(reason, detail string) verdict {
	return verdict{all: outcome.Outcome{Kind: outcome.Deferred, Reason: reason, Detail: detail}}
}

func halted(reason, detail string) verdict {
	v := deferred(reason, detail)
	v.halt = true
	return v
}

// rejected is about the content: of one event it is final, of several nobody knows which is meant.
func rejected(reason, detail string, items int) verdict {
	if items > 1 {
		v := deferred(reason, detail)
		v.split = true
		return v
	}
	return verdict{all: outcome.Outcome{Kind: outcome.Refused, Reason: reason, Detail: detail}}
}

// reply is what the meaning of an answer depends on.
type reply struct {
	status int
	took   bool // the status is one that means taken
	header http.Header
	at     time.Time // when it came
	words  string    // the far end's own, already bounded and printable
	items  int       // of the request
}

// classify is the one place that knows what a status means.
func classify(r reply) verdict {
	if r.took {
		return verdict{all: outcome.Outcome{Kind: outcome.Delivered}}
	}
	detail := statusText(r.status)
	if r.words != "" {
		detail += ": " + r.words
	}
	hint := quota.ParseHeaders(r.header, r.at)
	hint.Throttled = r.status == http.StatusTooManyRequests
	wait := hint.Wait(r.at)
	after := func(v verdict) verdict {
		v.after = wait
		v.pass = v.pass && wait == 0
		return v
	}
	switch s := r.status; {
	case s == http.StatusTooManyRequests:
		return after(deferred(reasonRateLimited, detail))
	case s == http.StatusForbidden && wait > 0:
		// Some throttle so. Who is not let in is not told when to come back.
		return after(deferred(reasonRateLimited, detail))
	case s == http.StatusRequestTimeout, s == http.StatusTooEarly, s == http.StatusLocked,
		s == http.StatusServiceUnavailable, s == http.StatusBadGateway, s == http.StatusGatewayTimeout:
		return after(deferred(reasonUnavailable, detail))
	case s >= 500 && s <= 599:
		// The server broke over this request. It may take another, so in format single the events of
		// other customers go on.
		v := deferred(reasonUnavailable, detail)
		v.pass = true
		return after(v)
	case s == http.StatusConflict:
		// Either the same is under way, or it is there already. Those who mean the latter can be
		// believed (success: [409]); refusing would be wrong for the former.
		v := deferred(reasonConflict, detail)
		v.pass = true
		return after(v)
	case s == http.StatusRequestEntityTooLarge:
		return rejected(reasonTooLarge, detail, r.items)
	case s == http.StatusBadRequest, s == http.StatusUnprocessableEntity:
		return rejected(reasonRejected, detail, r.items)
	case s >= 300 && s <= 399:
		return halted(reasonRedirected, statusText(s)+": it sends us on to "+locationHost(r.header)+", which is not followed")
	case s == http.StatusUnauthorized:
		return halted(reasonUnauthorized, detail)
	case s == http.StatusForbidden:
		return halted(reasonForbidden, detail)
	case s == http.StatusNotFound, s == http.StatusGone:
		// A URL that is wrong, or a table that is not there yet. No event of ours is in the URL.
		return halted(reasonNotFound, detail)
	case s >= 400 && s <= 499:
		// 405, 406, 411, 415 and the like speak of how we ask; splitting would dead-letter everything,
		// one by one.
		return halted(reasonUnusable, detail)
	default:
		// A 2xx that the operator does not count as success, or no status that HTTP knows.
		return after(deferred(reasonStatus, detail))
	}
}

// locationHost is the host of a redirect, which is all of it that may be repeated: the rest may have
// secrets in it.
func locationHost(h http.Header) string {
	u, err := url.Parse(h.Get("Location"))
	switch {
	case err != nil || h.Get("Location") == "":
		return "nowhere"
	case u.Host == "":
		return "another path on the same host"
	}
	return printable([]byte(u.Scheme + "://" + u.Host))
}
