package loyaltyfake

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

// ask makes a call without a network.
func ask(s *Sandbox, method, path, body, key string) (int, string, http.Header) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+DefaultKey)
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String(), w.Header()
}

func TestItIsStrict(t *testing.T) {
	s := New(Options{})
	for _, test := range []struct {
		name, method, path, body string
		status                   int
		says                     string
	}{
		{"a patch of nobody", "PATCH", "/v1/members/m-1", `{"points":1}`, 404, "no_member"},
		{"a new member", "PUT", "/v1/members/m-1", `{"points":1,"tier":"gold"}`, 201, `"version":1`},
		{"the same again", "PUT", "/v1/members/m-1", `{"points":1}`, 200, `"version":1`},
		{"a patch", "PATCH", "/v1/members/m-1", `{"points":9007199254740993,"name":null}`, 200, `"points":9007199254740993`},
		{"points that are no whole number", "PATCH", "/v1/members/m-1", `{"points":1.5}`, 422, "invalid_points"},
		{"a tier that is not there", "PUT", "/v1/members/m-1", `{"tier":"platinum"}`, 422, "invalid_tier"},
		{"an unknown field", "PUT", "/v1/members/m-1", `{"colour":"red"}`, 422, "unknown_field"},
		{"a list", "PUT", "/v1/members/m-1", `[]`, 400, "not_json"},
		{"null", "PUT", "/v1/members/m-1", `null`, 400, "not_json"},
		{"an empty batch", "POST", "/v1/members/batch", `{"mode":"upsert","members":[]}`, 400, "batch_size"},
		{"a batch without a mode", "POST", "/v1/members/batch", `{"members":[{"id":"m-1"}]}`, 400, "mode"},
		{"a member twice", "POST", "/v1/members/batch", `{"mode":"upsert","members":[{"id":"m-1"},{"id":"m-1"}]}`, 400, "id of its own"},
		{
			"a batch", "POST", "/v1/members/batch", `{"mode":"update","members":[{"id":"m-1","tier":"silver"},{"id":"m-2"},{"id":"m-1x"}]}`, 200,
			`{"results":[{"id":"m-1","status":"ok","version":3},{"id":"m-2","status":"missing"},{"id":"m-1x","status":"missing"}]}`,
		},
		{"a member", "GET", "/v1/members/m-1", ``, 200, `"tier":"silver"`},
	} {
		if status, text, _ := ask(s, test.method, test.path, test.body, ""); status != test.status || !strings.Contains(text, test.says) {
			t.Errorf("%s: %d %s", test.name, status, text)
		}
	}
	r := httptest.NewRequest("GET", "/v1/members/m-1", nil)
	w := httptest.NewRecorder()
	if s.ServeHTTP(w, r); w.Code != 401 {
		t.Error(w.Code)
	}
}

func TestAnIdempotencyKeyIsHonoured(t *testing.T) {
	s := New(Options{})
	s.FailNext(Fault{Status: 502, After: true})
	for i, want := range []struct {
		body   string
		status int
		again  string
	}{{`{"points":1}`, 502, ""}, {`{"points":1}`, 201, "true"}, {`{"points":2}`, 422, ""}} {
		if status, _, h := ask(s, "PUT", "/v1/members/m-1", want.body, "w-1"); status != want.status || h.Get("Idempotent-Replayed") != want.again {
			t.Errorf("call %d: %d %v", i, status, h)
		}
	}
	if n := len(s.Writes()); n != 1 || s.Calls()["PUT member"] != 3 {
		t.Errorf("%d writes, %v", n, s.Calls())
	}
}

func TestChangesAreToldUntilTheyAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got [][]map[string]any
		status := []int{503, 429}
		far := roundTrip(func(r *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(r.Body)
			var items []map[string]any
			if err := json.Unmarshal(body, &items); err != nil || r.Header.Get("Authorization") != "Bearer dev" {
				t.Error(err, r.Header)
			}
			w := httptest.NewRecorder()
			if w.Code = 202; len(status) > 0 {
				w.Code, status = status[0], status[1:]
			} else {
				got = append(got, items)
			}
			return w.Result(), nil
		})
		s := New(Options{Changes: Changes{URL: "http://door.internal/v1/crm/changes", Key: "dev", HTTP: &http.Client{Transport: far}}})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { s.Run(ctx) })
		ask(s, "PUT", "/v1/members/m-1", `{"points":5,"email_opt_in":true}`, "")
		ask(s, "PUT", "/v1/members/m-1", `{"points":5}`, "")
		if _, err := s.Edit("m-1", "till", map[string]jsontext.Value{"points": jsontext.Value("5"), "email_opt_in": jsontext.Value("null")}); err != nil {
			t.Fatal(err)
		}
		until := time.NewTimer(time.Minute)
		<-until.C
		cancel()
		running.Wait()
		if len(got) != 1 || s.Waiting() != 0 {
			t.Fatalf("%v, %d waiting", got, s.Waiting())
		}
		for _, item := range got[0] {
			delete(item, "time")
		}
		user := map[string]any{"external_id": "m-1"}
		want := []map[string]any{
			{"id": "chg-m-1-1-946684800000", "system": "loyalty", "object": "members", "object_id": "m-1", "user": user, "version": 1.0, "actor": "api", "changes": map[string]any{"points": 5.0, "email_opt_in": true}},
			{"id": "chg-m-1-2-946684800000", "system": "loyalty", "object": "members", "object_id": "m-1", "user": user, "version": 2.0, "actor": "till", "changes": map[string]any{"email_opt_in": nil}},
		}
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Error(diff)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAPersonEditsAndLooks(t *testing.T) {
	s := New(Options{MaxWrites: 2})
	for _, test := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", "/_sandbox/edit", `{"id":"m-1","fields":{"tier":"gold"}}`, 200, `"tier":"gold"`},
		{"POST", "/_sandbox/edit", `{"id":"m-1","fields":{"tier":"tin"}}`, 422, "bronze"},
		{"POST", "/_sandbox/edit", `{"fields":{}}`, 422, "id"},
		{"POST", "/_sandbox/edit", `{"colour":1}`, 400, "colour"},
		{"GET", "/_sandbox/writes", ``, 200, `"actor":"till"`},
	} {
		if status, text, _ := ask(s, test.method, test.path, test.body, ""); status != test.status || !strings.Contains(text, test.says) {
			t.Errorf("%s %s: %d %s", test.path, test.body, status, text)
		}
	}
	for range 5 {
		ask(s, "PUT", "/v1/members/m-1", `{}`, "w")
		ask(s, "PUT", "/v1/members/m-1", `{"points":1}`, "")
	}
	if n := len(s.Writes()); n != 2 {
		t.Errorf("%d writes", n)
	}
	s.SetDown(true)
	if status, _, _ := ask(s, "GET", "/v1/members/m-1", "", ""); status != 503 {
		t.Error(status)
	}
}
