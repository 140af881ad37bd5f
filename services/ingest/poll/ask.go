package poll

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// failure is why a page could not be had, and so what to do about it.
type failure struct {
	kind kind
	err  error
	hint time.Duration // what they ask us to wait
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// kind is what a failure asks for.
type kind string

const (
	again   kind = "again"   // it will pass: their trouble, the network's, or a limit
	refused kind = "refused" // they do not want this request; another one, perhaps
	locked  kind = "locked"  // they do not know us any more: somebody has to look after our credentials
	broken  kind = "broken"  // an answer that is not what it ought to be
)

// client asks a source.
type client struct {
	polling *webhook.Polling
	http    *http.Client
	who     credentials
	quota   *quota.Quota
}

// maxRedirects is how often one request may be sent on, on its own host.
const maxRedirects = 5

func newClient(p *webhook.Polling, transport http.RoundTripper) *client {
	c := &client{polling: p, quota: quota.New(p.Rate)}
	c.http = &http.Client{Transport: transport, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		// Elsewhere our credentials are nobody's business; http.Client would take only some of them off.
		if first := via[0].URL; next.URL.Host != first.Host || next.URL.Scheme != first.Scheme || len(via) > maxRedirects {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	c.who = newCredentials(p, &http.Client{Transport: transport, Timeout: p.Timeout, CheckRedirect: neverElsewhere})
	return c
}

// answer is a page as it came.
type answer struct {
	body      []byte
	header    http.Header
	unchanged bool // since the validators; then there is no body
	feed      *os.File
}

// mostPage bounds what is read of an answer into memory, whatever the file allows.
const mostPage = 1 << 30

// ask fetches one page: when our rate and their limits allow it, and with credentials renewed once.
func (c *client) ask(ctx context.Context, where target, known validators) (answer, error) {
	a, err := c.once(ctx, where, known)
	var f *failure
	if errors.As(err, &f) && f.kind == locked && c.who.renew() {
		a, err = c.once(ctx, where, known)
	}
	return a, err
}

// send asks, and learns what the answer's headers say of limits.
func (c *client) send(ctx context.Context, where target, known validators) (*http.Response, quota.Hint, error) {
	r, err := c.request(ctx, where, known)
	if err != nil {
		return nil, quota.Hint{}, err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, quota.Hint{}, &failure{again, fmt.Errorf("asking %s: %w", hostOf(where.url), withoutURL(err)), 0}
	}
	now := time.Now()
	hint := quota.ParseHeaders(resp.Header, now)
	hint.Throttled = resp.StatusCode == http.StatusTooManyRequests
	c.quota.Learn(now, hint)
	return resp, hint, nil
}

func (c *client) once(ctx context.Context, where target, known validators) (answer, error) {
	if err := c.turn(ctx); err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.polling.Timeout)
	defer cancel()
	resp, hint, err := c.send(ctx, where, known)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	now := time.Now()
	if resp.StatusCode == http.StatusNotModified {
		return answer{header: resp.Header, unchanged: true}, nil
	}
	if c.polling.IsFeed() && resp.StatusCode == http.StatusOK {
		return c.keep(resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, min(c.polling.MaxBytes, mostPage)+1))
	if f := judge(resp, body, hint.Wait(now)); f != nil {
		return answer{}, f
	}
	switch {
	case c.polling.IsFeed():
		return answer{}, &failure{broken, fmt.Errorf("answered %d, and not 200 with a whole feed", resp.StatusCode), 0}
	case err != nil:
		return answer{}, &failure{again, fmt.Errorf("reading the page: %w", err), 0}
	case int64(len(body)) > c.polling.MaxBytes:
		return answer{}, &failure{refused, fmt.Errorf("the page has more than %d bytes: raise poll.max_bytes, or ask for less", c.polling.MaxBytes), 0}
	}
	return answer{body: body, header: resp.Header}, nil
}

// turn waits until we may ask.
func (c *client) turn(ctx context.Context) error {
	for {
		wait := c.quota.Take(time.Now())
		if wait == 0 {
			return ctx.Err()
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func (c *client) request(ctx context.Context, where target, known validators) (*http.Request, error) {
	var body io.Reader
	if where.body != "" {
		body = strings.NewReader(where.body)
	}
	r, err := http.NewRequestWithContext(ctx, c.polling.Method, where.url, body)
	if err != nil {
		return nil, &failure{refused, fmt.Errorf("making the request: %w", withoutURL(err)), 0}
	}
	if !c.polling.IsFeed() {
		r.Header.Set("Accept", "application/json")
	}
	r.Header.Set("User-Agent", "sluice")
	if where.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range c.polling.Headers {
		r.Header.Set(name, value)
	}
	if known.Of == placeOf(where) {
		if known.ETag != "" {
			r.Header.Set("If-None-Match", known.ETag)
		}
		if known.LastModified != "" {
			r.Header.Set("If-Modified-Since", known.LastModified)
		}
	}
	return r, c.who.put(ctx, r.Header)
}

// judge says what a status means; nil for a page.
func judge(resp *http.Response, body []byte, hint time.Duration) *failure {
	code := resp.StatusCode
	words := func(format string, args ...any) error {
		return fmt.Errorf("answered %d: "+format, append([]any{code}, args...)...)
	}
	switch {
	case 200 <= code && code <= 299:
		return nil
	case code == http.StatusUnauthorized:
		return &failure{locked, words("the credentials are not good"), 0}
	case code == http.StatusForbidden && hint > 0, code == http.StatusTooManyRequests:
		return &failure{again, words("too many requests"), hint}
	case code == http.StatusForbidden:
		return &failure{locked, words("the credentials may not do this: %s", excerpt(body)), 0}
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code >= 500:
		return &failure{again, words("%s", excerpt(body)), hint}
	case 300 <= code && code <= 399:
		return &failure{refused, words("it sends us on to another host, or in a circle, which we do not follow"), 0}
	}
	return &failure{refused, words("%s", excerpt(body)), 0}
}

// neverElsewhere keeps a token's request, which has the client's secret in it, where it was sent.
func neverElsewhere(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// withoutURL is an error without the address that net/http and net/url put into theirs: there may be a key
// in it.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return withoutURL(u.Err)
	}
	return err
}

// hostOf is what may be said of an address.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the source"
	}
	return u.Host
}

func hintOf(h http.Header) time.Duration {
	now := time.Now()
	return quota.ParseHeaders(h, now).Wait(now)
}

// excerpt is the beginning of an answer, for a log.
func excerpt(body []byte) string {
	const longest = 200
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(body[:min(len(body), longest)]), "\uFFFD")), " ")
	if len(body) > longest {
		text += "…"
	}
	return text
}

// sleep waits, or returns why the context has ended.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
