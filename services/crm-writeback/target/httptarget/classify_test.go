package httptarget

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestWhatStatusesMean(t *testing.T) {
	byKey := Options{Path: `@uri "/m/\(.key)"`}
	batch := Options{Batch: Batch{Rows: 10}}
	for _, test := range []struct {
		name        string
		o           Options
		status      int
		body        string
		header      []string
		mode        string
		rows        int
		want        string
		split, halt bool
		after       time.Duration
	}{
		{name: "taken", status: 204, want: "delivered"},
		{name: "an update of nobody", o: byKey, status: 404, mode: update, want: "skipped missing"},
		{name: "an update of somebody gone", o: byKey, status: 410, mode: update, want: "skipped missing"},
		{name: "an update of nobody, named in the body", status: 404, mode: update, want: "skipped missing"},
		{name: "an upsert of nobody", o: byKey, status: 404, want: "refused not_found"},
		{name: "a wrong URL", status: 404, want: "deferred not_found", halt: true},
		{name: "a wrong URL of a batch", o: batch, status: 404, mode: update, rows: 2, want: "deferred not_found", halt: true},
		{name: "a conflict", status: 409, want: "deferred conflict"},
		{name: "a lock", status: 423, header: []string{"Retry-After", "2"}, want: "deferred locked", after: 2 * time.Second},
		{name: "too early", status: 425, want: "deferred unavailable"},
		{name: "a limit", status: 429, header: []string{"Retry-After", "30"}, want: "deferred rate_limited", after: 30 * time.Second},
		{name: "maintenance", status: 503, header: []string{"Retry-After", "3600"}, want: "deferred unavailable", after: time.Hour},
		{name: "a broken server", status: 500, want: "deferred unavailable"},
		{name: "bad content of one", status: 422, body: "no such tier", want: "refused rejected"},
		{name: "bad content of one in a batch", o: batch, status: 422, rows: 1, want: "refused rejected"},
		{name: "bad content of several", o: batch, status: 400, rows: 3, want: "deferred rejected", split: true},
		{name: "too much", o: batch, status: 413, rows: 3, want: "deferred too_large", split: true},
		{name: "a credential", status: 401, want: "deferred unauthorized", halt: true},
		{name: "a right", status: 403, want: "deferred forbidden", halt: true},
		{name: "a right that comes back", status: 403, header: []string{"Retry-After", "5"}, want: "deferred rate_limited", after: 5 * time.Second},
		{name: "a redirect", status: 301, header: []string{"Location", "https://elsewhere.example/?token=1"}, want: "deferred redirected", halt: true},
		{name: "a method", status: 405, want: "deferred request_not_accepted", halt: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			far := serve(t, always(test.status, test.body, test.header...))
			test.o.URL = far.URL
			mode, n := test.mode, max(test.rows, 1)
			if mode == "" {
				mode = upsert
			}
			a := open(t, test.o).Write(t.Context(), rows(n, mode, `{"a":1}`))
			for _, got := range fates(a, n) {
				if got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
			}
			if a.Split != test.split || a.Halt != test.halt || a.RetryAfter != test.after || a.Status != test.status || strings.Contains(a.All.Detail, "token") {
				t.Errorf("%+v", a)
			}
			if len(far.got()) != 1 {
				t.Errorf("%d requests", len(far.got()))
			}
		})
	}
}

func TestNoAnswer(t *testing.T) {
	far := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	made := open(t, Options{URL: far.URL, Timeout: 100 * time.Millisecond})
	if a := made.Write(t.Context(), rows(1, upsert, `{}`)); a.All.Reason != "timeout" || a.Halt {
		t.Errorf("%+v", a)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if a := made.Write(ctx, rows(1, upsert, `{}`)); a.All.Reason != "interrupted" {
		t.Errorf("%+v", a)
	}

	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	a := open(t, Options{URL: "http://" + gone.Addr().String() + "/?secret=1"}).Write(t.Context(), rows(1, upsert, `{}`))
	if a.All.Reason != "unreachable" || strings.Contains(a.All.Detail, "secret") {
		t.Errorf("%+v", a)
	}

	strange := httptest.NewUnstartedServer(always(200, ""))
	strange.Config.ErrorLog = log.New(io.Discard, "", 0)
	strange.StartTLS()
	t.Cleanup(strange.Close)
	if a := open(t, Options{URL: strange.URL}).Write(t.Context(), rows(1, upsert, `{}`)); !a.Halt || a.All.Reason != "certificate" {
		t.Errorf("%+v", a)
	}
}

// An answer that ends before its end says nothing for certain.
func TestAnAnswerThatIsCut(t *testing.T) {
	far := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"ok":`)
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		} else if !errors.Is(err, http.ErrNotSupported) {
			panic(http.ErrAbortHandler)
		}
	}))
	a := open(t, Options{URL: far.URL, Verdicts: `{outcome: "delivered"}`}).Write(t.Context(), rows(1, upsert, `{}`))
	if a.All.Kind.String() != "deferred" {
		t.Errorf("%+v", a)
	}
}
