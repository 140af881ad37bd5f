package httpsink

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/google"
)

// identify puts credentials that never change into the headers of every request, and prepares to fetch
// those that do.
func (s *Sink) identify() error {
	a := &s.Auth
	secret := a.Secret.Reveal()
	switch a.Scheme {
	case schemeBearer:
		s.header.Set("Authorization", "Bearer "+secret)
	case schemeBasic:
		s.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(a.Username+":"+secret)))
	case schemeHeader:
		s.header.Set(a.Header, secret)
	case schemeOAuth2:
		params := url.Values{}
		for name, value := range a.Params {
			params.Set(name, value)
		}
		config := &clientcredentials.Config{
			ClientID: a.ClientID, ClientSecret: secret, TokenURL: a.TokenURL, Scopes: a.Scopes, EndpointParams: params,
		}
		s.tokens = newTokens(config.Token)
	case schemeGoogle:
		fetch, err := googleTokens(a)
		if err != nil {
			return err
		}
		s.tokens = newTokens(fetch)
	}
	return nil
}

// googleTokens fetches tokens of a service account: of the one whose key is in a file, or of the one that
// the machine runs as.
func googleTokens(a *Auth) (func(context.Context) (*oauth2.Token, error), error) {
	if a.KeyFile == "" {
		return func(ctx context.Context) (*oauth2.Token, error) {
			found, err := google.FindDefaultCredentials(ctx, a.Scopes...)
			if err != nil {
				return nil, err
			}
			return found.TokenSource.Token()
		}, nil
	}
	key, err := os.ReadFile(a.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading auth.key_file: %w", err)
	}
	config, err := google.JWTConfigFromJSON(key, a.Scopes...)
	if err != nil {
		return nil, fmt.Errorf("reading auth.key_file %s: it is not the key of a service account", a.KeyFile)
	}
	return func(ctx context.Context) (*oauth2.Token, error) { return config.TokenSource(ctx).Token() }, nil
}

// tokens keeps one for as long as it says that it is good, for all who send. Some do not say: such a token
// is good until it is refused.
type tokens struct {
	fetch func(context.Context) (*oauth2.Token, error)
	turn  chan struct{} // a lock that can be waited for with a context
	now   *oauth2.Token
}

func newTokens(fetch func(context.Context) (*oauth2.Token, error)) *tokens {
	return &tokens{fetch: fetch, turn: make(chan struct{}, 1)}
}

// get returns the token, fetched anew where there is none. Others wait meanwhile: they need the same one.
func (t *tokens) get(ctx context.Context) (*oauth2.Token, error) {
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-t.turn }()
	if t.now.Valid() {
		return t.now, nil
	}
	token, err := t.fetch(ctx)
	if err != nil {
		return nil, err
	}
	t.now = token
	return token, nil
}

// drop forgets a token that was refused, unless somebody has fetched a newer one since.
func (t *tokens) drop(refused *oauth2.Token) {
	t.turn <- struct{}{}
	if t.now == refused {
		t.now = nil
	}
	<-t.turn
}

// token is the token for a request, nil where none is needed, or why there is none.
func (s *Sink) token(ctx context.Context) (*oauth2.Token, *verdict) {
	if s.tokens == nil {
		return nil, nil
	}
	bounded, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	// The request has the client's secret in it, so it goes nowhere else either.
	client := &http.Client{Transport: s.transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	token, err := s.tokens.get(context.WithValue(bounded, oauth2.HTTPClient, client))
	if err != nil {
		v := s.noToken(ctx, bounded, err)
		return nil, &v
	}
	return token, nil
}

// noToken tells a token that we do not get from one that we do not get now. The answer's body is left
// out: some servers repeat in it what they were sent.
func (s *Sink) noToken(ctx, bounded context.Context, err error) verdict {
	answer, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok || answer.Response == nil {
		v := s.failure(ctx, bounded, err)
		v.all.Detail = "fetching a token: " + v.all.Detail
		return v
	}
	status := answer.Response.StatusCode
	v := classify(reply{status: status, header: answer.Response.Header, at: time.Now(), words: printable([]byte(answer.ErrorCode))})
	v.pass, v.all.Detail = false, "fetching a token: "+v.all.Detail
	if status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= 500 {
		return v
	}
	return halted(reasonUnauthorized, v.all.Detail)
}
