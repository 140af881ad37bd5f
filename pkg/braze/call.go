package braze

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Call is one call to any endpoint but those of /users/track, for which there are [Client.Track] and its
// like.
type Call struct {
	Endpoint *Endpoint
	// Path is the endpoint's with its braces filled in ([Endpoint.At]); empty where there are none.
	Path string
	Body []byte
	// Items is how many recipients, users or items the body holds; the answer may refuse them singly.
	Items int
}

// Body is the content of a call, one of this package's structs: [CampaignTrigger], [SubscriptionStatus],
// [CatalogItems] and so on.
type Body interface {
	// Endpoint is the one that takes it.
	Endpoint() *Endpoint
	// Path is the endpoint's with its braces filled in.
	Path() string
	// Items is how many recipients, users or items there are.
	Items() int
	// Check returns the first documented rule that is broken, or nil. What a field that holds JSON says
	// beyond being JSON of a size that is allowed is looked into only where a rule speaks of it.
	Check() *Violation
	// AppendBody appends the request's body to dst. It takes for granted that Check found nothing.
	AppendBody(dst []byte) []byte
	// Repeatable reports whether making the call again ends in the same state as making it once.
	Repeatable() bool
}

// NewCall is the call that sends a body, encoded behind dst.
func NewCall(dst []byte, body Body) Call {
	return Call{Endpoint: body.Endpoint(), Path: body.Path(), Body: body.AppendBody(dst)[len(dst):], Items: body.Items()}
}

// Call makes one call and returns what it means, with the care that [Client.Track] takes: no hidden
// retries but the harmless one, no redirects, Body is the caller's again when it returns.
//
// Objects that are refused singly are in Answer.Items by their index in the request, all in the zero
// [Array]. A catalog that does not exist is the fault of every item sent to it, [Malformed], and not of
// our configuration. So is a campaign that a path names, where Braze itself says so; any other 404 is
// [Stopped].
func (c *Client) Call(ctx context.Context, call Call) Answer {
	address, err := c.address(call)
	if err != nil {
		// Nothing was asked and nobody is in doubt; what is at fault is this call and no other.
		err = fmt.Errorf("calling Braze: %w", err)
		return Answer{Verdict: Malformed, Message: shortened(err.Error(), maxMessage), Err: err}
	}
	return c.do(ctx, call.Endpoint, address, call.Body, func(a *Answer, body []byte, whole bool) {
		a.parseCall(body, whole, &call)
	})
}

var (
	errNoEndpoint = errors.New("no endpoint")
	errBadPath    = errors.New("a path that is not the endpoint's")
)

// address is the URL of a call. It is put together by hand: [url.URL.JoinPath] would resolve dots, and a
// catalog of that name must not lead to another address.
func (c *Client) address(call Call) (*url.URL, error) {
	e := call.Endpoint
	if e == nil {
		return nil, errNoEndpoint
	}
	path := call.Path
	if path == "" {
		path = e.Path
	}
	if known := c.addresses[e]; known != nil && path == e.Path {
		return known, nil
	}
	if !e.matches(path) {
		return nil, fmt.Errorf("%w: %q for %s", errBadPath, shortened(path, maxMessage/2), e)
	}
	unescaped, err := url.PathUnescape(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %q for %s", errBadPath, shortened(path, maxMessage/2), e)
	}
	address := *c.base
	address.RawPath = strings.TrimSuffix(c.base.EscapedPath(), "/") + path
	address.Path = strings.TrimSuffix(c.base.Path, "/") + unescaped
	return &address, nil
}

// matches reports whether a path is the endpoint's with something in the place of each brace.
func (e *Endpoint) matches(path string) bool {
	want, got := strings.Split(e.Path, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if strings.HasPrefix(want[i], "{") {
			if got[i] == "" || got[i] == "." || got[i] == ".." || strings.ContainsAny(got[i], "{}?#") {
				return false
			}
		} else if want[i] != got[i] {
			return false
		}
	}
	return true
}
