package httptarget

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/sluicehq/sluice/services/crm-writeback/target"
	"github.com/sluicehq/sluice/services/crm-writeback/target/httptarget/wire"
)

// reply is an answer that came.
type reply struct {
	status int
	header http.Header
	body   []byte
	cut    error // why the body is not whole
	at     time.Time
}

// took reports whether the status means that the request was taken.
func (r *reply) took() bool { return 200 <= r.status && r.status <= 299 }

// maxAnswer bounds what is read of an answer.
const maxAnswer = 4 << 20

// send sends a request, once more with a new token where the old one is not good any more.
func (t *Target) send(ctx context.Context, q *request) target.Answer {
	for renewed := false; ; renewed = true {
		var token *oauth2.Token
		if t.tokens != nil {
			var failed *target.Answer
			if token, failed = t.tokens.Get(ctx); failed != nil {
				return *failed
			}
		}
		r, failed := t.once(ctx, q, token)
		if failed != nil {
			return *failed
		}
		refused := r.status == http.StatusUnauthorized || r.status == http.StatusForbidden && wire.RetryAfter(r.header, r.at) == 0
		if refused && token != nil && !renewed {
			t.tokens.Drop(token)
			continue
		}
		return t.meaning(ctx, q, r)
	}
}

// once is one request and its answer.
func (t *Target) once(ctx context.Context, q *request, token *oauth2.Token) (*reply, *target.Answer) {
	bounded, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(bounded, q.method, q.url.String(), bytes.NewReader(q.body))
	if err != nil {
		a := wire.RejectedOf(len(q.rows), reasonTemplate, "the request cannot be made")
		return nil, &a
	}
	r.URL = q.url // as it was checked, whatever a second parsing would make of it
	if q.body == nil {
		r.Body, r.GetBody, r.ContentLength = http.NoBody, nil, 0
	}
	r.Header = q.header.Clone()
	if token != nil {
		r.Header.Set("Authorization", token.Type()+" "+token.AccessToken)
	}
	start := time.Now()
	resp, err := t.client.Do(r)
	if err != nil {
		t.metrics.call(0, time.Since(start))
		a := wire.NoAnswer(ctx, bounded, err)
		return nil, &a
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	t.metrics.call(resp.StatusCode, time.Since(start))
	if err == nil && len(body) > maxAnswer {
		err = errLongAnswer
	}
	return &reply{status: resp.StatusCode, header: resp.Header, body: body, cut: err, at: t.now()}, nil
}

// meaning is what an answer means for the rows.
func (t *Target) meaning(ctx context.Context, q *request, r *reply) target.Answer {
	a := t.classify(q, r)
	if t.verdicts != nil && (r.status < 300 || r.status > 399) {
		a = t.consult(ctx, q, r, a)
	}
	a.Status, a.RequestID = r.status, requestID(r.header)
	if a.RequestID == "" {
		a.RequestID = q.id
	}
	return a
}

// requestID is the far end's own name for the call, where it has one.
func requestID(h http.Header) string {
	for _, name := range []string{"X-Request-Id", "Request-Id", "X-Correlation-Id", "X-Zendesk-Request-Id"} {
		if id := h.Get(name); id != "" {
			return wire.Printable(id[:min(len(id), 100)])
		}
	}
	return ""
}
