package hubspot

import (
	"net/http"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
	"github.com/sluicehq/sluice/services/crm-writeback/target/httptarget/wire"
)

// What HubSpot says of a 429 (hubspot-docs: usage guidelines).
const (
	policyDaily     = "DAILY"
	reasonDaily     = "daily_limit"
	defaultInterval = 10 * time.Second
	// dailyPause is between two looks whether the day is over. It ends at midnight in a time zone that HubSpot does not
	// tell, and a call that is refused for the limit costs nothing more.
	dailyPause = 15 * time.Minute
	migrating  = 477 // the account is being moved to another region; Retry-After says how long
)

// classify is the one place that knows what a status other than 2xx means for the rows of a call.
func classify(r reply, rows int) target.Answer {
	f := decodeFailed(r.body)
	a := judge(r, f, rows)
	a.Status, a.RequestID = r.status, r.requestID(f)
	return a
}

func judge(r reply, f failed, rows int) target.Answer {
	after := wire.RetryAfter(r.header, r.at)
	detail := wire.Status(r.status, f.Message)
	switch s := r.status; {
	case s == http.StatusTooManyRequests:
		return limited(r.header, f, detail, after)
	case s == http.StatusConflict && !strings.Contains(strings.ToLower(f.Message), "already"):
		return target.Deferred(wire.Conflict, detail, after)
	case s == http.StatusBadRequest, s == http.StatusUnprocessableEntity, s == http.StatusConflict:
		// One row may be at fault, and HubSpot then names none.
		return wire.RejectedOf(rows, wire.Word(f.Category, wire.Rejected), detail)
	case s == http.StatusRequestEntityTooLarge:
		return wire.RejectedOf(rows, wire.TooLarge, detail)
	case s == http.StatusLocked:
		return target.Deferred(wire.Locked, detail, max(after, 2*time.Second)) // at least that, say the usage guidelines
	case s == http.StatusRequestTimeout, s == http.StatusTooEarly, s == migrating, s >= 500 && s <= 599:
		return target.Deferred(wire.Unavailable, detail, after)
	case 300 <= s && s <= 399:
		return wire.Away(s, r.header)
	case s == http.StatusUnauthorized:
		return wire.Halted(wire.Unauthorized, detail)
	case s == http.StatusForbidden:
		return wire.Halted(wire.Forbidden, detail)
	case s == http.StatusNotFound, s == http.StatusGone:
		return wire.Halted(wire.NotFound, detail) // a kind of object that is not there; no row's key is in the path
	case 400 <= s && s <= 499:
		return wire.Halted(wire.Unusable, detail)
	}
	return target.Deferred(wire.Unexpected, detail, after)
}

// limited tells the limit of ten seconds, which is over soon, from that of the day.
func limited(h http.Header, f failed, detail string, after time.Duration) target.Answer {
	if f.PolicyName == policyDaily {
		return target.Deferred(reasonDaily, detail, max(after, dailyPause))
	}
	if after == 0 {
		after = interval(h)
	}
	return target.Deferred(wire.RateLimited, detail, after)
}

// ofRow is what an error of a 207 means for its row.
func ofRow(e *batchError) (o outcome.Outcome, halt bool) {
	o = outcome.Outcome{Kind: outcome.Refused, Reason: wire.Word(e.Category, wire.Rejected), Detail: wire.Printable(e.Message)}
	switch category := strings.ToUpper(e.Category); {
	case strings.Contains(category, "RATE_LIMIT"):
		o.Kind, o.Reason = outcome.Deferred, wire.RateLimited
	case strings.Contains(category, "LOCK"):
		o.Kind, o.Reason = outcome.Deferred, wire.Locked
	case strings.Contains(category, "INTERNAL"), strings.Contains(category, "TIMEOUT"), strings.Contains(category, "UNAVAILABLE"), strings.Contains(category, "TRANSIENT"):
		o.Kind, o.Reason = outcome.Deferred, wire.Unavailable
	case strings.Contains(category, "SCOPE"), strings.Contains(category, "AUTH"), strings.Contains(category, "PERMISSION"):
		o.Kind, o.Reason, halt = outcome.Deferred, wire.Forbidden, true
	}
	return o, halt
}
