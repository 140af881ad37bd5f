package braze_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/config"
)

const key = "0000-secret-key"

func client(t testing.TB, endpoint string, timeout time.Duration, transport http.RoundTripper) *braze.Client {
	t.Helper()
	c, err := braze.New(braze.Config{Endpoint: endpoint, APIKey: key, Timeout: timeout}, transport)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// listen serves connections by hand, for what an http.Server is too polite to do. Each connection is
// given with its number, from 0.
func listen(t testing.TB, serve func(n int, conn *net.TCPConn)) (endpoint string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	wg.Go(func() {
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer func() { _ = conn.Close() }()
				serve(n, conn.(*net.TCPConn))
			})
		}
	})
	return "http://" + l.Addr().String()
}

// readRequest reads one whole request from a connection.
func readRequest(conn net.Conn) {
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err == nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

// answer writes an answer by hand.
func answer(conn net.Conn, status int, body string) {
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\n\r\n%s", status, http.StatusText(status), len(body), body)
}

var oneEvent = []byte(`{"events":[{"external_id":"crm-1","name":"a","time":"2026-03-04T05:06:07.000Z"}]}`)

func TestTheRequestIsWhatBrazeAsksFor(t *testing.T) {
	for _, path := range []string{"", "/", "/proxy/to/braze", "/proxy/to/braze/"} {
		t.Run("endpoint path "+path, func(t *testing.T) {
			var got *http.Request
			var body []byte
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = r
				body, _ = io.ReadAll(r.Body)
				w.Header().Set("X-Request-Id", "req-7")
				w.WriteHeader(http.StatusCreated)
				_, _ = io.WriteString(w, `{"message":"success","events_processed":1}`)
			}))
			defer server.Close()
			a := client(t, server.URL+path, time.Minute, nil).Track(t.Context(), oneEvent, [3]int{0, 1, 0})

			if want := strings.TrimRight(path, "/") + "/users/track"; got.Method != http.MethodPost || got.URL.Path != want {
				t.Errorf("%s %s, want POST %s", got.Method, got.URL.Path, want)
			}
			want := http.Header{
				"Authorization":  {"Bearer " + key},
				"Content-Type":   {"application/json"},
				"Content-Length": {strconv.Itoa(len(oneEvent))},
				"Accept":         {"application/json"},
				"User-Agent":     {"sluice"},
			}
			if diff := cmp.Diff(want, got.Header); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			if !bytes.Equal(body, oneEvent) {
				t.Errorf("body %s, want %s", body, oneEvent)
			}
			if a.Latency <= 0 {
				t.Errorf("latency %v, want some", a.Latency)
			}
			wantAnswer := braze.Answer{Verdict: braze.Accepted, Status: 201, RequestID: "req-7", Message: "success"}
			if diff := cmp.Diff(wantAnswer, a, cmpopts.IgnoreFields(braze.Answer{}, "Latency")); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTrackSaysHowFarTheRequestCame(t *testing.T) {
	huge := []byte(`{"events":[{"pad":"` + strings.Repeat("x", 8<<20) + `"}]}`)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	tests := []struct {
		name     string
		endpoint func(t *testing.T) string
		ctx      context.Context
		body     []byte
		want     braze.Verdict
		wantErr  error
	}{
		{
			name: "nobody listens: not sent", want: braze.NotSent,
			endpoint: func(t *testing.T) string {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				_ = l.Close()
				return "http://" + l.Addr().String()
			},
		},
		{
			name: "no such host: not sent", want: braze.NotSent,
			endpoint: func(*testing.T) string { return "http://no-such-host.invalid" },
		},
		{
			name: "no TLS at the other end: not sent", want: braze.NotSent,
			endpoint: func(t *testing.T) string {
				return strings.Replace(listen(t, func(_ int, conn *net.TCPConn) { answer(conn, 400, "") }), "http:", "https:", 1)
			},
		},
		{
			name: "a certificate nobody knows: not sent", want: braze.NotSent,
			endpoint: func(t *testing.T) string {
				server := httptest.NewUnstartedServer(http.NotFoundHandler())
				server.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell of the failed handshake
				server.StartTLS()
				t.Cleanup(server.Close)
				return server.URL
			},
		},
		{
			name: "the caller had given up before: not sent", ctx: cancelled, want: braze.NotSent, wantErr: context.Canceled,
			endpoint: func(t *testing.T) string { return listen(t, func(int, *net.TCPConn) {}) },
		},
		{
			name: "the connection breaks while the body is on its way: not sent", body: huge, want: braze.NotSent,
			endpoint: func(t *testing.T) string {
				return listen(t, func(_ int, conn *net.TCPConn) {
					_, _ = io.CopyN(io.Discard, conn, 1000)
					_ = conn.SetLinger(0) // close with a reset
				})
			},
		},
		{
			name: "the connection is closed instead of an answer: in doubt", want: braze.InDoubt,
			endpoint: func(t *testing.T) string {
				return listen(t, func(_ int, conn *net.TCPConn) { readRequest(conn) })
			},
		},
		{
			name: "the connection is reset instead of an answer: in doubt", want: braze.InDoubt,
			endpoint: func(t *testing.T) string {
				return listen(t, func(_ int, conn *net.TCPConn) {
					readRequest(conn)
					_ = conn.SetLinger(0)
				})
			},
		},
		{
			name: "the answer breaks off in its first line: in doubt", want: braze.InDoubt,
			endpoint: func(t *testing.T) string {
				return listen(t, func(_ int, conn *net.TCPConn) {
					readRequest(conn)
					_, _ = io.WriteString(conn, "HTTP/1.1 20")
				})
			},
		},
		{
			name: "the answer is no HTTP: in doubt", want: braze.InDoubt,
			endpoint: func(t *testing.T) string {
				return listen(t, func(_ int, conn *net.TCPConn) {
					readRequest(conn)
					_, _ = io.WriteString(conn, "220 mail.example.org ESMTP\r\n\r\n")
				})
			},
		},
		{
			name: "no answer in time: in doubt", want: braze.InDoubt, wantErr: context.DeadlineExceeded,
			endpoint: func(t *testing.T) string {
				return listen(t, func(_ int, conn *net.TCPConn) {
					_, _ = io.Copy(io.Discard, conn) // until the client has gone
				})
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx := t.Context()
			if tt.ctx != nil {
				ctx = tt.ctx
			}
			body := oneEvent
			if tt.body != nil {
				body = tt.body
			}
			a := client(t, tt.endpoint(t), 2*time.Second, nil).Track(ctx, body, [3]int{0, 1, 0})
			if a.Verdict != tt.want || a.Status != 0 || a.Err == nil {
				t.Errorf("verdict %v, status %d, error %v; want %v and an error", a.Verdict, a.Status, a.Err, tt.want)
			}
			if tt.wantErr != nil && !errors.Is(a.Err, tt.wantErr) {
				t.Errorf("error %v, want %v", a.Err, tt.wantErr)
			}
			if a.Err != nil && strings.Contains(a.Err.Error(), key) {
				t.Errorf("the error tells the key: %v", a.Err)
			}
		})
	}
}

func TestAnswersAreRead(t *testing.T) {
	tests := []struct {
		name  string
		serve func(conn *net.TCPConn)
		want  braze.Answer
	}{
		{
			name: "a redirect is not followed",
			serve: func(conn *net.TCPConn) {
				_, _ = io.WriteString(conn, "HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
			},
			want: braze.Answer{Verdict: braze.Stopped, Status: 307, Message: "unreadable answer: 307 Temporary Redirect"},
		},
		{
			name: "a body that breaks off after a 201 is acceptance all the same",
			serve: func(conn *net.TCPConn) {
				_, _ = io.WriteString(conn, "HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{\"message\":\"success\"}")
			},
			want: braze.Answer{Verdict: braze.Accepted, Status: 201, Message: "unreadable answer"},
		},
		{
			name:  "a monstrous body is not swallowed whole",
			serve: func(conn *net.TCPConn) { answer(conn, 201, `{"message":"success"`+strings.Repeat(" ", 2<<20)+`}`) },
			want:  braze.Answer{Verdict: braze.Accepted, Status: 201, Message: "unreadable answer"},
		},
		{
			name: "a refused object is named",
			serve: func(conn *net.TCPConn) {
				answer(conn, 201, `{"message":"success","errors":[{"index":0,"input_array":"events","type":"bad"}]}`)
			},
			want: braze.Answer{Verdict: braze.Accepted, Status: 201, Message: "success", Items: []braze.ItemError{{Array: braze.Events, Type: "bad"}}},
		},
		{
			name:  "a body too large is malformed",
			serve: func(conn *net.TCPConn) { answer(conn, 413, `{"message":"too large"}`) },
			want:  braze.Answer{Verdict: braze.Malformed, Status: 413, Message: "too large"},
		},
		{
			name: "a request id nobody can use is cut",
			serve: func(conn *net.TCPConn) {
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 503 No\r\nX-Request-Id: %s\r\nContent-Length: 0\r\n\r\n", strings.Repeat("x", 1000))
			},
			want: braze.Answer{
				Verdict: braze.Unavailable, Status: 503, RequestID: strings.Repeat("x", 125) + "…",
				Message: "unreadable answer: 503 Service Unavailable",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var calls atomic.Int32
			endpoint := listen(t, func(_ int, conn *net.TCPConn) {
				calls.Add(1)
				readRequest(conn)
				tt.serve(conn)
			})
			got := client(t, endpoint, 10*time.Second, nil).Track(t.Context(), oneEvent, [3]int{0, 1, 0})
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(braze.Answer{}, "Latency", "Hint")); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if n := calls.Load(); n != 1 {
				t.Errorf("%d calls, want one", n)
			}
		})
	}
}

func TestThrottlingBringsItsHint(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Ratelimit-Retry-After", "17")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer server.Close()
	a := client(t, server.URL, time.Minute, nil).Track(t.Context(), oneEvent, [3]int{0, 1, 0})
	wait := a.Hint.Wait(time.Now())
	if a.Verdict != braze.Throttled || !a.Hint.Throttled || wait < 15*time.Second || wait > 17*time.Second {
		t.Errorf("verdict %v, hint %+v, to wait %v; want throttled for 17 s", a.Verdict, a.Hint, wait)
	}
}

// early answers before it has read the request, as a transport may, and reads on afterwards.
type early struct{ body io.ReadCloser }

func (e *early) RoundTrip(r *http.Request) (*http.Response, error) {
	e.body = r.Body
	_, _ = io.ReadFull(e.body, make([]byte, 10))
	return &http.Response{StatusCode: 413, Header: http.Header{}, Body: http.NoBody}, nil
}

func TestTheBodyIsTheCallersAgainAfterTrack(t *testing.T) {
	transport := new(early)
	a := client(t, "http://braze.invalid", time.Minute, transport).Track(t.Context(), oneEvent, [3]int{0, 1, 0})
	if a.Verdict != braze.Malformed {
		t.Errorf("verdict %v, want malformed", a.Verdict)
	}
	if rest, err := io.ReadAll(transport.body); len(rest) > 0 || err == nil {
		t.Errorf("the transport could still read %q, error %v; want an error at once", rest, err)
	}
}

// brokenOnReuse fails every write after the first answer, as a connection does that was closed
// while it was kept.
type brokenOnReuse struct {
	net.Conn
	answered *atomic.Bool
}

func (c brokenOnReuse) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.answered.Store(true)
	}
	return n, err
}

func (c brokenOnReuse) Write(b []byte) (int, error) {
	if c.answered.Load() {
		return 0, errors.New("broken pipe")
	}
	return c.Conn.Write(b)
}

func TestAKeptConnectionThatTurnsOutToBeClosedIsReplaced(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if bytes.Equal(body, oneEvent) {
			requests.Add(1)
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"message":"success"}`)
	}))
	defer server.Close()
	transport := braze.NewTransport()
	dial, dials := transport.DialContext, 0
	refuse := errors.New("nobody there any more")
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dials++
		if dials == 3 {
			return nil, refuse
		}
		conn, err := dial(ctx, network, address)
		return brokenOnReuse{conn, new(atomic.Bool)}, err
	}
	c := client(t, server.URL, 10*time.Second, transport)
	for i := range 2 {
		if a := c.Track(t.Context(), oneEvent, [3]int{0, 1, 0}); a.Verdict != braze.Accepted {
			t.Errorf("call %d: verdict %v, error %v; want accepted", i, a.Verdict, a.Err)
		}
	}
	if n := requests.Load(); n != 2 || dials != 2 {
		t.Errorf("%d whole requests over %d connections, want 2 over 2", n, dials)
	}
	// And when there is no other connection to be had, nothing has left all the same.
	if a := c.Track(t.Context(), oneEvent, [3]int{0, 1, 0}); a.Verdict != braze.NotSent || !errors.Is(a.Err, refuse) {
		t.Errorf("verdict %v, error %v; want not sent", a.Verdict, a.Err)
	}
}

func TestConnectionsAreKept(t *testing.T) {
	var conns atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"message":"success"}`)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	c := client(t, server.URL, 10*time.Second, nil)
	for range 3 {
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if a := c.Track(t.Context(), oneEvent, [3]int{0, 1, 0}); a.Verdict != braze.Accepted {
					t.Errorf("verdict %v, error %v", a.Verdict, a.Err)
				}
			})
		}
		wg.Wait()
	}
	if n := conns.Load(); n > 30 {
		t.Errorf("%d connections for 20 callers at a time, want about 20", n)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	const good = "https://rest.iad-01.braze.com"
	tests := []struct {
		name, endpoint, key, want string
	}{
		{"no endpoint", "", "k", "rest_endpoint"},
		{"no scheme", "rest.iad-01.braze.com", "k", "rest_endpoint"},
		{"another scheme", "ftp://rest.iad-01.braze.com", "k", "rest_endpoint"},
		{"no host", "https://", "k", "rest_endpoint"},
		{"no URL", "https://%zz", "k", "rest_endpoint"},
		{"a password in the address", "https://a:b@rest.iad-01.braze.com", "k", "without user"},
		{"a query", good + "?x=1", "k", "without user, query"},
		{"the SDK's host", "https://sdk.iad-01.braze.com", "k", "REST host"},
		{"no key", good, " ", "API key"},
		{"a key with a line break in it", good, "a\nb", "API key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := braze.New(braze.Config{Endpoint: tt.endpoint, APIKey: config.Secret(tt.key)}, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one about %q", err, tt.want)
			}
		})
	}
	if _, err := braze.New(braze.Config{Endpoint: good + "/", APIKey: "k\n"}, nil); err != nil {
		t.Errorf("a trailing slash and a trailing line break are refused: %v", err)
	}
}

// canned answers without a network.
type canned struct{ body string }

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	_ = r.Body.Close()
	return &http.Response{StatusCode: 201, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(c.body))}, nil
}

func BenchmarkTrack(b *testing.B) {
	const body = `{"message":"success","events_processed":75}`
	payload := []byte(`{"events":[` + strings.Repeat(`{"external_id":"crm-1","name":"a","time":"2026-03-04T05:06:07.000Z"},`, 74) + `{}]}`)
	b.Run("without a network", func(b *testing.B) {
		c := client(b, "http://braze.invalid", time.Minute, canned{body})
		b.ReportAllocs()
		for b.Loop() {
			c.Track(b.Context(), payload, [3]int{0, 75, 0})
		}
	})
	b.Run("over loopback", func(b *testing.B) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, body)
		}))
		defer server.Close()
		c := client(b, server.URL, time.Minute, nil)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if a := c.Track(b.Context(), payload, [3]int{0, 75, 0}); a.Verdict != braze.Accepted {
					b.Fatal(a.Err)
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	})
}
