package wire

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// Tokens keeps an access token for as long as it says that it is good, for all who send. Some do not say: such a token
// is good until it is refused.
type Tokens struct {
	fetch   func(context.Context) (*oauth2.Token, error)
	client  *http.Client
	timeout time.Duration
	turn    chan struct{} // a lock that can be waited for with a context
	now     *oauth2.Token
}

// NewTokens gets tokens from fetch, whose context carries the client for golang.org/x/oauth2. A fetch may take as long
// as the timeout.
func NewTokens(client *http.Client, timeout time.Duration, fetch func(context.Context) (*oauth2.Token, error)) *Tokens {
	return &Tokens{fetch: fetch, client: client, timeout: timeout, turn: make(chan struct{}, 1)}
}

// Get returns the token, fetched anew where there is none, or the answer for rows that cannot be sent without one.
// Others wait meanwhile: they need the same one.
func (t *Tokens) Get(ctx context.Context) (*oauth2.Token, *target.Answer) {
	bounded, cancel := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, t.client), t.timeout)
	defer cancel()
	select {
	case t.turn <- struct{}{}:
	case <-bounded.Done():
		a := NoAnswer(ctx, bounded, bounded.Err())
		return nil, &a
	}
	defer func() { <-t.turn }()
	if t.now.Valid() {
		return t.now, nil
	}
	token, err := t.fetch(bounded)
	if err != nil {
		a := noToken(ctx, bounded, err)
		a.All.Detail = strings.TrimSuffix("fetching a token: "+a.All.Detail, ": ")
		return nil, &a
	}
	t.now = token
	return token, nil
}

// Drop forgets a token that was refused, unless somebody has fetched a newer one since.
func (t *Tokens) Drop(refused *oauth2.Token) {
	t.turn <- struct{}{}
	if t.now == refused {
		t.now = nil
	}
	<-t.turn
}

// noToken tells a token that we do not get from one that we do not get now. The answer's body is left out: some
// servers repeat in it what they were sent.
func noToken(ctx, bounded context.Context, err error) target.Answer {
	answer, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok || answer.Response == nil {
		return NoAnswer(ctx, bounded, err)
	}
	status, after := answer.Response.StatusCode, RetryAfter(answer.Response.Header, time.Now())
	detail := Status(status, answer.ErrorCode)
	switch {
	case status == http.StatusTooManyRequests:
		return target.Deferred(RateLimited, detail, after)
	case status == http.StatusRequestTimeout, status >= 500:
		return target.Deferred(Unavailable, detail, after)
	case 300 <= status && status <= 399:
		return Away(status, answer.Response.Header)
	}
	return Halted(Unauthorized, detail)
}
