package brazefake_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
)

// post sends a body as a well-mannered client would, changed by alter if that is given.
func post(s *brazefake.Sandbox, body string, alter ...func(*http.Request)) *http.Response {
	r := httptest.NewRequest(http.MethodPost, "/users/track", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+brazefake.DefaultKey)
	r.Header.Set("Content-Type", "application/json")
	for _, a := range alter {
		a(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// refusals are the errors of an answer as "array[index] type".
func refusals(t *testing.T, body string) (out []string) {
	t.Helper()
	var answer struct {
		Errors []struct {
			Index int    `json:"index"`
			Array string `json:"input_array"`
			Type  string `json:"type"`
		} `json:"errors"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	for _, e := range answer.Errors {
		out = append(out, fmt.Sprintf("%s[%d] %s", e.Array, e.Index, e.Type))
	}
	return out
}

const event = `{"external_id":"crm-1","name":"a","time":"2026-03-04T05:06:07Z"}`

// events is a body of n events.
func events(n int) string {
	return `{"events":[` + strings.Repeat(event+",", n-1) + event + `]}`
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Del(name)
		if value != "" {
			r.Header.Set(name, value)
		}
	}
}

func TestRequestsAreAnsweredAsDocumented(t *testing.T) {
	limited := []brazefake.Key{{Value: "limited", Permissions: []string{"campaigns.trigger.send"}}, {Value: "full", Permissions: []string{"users.track"}}}
	tests := []struct {
		name    string
		options brazefake.Options
		body    string
		alter   func(*http.Request)
		status  int
		answer  string
		manners int // violations
	}{
		{name: "an event is accepted", body: events(1), status: 201, answer: `{"message":"success","events_processed":1}`},
		{
			name: "counters appear for the arrays that were sent", status: 201,
			body:   `{"purchases":[],"attributes":[{"external_id":"a","x":1},{"external_id":"b","x":1}],"events":[` + event + `]}`,
			answer: `{"message":"success","attributes_processed":2,"events_processed":1,"purchases_processed":0}`,
		},
		{
			name: "an object that fails is named, and the rest accepted", status: 201,
			body:   `{"events":[` + event + `,{"external_id":"crm-1","name":"a","time":"soon"}]}`,
			answer: `{"message":"success","events_processed":1,"errors":[{"index":1,"input_array":"events","type":"'time' is not a valid datetime"}]}`,
		},
		{
			name: "even if no object is left", status: 201, body: `{"events":[{}]}`,
			answer: `{"message":"success","events_processed":0,"errors":[{"index":0,"input_array":"events","type":"one of external_id, user_alias, braze_id, email and phone is needed"}]}`,
		},
		{
			name: "unless the knob says 400", status: 400, body: `{"events":[{}]}`,
			options: brazefake.Options{Knobs: brazefake.Knobs{AllFailedStatus: 400}},
			answer:  `{"message":"no valid objects","events_processed":0,"errors":[{"index":0,"input_array":"events","type":"one of external_id, user_alias, braze_id, email and phone is needed"}]}`,
		},

		{name: "no key is 401", body: events(1), alter: header("Authorization", ""), status: 401},
		{name: "an unknown key is 401", body: events(1), alter: header("Authorization", "Bearer Sandbox"), status: 401},
		{name: "another scheme is 401", body: events(1), alter: header("Authorization", "Basic sandbox"), status: 401},
		{name: "the scheme may be written in any case", body: events(1), alter: header("Authorization", "bEARER sandbox"), status: 201},
		{name: "quotes are part of the key", body: events(1), alter: header("Authorization", `Bearer "sandbox"`), status: 401},
		{name: "a key without the permission is 403", body: events(1), options: brazefake.Options{Keys: limited}, alter: header("Authorization", "Bearer limited"), status: 403},
		{name: "a key with the permission may", body: events(1), options: brazefake.Options{Keys: limited}, alter: header("Authorization", "Bearer full"), status: 201},
		{name: "a trailing slash is 403", body: events(1), alter: func(r *http.Request) { r.URL.Path += "/" }, status: 403},
		{name: "another path is 404", body: events(1), alter: func(r *http.Request) { r.URL.Path = "/users/trak" }, status: 404},
		{name: "another method is 405", body: events(1), alter: func(r *http.Request) { r.Method = http.MethodPut }, status: 405},
		{name: "no content type is 415", body: events(1), alter: header("Content-Type", ""), status: 415},
		{name: "another content type is 415", body: events(1), alter: header("Content-Type", "text/json"), status: 415},
		{name: "a charset does no harm", body: events(1), alter: header("Content-Type", "application/json; charset=utf-8"), status: 201},
		{name: "gzip is 415", body: events(1), alter: header("Content-Encoding", "gzip"), status: 415},

		{name: "no body is 400", status: 400, answer: `{"error":"the body could not be parsed: send valid JSON as application/json"}`},
		{name: "broken JSON is 400", body: events(1)[1:], status: 400},
		{name: "JSON that breaks off is 400", body: strings.TrimSuffix(events(1), "}"), status: 400},
		{name: "text that is not UTF-8 is 400", body: "{\"events\":[{\"external_id\":\"\xff\"}]}", status: 400},
		{name: "an array in place of the object is 400", body: `[` + event + `]`, status: 400},
		{name: "an array that is none is 400", body: `{"events":` + event + `}`, status: 400, answer: `{"message":"'events' must be an array of objects"}`},
		{name: "a body without objects is 400", body: `{}`, status: 400},
		{name: "a body with empty arrays is 400", body: `{"events":[],"attributes":[]}`, status: 400},
		{name: "an object that is none is refused alone", body: `{"events":[7,` + event + `]}`, status: 201, answer: `{"message":"success","events_processed":1,"errors":[{"index":0,"input_array":"events","type":"not an object"}]}`},
		{name: "more than 4 MB are 413", body: `{"events":[` + event + strings.Repeat(" ", braze.MaxBody) + `]}`, status: 413, manners: 1},

		{name: "75 objects are accepted", body: events(75), status: 201},
		{name: "76 are 400", body: events(76), status: 400, answer: `{"message":"Max Input Length Exceeded"}`, manners: 1},
		{
			name: "76 over two arrays are 400", status: 400, manners: 1,
			body: `{"attributes":[{"external_id":"a","x":1}],` + events(75)[1:],
		},
		{
			name: "legacy accounts may send 75 in each array", status: 201, options: brazefake.Options{LegacyArrays: true},
			body: `{"attributes":[{"external_id":"a","x":1}],` + events(75)[1:],
		},
		{name: "but not 76", body: events(76), status: 400, options: brazefake.Options{LegacyArrays: true}, manners: 1},
		{name: "some contracts may send 50", body: events(50), status: 201, options: brazefake.Options{MaxObjects: 50}},
		{name: "but not 51", body: events(51), status: 400, options: brazefake.Options{MaxObjects: 50}, manners: 1},
		{name: "Braze may be down", body: events(1), status: 503, options: brazefake.Options{Knobs: brazefake.Knobs{Down: true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := brazefake.New(tt.options)
			if tt.alter == nil {
				tt.alter = func(*http.Request) {}
			}
			r := post(s, tt.body, tt.alter)
			got := text(t, r)
			if r.StatusCode != tt.status {
				t.Errorf("status %d, want %d: %s", r.StatusCode, tt.status, got)
			}
			if tt.answer != "" && got != tt.answer {
				t.Errorf("answer (-want +got):\n%s", cmp.Diff(tt.answer, got))
			}
			if !json.Valid([]byte(got)) {
				t.Errorf("the answer is not JSON: %s", got)
			}
			if v := s.Violations(); len(v) != tt.manners {
				t.Errorf("violations %q, want %d", v, tt.manners)
			}
			if stats := s.Stats(); stats.Requests != 1 || stats.ByStatus[fmt.Sprint(tt.status)] != 1 {
				t.Errorf("counted %d requests, by status %v", stats.Requests, stats.ByStatus)
			}
		})
	}
}

func TestObjectsAreRefusedAsDocumented(t *testing.T) {
	const (
		uuid = "01234567-89ab-cdef-0123-456789ABCDEF"
		at   = `"time":"2026-03-04T05:06:07Z"`
	)
	long := strings.Repeat("x", 256)
	user := func(rest string) string { return `{"external_id":"crm-1",` + rest + `}` }
	named := func(rest string) string { return `{"external_id":"crm-1","name":"a",` + at + rest + `}` }
	bought := func(rest string) string {
		return `{"external_id":"crm-1","product_id":"P1",` + at + rest + `}`
	}
	tests := []struct {
		name   string
		array  string
		object string
		want   string // refusal; empty for acceptance
	}{
		{"an external id will do", "events", named(``), ""},
		{"an alias will do", "events", `{"user_alias":{"alias_label":"lead","alias_name":"7"},"name":"a",` + at + `}`, ""},
		{"a braze id will do", "events", `{"braze_id":"5a4db0","name":"a",` + at + `}`, ""},
		{"an email will do", "events", `{"email":"a@example.org","name":"a",` + at + `}`, ""},
		{"a phone number will do", "events", `{"phone":"+431234567","name":"a",` + at + `}`, ""},
		{"nobody will not", "events", `{"name":"a",` + at + `}`, "one of external_id, user_alias, braze_id, email and phone is needed"},
		{"two primary identifiers will not", "events", `{"external_id":"a","braze_id":"b","name":"a",` + at + `}`, "more than one of external_id, user_alias and braze_id"},
		{"an external id and an alias neither", "attributes", `{"external_id":"a","user_alias":{"alias_label":"lead","alias_name":"7"}}`, "more than one of external_id, user_alias and braze_id"},
		{"a primary identifier beside an email is no conflict", "attributes", user(`"email":"a@example.org","phone":"anything"`), ""},
		{"an empty external id is none", "events", `{"external_id":"","name":"a",` + at + `}`, "'external_id' must be a string that is not empty"},
		{"a number is no external id", "events", `{"external_id":7,"name":"a",` + at + `}`, "'external_id' must be a string that is not empty"},
		{"half an alias is none", "events", `{"user_alias":{"alias_label":"lead"},"name":"a",` + at + `}`, "'user_alias' must have the strings alias_name and alias_label"},
		{"an email that is none looks nobody up", "events", `{"email":"nobody","name":"a",` + at + `}`, "EMAIL_BAD_FORMAT"},
		{"a phone number that is none neither", "events", `{"phone":"0043 1","name":"a",` + at + `}`, "'phone' is not a valid number"},
		{"an external id of 987 bytes is accepted", "attributes", `{"external_id":"` + strings.Repeat("x", 987) + `"}`, ""},
		{"one of 988 is not", "attributes", `{"external_id":"` + strings.Repeat("x", 988) + `"}`, "EXTERNAL_USER_ID_TOO_LARGE"},
		{"bytes count, not characters", "attributes", `{"external_id":"` + strings.Repeat("ü", 494) + `"}`, "EXTERNAL_USER_ID_TOO_LARGE"},
		{"a blocked user is refused", "events", `{"external_id":"dummy","name":"a",` + at + `}`, "BLACKLISTED_EXTERNAL_USER_ID"},

		{"an event needs a name", "events", `{"external_id":"crm-1",` + at + `}`, "'name' must be a string that is not empty"},
		{"an event needs a time", "events", `{"external_id":"crm-1","name":"a"}`, "'time' is not a valid datetime"},
		{"milliseconds and an offset are a time", "events", `{"external_id":"crm-1","name":"a","time":"2026-03-04T05:06:07.123+01:00"}`, ""},
		{"so is a colon before the milliseconds", "events", `{"external_id":"crm-1","name":"a","time":"2026-03-04T05:06:07:123Z"}`, ""},
		{"so is a day", "events", `{"external_id":"crm-1","name":"a","time":"2026-03-04"}`, ""},
		{"epoch seconds are none", "events", `{"external_id":"crm-1","name":"a","time":1772600767}`, "'time' is not a valid datetime"},
		{"the 30th of February is none", "events", `{"external_id":"crm-1","name":"a","time":"2026-02-30T05:06:07Z"}`, "'time' is not a valid datetime"},
		{"properties may be anything within the rules", "events", named(`,"properties":{"n":1,"s":"x","a":[1],"o":{"k":"v"}}`), ""},
		{"properties must be an object", "events", named(`,"properties":[]`), "Invalid 'properties' field: properties must be a JSON object"},
		{"time is reserved", "events", named(`,"properties":{"time":1}`), "Invalid 'properties' field: properties.time has a name that is reserved"},
		{"event_name is reserved", "events", named(`,"properties":{"event_name":1}`), "Invalid 'properties' field: properties.event_name has a name that is reserved"},
		{"a leading dollar is refused", "events", named(`,"properties":{"$x":1}`), "Invalid 'properties' field: properties.$x has a name that begins with $"},
		{"a name may be that long", "events", named(`,"properties":{"` + long[1:] + `":1}`), ""},
		{"and no longer", "events", named(`,"properties":{"` + long + `":1}`), "Invalid 'properties' field: properties." + long[:64] + "… has a name of more than 255 characters"},
		{"a string may be that long", "events", named(`,"properties":{"x":"` + long[1:] + `"}`), ""},
		{"and no longer either", "events", named(`,"properties":{"x":"` + long + `"}`), "Invalid 'properties' field: properties.x is longer than 255 characters"},
		{"102,400 bytes of properties are too many", "events", named(`,"properties":{"x":[` + strings.Repeat("1,", 51_200) + `1]}`), "Invalid 'properties' field: properties is larger than Braze takes"},
		{"an app id is a string", "events", named(`,"app_id":7`), "'app_id' must be a string"},

		{"a purchase", "purchases", bought(`,"currency":"EUR","price":9.9`), ""},
		{"a refund has a negative price", "purchases", bought(`,"currency":"EUR","price":-9.9,"quantity":100`), ""},
		{"a purchase needs a product", "purchases", `{"external_id":"crm-1","currency":"EUR","price":1,` + at + `}`, "'product_id' must be a string of 1 to 255 characters"},
		{"with a name that is not too long", "purchases", `{"external_id":"crm-1","product_id":"` + long + `","currency":"EUR","price":1,` + at + `}`, "'product_id' must be a string of 1 to 255 characters"},
		{"a purchase needs a time", "purchases", `{"external_id":"crm-1","product_id":"P1","currency":"EUR","price":1}`, "'time' is not a valid datetime"},
		{"a purchase needs a currency", "purchases", bought(`,"price":1`), "'currency' must be an ISO 4217 currency"},
		{"in capitals", "purchases", bought(`,"price":1,"currency":"eur"`), "'currency' must be an ISO 4217 currency"},
		{"a purchase needs a price", "purchases", bought(`,"currency":"EUR","price":"9.9"`), "'price' must be a number"},
		{"a quantity is at most 100", "purchases", bought(`,"currency":"EUR","price":1,"quantity":101`), "'quantity' must be an integer from 1 to 100"},
		{"a quantity is whole", "purchases", bought(`,"currency":"EUR","price":1,"quantity":1.5`), "'quantity' must be an integer from 1 to 100"},
		{"purchases reserve price", "purchases", bought(`,"currency":"EUR","price":1,"properties":{"price":1}`), "Invalid 'properties' field: properties.price has a name that is reserved"},
		{"events do not", "events", named(`,"properties":{"price":1}`), ""},

		{"an email must look like one", "attributes", user(`"email":"a@b"`), "EMAIL_BAD_FORMAT"},
		{"null removes it", "attributes", user(`"email":null`), ""},
		{"email_subscribe has three states", "attributes", user(`"email_subscribe":"maybe"`), "BAD_EMAIL_SUBSCRIPTION_STATE"},
		{"push_subscribe has them too", "attributes", user(`"push_subscribe":true`), "BAD_PUSH_SUBSCRIPTION_STATE"},
		{"each is accepted", "attributes", user(`"email_subscribe":"opted_in","push_subscribe":"unsubscribed"`), ""},
		{"a location has both coordinates", "attributes", user(`"current_location":{"longitude":16.4}`), "BAD_LOCATION_UPDATE"},
		{"then it is accepted", "attributes", user(`"current_location":{"longitude":16.4,"latitude":48.2}`), ""},
		{"subscription groups are an array", "attributes", user(`"subscription_groups":{}`), "BAD_SUBSCRIPTION_GROUP_ARRAY"},
		{"of objects with both keys", "attributes", user(`"subscription_groups":[{"subscription_group_id":"` + uuid + `"}]`), "BAD_SUBSCRIPTION_GROUP_HASH"},
		{"whose id is a UUID", "attributes", user(`"subscription_groups":[{"subscription_group_id":"1","subscription_state":"subscribed"}]`), "BAD_SUBSCRIPTION_GROUP_ID"},
		{"and whose state is one of two", "attributes", user(`"subscription_groups":[{"subscription_group_id":"` + uuid + `","subscription_state":"opted_in"}]`), "BAD_SUBSCRIPTION_GROUP_STATE"},
		{"then they are accepted", "attributes", user(`"subscription_groups":[{"subscription_group_id":"` + uuid + `","subscription_state":"subscribed"}]`), ""},
		{"push tokens are an array", "attributes", user(`"push_tokens":"t"`), "BAD_PUSH_TOKEN_VALUE"},
		{"of objects", "attributes", user(`"push_tokens":["t"]`), "BAD_PUSH_TOKEN_VALUE"},
		{"with a token", "attributes", user(`"push_tokens":[{"app_id":"a","token":7}]`), "BAD_PUSH_TOKEN_STRING"},
		{"and an app", "attributes", user(`"push_tokens":[{"token":"t"}]`), "BAD_PUSH_TOKEN_APP_ID"},
		{"and a device of 8 bytes or more", "attributes", user(`"push_tokens":[{"app_id":"a","token":"t","device_id":"1234567"}]`), "BAD_DEVICE_ID"},
		{"then they are accepted", "attributes", user(`"push_tokens":[{"app_id":"a","token":"` + long + `","device_id":"12345678"}]`), ""},
		{"an import needs no user", "attributes", `{"push_token_import":true,"push_tokens":[{"app_id":"a","token":"t"}]}`, ""},
		{"and must have none", "attributes", user(`"push_token_import":true,"push_tokens":[{"app_id":"a","token":"t"}]`), "BAD_PUSH_TOKEN_IMPORT"},
		{"and needs tokens", "attributes", `{"push_token_import":true}`, "BAD_PUSH_TOKEN_IMPORT"},
		{"email_subscription_info is no attribute", "attributes", user(`"email_subscription_info":{}`), "INVALID_ATTRIBUTE_EMAIL_SUBSCRIPTION_INFO"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := brazefake.New(brazefake.Options{BlockedIDs: []string{"dummy"}})
			r := post(s, fmt.Sprintf(`{%q:[%s]}`, tt.array, tt.object))
			var want []string
			if tt.want != "" {
				want = []string{tt.array + "[0] " + tt.want}
			}
			body := text(t, r)
			if r.StatusCode != 201 {
				t.Fatalf("status %d: %s", r.StatusCode, body)
			}
			if diff := cmp.Diff(want, refusals(t, body)); diff != "" {
				t.Errorf("refusals (-want +got):\n%s", diff)
			}
			for e := range s.Received() {
				if want := map[bool]brazefake.Fate{true: brazefake.Answered, false: brazefake.RefusedItem}[tt.want == ""]; e.Fate != want || e.Refusal != tt.want {
					t.Errorf("fate %s, refusal %q", e.Fate, e.Refusal)
				}
			}
		})
	}
}
