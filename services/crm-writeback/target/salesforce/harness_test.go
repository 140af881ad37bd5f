package salesforce_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/crm/salesforcefake"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
	"github.com/sluicehq/sluice/services/crm-writeback/target/salesforce"
)

const (
	keyField = "Braze_External_Id__c"
	fields   = `{"LastName":"Osei","HasOptedOutOfEmail":true}`
)

// options speak to a sandbox as its default client.
func options(url string) salesforce.Options {
	return salesforce.Options{
		URL:  url,
		Auth: salesforce.Auth{ClientID: "sandbox", ClientSecret: "sandbox"},
		Bulk: salesforce.Bulk{Poll: time.Millisecond},
	}
}

// sandbox runs an org.
func sandbox(t testing.TB, o salesforcefake.Options) (*salesforcefake.Sandbox, string) {
	t.Helper()
	org, err := salesforcefake.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(org)
	t.Cleanup(func() { server.Close(); org.Close() })
	return org, server.URL
}

func client(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Timeout: 10 * time.Second, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 2, 9, 15, 4, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func open(t testing.TB, o salesforce.Options, d target.Deps) target.Target {
	t.Helper()
	if d.HTTP == nil {
		d.HTTP = client(http.DefaultTransport.(*http.Transport).Clone())
	}
	d.Name, d.Log = "crm", zerolog.Nop()
	made, err := salesforce.Open(t.Context(), o, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = made.Close() })
	return made
}

// row is an upsert of a contact.
func row(key, fields string) *target.Row {
	return &target.Row{
		ID: "w-" + key, Object: "Contact", KeyField: keyField, Key: key, Mode: crm.Upsert, Fields: []byte(fields),
		EditedAt: time.Date(2026, 3, 2, 9, 15, 4, 0, time.UTC),
	}
}

func rowsOf(n int, fields string) []*target.Row {
	rows := make([]*target.Row, n)
	for i := range rows {
		rows[i] = row(fmt.Sprintf("u%05d", i), fields)
	}
	return rows
}

// words says what became of each row: delivered, skipped missing, refused string_too_long.
func words(a target.Answer, rows int) []string {
	all := make([]string, rows)
	for i := range all {
		r := a.Of(i)
		all[i] = r.Kind.String()
		if r.Reason != "" {
			all[i] += " " + r.Reason
		}
	}
	return all
}

func want(t *testing.T, a target.Answer, rows int, expected ...string) {
	t.Helper()
	if diff := cmp.Diff(expected, words(a, rows)); diff != "" {
		t.Errorf("what became of the rows (-want +got):\n%s\n%+v", diff, a)
	}
}

func count(a target.Answer, rows int, kind outcome.Kind) (n int) {
	for i := range rows {
		if a.Of(i).Kind == kind {
			n++
		}
	}
	return n
}

// recorder writes down requests as they go out, without what is another one every time.
type recorder struct {
	next http.RoundTripper
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	fmt.Fprintf(&r.text, "%s %s\n", req.Method, req.URL.RequestURI())
	for _, name := range []string{"Content-Type", "Accept", "Sforce-Call-Options", "Sforce-Duplicate-Rule-Header"} {
		if value := req.Header.Get(name); value != "" {
			fmt.Fprintf(&r.text, "%s: %s\n", name, value)
		}
	}
	if auth := req.Header.Get("Authorization"); auth != "" {
		fmt.Fprintln(&r.text, "Authorization: Bearer …")
	}
	fmt.Fprintf(&r.text, "\n%s\n\n", body)
	r.mu.Unlock()
	return r.next.RoundTrip(req)
}

// golden compares bytes that others read with a file; GOLDEN=write writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("GOLDEN") == "write" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	wanted, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(wanted), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
