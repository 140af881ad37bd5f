package salesforce

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// Reasons that are ours. Those of single rows are Salesforce's statusCode in small letters.
const (
	reasonBadAnswer    = "bad_answer"   // not what Salesforce answers: a proxy, or half an answer
	reasonBadRow       = "bad_row"      // cannot be sent at all
	reasonDailyLimit   = "daily_limit"  // no calls left in the org or in our budget
	reasonForbidden    = "forbidden"    // the user lacks a right
	reasonInterrupted  = "interrupted"  // by our own shutdown
	reasonMissing      = "missing"      // an update of a record that is not there
	reasonMoved        = "moved"        // a redirect: the URL is not the org's any more
	reasonNoToken      = "no_token"     // an answer without a token that we could use, or none
	reasonNotFound     = "wrong_url"    // nobody there speaks the API
	reasonRowError     = "row_error"    // a row's error without a code that is one
	reasonTimeout      = "timeout"      // no answer in time
	reasonUnauthorized = "unauthorized" // credentials are not accepted
	reasonUnavailable  = "unavailable"  // 5xx, 429, a maintenance window
	reasonUnreachable  = "unreachable"  // no connection
	reasonUnprocessed  = "unprocessed"  // a job ended before it came to the row
	reasonJobFailed    = "job_failed"   // a job was not taken as a whole
	reasonWholeCall    = "bad_request"  // a call was not taken as a whole, and no code says why
	codeLimit          = "REQUEST_LIMIT_EXCEEDED"
	codeSession        = "INVALID_SESSION_ID"
	longestDetail      = 1000
)

var errTooLong = errors.New("the answer is too long")

// fault is an element of the array that Salesforce answers a call with that it does not take.
type fault struct {
	Code    string `json:"errorCode"`
	Message string `json:"message"`
}

// classify says what an answer means that is no success. It is the one place where statuses are judged.
func (t *Target) classify(got reply, header http.Header, rows int) target.Answer {
	first, known := faultOf(got.body)
	detail := fmt.Sprintf("HTTP %d", got.status)
	if known {
		detail = printable(fmt.Sprintf("HTTP %d %s: %s", got.status, first.Code, first.Message))
	}
	var a target.Answer
	halt := func(reason string) {
		a = target.Deferred(reason, detail, 0)
		a.Halt = true
	}
	switch {
	case first.Code == codeLimit:
		a = target.Deferred(reasonDailyLimit, detail, t.budget.refused(t.now()))
	case got.status == http.StatusUnauthorized:
		halt(reasonUnauthorized)
	case got.status == http.StatusForbidden:
		halt(reasonForbidden)
	case got.status >= 500, got.status == http.StatusTooManyRequests, got.status == http.StatusRequestTimeout,
		transient(first.Code), first.Code == codeSession:
		a = target.Deferred(reasonUnavailable, detail, pause(header))
	case got.status >= 300 && got.status < 400:
		halt(reasonMoved)
	case got.status == http.StatusNotFound && !known:
		halt(reasonNotFound)
	default:
		reason := reasonWholeCall
		if known {
			reason = word(first.Code)
		}
		if rows > 1 {
			a = target.Deferred(reason, detail, 0)
			a.Split = true
		} else {
			a = target.Refused(reason, detail)
		}
	}
	a.Status, a.RequestID = got.status, got.id
	return a
}

func faultOf(body []byte) (fault, bool) {
	var several []fault
	if err := json.Unmarshal(body, &several); err == nil && len(several) > 0 && several[0].Code != "" {
		return several[0], true
	}
	return fault{}, false
}

// transient reports whether a code says that the same row will do another time (salesforce-docs: core data types,
// StatusCode). The last two are of rows that nothing is wrong with but their company.
func transient(code string) bool {
	switch code {
	case "UNABLE_TO_LOCK_ROW", "SERVER_UNAVAILABLE", codeLimit, "ALL_OR_NONE_OPERATION_ROLLED_BACK", "PROCESSING_HALTED":
		return true
	}
	return false
}

// unreachable is the answer for a call that has none.
func unreachable(ctx context.Context, err error) target.Answer {
	reason := reasonUnreachable
	if bare, ok := errors.AsType[*url.Error](err); ok {
		err = bare.Err // the URL may have keys in it
	}
	var timed net.Error
	switch {
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		reason = reasonInterrupted
	case errors.Is(err, errTooLong):
		reason = reasonBadAnswer
	case errors.As(err, &timed) && timed.Timeout():
		reason = reasonTimeout
	}
	return target.Deferred(reason, printable(err.Error()), 0)
}

// badAnswer is the answer for a call that was answered with success and something that we cannot read.
func badAnswer(got reply, err error) target.Answer {
	a := target.Deferred(reasonBadAnswer, printable(err.Error()), 0)
	a.Status, a.RequestID = got.status, got.id
	return a
}

// fate is what became of a row of which Salesforce says that it failed.
func fate(errs []rowError) outcome.Outcome {
	if len(errs) == 0 {
		return outcome.Outcome{Kind: outcome.Deferred, Reason: reasonBadAnswer, Detail: "neither success nor an error"}
	}
	o := outcome.Outcome{Kind: outcome.Deferred, Reason: word(errs[0].code)}
	var detail strings.Builder
	for i, e := range errs {
		if i > 0 {
			detail.WriteString("; ")
		}
		detail.WriteString(e.message)
		if len(e.fields) > 0 {
			fmt.Fprintf(&detail, " (%s)", strings.Join(e.fields, ", "))
		}
		if o.Kind == outcome.Deferred && !transient(e.code) {
			o.Kind, o.Reason = outcome.Refused, word(e.code)
		}
	}
	if o.Kind == outcome.Deferred && errs[0].code == codeLimit {
		o.Reason = reasonDailyLimit
	}
	o.Detail = printable(detail.String())
	return o
}

// printable makes of a far end's words some that can stand in a record and on a terminal.
func printable(text string) string {
	clean := strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	if len(clean) <= longestDetail {
		return clean
	}
	cut := longestDetail
	for !utf8.RuneStart(clean[cut]) {
		cut--
	}
	return clean[:cut] + "…"
}
