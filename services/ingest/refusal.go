package ingest

import (
	"fmt"
	"net/http"
	"time"
)

// refusal is why a request as a whole is not taken. It becomes the answer.
type refusal struct {
	status  int
	code    string // stable word
	message string // for a person
	field   string // at fault, if it is one
	retry   time.Duration
}

func (r *refusal) Error() string { return fmt.Sprintf("%s: %s", r.code, r.message) }

// retrySoon is what a client is asked to wait when Kafka does not take what it sends, or too much is
// waiting for it already. Zendesk ignores more than 59 s.
const retrySoon = 2 * time.Second

var (
	errNoKey = &refusal{
		status: http.StatusUnauthorized, code: "unauthorized",
		message: "give a key that is known here, as Authorization: Bearer KEY or X-Api-Key: KEY",
	}
	errNoWriteKey = &refusal{
		status: http.StatusUnauthorized, code: "unauthorized",
		message: "give a write key that is known here, as the user name of Basic authorization or as writeKey in the body",
	}
	errEncoding = &refusal{
		status: http.StatusUnsupportedMediaType, code: "unsupported_encoding",
		message: "Content-Encoding must be gzip, or left out", field: "Content-Encoding",
	}
	errType = &refusal{
		status: http.StatusUnsupportedMediaType, code: "unsupported_type",
		message: "the body must be JSON: send Content-Type: application/json", field: "Content-Type",
	}
	errGzip = &refusal{
		status: http.StatusBadRequest, code: "bad_gzip", message: "the body is not what gzip makes",
	}
	errCutOff = &refusal{
		status: http.StatusBadRequest, code: "cut_off", message: "the body did not arrive whole",
	}
	errSlow = &refusal{
		status: http.StatusRequestTimeout, code: "timeout", message: "the body did not arrive in time",
	}
	errBusy = &refusal{
		status: http.StatusServiceUnavailable, code: "busy",
		message: "too many requests are waiting already; repeat this one", retry: retrySoon,
	}
	errKafkaAway = &refusal{
		status: http.StatusServiceUnavailable, code: "unavailable",
		message: "not everything could be made durable; repeat the request, with the same ids", retry: retrySoon,
	}
	errTooManyItems = &refusal{
		status: http.StatusRequestEntityTooLarge, code: "too_many_items",
		message: fmt.Sprintf("a request may have at most %d items", MaxItems),
	}
	errPanic = &refusal{
		status: http.StatusInternalServerError, code: "internal", message: "something is wrong here, not with the request",
	}
)

// errDisabled is a 503, so that what is sent meanwhile is sent again; Zendesk ignores more than 59 s.
var errDisabled = &refusal{
	status: http.StatusServiceUnavailable, code: "source_disabled",
	message: "this source has no secret here yet", retry: 30 * time.Second,
}

var errHookType = &refusal{
	status: http.StatusUnsupportedMediaType, code: "unsupported_type",
	message: "this source sends another type of body", field: "Content-Type",
}

func errSignature(status int) *refusal {
	return &refusal{status: status, code: "bad_signature", message: "the request does not prove that it comes from this source"}
}

func errTooLarge(limit int) *refusal {
	return &refusal{
		status: http.StatusRequestEntityTooLarge, code: "too_large",
		message: fmt.Sprintf("a body may have at most %d bytes, also once it is decompressed", limit),
	}
}

func errNotJSON(f fault) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "bad_json", message: f.Error()}
}

func errRate(wait time.Duration) *refusal {
	return &refusal{
		status: http.StatusTooManyRequests, code: "rate_limited",
		message: "this key makes more requests than it may", retry: wait,
	}
}
