package braze

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/quota"
)

// Client makes calls to one workspace. It is safe for concurrent use.
type Client struct {
	transport http.RoundTripper
	base      *url.URL
	addresses map[*Endpoint]*url.URL // of those whose path has no braces
	header    http.Header            // of every request; never written to after New
	timeout   time.Duration
}

const (
	userAgent = "sluice"
	// maxAnswer is the most that is read of an answer. A full batch in which every object was refused
	// is far below it.
	maxAnswer      = 1 << 20
	maxRequestID   = 128
	defaultTimeout = 30 * time.Second // for a Config made by hand
)

// New returns a client. Transport is nil for the usual one, [NewTransport]; another must, as the
// [http.RoundTripper] contract has it, not change the requests it is given, and it should report
// through [httptrace] what it has written, or else every failure counts as in doubt.
func New(cfg Config, transport http.RoundTripper) (*Client, error) {
	base, err := cfg.base()
	if err != nil {
		return nil, fmt.Errorf("configuring the Braze client: %w", err)
	}
	key := strings.TrimSpace(cfg.APIKey.Reveal())
	if key == "" {
		return nil, fmt.Errorf("configuring the Braze client: %w", errNoKey)
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fmt.Errorf("configuring the Braze client: the API key has characters that no header can hold")
	}
	if transport == nil {
		transport = NewTransport()
	}
	addresses := map[*Endpoint]*url.URL{}
	for _, e := range Endpoints() {
		if !strings.Contains(e.Path, "{") {
			addresses[e] = base.JoinPath(e.Path)
		}
	}
	return &Client{
		transport: transport,
		base:      base,
		addresses: addresses,
		timeout:   cmp.Or(max(cfg.Timeout, 0), defaultTimeout),
		header: http.Header{
			"Authorization": {"Bearer " + key},
			"Content-Type":  {"application/json"},
			"Accept":        {"application/json"},
			"User-Agent":    {userAgent},
		},
	}, nil
}

// NewTransport returns the transport for talking to Braze: many connections kept to one host, a limit
// on every wait, HTTP/1.1.
//
// HTTP/1.1 because each request then has its connection to itself: what breaks one leaves the others
// out of doubt, where a lost HTTP/2 connection leaves all its streams in doubt at once.
func NewTransport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 512,
		// Shorter than the other side's, which is not documented: a connection closed by Braze in the
		// moment in which we write to it leaves that request in doubt.
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		WriteBufferSize:        32 << 10,
		DisableCompression:     true, // answers are small, and a bomb is not unpacked
		Protocols:              protocols,
	}
}

// CloseIdleConnections closes the connections that no call is using.
func (c *Client) CloseIdleConnections() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Track makes one call to /users/track and returns what it means. Body is what [Request.AppendBody]
// made, n how many objects each array holds ([Request.Counts]). After Track has returned, body is the
// caller's again.
//
// There are no hidden retries, with one harmless exception: when a kept connection turns out to be
// closed before anything was written to it, another is used. Redirects are not followed.
func (c *Client) Track(ctx context.Context, body []byte, n [3]int) Answer {
	return c.trackAt(ctx, UsersTrack, body, n)
}

// TrackBulk is Track for /users/track/bulk, which takes more objects in fewer bytes and lets /users/track
// go first ([UsersTrackBulk]).
func (c *Client) TrackBulk(ctx context.Context, body []byte, n [3]int) Answer {
	return c.trackAt(ctx, UsersTrackBulk, body, n)
}

// TrackSync is Track for /users/track/sync, which takes a single object and answers when it is applied
// ([UsersTrackSync]).
func (c *Client) TrackSync(ctx context.Context, body []byte, n [3]int) Answer {
	return c.trackAt(ctx, UsersTrackSync, body, n)
}

func (c *Client) trackAt(ctx context.Context, e *Endpoint, body []byte, n [3]int) Answer {
	return c.do(ctx, e, c.addresses[e], body, func(a *Answer, answer []byte, whole bool) {
		a.parse(answer, whole, n)
	})
}

// do is what all calls have in common. Parse reads the answer's body into the answer; whole is false when
// the body was cut off or monstrous.
func (c *Client) do(ctx context.Context, e *Endpoint, address *url.URL, body []byte, parse func(a *Answer, body []byte, whole bool)) Answer {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var wrote progress
	payload := &payload{data: body}
	defer payload.revoke()

	resp, err := c.transport.RoundTrip(c.request(ctx, e.Method, address, &wrote, payload))
	if err != nil {
		return Answer{
			Verdict: classify(0, wrote.nothing()),
			Err:     fmt.Errorf("calling Braze: %w", err),
			Latency: time.Since(start),
		}
	}
	defer func() { _ = resp.Body.Close() }()
	buf := buffers.Get().(*bytes.Buffer)
	defer recycle(buf)
	most := cmp.Or(e.maxAnswer, maxAnswer)
	_, err = buf.ReadFrom(io.LimitReader(resp.Body, int64(most)+1))
	whole := err == nil && buf.Len() <= most

	now := time.Now()
	answer := Answer{
		Verdict:   classify(resp.StatusCode, false),
		Status:    resp.StatusCode,
		RequestID: shortened(resp.Header.Get("X-Request-Id"), maxRequestID),
		Hint:      quota.ParseHeaders(resp.Header, now),
		Latency:   now.Sub(start),
	}
	answer.Hint.Throttled = answer.Verdict == Throttled
	parse(&answer, buf.Bytes(), whole)
	return answer
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// recycle keeps a buffer for the next answer, unless this one's was monstrous.
func recycle(buf *bytes.Buffer) {
	if buf.Cap() <= 64<<10 {
		buf.Reset()
		buffers.Put(buf)
	}
}

// request builds the request. It is not made by http.NewRequest, which would parse the URL each time.
func (c *Client) request(ctx context.Context, method string, address *url.URL, wrote *progress, p *payload) *http.Request {
	r := &http.Request{
		Method:        method,
		URL:           address,
		Host:          address.Host,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        c.header,
		ContentLength: int64(len(p.data)),
		Body:          &payloadReader{payload: p},
		// Allows the transport to begin anew on another connection if it has written nothing.
		GetBody: func() (io.ReadCloser, error) { return &payloadReader{payload: p}, nil },
	}
	return r.WithContext(httptrace.WithClientTrace(ctx, wrote.trace()))
}
