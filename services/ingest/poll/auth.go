package poll

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// credentials say who we are.
type credentials interface {
	// put adds them to a request.
	put(ctx context.Context, h http.Header) error
	// renew reports whether there may be newer ones, now that these were refused.
	renew() bool
}

func newCredentials(p *webhook.Polling, client *http.Client) credentials {
	secret := p.Secret.Reveal()
	switch p.Auth.Scheme {
	case "bearer":
		return fixed{"Authorization", "Bearer " + secret}
	case "basic":
		return fixed{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(secret))}
	case "header":
		return fixed{p.Auth.Header, p.Auth.Prefix + secret}
	case "oauth2":
		params := url.Values{}
		for name, value := range p.Auth.Params {
			params.Set(name, value)
		}
		return &oauth{client: client, config: clientcredentials.Config{
			ClientID: p.ClientID.Reveal(), ClientSecret: secret, TokenURL: p.Auth.TokenURL,
			Scopes: p.Auth.Scopes, EndpointParams: params,
		}}
	}
	return fixed{}
}

// fixed is a header that is always the same.
type fixed struct{ name, value string }

func (f fixed) put(_ context.Context, h http.Header) error {
	if f.name != "" {
		h.Set(f.name, f.value)
	}
	return nil
}

func (fixed) renew() bool { return false }

// oauth keeps a token for as long as it says that it is good. Some do not say (Salesforce): such a token
// is good until it is refused.
type oauth struct {
	config clientcredentials.Config
	client *http.Client

	mu    sync.Mutex
	token *oauth2.Token
}

func (o *oauth) put(ctx context.Context, h http.Header) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.token.Valid() {
		token, err := o.config.Token(context.WithValue(ctx, oauth2.HTTPClient, o.client))
		if err != nil {
			return refusedToken(err)
		}
		o.token = token
	}
	h.Set("Authorization", o.token.Type()+" "+o.token.AccessToken)
	return nil
}

func (o *oauth) renew() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.token = nil
	return true
}

// refusedToken tells a token that we do not get from one that we do not get now. The answer's body is
// left out: some servers repeat in it what they were sent.
func refusedToken(err error) error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) || answer.Response == nil {
		return &failure{again, fmt.Errorf("fetching a token: %w", withoutURL(err)), 0}
	}
	code := answer.Response.StatusCode
	err = fmt.Errorf("fetching a token: answered %d %s", code, answer.ErrorCode)
	if code == http.StatusTooManyRequests || code >= 500 {
		return &failure{again, err, hintOf(answer.Response.Header)}
	}
	return &failure{locked, err, 0}
}
