package salesforcefake_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/sluicehq/sluice/pkg/crm/salesforcefake"
)

const root = "/services/data/v61.0"

// org is a sandbox that is asked over HTTP.
type org struct {
	*salesforcefake.Sandbox
	t     testing.TB
	url   string
	token string
}

func newOrg(t testing.TB, o salesforcefake.Options) *org {
	t.Helper()
	made, err := salesforcefake.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(made)
	t.Cleanup(func() { server.Close(); made.Close() })
	c := &org{Sandbox: made, t: t, url: server.URL}
	if o.Apps == nil {
		c.login()
	}
	return c
}

func (o *org) login() {
	o.t.Helper()
	status, body := o.form(url.Values{"grant_type": {"client_credentials"}, "client_id": {"sandbox"}, "client_secret": {"sandbox"}})
	var token struct {
		Access   string `json:"access_token"`
		Instance string `json:"instance_url"`
	}
	if err := json.Unmarshal([]byte(body), &token); status != 200 || err != nil || token.Instance != o.url {
		o.t.Fatalf("no token: %d %s %v", status, body, err)
	}
	o.token = token.Access
}

func (o *org) form(values url.Values) (int, string) {
	o.t.Helper()
	resp, err := http.PostForm(o.url+"/services/oauth2/token", values)
	if err != nil {
		o.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// ask makes a call; a body that begins with anything but { or [ is CSV.
func (o *org) ask(method, path, body string) (int, string) {
	o.t.Helper()
	status, text, _ := o.answer(method, path, body)
	return status, text
}

func (o *org) answer(method, path, body string) (int, string, http.Header) {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), method, o.url+path, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+o.token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
		if body[0] != '{' && body[0] != '[' {
			req.Header.Set("Content-Type", "text/csv")
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		o.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

// result is what a collections call says of a row.
type result struct {
	ID      string `json:"id"`
	Success bool   `json:"success"`
	Created bool   `json:"created"`
	Errors  []struct {
		StatusCode string   `json:"statusCode"`
		Message    string   `json:"message"`
		Fields     []string `json:"fields"`
	} `json:"errors"`
}

func (r result) word() string {
	switch {
	case !r.Success:
		return r.Errors[0].StatusCode
	case r.Created:
		return "created"
	}
	return "updated"
}

func records(object string, rows ...string) string {
	for i, row := range rows {
		rows[i] = fmt.Sprintf(`{"attributes":{"type":%q},%s}`, object, row)
	}
	return `{"allOrNone":false,"records":[` + strings.Join(rows, ",") + `]}`
}

// upsert upserts contacts, and returns what became of each.
func (o *org) upsert(rows ...string) []result {
	o.t.Helper()
	return o.results("PATCH", "/composite/sobjects/Contact/Braze_External_Id__c", records("Contact", rows...))
}

func (o *org) results(method, path, body string) []result {
	o.t.Helper()
	status, text := o.ask(method, root+path, body)
	var all []result
	if err := json.Unmarshal([]byte(text), &all); status != 200 || err != nil {
		o.t.Fatalf("%d %s %v", status, text, err)
	}
	return all
}

func key(k, rest string) string { return `"Braze_External_Id__c":"` + k + `",` + rest }
