package hubspot

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/crm/hubspotfake"
	"github.com/sluicehq/sluice/pkg/outcome"
)

func TestWhatStatusesMean(t *testing.T) {
	for _, test := range []struct {
		name         string
		status       int
		body         string
		header       []string
		rows         int
		want, detail string
		split, halt  bool
		after        time.Duration
	}{
		{name: "a bad request of several", status: 400, body: `{"category":"VALIDATION_ERROR","message":"no"}`, rows: 2, want: "deferred validation_error", split: true},
		{name: "a bad request of one", status: 400, body: `{"category":"VALIDATION_ERROR","message":"no"}`, rows: 1, want: "refused validation_error", detail: "answered 400 Bad Request: no"},
		{name: "a bad request of a proxy", status: 400, body: "<html>\x1b[31m", rows: 1, want: "refused rejected", detail: "answered 400 Bad Request: <html> [31m"},
		{name: "another contact has the address", status: 409, body: `{"category":"CONFLICT","message":"Contact already exists"}`, rows: 1, want: "refused conflict"},
		{name: "two at the same object", status: 409, body: `{"category":"CONFLICT","message":"Concurrent modification"}`, rows: 2, want: "deferred conflict"},
		{name: "too large", status: 413, rows: 2, want: "deferred too_large", split: true},
		{name: "a private token that is not good", status: 401, body: `{"category":"INVALID_AUTHENTICATION","message":"no"}`, rows: 2, want: "deferred unauthorized", halt: true},
		{name: "a scope that is missing", status: 403, body: `{"category":"MISSING_SCOPES"}`, rows: 2, want: "deferred forbidden", halt: true},
		{name: "a kind of object that is not there", status: 404, rows: 2, want: "deferred not_found", halt: true},
		{name: "a redirect", status: 307, header: []string{"Location", "https://evil.example/x?key=1"}, rows: 1, want: "deferred redirected", detail: "answered 307 Temporary Redirect: it sends us on to https://evil.example, which is not followed", halt: true},
		{name: "a lock", status: 423, rows: 2, want: "deferred locked", after: 2 * time.Second},
		{name: "a broken server", status: 500, rows: 2, want: "deferred unavailable"},
		{name: "maintenance", status: 503, header: []string{"Retry-After", "90"}, rows: 2, want: "deferred unavailable", after: 90 * time.Second},
		{name: "a migration", status: 477, header: []string{"Retry-After", "600"}, rows: 2, want: "deferred unavailable", after: 10 * time.Minute},
		{name: "a rate without a header", status: 429, body: `{"policyName":"TEN_SECONDLY_ROLLING"}`, rows: 2, want: "deferred rate_limited", after: 10 * time.Second},
		{name: "a rate with its interval", status: 429, header: []string{"X-HubSpot-RateLimit-Interval-Milliseconds", "4000"}, rows: 2, want: "deferred rate_limited", after: 4 * time.Second},
		{name: "a rate with Retry-After", status: 429, header: []string{"Retry-After", "3"}, rows: 2, want: "deferred rate_limited", after: 3 * time.Second},
		{name: "the day's limit", status: 429, body: `{"policyName":"DAILY","message":"You have reached your daily limit."}`, rows: 2, want: "deferred daily_limit", after: dailyPause},
		{name: "200 of somebody else", status: 200, body: `<html>welcome</html>`, rows: 1, want: "deferred unreadable_answer"},
		{name: "200 that says nothing", status: 200, body: `{}`, rows: 1, want: "deferred unreadable_answer"},
		{name: "200 that names nobody, but as many", status: 200, body: `{"status":"COMPLETE","results":[{"id":"1"},{"id":"2"}]}`, rows: 2, want: "delivered"},
		{name: "200 that names too few", status: 200, body: `{"status":"COMPLETE","results":[{"id":"1"}]}`, rows: 2, want: "deferred unreadable_answer"},
		{name: "207 that names nobody", status: 207, body: `{"status":"COMPLETE","results":[],"errors":[{"category":"VALIDATION_ERROR","message":"no"}]}`, rows: 2, want: "deferred validation_error", split: true},
		{name: "207 of one that names nobody", status: 207, body: `{"results":[],"errors":[{"category":"VALIDATION_ERROR","message":"no"}]}`, rows: 1, want: "refused validation_error"},
		{name: "207 with a fault of theirs", status: 207, body: `{"results":[],"errors":[{"category":"INTERNAL_ERROR","message":"no","context":{"objectWriteTraceId":"w-000000"}}]}`, rows: 1, want: "deferred unavailable"},
		{name: "207 with a right that is missing", status: 207, body: `{"results":[],"errors":[{"category":"MISSING_SCOPES","context":{"objectWriteTraceId":["w-000000"]}}]}`, rows: 1, want: "deferred forbidden", halt: true},
		{name: "207 with a right that is missing for all", status: 207, body: `{"results":[],"errors":[{"category":"MISSING_SCOPES"}]}`, rows: 2, want: "deferred forbidden", halt: true},
		{name: "207 that says both", status: 207, body: `{"results":[{"id":"1","objectWriteTraceId":"w-000000"}],"errors":[{"category":"VALIDATION_ERROR","context":{"objectWriteTraceId":["w-000000"]}}]}`, rows: 1, want: "delivered"},
		{name: "207 by the key", status: 207, body: `{"results":[],"errors":[{"category":"VALIDATION_ERROR","context":{"ids":["CRM-0000","crm-0001"]}}]}`, rows: 2, want: "refused validation_error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			made := against(t, always(test.status, test.body, test.header...), Options{}, nil)
			a := made.Write(t.Context(), rows(test.rows, upsert, `{"city":"Graz"}`))
			for _, got := range fates(a, test.rows) {
				if got != test.want {
					t.Errorf("got %q, want %q (%+v)", got, test.want, a)
				}
			}
			if a.Split != test.split || a.Halt != test.halt || a.RetryAfter != test.after || a.Status != test.status {
				t.Errorf("%+v", a)
			}
			if test.detail != "" && a.Of(0).Detail != test.detail {
				t.Error(a.Of(0).Detail)
			}
		})
	}
}

func TestATokenOfOAuthIsRenewedOnceAndThenAPersonIsAskedFor(t *testing.T) {
	app := hubspotfake.OAuth{ClientID: "app", ClientSecret: "s3cret", RefreshToken: "refresh"}
	p := open(t, hubspotfake.Options{OAuth: app}, Options{OAuth: OAuth{ClientID: "app", ClientSecret: "s3cret", RefreshToken: "refresh"}})
	one := rows(1, upsert, `{"city":"Graz"}`)
	for range 3 {
		if a := p.Write(t.Context(), one); a.Of(0).Kind != outcome.Delivered {
			t.Fatalf("%+v", a)
		}
	}
	p.ExpireTokens()
	if a := p.Write(t.Context(), one); a.Of(0).Kind != outcome.Delivered {
		t.Fatalf("%+v", a)
	}
	if diff := cmp.Diff(map[string]int{"oauth/v1/token": 2, "contacts/batch/upsert": 5}, p.Calls()); diff != "" {
		t.Error(diff)
	}

	stranger := against(t, p.Sandbox, Options{OAuth: OAuth{ClientID: "app", ClientSecret: "s3cret", RefreshToken: "old"}}, nil)
	a := stranger.Write(t.Context(), one)
	if !a.Halt || a.All.Reason != "unauthorized" || !strings.HasPrefix(a.All.Detail, "fetching a token: answered 400") {
		t.Errorf("%+v", a)
	}

	var calls int
	never := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth/v1/token" {
			p.ServeHTTP(w, r)
			return
		}
		calls++
		w.WriteHeader(http.StatusUnauthorized)
	})
	a = against(t, never, Options{OAuth: OAuth{ClientID: "app", ClientSecret: "s3cret", RefreshToken: "refresh"}}, nil).Write(t.Context(), one)
	if !a.Halt || a.All.Reason != "unauthorized" || calls != 2 {
		t.Errorf("%d calls, %+v", calls, a)
	}
}

func TestAPrivateTokenIsTriedOnce(t *testing.T) {
	p := open(t, hubspotfake.Options{}, Options{})
	p.SetTokens("another")
	if a := p.Write(t.Context(), rows(1, upsert, `{}`)); !a.Halt || p.Calls()["contacts/batch/upsert"] != 1 {
		t.Errorf("%+v %v", a, p.Calls())
	}
}

func TestNoAnswerIsTriedAgain(t *testing.T) {
	p := open(t, hubspotfake.Options{}, Options{})
	p.FailNext(hubspotfake.Fault{Drop: true, After: true})
	a := p.Write(t.Context(), rows(2, upsert, `{"city":"Graz"}`))
	if a.All.Kind != outcome.Deferred || a.All.Reason != "unreachable" || a.Halt || a.Split || strings.Contains(a.All.Detail, "http") {
		t.Errorf("%+v", a)
	}
	if a = p.Write(t.Context(), rows(2, upsert, `{"city":"Graz"}`)); a.Of(0).Kind != outcome.Delivered || len(p.Objects("contacts")) != 2 {
		t.Errorf("%+v", a)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a := p.Write(ctx, rows(1, upsert, `{}`)); a.All.Reason != "interrupted" {
		t.Errorf("%+v", a)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, test := range []struct {
		o    Options
		want string
	}{
		{Options{Token: "t"}, ""},
		{Options{OAuth: OAuth{ClientID: "a", ClientSecret: "b", RefreshToken: "c"}}, ""},
		{Options{}, "token: a private app's token is needed"},
		{Options{Token: "t", OAuth: OAuth{ClientID: "a"}}, "not both"},
		{Options{OAuth: OAuth{ClientID: "a"}}, "all of client_id"},
		{Options{Token: "t", URL: "https://proxy.example/hubspot/"}, ""},
		{Options{Token: "t", URL: "https://api.hubapi.com?x=1"}, "url: "},
		{Options{Token: "t", URL: "ftp://x"}, "url: "},
		{Options{Token: "t", Timeout: time.Hour}, "timeout"},
	} {
		err := test.o.Validate()
		if test.want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v", test.o, err)
		}
	}
}
