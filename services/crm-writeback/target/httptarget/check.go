package httptarget

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
)

// check gathers what is wrong with options.
type check struct{ problems []error }

func (c *check) wrong(field string, value any, allowed string) {
	c.problems = append(c.problems, config.Problem{Field: field, Value: value, Allowed: allowed})
}

func (c *check) oneOf(field, value string, words ...string) {
	if !slices.Contains(words, value) {
		c.wrong(field, value, "one of "+strings.Join(words, ", "))
	}
}

func (c *check) between(field string, value, least, most int) {
	if value < least || value > most {
		c.wrong(field, value, fmt.Sprintf("a whole number from %d to %d", least, most))
	}
}

// need reports a value that is missing.
func (c *check) need(field, value, why string) {
	if value == "" {
		c.wrong(field, nil, why)
	}
}

func (c *check) compile(field, text string) *program {
	p, err := compile(text)
	if err != nil {
		c.wrong(field, nil, err.Error())
	}
	return p
}

// ours are the headers that follow from the request, or from the connection.
var ours = []string{"Connection", "Content-Length", "Host", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// header reports a header that cannot be sent. Its value may be a secret, and is not repeated.
func (c *check) header(field, name, value string) {
	if wrong := badHeader(name, value); wrong != "" {
		c.wrong(field, nil, wrong)
	}
}

// badHeader says what is wrong with a header; "" for nothing.
func badHeader(name, value string) string {
	switch {
	case !isToken(name):
		return "a header's name: letters, digits and dashes"
	case slices.Contains(ours, http.CanonicalHeaderKey(name)):
		return "another header: this one follows from the request"
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return "a value on one line, without control characters"
	}
	return ""
}

// isToken reports whether a text can be a header's name (RFC 9110, 5.6.2).
func isToken(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

var methods = []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// checkValues holds single values to what they may be.
func (s *settings) checkValues(c *check) {
	c.oneOf("encoding", s.Encoding, encodingJSON, encodingForm)
	c.between("batch.rows", s.Batch.Rows, 1, 10_000)
	c.between("batch.bytes", s.Batch.Bytes, 1<<10, 8<<20)
	c.between("calls", s.Calls, 1, 64)
	if (s.TLS.CertFile == "") != (s.TLS.KeyFile == "") {
		c.wrong("tls.cert_file", s.TLS.CertFile, "both cert_file and key_file, or neither")
	}
	if s.Timeout < 100*time.Millisecond || s.Timeout > 10*time.Minute {
		c.wrong("timeout", s.Timeout.String(), "a time from 100ms to 10m")
	}
}

// auth reports what is missing for the scheme.
func (s *settings) auth(c *check) {
	a := &s.Auth
	secret := a.Secret.Reveal()
	switch a.Scheme {
	case schemeNone:
		if secret != "" {
			c.wrong("auth.scheme", nil, "which scheme the secret is for: bearer, basic, header or oauth2")
		}
	case schemeBearer:
		c.need("auth.secret", secret, "the token is needed")
		c.header("auth.secret", "Authorization", secret)
	case schemeBasic:
		c.need("auth.username", a.Username.Reveal(), "the user name is needed")
	case schemeHeader:
		c.need("auth.secret", secret, "the header's value is needed")
		c.header("auth.header", a.Header, secret)
	case schemeOAuth2:
		c.need("auth.client_id", a.ClientID, "the client's id is needed")
		c.need("auth.secret", secret, "the client's secret is needed")
		if u, err := url.Parse(a.TokenURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			c.wrong("auth.token_url", nil, "a whole URL that begins with https:// or http://")
		}
	default:
		c.oneOf("auth.scheme", a.Scheme, schemeNone, schemeBearer, schemeBasic, schemeHeader, schemeOAuth2)
	}
}
