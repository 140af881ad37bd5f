package httpsink

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

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

// ours are the headers that follow from the other options, or from the connection.
var ours = []string{
	"Connection", "Content-Encoding", "Content-Length", "Host", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Webhook-Id", "Webhook-Signature", "Webhook-Timestamp",
}

// header reports a header that cannot be sent. Its value may be a secret, and is not repeated.
func (c *check) header(field, name, value string) {
	switch {
	case !isToken(name):
		c.wrong(field, name, "a header's name: letters, digits and dashes")
	case slices.Contains(ours, http.CanonicalHeaderKey(name)):
		c.wrong(field, name, "another header: this one is set by the sink itself")
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		c.wrong(field, nil, "a value on one line, without control characters")
	}
}

// isToken reports whether a text can be a header's name (RFC 9110, 5.6.2).
func isToken(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// checkValues holds single values to what they may be.
func (s *settings) checkValues(c *check) {
	c.oneOf("method", s.Method, http.MethodPost, http.MethodPut, http.MethodPatch)
	c.oneOf("format", s.Format, formatArray, formatNDJSON, formatSingle)
	c.oneOf("compress", s.Compress, compressNone, compressGzip)
	c.between("max_bytes", s.MaxBytes, 1<<10, 100<<20)
	c.between("max_events", s.MaxEvents, 0, 1_000_000)
	c.between("max_event_bytes", s.MaxEventBytes, 64, 100<<20)
	if s.Timeout < 100*time.Millisecond || s.Timeout > 10*time.Minute {
		c.wrong("timeout", s.Timeout.String(), "a time from 100ms to 10m")
	}
	for _, status := range s.Success {
		if status < 200 || status > 499 || status == http.StatusTooManyRequests || 300 <= status && status <= 399 {
			c.wrong("success", status, "statuses from 200 to 299, or from 400 to 499 without 429")
		}
	}
	if (s.TLS.CertFile == "") != (s.TLS.KeyFile == "") {
		c.wrong("tls.cert_file", s.TLS.CertFile, "both cert_file and key_file, or neither")
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
		c.need("auth.username", a.Username, "the user name is needed")
	case schemeHeader:
		c.need("auth.secret", secret, "the header's value is needed")
		c.header("auth.header", a.Header, secret)
	case schemeOAuth2:
		c.need("auth.client_id", a.ClientID, "the client's id is needed")
		c.need("auth.secret", secret, "the client's secret is needed")
		if u, err := url.Parse(a.TokenURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			c.wrong("auth.token_url", nil, "a whole URL that begins with https:// or http://")
		}
	case schemeGoogle:
	default:
		c.oneOf("auth.scheme", a.Scheme, schemeNone, schemeBearer, schemeBasic, schemeHeader, schemeOAuth2, schemeGoogle)
	}
}

// Secrets of Standard Webhooks have 24 to 64 bytes (standardwebhooks.com, "Signature scheme").
const (
	leastSecret = 24
	mostSecret  = 64
)

// signing makes a signer of each secret.
func (s *settings) signing(c *check) {
	for i, secret := range s.Sign.Secrets {
		field := fmt.Sprintf("sign.secrets[%d]", i)
		signer, err := standardwebhooks.NewWebhook(secret.Reveal())
		if size := secretSize(secret.Reveal()); err != nil || size < leastSecret || size > mostSecret {
			c.wrong(field, secret, fmt.Sprintf("whsec_ and the base64 of %d to %d bytes", leastSecret, mostSecret))
			continue
		}
		s.signers = append(s.signers, signer)
	}
	if len(s.signers) > 0 && s.Compress == compressGzip {
		// Some receivers see the body as it came, others as it was before; the standard does not say.
		c.wrong("compress", s.Compress, "none beside sign: receivers differ in which of the two bodies they verify")
	}
}
