// Package registry is what we ask of a schema registry: the schema behind an id in a record, ids for
// the schemas we write with, and whether a change to a schema may be made.
//
// [Client] talks to any registry that speaks Confluent's API (Confluent, Apicurio, Redpanda, Karapace,
// or the one in registry/embedded). An id means one schema for ever, so [Client.SchemaByID] asks for
// each once.
//
// The rest needs no registry: [ParseSchema] reads a schema text from a stranger without falling over
// it, [Canonical] says when two texts are the same schema, [Incompatibilities] judges a new version
// by a compatibility [Level], [CheckChange] by the stricter rules for public topics, and [Lint] holds
// a schema against the dialect that every reader of a public topic understands.
package registry

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"golang.org/x/sync/singleflight"

	"github.com/sluicehq/sluice/pkg/config"
)

const (
	// attemptTimeout bounds one HTTP call.
	attemptTimeout = 5 * time.Second
	// attempts is how often a call is made before its error is the caller's.
	attempts = 4
	// maxAnswer is the longest answer read. The longest schema taken fits, escaped.
	maxAnswer = 4 << 20
	// maxMessage is how much of a registry's own words an error carries.
	maxMessage = 2000
)

// Config says which registry to talk to.
type Config struct {
	URL      string        `yaml:"url" env:"SCHEMA_REGISTRY_URL" doc:"base URL of a Confluent-compatible schema registry; several, apart by commas, are tried in turn"`
	Username string        `yaml:"username" env:"SCHEMA_REGISTRY_USERNAME" doc:"user for basic authentication, or the API key"`
	Password config.Secret `yaml:"password" env:"SCHEMA_REGISTRY_PASSWORD" doc:"password for basic authentication, or the API secret"`

	// Transport replaces the HTTP transport, for tests and for private certificate authorities.
	Transport http.RoundTripper `yaml:"-"`
}

// Validate refuses what is no HTTP URL. An empty URL is let pass: whether a registry is needed is for
// the program to say.
func (c Config) Validate() error {
	if c.URL == "" {
		return nil
	}
	_, _, err := c.endpoints()
	return err
}

// endpoints are the base URLs without credentials, and the credentials of the first that has some.
// They do not stay in the URLs, for those stand in errors.
func (c Config) endpoints() (bases []string, user *url.Userinfo, err error) {
	for each := range strings.SplitSeq(c.URL, ",") {
		if each = strings.TrimSpace(each); each == "" {
			continue
		}
		u, err := url.Parse(each)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			// Not err itself: it quotes the URL, and with it a password.
			return nil, nil, config.Problem{Field: "URL", Value: "set, but no base URL", Allowed: "http:// or https://, a host, a path if need be; several apart by commas"}
		}
		if user == nil {
			user = u.User
		}
		u.User = nil
		bases = append(bases, u.String())
	}
	if len(bases) == 0 {
		return nil, nil, config.Problem{Field: "URL", Allowed: "required; set SCHEMA_REGISTRY_URL"}
	}
	return bases, user, nil
}

// Client asks a schema registry. It may be used by many goroutines.
type Client struct {
	sr      *sr.Client
	http    *http.Client
	schemas schemaCache
	flight  singleflight.Group
}

// New makes a client without calling the registry; [Client.Ping] does.
func New(cfg Config) (*Client, error) {
	bases, user, err := cfg.endpoints()
	if err != nil {
		return nil, fmt.Errorf("configuring the schema registry: %w", err)
	}
	transport := cfg.Transport
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone() // with the proxy of the environment
		t.MaxIdleConnsPerHost = 16
		transport = t
	}
	caller := &http.Client{Timeout: attemptTimeout, Transport: boundedAnswers{transport}}
	opts := []sr.ClientOpt{sr.URLs(bases...), sr.UserAgent("sluice"), sr.HTTPClient(caller)}
	if cfg.Username != "" || cfg.Password != "" {
		opts = append(opts, sr.BasicAuth(cfg.Username, cfg.Password.Reveal()))
	} else if user != nil {
		password, _ := user.Password()
		opts = append(opts, sr.BasicAuth(user.Username(), password))
	}
	client, err := sr.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("configuring the schema registry: %w", err)
	}
	return &Client{sr: client, http: caller}, nil
}

// Close ends the connections that wait for another call.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// boundedAnswers keeps an answer without end from filling the memory, for the client reads it whole.
type boundedAnswers struct{ next http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (b boundedAnswers) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	return resp, nil
}

// CloseIdleConnections is what [http.Client.CloseIdleConnections] looks for.
func (b boundedAnswers) CloseIdleConnections() {
	if t, ok := b.next.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// What a registry says no with. Everything else is trouble on the way, and may pass.
var (
	// ErrNotFound: the registry knows no such subject, version, schema or id.
	ErrNotFound = errors.New("not in the schema registry")
	// ErrIncompatible: the subject's level does not allow the schema as its next version.
	ErrIncompatible = errors.New("incompatible schema")
	// ErrInvalid: the schema, subject, version or level is not a valid one.
	ErrInvalid = errors.New("invalid for the schema registry")
	// ErrUnsupported: the id's schema is there, but is not Avro that stands for itself: another type,
	// with references to other subjects, or too large.
	ErrUnsupported = errors.New("unsupported schema")
)

// explained turns the registry's answer into one of the errors above where it is one. A 404 counts as
// "not found" only with the registry's own error code: a wrong base URL and a proxy answer 404 too,
// and must not make records look undecodable.
func explained(err error) error {
	var answer *sr.ResponseError
	if !errors.As(err, &answer) {
		return err
	}
	message := answer.Message
	if message == "" {
		message = strings.TrimSpace(string(answer.Raw))
	}
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	switch {
	case answer.StatusCode == http.StatusNotFound && answer.ErrorCode >= 40400 && answer.ErrorCode < 40500:
		return fmt.Errorf("%w: %s", ErrNotFound, message)
	case answer.StatusCode == http.StatusConflict:
		return fmt.Errorf("%w: %s", ErrIncompatible, message)
	case answer.StatusCode == http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: %s", ErrInvalid, message)
	}
	return fmt.Errorf("%s %s: HTTP %d: %s", answer.Method, answer.URL, answer.StatusCode, message)
}

// passing says whether another attempt may succeed.
func passing(err error) bool {
	var answer *sr.ResponseError
	if !errors.As(err, &answer) {
		return true // no answer, or none that can be read
	}
	return answer.StatusCode >= http.StatusInternalServerError ||
		answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusRequestTimeout
}
