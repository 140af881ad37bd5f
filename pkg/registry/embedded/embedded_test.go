package embedded

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		http.DefaultClient.CloseIdleConnections()
		os.Exit(code)
	}))
}

// start runs a registry that ends with the test.
func start(t *testing.T, cfg Config) *Registry {
	t.Helper()
	cfg.Log = func(line string) { t.Log(line) }
	r, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// ask makes a request and gives the answer's status and body.
func ask(t *testing.T, r *Registry, method, path, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); got != mediaType {
		t.Errorf("%s %s: got content type %q, want %q", method, path, got, mediaType)
	}
	return resp.StatusCode, string(text)
}

// request is a request body that carries a schema.
func request(schema string) string {
	body, err := json.Marshal(map[string]string{"schema": schema})
	if err != nil {
		panic(err)
	}
	return string(body)
}

// order is a record with the given fields, each "name" or "name?" when it may be null.
func order(fields ...string) string {
	var list []string
	for _, f := range fields {
		if name, optional := strings.CutSuffix(f, "?"); optional {
			list = append(list, fmt.Sprintf(`{"name":%q,"type":["null","string"],"default":null}`, name))
			continue
		}
		list = append(list, fmt.Sprintf(`{"name":%q,"type":"string"}`, f))
	}
	return `{"type":"record","name":"Order","fields":[` + strings.Join(list, ",") + `]}`
}

// step is a request and what it must be answered.
type step struct {
	name         string
	method, path string
	body         string
	status       int // 200 when zero
	want         string
	contains     string // instead of want: a part of the answer
}

func play(t *testing.T, r *Registry, steps []step) {
	t.Helper()
	for _, s := range steps {
		status, got := ask(t, r, s.method, s.path, s.body)
		if want := max(s.status, http.StatusOK); s.status == 0 && status != want || s.status != 0 && status != s.status {
			t.Errorf("%s: %s %s: got status %d, want %d: %s", s.name, s.method, s.path, status, want, got)
		}
		if s.contains != "" {
			if !strings.Contains(got, s.contains) {
				t.Errorf("%s: %s %s: got %s, want it to contain %s", s.name, s.method, s.path, got, s.contains)
			}
		} else if diff := cmp.Diff(s.want, got); diff != "" {
			t.Errorf("%s: %s %s (-want +got):\n%s", s.name, s.method, s.path, diff)
		}
	}
}

// shownSchema is a schema as text inside an answer.
func shownSchema(schema string) string {
	text, err := json.Marshal(schema)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestTheAPIAsClientsUseIt(t *testing.T) {
	one, two := order("a"), order("a", "b?")
	play(t, start(t, Config{Dir: t.TempDir()}), []step{
		{name: "alive", method: "GET", path: "/", want: `{}`},
		{name: "contexts", method: "GET", path: "/contexts", want: `["."]`},
		{name: "types", method: "GET", path: "/schemas/types", want: `["AVRO"]`},
		{name: "no subjects", method: "GET", path: "/subjects", want: `[]`},
		{name: "no schemas", method: "GET", path: "/schemas", want: `[]`},
		{name: "unknown path", method: "GET", path: "/nosuch", status: 404, want: `{"error_code":404,"message":"HTTP 404 Not Found"}`},

		{name: "first version", method: "POST", path: "/subjects/a-value/versions", body: request(one), want: `{"id":1}`},
		{name: "once more", method: "POST", path: "/subjects/a-value/versions", body: request(one), want: `{"id":1}`},
		{name: "written otherwise", method: "POST", path: "/subjects/a-value/versions?normalize=true", body: request(strings.ReplaceAll(one, `"type":"string"`, `"type": {"type": "string"}`)), want: `{"id":1}`},
		{name: "another subject", method: "POST", path: "/subjects/b-value/versions", body: request(one), want: `{"id":1}`},
		{name: "second version", method: "POST", path: "/subjects/a-value/versions", body: request(two), want: `{"id":2}`},

		{name: "by id", method: "GET", path: "/schemas/ids/1", want: `{"schema":` + shownSchema(one) + `}`},
		{name: "by id, as the Java client asks", method: "GET", path: "/schemas/ids/1?fetchMaxId=true&subject=a-value", want: `{"schema":` + shownSchema(one) + `,"maxId":2}`},
		{name: "text by id", method: "GET", path: "/schemas/ids/2/schema", want: two},
		{name: "subjects by id", method: "GET", path: "/schemas/ids/1/subjects", want: `["a-value","b-value"]`},
		{name: "versions by id", method: "GET", path: "/schemas/ids/1/versions", want: `[{"subject":"a-value","version":1},{"subject":"b-value","version":1}]`},
		{name: "unknown id", method: "GET", path: "/schemas/ids/9", status: 404, want: `{"error_code":40403,"message":"Schema 9 not found"}`},
		{name: "no id", method: "GET", path: "/schemas/ids/x", status: 404, want: `{"error_code":404,"message":"HTTP 404 Not Found"}`},

		{name: "subjects", method: "GET", path: "/subjects", want: `["a-value","b-value"]`},
		{name: "subjects by prefix", method: "GET", path: "/subjects?subjectPrefix=b", want: `["b-value"]`},
		{name: "a page of subjects", method: "GET", path: "/subjects?offset=1&limit=5", want: `["b-value"]`},
		{name: "a page beyond the end", method: "GET", path: "/subjects?offset=7&limit=9223372036854775807", want: `[]`},
		{name: "newest schemas", method: "GET", path: "/schemas?latestOnly=true&subjectPrefix=a", want: `[{"subject":"a-value","id":2,"version":2,"schema":` + shownSchema(two) + `}]`},
		{name: "versions", method: "GET", path: "/subjects/a-value/versions", want: `[1,2]`},
		{name: "versions of nothing", method: "GET", path: "/subjects/c-value/versions", status: 404, want: `{"error_code":40401,"message":"Subject 'c-value' not found."}`},
		{name: "latest", method: "GET", path: "/subjects/a-value/versions/latest", want: `{"subject":"a-value","id":2,"version":2,"schema":` + shownSchema(two) + `}`},
		{name: "latest by number", method: "GET", path: "/subjects/a-value/versions/-1", contains: `"version":2`},
		{name: "version", method: "GET", path: "/subjects/a-value/versions/1", contains: `"version":1`},
		{name: "version's text", method: "GET", path: "/subjects/a-value/versions/1/schema", want: one},
		{name: "referenced by", method: "GET", path: "/subjects/a-value/versions/1/referencedby", want: `[]`},
		{name: "unknown version", method: "GET", path: "/subjects/a-value/versions/7", status: 404, want: `{"error_code":40402,"message":"Version 7 not found."}`},
		{name: "no version", method: "GET", path: "/subjects/a-value/versions/x", status: 422, contains: `"error_code":42202`},
		{name: "version zero", method: "GET", path: "/subjects/a-value/versions/0", status: 422, contains: `"error_code":42202`},

		{name: "lookup", method: "POST", path: "/subjects/a-value", body: request(one), want: `{"subject":"a-value","id":1,"version":1,"schema":` + shownSchema(one) + `}`},
		{name: "lookup in another", method: "POST", path: "/subjects/b-value", body: request(two), status: 404, want: `{"error_code":40403,"message":"Schema not found"}`},
		{name: "lookup in nothing", method: "POST", path: "/subjects/c-value", body: request(one), status: 404, want: `{"error_code":40401,"message":"Subject 'c-value' not found."}`},

		{name: "a subject with a slash", method: "POST", path: "/subjects/x%2Fy%20z/versions", body: request(one), want: `{"id":1}`},
		{name: "is found", method: "GET", path: "/subjects/x%2Fy%20z/versions", want: `[1]`},
	})
}

func TestCompatibilityIsReallyChecked(t *testing.T) {
	one, optional, mandatory := order("a"), order("a", "b?"), order("a", "b")
	play(t, start(t, Config{}), []step{
		{name: "default level", method: "GET", path: "/config", want: `{"compatibilityLevel":"BACKWARD_TRANSITIVE"}`},
		{name: "no own level", method: "GET", path: "/config/s", status: 404, want: `{"error_code":40408,"message":"Subject 's' does not have subject-level compatibility configured"}`},
		{name: "the registry's then", method: "GET", path: "/config/s?defaultToGlobal=true", want: `{"compatibilityLevel":"BACKWARD_TRANSITIVE"}`},

		{name: "nothing to break", method: "POST", path: "/compatibility/subjects/s/versions/latest", body: request(one), want: `{"is_compatible":true}`},
		{name: "nothing at all", method: "POST", path: "/compatibility/subjects/s/versions", body: request(one), want: `{"is_compatible":true}`},
		{name: "no such version", method: "POST", path: "/compatibility/subjects/s/versions/3", body: request(one), status: 404, contains: `"error_code":40401`},
		{name: "first", method: "POST", path: "/subjects/s/versions", body: request(one), want: `{"id":1}`},
		{name: "safe", method: "POST", path: "/compatibility/subjects/s/versions?verbose=true", body: request(optional), want: `{"is_compatible":true}`},
		{name: "unsafe", method: "POST", path: "/compatibility/subjects/s/versions", body: request(mandatory), want: `{"is_compatible":false}`},
		{
			name: "unsafe, and why", method: "POST", path: "/compatibility/subjects/s/versions/1?verbose=true", body: request(mandatory),
			want: `{"is_compatible":false,"messages":["the new schema cannot read version 1: b: reader field has no default and is missing from writer"]}`,
		},
		{name: "nonsense, and why", method: "POST", path: "/compatibility/subjects/s/versions?verbose=true", body: request(`{"type":"nosuch"}`), contains: `{"is_compatible":false,"messages":["Invalid schema: `},
		{name: "nonsense", method: "POST", path: "/compatibility/subjects/s/versions", body: request(`{"type":"nosuch"}`), status: 422, contains: `"error_code":42201`},
		{
			name: "unsafe, and tried", method: "POST", path: "/subjects/s/versions", body: request(mandatory), status: 409,
			want: `{"error_code":409,"message":"Schema being registered is incompatible with an earlier schema for subject \"s\", details: [the new schema cannot read version 1: b: reader field has no default and is missing from writer, compatibility: BACKWARD_TRANSITIVE]"}`,
		},
		{name: "not taken", method: "GET", path: "/subjects/s/versions", want: `[1]`},

		{name: "another level", method: "PUT", path: "/config/s", body: `{"compatibility":"forward"}`, want: `{"compatibility":"FORWARD"}`},
		{name: "is read", method: "GET", path: "/config/s", want: `{"compatibilityLevel":"FORWARD"}`},
		{name: "and obeyed", method: "POST", path: "/subjects/s/versions", body: request(mandatory), want: `{"id":2}`},
		{name: "unknown level", method: "PUT", path: "/config/s", body: `{"compatibility":"SIDEWAYS"}`, status: 422, contains: `"error_code":42203`},
		{name: "taken back", method: "DELETE", path: "/config/s", want: `{"compatibilityLevel":"FORWARD"}`},
		{name: "the registry's again", method: "GET", path: "/config/s", status: 404, contains: `"error_code":40408`},
		{name: "the registry's own", method: "PUT", path: "/config", body: `{"compatibility":"NONE"}`, want: `{"compatibility":"NONE"}`},
		{name: "counts for all", method: "POST", path: "/subjects/s/versions", body: request(`"long"`), want: `{"id":3}`},
		{name: "and is taken back", method: "DELETE", path: "/config", want: `{"compatibilityLevel":"NONE"}`},
		{name: "to where it began", method: "GET", path: "/config", want: `{"compatibilityLevel":"BACKWARD_TRANSITIVE"}`},
	})
}

func TestDeletionHidesAndThenRemoves(t *testing.T) {
	play(t, start(t, Config{Dir: t.TempDir()}), []step{
		{name: "one", method: "POST", path: "/subjects/s/versions", body: request(order("a")), want: `{"id":1}`},
		{name: "two", method: "POST", path: "/subjects/s/versions", body: request(order("a", "b?")), want: `{"id":2}`},
		{name: "three", method: "POST", path: "/subjects/s/versions", body: request(order("a", "b?", "c?")), want: `{"id":3}`},
		{name: "not removed before hidden", method: "DELETE", path: "/subjects/s/versions/2?permanent=true", status: 404, contains: `"error_code":40407`},
		{name: "hidden", method: "DELETE", path: "/subjects/s/versions/2", want: `2`},
		{name: "not twice", method: "DELETE", path: "/subjects/s/versions/2", status: 404, contains: `"error_code":40406`},
		{name: "listed no more", method: "GET", path: "/subjects/s/versions", want: `[1,3]`},
		{name: "unless asked for", method: "GET", path: "/subjects/s/versions?deleted=true", want: `[1,2,3]`},
		{name: "alone", method: "GET", path: "/subjects/s/versions?deletedOnly=true", want: `[2]`},
		{name: "not found", method: "GET", path: "/subjects/s/versions/2", status: 404, contains: `"error_code":40402`},
		{name: "but with a flag", method: "GET", path: "/subjects/s/versions/2?deleted=true", contains: `"id":2`},
		{name: "records can still be read", method: "GET", path: "/schemas/ids/2", contains: `"schema"`},
		{name: "a lookup passes it over", method: "POST", path: "/subjects/s", body: request(order("a", "b?")), status: 404, contains: `"error_code":40403`},
		{name: "registered again it is a new version of the same id", method: "POST", path: "/subjects/s/versions", body: request(order("a", "b?")), want: `{"id":2}`},
		{name: "with the next number", method: "GET", path: "/subjects/s/versions", want: `[1,3,4]`},

		{name: "the subject hidden", method: "DELETE", path: "/subjects/s", want: `[1,3,4]`},
		{name: "not twice", method: "DELETE", path: "/subjects/s", status: 404, contains: `"error_code":40404`},
		{name: "gone", method: "GET", path: "/subjects", want: `[]`},
		{name: "unless asked for", method: "GET", path: "/subjects?deleted=true", want: `["s"]`},
		{name: "alone", method: "GET", path: "/subjects?deletedOnly=true", want: `["s"]`},
		{name: "removed", method: "DELETE", path: "/subjects/s?permanent=true", want: `[1,2,3,4]`},
		{name: "for good", method: "GET", path: "/subjects?deleted=true", want: `[]`},
		{name: "with its ids", method: "GET", path: "/schemas/ids/2", status: 404, contains: `"error_code":40403`},
		{name: "which nobody else gets", method: "POST", path: "/subjects/t/versions", body: request(`"long"`), want: `{"id":4}`},
		{name: "but the same schema", method: "POST", path: "/subjects/t/versions", body: request(`"long"`), want: `{"id":4}`},
		{name: "nothing to delete", method: "DELETE", path: "/subjects/u", status: 404, contains: `"error_code":40401`},
		{name: "two subjects, one hidden", method: "POST", path: "/subjects/v/versions", body: request(`"int"`), want: `{"id":5}`},
		{name: "latest hidden", method: "DELETE", path: "/subjects/v/versions/latest", want: `1`},
		{name: "only the hidden one", method: "GET", path: "/subjects?deletedOnly=true", want: `["v"]`},
		{name: "not removed while one is live", method: "DELETE", path: "/subjects/t?permanent=true", status: 404, contains: `"error_code":40405`},
	})
}

func TestAReadOnlySubjectIsOnlyRead(t *testing.T) {
	play(t, start(t, Config{}), []step{
		{name: "at first", method: "GET", path: "/mode", want: `{"mode":"READWRITE"}`},
		{name: "one", method: "POST", path: "/subjects/s/versions", body: request(order("a")), want: `{"id":1}`},
		{name: "no own mode", method: "GET", path: "/mode/s", status: 404, contains: `"error_code":40409`},
		{name: "read only", method: "PUT", path: "/mode/s", body: `{"mode":"readonly"}`, want: `{"mode":"READONLY"}`},
		{name: "what is there stays", method: "POST", path: "/subjects/s/versions", body: request(order("a")), want: `{"id":1}`},
		{name: "nothing new", method: "POST", path: "/subjects/s/versions", body: request(order("a", "b?")), status: 422, contains: `"error_code":42205`},
		{name: "nothing deleted", method: "DELETE", path: "/subjects/s", status: 422, contains: `"error_code":42205`},
		{name: "no version deleted", method: "DELETE", path: "/subjects/s/versions/1", status: 422, contains: `"error_code":42205`},
		{name: "others are free", method: "POST", path: "/subjects/t/versions", body: request(order("a")), want: `{"id":1}`},
		{name: "taken back", method: "DELETE", path: "/mode/s", want: `{"mode":"READONLY"}`},
		{name: "free again", method: "POST", path: "/subjects/s/versions", body: request(order("a", "b?")), want: `{"id":2}`},
		{name: "all read only", method: "PUT", path: "/mode", body: `{"mode":"READONLY_OVERRIDE"}`, want: `{"mode":"READONLY_OVERRIDE"}`},
		{name: "even one with its own mode", method: "PUT", path: "/mode/t", body: `{"mode":"READWRITE"}`, want: `{"mode":"READWRITE"}`},
		{name: "nothing new there", method: "POST", path: "/subjects/t/versions", body: request(order("a", "b?")), status: 422, contains: `"error_code":42205`},
		{name: "unknown mode", method: "PUT", path: "/mode", body: `{"mode":"IMPORT"}`, status: 422, contains: `"error_code":42204`},
	})
}

func TestWhatCannotBeMeantIsRefused(t *testing.T) {
	long := strings.Repeat("x", maxSubject+1)
	for _, s := range []step{
		{name: "no schema", body: request(`{"type":"record","name":"A"}`), status: 422, contains: `"error_code":42201`},
		{name: "a schema that only one parser takes", body: request(`{"type":"record","name":"A","fields":[{"name":"a","type":["null","int"],"default":1}]}`), status: 422, contains: `"error_code":42201`},
		{name: "another type", body: `{"schema":"{}","schemaType":"PROTOBUF"}`, status: 422, contains: `"error_code":42201`},
		{name: "references", body: `{"schema":"\"x.A\"","references":[{"name":"x.A","subject":"a","version":1}]}`, status: 422, contains: `"error_code":42201`},
		{name: "an id of one's own", body: `{"schema":"\"int\"","id":7}`, status: 422, contains: `"error_code":42205`},
		{name: "no body", body: ``, status: 400, contains: `"error_code":400`},
		{name: "no JSON", body: `schema`, status: 400, contains: `"error_code":400`},
		{name: "five megabytes", body: request(strings.Repeat("x", 5<<20)), status: 413, contains: `"error_code":413`},
		{name: "two megabytes", body: request(`{"type":"record","name":"A","doc":"` + strings.Repeat("x", 2<<20) + `","fields":[]}`), status: 422, contains: `"error_code":42201`},
		{name: "a subject too long", path: "/subjects/" + long + "/versions", body: request(`"int"`), status: 422, contains: `"error_code":42208`},
		{name: "a subject with a control character", path: "/subjects/a%00b/versions", body: request(`"int"`), status: 422, contains: `"error_code":42208`},
	} {
		t.Run(s.name, func(t *testing.T) {
			s.method = "POST"
			if s.path == "" {
				s.path = "/subjects/s/versions"
			}
			r := start(t, Config{})
			play(t, r, []step{s, {name: "and the registry goes on", method: "GET", path: "/subjects", want: `[]`}})
		})
	}
}

func TestAWebPageCannotReachIt(t *testing.T) {
	r := start(t, Config{})
	for _, tt := range []struct {
		name   string
		host   string
		header map[string]string
		want   int
	}{
		{name: "this machine", want: http.StatusOK},
		{name: "this machine by name", host: "localhost:8085", want: http.StatusOK},
		{name: "this machine in IPv6", host: "[::1]:8085", want: http.StatusOK},
		{name: "a name that was made to point here", host: "evil.example:8085", want: http.StatusForbidden},
		{name: "a page of another site", header: map[string]string{"Origin": "https://evil.example"}, want: http.StatusForbidden},
		{name: "a browser that says so", header: map[string]string{"Sec-Fetch-Site": "cross-site"}, want: http.StatusForbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL()+"/subjects/s/versions", strings.NewReader(request(`"int"`)))
			if err != nil {
				t.Fatal(err)
			}
			if tt.host != "" {
				req.Host = tt.host
			}
			for name, value := range tt.header {
				req.Header.Set(name, value)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
			if resp.StatusCode != tt.want {
				t.Errorf("got status %d, want %d", resp.StatusCode, tt.want)
			}
		})
	}
}

func TestStartRefusesWhatItCannotServe(t *testing.T) {
	dir := t.TempDir()
	taken := start(t, Config{Dir: dir})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		cfg  Config
		want string
	}{
		{name: "an address that others can reach", cfg: Config{Addr: "0.0.0.0:0"}, want: "loopback"},
		{name: "a host by name", cfg: Config{Addr: "example.com:8085"}, want: "loopback"},
		{name: "no address", cfg: Config{Addr: "8085"}, want: "reading address"},
		{name: "a port that is taken", cfg: Config{Addr: taken.Addr()}, want: "address already in use"},
		{name: "a folder that is a file", cfg: Config{Dir: file}, want: "folder"},
		{name: "a folder that another registry has", cfg: Config{Dir: dir}, want: "another process"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Start(t.Context(), tt.cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// everything is all a registry would say about itself.
func everything(t *testing.T, r *Registry) string {
	t.Helper()
	var all strings.Builder
	for _, path := range []string{"/schemas?deleted=true", "/subjects", "/subjects?deletedOnly=true", "/config", "/config/s", "/config/t", "/mode", "/mode/s", "/schemas/ids/1?fetchMaxId=true", "/schemas/ids/3"} {
		status, answer := ask(t, r, "GET", path, "")
		fmt.Fprintf(&all, "%s: %d %s\n", path, status, answer)
	}
	return all.String()
}

// fill makes a registry in dir with something of every kind in it.
func fill(t *testing.T, r *Registry) {
	t.Helper()
	for _, s := range []step{
		{method: "POST", path: "/subjects/s/versions", body: request(order("a"))},
		{method: "POST", path: "/subjects/s/versions", body: request(order("a", "b?"))},
		{method: "POST", path: "/subjects/t/versions", body: request(`"long"`)},
		{method: "POST", path: "/subjects/u/versions", body: request(order("a"))},
		{method: "PUT", path: "/config", body: `{"compatibility":"FULL"}`},
		{method: "PUT", path: "/config/s", body: `{"compatibility":"NONE"}`},
		{method: "PUT", path: "/config/t", body: `{"compatibility":"NONE"}`},
		{method: "DELETE", path: "/config/t"},
		{method: "DELETE", path: "/subjects/s/versions/1"},
		{method: "DELETE", path: "/subjects/t"},
		{method: "DELETE", path: "/subjects/t?permanent=true"},
		{method: "PUT", path: "/mode/s", body: `{"mode":"READONLY"}`},
	} {
		if status, answer := ask(t, r, s.method, s.path, s.body); status != http.StatusOK {
			t.Fatalf("%s %s: got status %d: %s", s.method, s.path, status, answer)
		}
	}
}

func TestARestartWithTheSameFolderForgetsNothing(t *testing.T) {
	dir := t.TempDir()
	first := start(t, Config{Dir: dir})
	fill(t, first)
	want := everything(t, first)
	http.DefaultClient.CloseIdleConnections()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := start(t, Config{Dir: dir})
	if diff := cmp.Diff(want, everything(t, second)); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
	play(t, second, []step{
		{name: "ids go on where they were", method: "POST", path: "/subjects/v/versions", body: request(`"int"`), want: `{"id":4}`},
		{name: "also of what was removed", method: "POST", path: "/subjects/v2/versions", body: request(`"long"`), want: `{"id":3}`},
	})
}

// A crash may leave any part of the last line, or all of it with holes. What was answered before is
// whole; the torn rest is cut off, and the next line stands where it stood.
func TestATornLastLineIsCutOff(t *testing.T) {
	dir := t.TempDir()
	r := start(t, Config{Dir: dir})
	fill(t, r)
	http.DefaultClient.CloseIdleConnections()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, journalName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(bytes.TrimSuffix(whole, []byte("\n")), []byte("\n"))
	last := append(bytes.Clone(lines[len(lines)-1]), '\n')
	before := whole[:len(whole)-len(last)]
	torn := [][]byte{bytes.Repeat([]byte{0}, 40), append(bytes.Repeat([]byte{0}, 40), '\n')}
	for cut := range last {
		torn = append(torn, last[:cut])
	}
	for _, rest := range torn {
		if err := os.WriteFile(path, append(bytes.Clone(before), rest...), 0o600); err != nil {
			t.Fatal(err)
		}
		entries := 0
		j, err := openJournal(dir, func(entry) error { entries++; return nil })
		if err != nil {
			t.Fatalf("after %q: %v", rest, err)
		}
		if want := len(lines) - 1; entries != want {
			t.Errorf("after %q: got %d entries, want %d", rest, entries, want)
		}
		level := "FULL"
		if err := errors.Join(j.write(entry{Level: &level}), j.close()); err != nil {
			t.Fatal(err)
		}
		now, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(before)+`{"level":"FULL"}`+"\n", string(now)); diff != "" {
			t.Fatalf("after %q the journal is (-want +got):\n%s", rest, diff)
		}
	}
}

func TestADamagedJournalIsNotPassedOver(t *testing.T) {
	level := "FULL"
	good, err := json.Marshal(entry{Level: &level})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		line string
	}{
		{name: "half a line in the middle", line: `{"level":`},
		{name: "a key that this version does not know", line: `{"level":"FULL","colour":"red"}`},
		{name: "an entry without meaning", line: `{"subject":"s"}`},
		{name: "a schema that is none", line: `{"subject":"s","version":1,"id":1,"schema":"{}"}`},
		{name: "one schema with two ids", line: `{"subject":"s","version":1,"id":1,"schema":"\"int\""}` + "\n" + `{"subject":"s","version":2,"id":2,"schema":"\"int\""}`},
		{name: "the deletion of what is not there", line: `{"subject":"s","deleted":1}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			text := string(good) + "\n" + tt.line + "\n" + string(good) + "\n"
			if err := os.WriteFile(filepath.Join(dir, journalName), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Start(t.Context(), Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "line ") {
				t.Fatalf("got error %v, want one that names the line", err)
			}
			now, err := os.ReadFile(filepath.Join(dir, journalName))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(text, string(now)); diff != "" {
				t.Errorf("the damaged journal was changed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAJournalThatCannotBeReadIsAnError(t *testing.T) {
	broken := errors.New("input/output error")
	if _, err := replay(io.MultiReader(strings.NewReader("{"), iotest.ErrReader(broken)), func(entry) error { return nil }); !errors.Is(err, broken) {
		t.Errorf("got error %v, want %v", err, broken)
	}
}

// What could not be written down was not done.
func TestAChangeThatCannotBeKeptIsNotMade(t *testing.T) {
	dir := t.TempDir()
	r := start(t, Config{Dir: dir})
	fill(t, r)
	want := everything(t, r)
	if err := r.known.journal.file.Close(); err != nil { // the disk is gone
		t.Fatal(err)
	}
	play(t, r, []step{
		{name: "no new schema", method: "POST", path: "/subjects/new/versions", body: request(`"int"`), status: 500, contains: `"error_code":50001`},
		{name: "no new level", method: "PUT", path: "/config", body: `{"compatibility":"NONE"}`, status: 500, contains: `"error_code":50001`},
		{name: "no deletion", method: "DELETE", path: "/subjects/u", status: 500, contains: `"error_code":50001`},
	})
	if diff := cmp.Diff(want, everything(t, r)); diff != "" {
		t.Errorf("after failed changes (-want +got):\n%s", diff)
	}
	r.known.journal.file = nil // so that closing it is no error
}

func TestManyAtOnceGetOneIDForOneSchema(t *testing.T) {
	r := start(t, Config{})
	var clients sync.WaitGroup
	ids := make([]string, 16)
	for i := range ids {
		clients.Go(func() {
			_, ids[i] = ask(t, r, "POST", fmt.Sprintf("/subjects/s%d/versions", i%4), request(order("a")))
		})
	}
	clients.Wait()
	for i, got := range ids {
		if got != `{"id":1}` {
			t.Errorf("client %d: got %s, want id 1", i, got)
		}
	}
}

// Schemas that are small and unfold without end, deep, wide or long: each is answered soon, and the
// registry lives.
func TestAHostileSchemaIsAnswered(t *testing.T) {
	doubling := `{"type":"record","name":"R0","fields":[{"name":"x","type":"int","default":1}]}`
	for i := range 60 {
		doubling = fmt.Sprintf(`{"type":"record","name":"R%d","fields":[{"name":"a","type":%s,"default":{}},{"name":"b","type":"R%d","default":{}}]}`, i+1, doubling, i)
	}
	symbols := make([]string, 90_000)
	for i := range symbols {
		symbols[i] = fmt.Sprintf(`"S%d"`, i)
	}
	r := start(t, Config{})
	for _, tt := range []struct {
		name, schema string
		status       int
	}{
		{name: "defaults that double sixty times", schema: doubling, status: 422},
		{name: "a hundred thousand arrays", schema: strings.Repeat(`{"type":"array","items":`, 40_000) + `"int"` + strings.Repeat("}", 40_000), status: 422},
		{name: "a default that contains itself", schema: `{"type":"record","name":"A","fields":[{"name":"a","type":"A","default":{}}]}`, status: 422},
		{name: "decimals of sixty thousand digits", schema: `{"type":"record","name":"A","fields":[{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":65536,"scale":65535},"default":"\u0001"}]}`, status: 200},
		{name: "an enum of ninety thousand symbols", schema: `{"type":"enum","name":"E","symbols":[` + strings.Join(symbols, ",") + `]}`, status: 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			began := time.Now()
			status, answer := ask(t, r, "POST", fmt.Sprintf("/subjects/h%d/versions", rand.Int()), request(tt.schema))
			if status != tt.status {
				t.Errorf("got status %d, want %d: %.200s", status, tt.status, answer)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func FuzzReplay(f *testing.F) {
	f.Add([]byte(`{"subject":"s","version":1,"id":1,"schema":"\"int\""}` + "\n" + `{"subject":"s","deleted":1}` + "\n"))
	f.Add([]byte(`{"level":"FULL"}` + "\n" + `{"mode":"READONLY"}` + "\n{"))
	f.Fuzz(func(t *testing.T, journal []byte) {
		s := &subjects{byID: map[int]*schema{}, byForm: map[string]*schema{}, named: map[string]*subject{}}
		size, err := replay(bytes.NewReader(journal), s.replay)
		if err != nil {
			return
		}
		if size > int64(len(journal)) || size > 0 && journal[size-1] != '\n' {
			t.Errorf("the journal is whole up to %d of %d bytes", size, len(journal))
		}
		for name, of := range s.named {
			for _, v := range of.versions {
				if s.byID[v.schema.id] != v.schema || v.number > of.newest {
					t.Errorf("version %d of %q: its id %d leads elsewhere", v.number, name, v.schema.id)
				}
			}
		}
	})
}
