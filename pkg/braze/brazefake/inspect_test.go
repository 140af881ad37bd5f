package brazefake_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
)

// told is a sandbox that has been told a few things.
func told(t *testing.T) *brazefake.Sandbox {
	t.Helper()
	s := brazefake.New(brazefake.Options{})
	attributes(t, s, `{"user_alias":{"alias_label":"lead","alias_name":"7"},"_update_existing_only":false,"tier":"gold"}`,
		`{"external_id":"crm/1","email":"ada@example.org","phone":"+431234567"}`)
	for i := range 3 {
		send(t, s, fmt.Sprintf(`{"events":[{"external_id":"crm/1","name":"e%d","time":"2026-03-04","properties":{"i":%d}}]}`, i%2, i))
	}
	post(s, `{"events":[{"external_id":"<script>alert(1)</script>","name":"e","time":"soon"}]}`)
	return s
}

func TestUsersAreFoundByEveryName(t *testing.T) {
	s := told(t)
	for path, want := range map[string]string{
		"/_sandbox/users/crm/1":                   "crm/1",
		"/_sandbox/users/crm%2F1":                 "crm/1",
		"/_sandbox/users/email:ada@example.org":   "crm/1",
		"/_sandbox/users?email=ADA%40example.org": "crm/1",
		"/_sandbox/users?phone=%2B431234567":      "crm/1",
		"/_sandbox/users?alias=lead:7":            "",
		"/_sandbox/users/alias:lead:7":            "",
	} {
		status, answer := ask(s, http.MethodGet, path, "")
		var p brazefake.Profile
		if err := json.Unmarshal([]byte(answer), &p); status != 200 || err != nil || p.ExternalID != want || p.BrazeID == "" {
			t.Errorf("%s: status %d, %v, %s", path, status, err, answer)
		}
	}
	for path, want := range map[string]int{
		"/_sandbox/users/nobody": 404, "/_sandbox/users?email=nobody": 404, "/_sandbox/users": 400, "/_sandbox/nothing": 404, "/nothing": 404,
	} {
		if status, _ := ask(s, http.MethodGet, path, ""); status != want {
			t.Errorf("%s: status %d, want %d", path, status, want)
		}
	}
}

func TestEventsAreListedNewestFirst(t *testing.T) {
	s := told(t)
	for query, want := range map[string][]string{
		"":                     {"e {} refused_item", `e0 {"i":2} answered`, `e1 {"i":1} answered`, `e0 {"i":0} answered`},
		"?user=crm/1":          {`e0 {"i":2} answered`, `e1 {"i":1} answered`, `e0 {"i":0} answered`},
		"?name=e0":             {`e0 {"i":2} answered`, `e0 {"i":0} answered`},
		"?user=crm/1&limit=1":  {`e0 {"i":2} answered`},
		"?user=nobody&limit=0": nil,
	} {
		_, answer := ask(s, http.MethodGet, "/_sandbox/events"+query, "")
		var list []struct {
			Array      string         `json:"input_array"`
			Name       string         `json:"name"`
			Properties map[string]int `json:"properties"`
			Fate       string         `json:"fate"`
		}
		if err := json.Unmarshal([]byte(answer), &list); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range list {
			properties, _ := json.Marshal(e.Properties)
			got = append(got, e.Name+" "+strings.Replace(string(properties), "null", "{}", 1)+" "+e.Fate)
			if e.Array != "events" {
				t.Errorf("array %q", e.Array)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events%s (-want +got):\n%s", query, diff)
		}
	}
}

func TestRequestsStatsAndViolationsAreJSON(t *testing.T) {
	s := told(t)
	post(s, events(76))
	var requests []brazefake.Request
	var stats brazefake.Stats
	var violations []string
	for path, into := range map[string]any{"requests?limit=2": &requests, "stats": &stats, "violations": &violations} {
		status, answer := ask(s, http.MethodGet, "/_sandbox/"+path, "")
		if err := json.Unmarshal([]byte(answer), into); err != nil || status != 200 {
			t.Fatalf("%s: status %d, %v in %s", path, status, err, answer)
		}
	}
	if len(requests) != 2 || requests[0].Status != 400 || requests[0].Number != 7 || requests[1].Refused != 1 || requests[1].Fate != brazefake.Answered {
		t.Errorf("requests %+v", requests)
	}
	if stats.Requests != 7 || stats.Received["events"] != 80 || stats.Applied["events"] != 3 || stats.Refused["events"] != 1 || stats.Profiles != 2 {
		t.Errorf("stats %+v", stats)
	}
	if stats.Fates[brazefake.Answered] != 5 || stats.Fates[brazefake.RefusedItem] != 1 || stats.Fates[brazefake.NotApplied] != 76 {
		t.Errorf("fates %v", stats.Fates)
	}
	if len(violations) != 1 || !strings.Contains(violations[0], "76") {
		t.Errorf("violations %q", violations)
	}
	if status, _ := ask(s, http.MethodPost, "/_sandbox/reset", ""); status != http.StatusNoContent || s.Stats().Requests != 0 {
		t.Errorf("status %d of the reset, then %d requests", status, s.Stats().Requests)
	}
}

func TestThePageShowsWhatHappenedAndRunsNobodysScript(t *testing.T) {
	s := told(t)
	_, before := ask(s, http.MethodGet, "/_sandbox/", "")
	post(s, events(76))
	status, page := ask(s, http.MethodGet, "/_sandbox/?q=crm/1", "")
	page += before
	if status != 200 {
		t.Fatalf("status %d", status)
	}
	for _, want := range []string{"crm/1", "ada@example.org", "not a valid datetime", "holds [0 76 0] objects", "Max Input Length Exceeded", "p5xx_after", "example.com/_sandbox/knobs"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	if strings.Contains(page, "<script>") {
		t.Error("a user's name is a script on the page")
	}
	if _, page := ask(s, http.MethodGet, "/_sandbox/?q=nobody", ""); !strings.Contains(page, "Nobody of that name") {
		t.Error("the page does not say that a user is unknown")
	}
	status, _ = ask(s, http.MethodGet, "/", "")
	if status != http.StatusFound {
		t.Errorf("status %d of the root, want a redirect to the page", status)
	}
}

func TestReceivedIsInTheOrderOfReceipt(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	send(t, s, `{"purchases":[{"external_id":"a","product_id":"P1","currency":"EUR","price":1,"time":"2026-03-04"}],
		"events":[{"external_id":"a","name":"e","time":"2026-03-04","properties":{"k":1}}],"attributes":[{"external_id":"a","x":1}]}`)
	send(t, s, events(1))
	var got []string
	for e := range s.Received() {
		got = append(got, fmt.Sprintf("%d/%d %v[%d] %s %s %s %s", e.Request, e.Place, e.Array, e.Index, e.User, e.Name, e.Properties, e.Fate))
	}
	want := []string{
		`1/1 attributes[0] a  {"external_id":"a","x":1} answered`,
		`1/2 events[0] a e {"k":1} answered`,
		`1/3 purchases[0] a P1  answered`,
		`2/4 events[0] crm-1 a  answered`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
	for range s.Received() {
		break // may be left
	}
}

// FuzzTrack holds that no body makes the sandbox panic or answer with anything but JSON, and that every
// object is accounted for once.
func FuzzTrack(f *testing.F) {
	for _, body := range []string{
		events(2), `{"attributes":[{"external_id":"a","x":{"$add":[{"a":1}]},"_merge_objects":true,"y":{"inc":1},"z":[1,1]}]}`,
		`{"attributes":[{"user_alias":{"alias_label":"l","alias_name":"n"},"_update_existing_only":false,"email":"a@b.c"},{"email":"a@b.c","x":{"a":{"b":null}}}]}`,
		`{"purchases":[{"phone":"+431234567","product_id":"\ud800","currency":"EUR","price":1e999,"time":"2026-03-04"}]}`,
		`{"events":[{"external_id":"a","name":"ecommerce.order_placed","time":"9999-12-31","properties":{"products":[{"a":[]}],"discounts":[1]}}]}`,
		`{"attributes":[{"external_id":"a","subscription_groups":[{}],"push_tokens":[[]],"current_location":7}]}`,
		`{"events":[],"events":[{"":{}}],"attributes":null}`, `[]`, `{"events":[[]]}`,
		`{"attributes":[{"external_id":"a","x":[{"i":1}]},{"external_id":"a","x":{"$remove":[{"$identifier_key":"i","$identifier_value":1}],"$update":[7]}}]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s := brazefake.New(brazefake.Options{})
		for range 2 {
			r := post(s, string(body))
			answer, err := io.ReadAll(r.Body)
			if err != nil || !json.Valid(answer) {
				t.Errorf("status %d: %s", r.StatusCode, answer)
			}
		}
		stats := s.Stats()
		received := int64(len(slices.Collect(s.Received())))
		accounted := stats.Fates[brazefake.Answered] + stats.Fates[brazefake.RefusedItem] + stats.Fates[brazefake.NotApplied]
		if received != accounted {
			t.Errorf("%d objects received, %d accounted for: %v", received, accounted, stats.Fates)
		}
		for a := braze.Attributes; a <= braze.Purchases; a++ {
			if name := a.String(); stats.Applied[name]+stats.Refused[name] > stats.Received[name] {
				t.Errorf("%s: %d applied and %d refused of %d", name, stats.Applied[name], stats.Refused[name], stats.Received[name])
			}
		}
	})
}
