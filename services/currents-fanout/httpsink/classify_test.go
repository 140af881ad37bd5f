package httpsink

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/outcome"
)

// said is a verdict in short.
type said struct {
	Kind        outcome.Kind
	Reason      string
	After       time.Duration
	Split, Halt bool
}

func short(v verdict) said { return said{v.all.Kind, v.all.Reason, v.after, v.split, v.halt} }

func TestClassify(t *testing.T) {
	const many, one = 5, 1
	now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	retryAfter := func(text string) http.Header { return http.Header{"Retry-After": {text}} }
	delivered := said{Kind: outcome.Delivered}
	deferred := func(reason string) said { return said{Kind: outcome.Deferred, Reason: reason} }
	after := func(reason string, d time.Duration) said {
		return said{Kind: outcome.Deferred, Reason: reason, After: d}
	}
	split := func(reason string) said { return said{Kind: outcome.Deferred, Reason: reason, Split: true} }
	halt := func(reason string) said { return said{Kind: outcome.Deferred, Reason: reason, Halt: true} }
	refused := func(reason string) said { return said{Kind: outcome.Refused, Reason: reason} }
	for _, test := range []struct {
		name   string
		status int
		took   bool
		header http.Header
		items  int
		want   said
	}{
		{name: "a 200 is taken", status: 200, took: true, items: many, want: delivered},
		{name: "a 204 is taken", status: 204, took: true, items: many, want: delivered},
		{name: "a 409 that the operator counts as taken is", status: 409, took: true, items: one, want: delivered},
		{name: "a 202 that the operator does not count as taken is no yes", status: 202, items: many, want: deferred("unexpected_status")},
		{name: "a redirect is not followed", status: 302, header: http.Header{"Location": {"https://other.example/"}}, items: many, want: halt("redirected")},
		{name: "a redirect that keeps the method is not followed either", status: 307, items: one, want: halt("redirected")},
		{name: "nothing modified is no answer to a POST", status: 304, items: many, want: halt("redirected")},
		{name: "a malformed batch is halved", status: 400, items: many, want: split("rejected")},
		{name: "a malformed event is refused", status: 400, items: one, want: refused("rejected")},
		{name: "a batch that fails validation is halved", status: 422, items: many, want: split("rejected")},
		{name: "an event that fails validation is refused", status: 422, items: one, want: refused("rejected")},
		{name: "a batch that is too large is halved", status: 413, items: many, want: split("too_large")},
		{name: "an event that is too large is refused", status: 413, items: one, want: refused("too_large")},
		{name: "wrong credentials stop the sink", status: 401, items: one, want: halt("unauthorized")},
		{name: "a bill that is not paid stops the sink", status: 402, items: one, want: halt("request_not_accepted")},
		{name: "a missing right stops the sink", status: 403, items: one, want: halt("forbidden")},
		{name: "a 403 that says when to come back is a limit", status: 403, header: retryAfter("7"), items: many, want: after("rate_limited", 7*time.Second)},
		{name: "a wrong URL stops the sink", status: 404, items: one, want: halt("not_found")},
		{name: "a URL that is gone stops the sink", status: 410, items: many, want: halt("not_found")},
		{name: "a wrong method stops the sink", status: 405, items: many, want: halt("request_not_accepted")},
		{name: "a wrong content type stops the sink", status: 415, items: one, want: halt("request_not_accepted")},
		{name: "a 4xx that nobody knows blames no event", status: 499, items: one, want: halt("request_not_accepted")},
		{name: "a request that came too slowly comes again", status: 408, items: many, want: deferred("unavailable")},
		{name: "a conflict comes again", status: 409, items: one, want: deferred("conflict")},
		{name: "a request that came too early comes again", status: 425, items: many, want: deferred("unavailable")},
		{name: "a limit without a time is waited out", status: 429, items: many, want: deferred("rate_limited")},
		{name: "a limit in seconds is obeyed", status: 429, header: retryAfter("12"), items: many, want: after("rate_limited", 12*time.Second)},
		{name: "a limit until a date is obeyed", status: 429, header: retryAfter("Sat, 01 Aug 2026 12:01:30 GMT"), items: one, want: after("rate_limited", 90*time.Second)},
		{name: "a date is read against the server's own clock", status: 503, header: http.Header{"Retry-After": {"Sat, 01 Aug 2026 15:00:05 GMT"}, "Date": {"Sat, 01 Aug 2026 15:00:00 GMT"}}, items: many, want: after("unavailable", 5*time.Second)},
		{name: "a date that has passed is now", status: 503, header: retryAfter("Sat, 01 Aug 2026 11:00:00 GMT"), items: many, want: deferred("unavailable")},
		{name: "a day is cut to an hour", status: 503, header: retryAfter("86400"), items: many, want: after("unavailable", time.Hour)},
		{name: "a century is nonsense", status: 503, header: retryAfter("3153600000"), items: many, want: deferred("unavailable")},
		{name: "words are nonsense", status: 429, header: retryAfter("soon"), items: many, want: deferred("rate_limited")},
		{name: "a negative wait is nonsense", status: 429, header: retryAfter("-5"), items: many, want: deferred("rate_limited")},
		{name: "a server that broke comes round", status: 500, items: one, want: deferred("unavailable")},
		{name: "a server that broke may say when it is back", status: 500, header: retryAfter("3"), items: one, want: after("unavailable", 3*time.Second)},
		{name: "a gateway without its server comes round", status: 502, items: many, want: deferred("unavailable")},
		{name: "a server that is overloaded comes round", status: 529, items: many, want: deferred("unavailable")},
		{name: "a status beyond HTTP is no yes", status: 799, items: one, want: deferred("unexpected_status")},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := short(classify(reply{status: test.status, took: test.took, header: test.header, at: now, items: test.items}))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestARedirectIsToldByItsHostAlone(t *testing.T) {
	for location, want := range map[string]string{
		"https://evil.example/steal?token=abc": "answered 302 Found: it sends us on to https://evil.example, which is not followed",
		"/login?next=abc":                      "answered 302 Found: it sends us on to another path on the same host, which is not followed",
		"":                                     "answered 302 Found: it sends us on to nowhere, which is not followed",
		"http://%zz":                           "answered 302 Found: it sends us on to nowhere, which is not followed",
	} {
		v := classify(reply{status: 302, header: http.Header{"Location": {location}}, items: 1})
		if v.all.Detail != want {
			t.Errorf("got %q, want %q", v.all.Detail, want)
		}
	}
}

// Whatever comes, an answer has exactly one meaning, and the promises of sink.Answer hold.
func FuzzClassify(f *testing.F) {
	f.Add(200, true, "", "", 3)
	f.Add(429, false, "1e9", "Sat, 01 Aug 2026 12:01:30 GMT", 1)
	f.Add(-1, false, "\x00", "9999999999999999999", 0)
	now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, status int, took bool, retry, location string, items int) {
		v := classify(reply{
			status: status, took: took, at: now, items: items,
			header: http.Header{"Retry-After": {retry}, "Location": {location}, "X-Ratelimit-Reset": {retry}},
		})
		switch {
		case v.all.Kind != outcome.Delivered && v.all.Kind != outcome.Deferred && v.all.Kind != outcome.Refused:
			t.Errorf("kind %v", v.all.Kind)
		case took != (v.all.Kind == outcome.Delivered):
			t.Errorf("taken %v, but %v", took, v.all.Kind)
		case (v.split || v.halt || v.pass || v.after != 0) && v.all.Kind != outcome.Deferred:
			t.Errorf("%+v", v)
		case v.split && (v.halt || items < 2), v.halt && v.pass:
			t.Errorf("%+v", v)
		case v.all.Kind == outcome.Refused && items > 1:
			t.Error("several events are refused for one")
		case v.after < 0 || v.after > time.Hour:
			t.Errorf("to wait %v", v.after)
		}
	})
}
