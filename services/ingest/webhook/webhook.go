// Package webhook knows how other people's systems call: how each proves who it is, what it wants to
// hear before and after, and what its words mean in ours. What it knows of a system is not code but an
// entry in a file of sources, so that somebody can add one by configuration alone.
//
// One call's path:
//
//	Source.Handshake   a vendor's question, answered without a signature and without an event (handshake.go)
//	Source.Takes       the type of body that the source sends (body.go)
//	Source.Verify      over the raw bytes, before anything is parsed (verify.go, signed.go, credentials.go)
//	Source.Translate   bytes to messages, and each message by jq to outputs, or to the reason why not (translate.go)
//
// The package writes nothing and answers nobody: the front door checks every output with the parsers of
// its own API, makes it durable and says so in the words that [Source.Ack] has for it.
package webhook

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Request is one call as it came, its body whole and decompressed.
type Request struct {
	Method   string
	URL      *url.URL
	Host     string
	Header   http.Header
	TLS      *tls.ConnectionState // nil where somebody else ended TLS
	Body     []byte
	Received time.Time
}

// Source is one system that calls.
type Source struct {
	name     string
	spec     Spec
	verifier verifier
	disabled string
	dev      bool
	secrets  []string // names of headers that no program and no dead letter may see
	programs programs
	memory   *memory
	polling  *Polling
}

// Name is what stands behind /v1/hooks/, and in records as their source.
func (s *Source) Name() string { return s.name }

// Disabled says why the source takes nothing, or is empty. It is disabled, rather than an error, while
// its secret is not there: a shipped source that nobody uses must not keep a process from starting.
func (s *Source) Disabled() string { return s.disabled }

// Calls reports whether the source sends webhooks at all.
func (s *Source) Calls() bool { return s.spec.calls() }

// Polling is how the source is asked, or nil.
func (s *Source) Polling() *Polling { return s.polling }

// Dev says that the source has no secret of its own, and takes one that everybody knows.
func (s *Source) Dev() bool { return s.dev }

// Ack is how the source wants to be answered.
func (s *Source) Ack() Ack { return s.spec.Ack }

// Verify reports why the request is not from the source, or nil. It looks at the raw body only.
func (s *Source) Verify(r *Request) error { return s.verifier.verify(r) }

// Sources are all that a file names, and its actions.
type Sources struct {
	byName  map[string]*Source
	actions map[string]*Action
}

// Find returns the source of that name, or nil.
func (s *Sources) Find(name string) *Source {
	if s == nil {
		return nil
	}
	return s.byName[name]
}

// Forget drops what is remembered of a user, named by the text that messages name them by.
func (s *Source) Forget(user string) { s.memory.erase(user) }

// All are the sources in the order of their names.
func (s *Sources) All() []*Source {
	if s == nil {
		return nil
	}
	all := make([]*Source, 0, len(s.byName))
	for _, source := range s.byName {
		all = append(all, source)
	}
	slices.SortFunc(all, func(a, b *Source) int { return strings.Compare(a.name, b.name) })
	return all
}

// Header is one header of a request as programs see it and as a dead letter keeps it.
type Header struct{ Name, Value string }

// concealed are headers that hold credentials whatever the source's scheme is.
// The addresses are those that proxies add, with the query and so with a token in it.
var concealed = []string{
	"Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key",
	"Cf-Access-Jwt-Assertion", "X-Amzn-Oidc-Accesstoken", "X-Amzn-Oidc-Data", "X-Forwarded-Access-Token", "X-Goog-Iap-Jwt-Assertion",
	"Referer", "X-Envoy-Original-Path", "X-Forwarded-Uri", "X-Original-Uri", "X-Original-Url", "X-Rewrite-Url",
}

// Headers are the request's, names in lower case and in order, without those that prove who sent it.
func (s *Source) Headers(r *Request) []Header { return visible(r.Header, s.secrets) }

// visible are headers but those that are secret.
func visible(h http.Header, secrets []string) []Header {
	all := make([]Header, 0, len(h))
	for name, values := range h {
		if !slices.Contains(secrets, name) && !slices.Contains(concealed, name) {
			all = append(all, Header{strings.ToLower(name), strings.ToValidUTF8(strings.Join(values, ", "), "\uFFFD")})
		}
	}
	slices.SortFunc(all, func(a, b Header) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Query is the request's query without a token that may stand in it.
func (s *Source) Query(r *Request) url.Values {
	q := r.URL.Query()
	s.spec.Auth.each(func(a *Auth) {
		if a.Query != "" {
			q.Del(a.Query)
		}
	})
	return q
}

// Translate makes messages of a body, and of each message what it means. It never fails as a whole:
// what cannot be understood is a message that says so. Nothing it returns aliases the body, in which what the source
// conceals is blotted out.
func (s *Source) Translate(ctx context.Context, r *Request) []Message {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	t := translation{ctx: ctx, source: s, request: r}
	return t.messages()
}

// deadline is how long the programs of one request may run together. Vendors wait for 4 to 15 s, and
// Kafka has its share of that.
const deadline = time.Second
