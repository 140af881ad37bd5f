package braze_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluicehq/sluice/pkg/braze"
)

func TestACallGoesWhereItsEndpointIs(t *testing.T) {
	for name, body := range bodies() {
		t.Run(name, func(t *testing.T) {
			var asked string
			var got []byte
			var header http.Header
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked, header = r.Method+" "+r.RequestURI, r.Header
				got, _ = io.ReadAll(r.Body)
				w.WriteHeader(http.StatusCreated)
				_, _ = io.WriteString(w, `{"message":"success","dispatch_id":"d1"}`)
			}))
			defer server.Close()
			call := braze.NewCall(nil, body)
			a := client(t, server.URL+"/proxy/", time.Minute, nil).Call(t.Context(), call)
			if want := body.Endpoint().Method + " /proxy" + body.Path(); asked != want {
				t.Errorf("asked %s, want %s", asked, want)
			}
			if diff := cmp.Diff(string(call.Body), string(got)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if header.Get("Authorization") != "Bearer "+key || header.Get("Content-Type") != "application/json" {
				t.Errorf("headers %v", header)
			}
			if a.Verdict != braze.Accepted || a.Message != "success" || a.DispatchID != "d1" || a.Latency <= 0 || (a.Body != nil) != strings.HasPrefix(name, "export") {
				t.Errorf("answer %+v", a)
			}
		})
	}
}

func TestAPathThatIsNotTheEndpointsIsNotAsked(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked %s", r.RequestURI) }))
	defer server.Close()
	c := client(t, server.URL, time.Minute, nil)
	for name, call := range map[string]braze.Call{
		"no endpoint":          {},
		"braces left":          {Endpoint: braze.CatalogItemsCreate},
		"another path":         {Endpoint: braze.CatalogItemsCreate, Path: "/users/delete"},
		"nothing in the brace": {Endpoint: braze.CatalogItemsCreate, Path: braze.CatalogItemsCreate.At("")},
		"a dot":                {Endpoint: braze.CatalogItemsCreate, Path: braze.CatalogItemsCreate.At(".")},
		"two dots":             {Endpoint: braze.CatalogItemsCreate, Path: braze.CatalogItemsCreate.At("..")},
		"a query":              {Endpoint: braze.CatalogItemsCreate, Path: "/catalogs/a?b/items"},
		"a bad escape":         {Endpoint: braze.CatalogItemsCreate, Path: "/catalogs/a%zz/items"},
		"a longer path":        {Endpoint: braze.CatalogItemsCreate, Path: "/catalogs/a/items/b"},
	} {
		a := c.Call(t.Context(), call)
		if a.Verdict != braze.Malformed || a.Status != 0 || a.Err == nil || a.Message == "" || a.MaybeApplied() {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestAnEscapedNameArrivesAsItIs(t *testing.T) {
	var asked, name string
	mux := http.NewServeMux()
	mux.HandleFunc("/catalogs/{name}/items", func(w http.ResponseWriter, r *http.Request) {
		asked, name = r.RequestURI, r.PathValue("name")
		_, _ = io.WriteString(w, `{"message":"success"}`)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	a := client(t, server.URL, time.Minute, nil).Call(t.Context(), braze.Call{Endpoint: braze.CatalogItemsDelete, Path: braze.CatalogItemsDelete.At("a/b ü"), Body: []byte(`{}`)})
	if a.Verdict != braze.Accepted || asked != "/catalogs/a%2Fb%20%C3%BC/items" || name != "a/b ü" {
		t.Errorf("asked %s for %q: %+v", asked, name, a)
	}
}

func TestACallsVerdict(t *testing.T) {
	campaign, catalog := braze.CampaignsTriggerSend, braze.CatalogItemsReplace
	for _, tt := range []struct {
		name     string
		endpoint *braze.Endpoint
		status   int
		header   http.Header
		body     string
		want     braze.Verdict
	}{
		{"taken", campaign, 201, nil, `{"message":"success"}`, braze.Accepted},
		{"taken, asynchronously", catalog, 202, nil, `{"message":"success"}`, braze.Accepted},
		{"a bad recipient", campaign, 400, nil, `{"message":"Invalid recipient"}`, braze.Malformed},
		{"a bad key", campaign, 401, nil, `{"message":"Invalid API key"}`, braze.Stopped},
		{"no permission", campaign, 403, nil, `{"message":"Access Denied"}`, braze.Stopped},
		{"no such address", campaign, 404, nil, `{"message":"Not found"}`, braze.Stopped},
		{"no such catalog", catalog, 404, nil, `{"message":"Invalid Request","errors":[{"id":"catalog-not-found","message":"m","parameters":[],"parameter_values":[]}]}`, braze.Malformed},
		{"no such address of catalogs", catalog, 404, nil, `{"message":"Not found"}`, braze.Stopped},
		{"no such address, says a proxy", catalog, 404, nil, `<html>catalog-not-found</html>`, braze.Stopped},
		{"no such transactional campaign", braze.TransactionalSend, 404, nil, `{"message":"campaign does not exist"}`, braze.Malformed},
		{"no such address, says a proxy", braze.TransactionalSend, 404, nil, `<html>Not found</html>`, braze.Stopped},
		{"too often", campaign, 429, http.Header{"X-Ratelimit-Retry-After": {"7"}}, `{"message":"Rate limit exceeded"}`, braze.Throttled},
		{"not now", campaign, 503, nil, ``, braze.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for name, values := range tt.header {
					w.Header()[name] = values
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}))
			defer server.Close()
			a := client(t, server.URL, time.Minute, nil).Call(t.Context(), braze.Call{Endpoint: tt.endpoint, Path: tt.endpoint.At("x"), Body: []byte(`{"items":[{"id":"a"}]}`), Items: 1})
			if a.Verdict != tt.want || a.Status != tt.status || a.Hint.Throttled != (tt.want == braze.Throttled) || (tt.status == 429) != !a.Hint.RetryAt.IsZero() {
				t.Errorf("%+v, want %v", a, tt.want)
			}
		})
	}
}

func TestACallWithoutAnAnswer(t *testing.T) {
	refused := httptest.NewServer(nil)
	refused.Close()
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer hung.Close()
	for endpoint, want := range map[string]braze.Verdict{refused.URL: braze.NotSent, hung.URL: braze.InDoubt} {
		a := client(t, endpoint, 50*time.Millisecond, nil).Call(t.Context(), braze.NewCall(nil, bodies()["campaign"]))
		if a.Verdict != want || a.Err == nil || a.MaybeApplied() != (want == braze.InDoubt) {
			t.Errorf("%+v, want %v", a, want)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestBulkAndSyncGoTheirOwnWay(t *testing.T) {
	var asked []string
	c := client(t, "https://rest.example", time.Minute, roundTripper(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.Method+" "+r.URL.String())
		return nil, errors.New("enough")
	}))
	c.Track(t.Context(), oneEvent, [3]int{0, 1, 0})
	c.TrackBulk(t.Context(), oneEvent, [3]int{0, 1, 0})
	c.TrackSync(t.Context(), oneEvent, [3]int{0, 1, 0})
	want := []string{"POST https://rest.example/users/track", "POST https://rest.example/users/track/bulk", "POST https://rest.example/users/track/sync"}
	if diff := cmp.Diff(want, asked, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}
