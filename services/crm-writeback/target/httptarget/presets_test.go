package httptarget

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/crm/loyaltyfake"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// chargebee is strict about forms, as Chargebee is, and knows the customer crm-1.
func chargebee(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, code, param, message string) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"message":%q,"type":"invalid_request","api_error_code":%q,"param":%q,"http_status_code":%d}`, message, code, param, status)
	}
	user, password, _ := r.BasicAuth()
	body, _ := io.ReadAll(r.Body)
	form, err := url.ParseQuery(string(body))
	id, path, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/api/v2/customers/"), "/")
	id, _ = url.PathUnescape(id)
	known := []string{"first_name", "email", "cf_tier", "billing_address[city]", "billing_address[country]", "meta_data"}
	if path == "" {
		known = slices.DeleteFunc(known, func(name string) bool { return strings.Contains(name, "[") })
	}
	switch {
	case user != "key" || password != "":
		fail(401, "api_authentication_failed", "", "Sorry, authentication failed")
	case r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || err != nil:
		fail(400, "invalid_request", "", "a form is needed")
	case r.Header.Get("Chargebee-Idempotency-Key") == "":
		fail(400, "invalid_request", "", "no key")
	case id != "crm-1" && id != "a/b c" || path != "" && path != "update_billing_info":
		fail(404, "resource_not_found", "", id+" not found")
	case strings.Contains(form.Get("email"), " "):
		fail(400, "param_wrong_value", "email", "email : invalid email format")
	case form.Get("first_name") == "locked":
		fail(409, "lock_timeout", "", "try again")
	case form.Get("first_name") == "busy":
		w.Header().Set("Retry-After", "7")
		fail(429, "api_request_limit_exceeded", "", "slowly")
	default:
		for name := range form {
			if !slices.Contains(known, name) {
				fail(400, "param_not_allowed", name, "is not known")
				return
			}
		}
		_, _ = fmt.Fprintf(w, `{"customer":{"id":%q,"resource_version":1772442900101}}`, id)
	}
}

func TestChargebee(t *testing.T) {
	far := serve(t, http.HandlerFunc(chargebee))
	o := preset(t, "chargebee.yaml", far.URL+"/api/v2")
	o.Auth.Username = "key"
	made := open(t, o)
	for _, test := range []struct {
		name, object, key, mode, fields, want, detail string
		after                                         float64
	}{
		{name: "a customer", key: "crm-1", fields: `{"first_name":"Zoë & co","cf_tier":null}`, want: "delivered"},
		{name: "a key that needs escapes", key: "a/b c", fields: `{"first_name":"Zoë"}`, want: "delivered"},
		{name: "an address", object: "billing_info", key: "crm-1", fields: `{"billing_address":{"city":"Graz","country":"AT"}}`, want: "delivered"},
		{name: "an update of nobody", key: "crm-2", mode: update, fields: `{"cf_tier":"gold"}`, want: "skipped missing"},
		{name: "an upsert of nobody", key: "crm-2", fields: `{"cf_tier":"gold"}`, want: "refused not_found"},
		{name: "a bad address", key: "crm-1", fields: `{"email":"not one"}`, want: "refused param_wrong_value", detail: "email: email : invalid email format"},
		{name: "an unknown field", key: "crm-1", fields: `{"colour":1.50}`, want: "refused param_not_allowed", detail: "colour: is not known"},
		{name: "a lock", key: "crm-1", fields: `{"first_name":"locked"}`, want: "deferred conflict"},
		{name: "a limit", key: "crm-1", fields: `{"first_name":"busy"}`, want: "deferred rate_limited", after: 7},
	} {
		r := row("w-1", test.key, upsert, test.fields)
		if r.Object = "customers"; test.object != "" {
			r.Object = test.object
		}
		if test.mode != "" {
			r.Mode = test.mode
		}
		a := made.Write(t.Context(), []*target.Row{r})
		if got := fates(a, 1)[0]; got != test.want || a.Halt || a.Split || a.RetryAfter.Seconds() != test.after {
			t.Errorf("%s: %s, %+v", test.name, got, a)
		}
		if test.detail != "" && a.Of(0).Detail != test.detail {
			t.Errorf("%s: %q", test.name, a.Of(0).Detail)
		}
		if test.want == "delivered" && a.Of(0).ID != test.key {
			t.Errorf("%s: id %q", test.name, a.Of(0).ID)
		}
	}
	golden(t, "chargebee_requests.txt", far.got()[:3])

	o.Auth.Username = "old"
	if a := open(t, o).Write(t.Context(), []*target.Row{row("w-1", "crm-1", upsert, `{}`)}); !a.Halt || a.All.Reason != "unauthorized" {
		t.Errorf("%+v", a)
	}
}

// zendesk makes or finds a user by external_id.
func zendesk(w http.ResponseWriter, r *http.Request) {
	var body struct {
		User struct {
			ExternalID string         `json:"external_id"`
			Name       string         `json:"name,omitzero"`
			Email      string         `json:"email,omitzero"`
			UserFields map[string]any `json:"user_fields,omitzero"`
		} `json:"user"`
	}
	user, token, _ := r.BasicAuth()
	err := json.UnmarshalRead(r.Body, &body, json.RejectUnknownMembers(true))
	switch {
	case user != "agent@acme.example/token" || token != "token":
		w.WriteHeader(401)
	case r.URL.Path != "/api/v2/users/create_or_update.json" || r.Method != http.MethodPost:
		w.WriteHeader(404)
	case err != nil:
		w.WriteHeader(400)
		_, _ = io.WriteString(w, `{"error":"Unprocessable"}`)
	case body.User.ExternalID == "crm-new" && body.User.Name == "":
		w.WriteHeader(422)
		_, _ = io.WriteString(w, `{"error":"RecordInvalid","description":"Record validation errors","details":{"name":[{"description":"Name: is too short","error":"TooShort"}]}}`)
	default:
		w.Header().Set("X-Zendesk-Request-Id", "z-1")
		w.WriteHeader(201)
		_, _ = fmt.Fprintf(w, `{"user":{"id":35436,"external_id":%q}}`, body.User.ExternalID)
	}
}

func TestZendesk(t *testing.T) {
	far := serve(t, http.HandlerFunc(zendesk))
	o := preset(t, "zendesk.yaml", far.URL+"/api/v2")
	o.Auth.Secret = "token"
	made := open(t, o)
	a := made.Write(t.Context(), []*target.Row{row("w-1", "crm-1", upsert, `{"name":"Mira","user_fields.tier":"gold","user_fields.points":12345678901234567890}`)})
	if got := a.Of(0); got.Kind.String() != "delivered" || got.ID != "35436" || a.RequestID != "z-1" || a.Status != 201 {
		t.Errorf("%+v", a)
	}
	a = made.Write(t.Context(), []*target.Row{row("w-2", "crm-new", upsert, `{"user_fields.tier":"gold"}`)})
	if got := a.Of(0); fates(a, 1)[0] != "refused recordinvalid" || got.Detail != "Record validation errors; name: Name: is too short" {
		t.Errorf("%+v", a)
	}
	golden(t, "zendesk_requests.txt", far.got())
}

func TestALoyaltySystemRowByRow(t *testing.T) {
	s := loyaltyfake.New(loyaltyfake.Options{})
	far := serve(t, s)
	o := preset(t, "loyalty.yaml", far.URL+"/v1")
	o.Auth.Secret = loyaltyfake.DefaultKey
	made := open(t, o)
	write := func(r *target.Row) string { return fates(made.Write(t.Context(), []*target.Row{r}), 1)[0] }
	s.FailNext(loyaltyfake.Fault{}, loyaltyfake.Fault{Status: 502, After: true}, loyaltyfake.Fault{})
	for _, step := range []struct {
		row  *target.Row
		want string
	}{
		{row("w-1", "m-1", update, `{"points":5}`), "skipped missing"},
		{row("w-2", "m-1", upsert, `{"points":9007199254740993,"tier":"gold"}`), "deferred unavailable"},
		{row("w-2", "m-1", upsert, `{"points":9007199254740993,"tier":"gold"}`), "delivered"},
		{row("w-3", "m-1", update, `{"tier":"platinum"}`), "refused invalid_tier"},
		{row("w-4", "m-1", update, `{"tier":"silver"}`), "delivered"},
	} {
		if got := write(step.row); got != step.want {
			t.Errorf("%s: %s, want %s", step.row.ID, got, step.want)
		}
	}
	m, _ := s.Member("m-1")
	if string(m.Fields["points"]) != "9007199254740993" || string(m.Fields["tier"]) != `"silver"` || m.Version != 2 || len(s.Writes()) != 2 {
		t.Errorf("%+v, %d writes", m, len(s.Writes()))
	}
	golden(t, "loyalty_requests.txt", far.got()[:2])
}

func TestALoyaltySystemInBatches(t *testing.T) {
	s := loyaltyfake.New(loyaltyfake.Options{})
	far := serve(t, s)
	o := preset(t, "loyalty_batch.yaml", far.URL+"/v1")
	o.Auth.Secret = loyaltyfake.DefaultKey
	made := open(t, o)
	batch := rows(50, upsert, `{"points":7}`)
	batch[7].Fields = []byte(`{"points":-1}`)
	s.FailNext(loyaltyfake.Fault{Drop: true, After: true})
	if a := made.Write(t.Context(), batch); a.All.Reason != "unreachable" {
		t.Errorf("%+v", a)
	}
	a := made.Write(t.Context(), batch)
	for i, got := range fates(a, 50) {
		if want := map[bool]string{false: "delivered", true: "refused invalid_points"}[i == 7]; got != want {
			t.Errorf("row %d: %s", i, got)
		}
	}
	if n := len(s.Writes()); n != 49 { // the idempotency key of the batch was the same
		t.Errorf("%d writes", n)
	}
	a = made.Write(t.Context(), []*target.Row{row("w-1", "m-1", update, `{}`), row("w-2", "m-0001", update, `{"tier":"gold"}`)})
	if diff := cmp.Diff([]string{"skipped missing", "delivered"}, fates(a, 2)); diff != "" || a.Of(1).ID != "m-0001" {
		t.Error(diff, a)
	}
	form := made.Form()
	if form.Rows != 50 || !form.Alike(batch[0], batch[1]) || form.Alike(batch[0], row("w", "m", update, `{}`)) {
		t.Errorf("%+v", form)
	}
	golden(t, "loyalty_batch_requests.txt", far.got()[2:])
}

// golden compares requests with a file, or writes it when GOLDEN=write is in the environment.
func golden(t *testing.T, name string, requests []gotten) {
	t.Helper()
	var got strings.Builder
	for _, r := range requests {
		got.WriteString(r.show())
	}
	file := filepath.Join("testdata", name)
	if os.Getenv("GOLDEN") == "write" {
		if err := os.WriteFile(file, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Error(diff)
	}
}
