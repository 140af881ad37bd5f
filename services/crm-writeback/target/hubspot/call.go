package hubspot

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/sluicehq/sluice/services/crm-writeback/target"
	"github.com/sluicehq/sluice/services/crm-writeback/target/httptarget/wire"
)

// reply is an answer that came, whole.
type reply struct {
	status int
	header http.Header
	body   []byte
	at     time.Time
}

// requestID is HubSpot's own, from the body of a failure or from the header.
func (r reply) requestID(f failed) string {
	id := f.CorrelationID
	if id == "" {
		id = r.header.Get("X-HubSpot-Correlation-Id")
	}
	return wire.Printable(id[:min(len(id), 100)])
}

func (r reply) took() bool { return 200 <= r.status && r.status <= 299 }

// maxAnswer bounds what is read of an answer: a hundred objects with what was written to them.
const maxAnswer = 16 << 20

var errLong = errors.New("the answer is longer than 16 MiB")

// call makes one call in its turn, once more with a new token where the old one is not good any more. name says for
// metrics what it does. The answer is nil when a reply came.
func (t *Target) call(ctx context.Context, name, path string, body []byte) (reply, *target.Answer) {
	token := t.fixed
	for renewed := false; ; renewed = true {
		if t.tokens != nil {
			var a *target.Answer
			if token, a = t.tokens.Get(ctx); a != nil {
				return reply{}, a
			}
		}
		if a := t.limits.turn(ctx, t.now); a != nil {
			return reply{}, a
		}
		r, a := t.once(ctx, name, path, body, token)
		if a != nil || r.status != http.StatusUnauthorized || t.tokens == nil || renewed {
			return r, a
		}
		t.tokens.Drop(token)
	}
}

func (t *Target) once(ctx context.Context, name, path string, body []byte, token *oauth2.Token) (reply, *target.Answer) {
	bounded, cancel := context.WithTimeout(ctx, t.options.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(bounded, http.MethodPost, t.options.URL+path, bytes.NewReader(body))
	if err != nil {
		a := wire.Halted(wire.Unusable, "the request cannot be made")
		return reply{}, &a
	}
	r.Header.Set("Authorization", "Bearer "+token.AccessToken)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "sluice")
	start := time.Now()
	resp, err := t.client.Do(r)
	if err != nil {
		t.metrics.call(name, 0, time.Since(start))
		a := wire.NoAnswer(ctx, bounded, err)
		return reply{}, &a
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	t.metrics.call(name, resp.StatusCode, time.Since(start))
	got := reply{status: resp.StatusCode, header: resp.Header, body: text, at: t.now()}
	t.limits.learn(resp.Header, got.at)
	switch {
	case err == nil && len(text) > maxAnswer:
		err = errLong
	case err != nil && got.took():
	default:
		return got, nil // of a failure what has come is enough
	}
	a := target.Deferred(wire.Unreadable, wire.Status(got.status, err.Error()), 0)
	a.Status, a.RequestID = got.status, got.requestID(failed{})
	return reply{}, &a
}

// judged is a reply's meaning where it is not 2xx; nil where it is. What it says of the rate holds for everybody.
func (t *Target) judged(r reply, rows int) *target.Answer {
	if r.took() {
		return nil
	}
	a := classify(r, rows)
	if r.status == http.StatusTooManyRequests {
		t.limits.hush(a.All.Reason, r.at.Add(a.RetryAfter))
	}
	return &a
}
