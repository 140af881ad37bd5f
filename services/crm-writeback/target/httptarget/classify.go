package httptarget

import (
	"net/http"
	"strings"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
	"github.com/sluicehq/sluice/services/crm-writeback/target/httptarget/wire"
)

// classify is what a status means where no program says anything.
func (s *settings) classify(q *request, r *reply) target.Answer {
	if r.took() {
		return target.Answer{All: outcome.Outcome{Kind: outcome.Delivered}}
	}
	hint := quota.ParseHeaders(r.header, r.at)
	hint.Throttled = r.status == http.StatusTooManyRequests
	wait := hint.Wait(r.at)
	detail := wire.Status(r.status, strings.ToValidUTF8(string(r.body[:min(len(r.body), wire.MaxWords+1)]), "\uFFFD"))
	switch status := r.status; {
	case status == http.StatusTooManyRequests:
		return target.Deferred(wire.RateLimited, detail, wait)
	case status == http.StatusForbidden && wait > 0:
		// Some throttle so. Who is not let in is not told when to come back.
		return target.Deferred(wire.RateLimited, detail, wait)
	case status == http.StatusConflict:
		return target.Deferred(wire.Conflict, detail, wait)
	case status == http.StatusLocked:
		return target.Deferred(wire.Locked, detail, wait)
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, 500 <= status && status <= 599:
		return target.Deferred(wire.Unavailable, detail, wait)
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity:
		return wire.RejectedOf(len(q.rows), wire.Rejected, detail)
	case status == http.StatusRequestEntityTooLarge:
		return wire.RejectedOf(len(q.rows), wire.TooLarge, detail)
	case 300 <= status && status <= 399:
		return wire.Away(status, r.header)
	case status == http.StatusUnauthorized:
		return wire.Halted(wire.Unauthorized, detail)
	case status == http.StatusForbidden:
		return wire.Halted(wire.Forbidden, detail)
	case status == http.StatusNotFound, status == http.StatusGone:
		return s.notThere(q, detail)
	case 400 <= status && status <= 499:
		return wire.Halted(wire.Unusable, detail)
	}
	return target.Deferred(wire.Unexpected, detail, wait)
}

// notThere tells an object that is not there from a URL that is wrong. Of a batch, and of a path that is the same for
// every row, it is the URL.
func (s *settings) notThere(q *request, detail string) target.Answer {
	switch {
	case s.batch:
		return wire.Halted(wire.NotFound, detail)
	case q.rows[0].Mode == crm.Update:
		return target.Answer{All: outcome.Outcome{Kind: outcome.Skipped, Reason: wire.Missing, Detail: detail}}
	case s.path == nil:
		return wire.Halted(wire.NotFound, detail)
	}
	return target.Refused(wire.NotFound, detail)
}
