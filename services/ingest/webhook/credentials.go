package webhook

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/pkg/config"
)

var (
	errCredential = errors.New("the credential is missing or not one of the secrets")
	errSubject    = errors.New("there is no client certificate with a subject that may come in")
)

// credential is a secret that the source sends as it is.
type credential struct {
	auth    *Auth
	secrets []config.Secret
}

func (c credential) verify(r *Request) error {
	text, ok := c.given(r)
	fits := false
	for _, secret := range c.secrets {
		fits = secret.Equal(text) || fits // all of them, so that the time tells nothing
	}
	if !ok || !fits {
		return errCredential
	}
	return nil
}

// given is what the request sends; user:password of basic authorization.
func (c credential) given(r *Request) (string, bool) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	text = strings.TrimSpace(text)
	switch c.auth.Scheme {
	case schemeBasic:
		plain, err := base64.StdEncoding.DecodeString(text)
		return string(plain), err == nil && strings.EqualFold(scheme, "Basic")
	case schemeBearer:
		return text, strings.EqualFold(scheme, "Bearer")
	}
	if c.auth.Query != "" {
		values := r.URL.Query()[c.auth.Query]
		return strings.Join(values, ""), len(values) == 1
	}
	for _, name := range c.auth.Header {
		if text := r.Header.Get(name); text != "" {
			return text, true
		}
	}
	return "", false
}

// subject is who a client certificate is for: by the connection itself where TLS ends here, and only
// if it was verified; else by the header of a proxy, which then has to prove itself too.
type subject struct{ auth *Auth }

func (s subject) verify(r *Request) error {
	var names []string
	switch {
	case len(s.auth.Header) > 0:
		for _, header := range s.auth.Header {
			if names = r.Header.Values(header); len(names) > 1 {
				return errSubject // one of them may be the caller's own
			} else if len(names) == 1 {
				break
			}
		}
	case r.TLS != nil:
		for _, chain := range r.TLS.VerifiedChains {
			names = append(names, chain[0].Subject.String())
		}
	}
	for _, name := range names {
		if slices.Contains(s.auth.Subjects, name) {
			return nil
		}
	}
	return errSubject
}
