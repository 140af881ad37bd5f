package httptarget

import (
	"context"
	"encoding/base64"
	"net/url"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/sluicehq/sluice/services/crm-writeback/target/httptarget/wire"
)

// identify puts credentials that never change into the headers of every request, and prepares to fetch those that do.
func (t *Target) identify() {
	a := &t.Auth
	secret := a.Secret.Reveal()
	switch a.Scheme {
	case schemeBearer:
		t.header.Set("Authorization", "Bearer "+secret)
	case schemeBasic:
		t.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(a.Username.Reveal()+":"+secret)))
	case schemeHeader:
		t.header.Set(a.Header, secret)
	case schemeOAuth2:
		params := url.Values{}
		for name, value := range a.Params {
			params.Set(name, value)
		}
		config := &clientcredentials.Config{
			ClientID: a.ClientID, ClientSecret: secret, TokenURL: a.TokenURL, Scopes: a.Scopes, EndpointParams: params,
		}
		t.tokens = wire.NewTokens(t.client, t.Timeout, func(ctx context.Context) (*oauth2.Token, error) { return config.Token(ctx) })
	}
}
