package brazefake_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluicehq/sluice/pkg/braze/brazefake"
)

// send posts a body that is to be accepted with all its objects.
func send(t *testing.T, s *brazefake.Sandbox, body string) {
	t.Helper()
	r := post(s, body)
	if got := text(t, r); r.StatusCode != 201 || strings.Contains(got, "errors") {
		t.Fatalf("status %d for %s: %s", r.StatusCode, body, got)
	}
}

// attributes sends attributes objects, each in its own request.
func attributes(t *testing.T, s *brazefake.Sandbox, objects ...string) {
	t.Helper()
	for _, o := range objects {
		send(t, s, `{"attributes":[`+o+`]}`)
	}
}

func profile(t *testing.T, s *brazefake.Sandbox, user string) brazefake.Profile {
	t.Helper()
	p, found := s.Profile(user)
	if !found {
		t.Fatalf("nobody called %q", user)
	}
	return p
}

func TestCustomAttributes(t *testing.T) {
	long := strings.Repeat("x", 256)
	array := func(n int) string { // of n numbers
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, ",%d", i)
		}
		return "[" + b.String()[1:] + "]"
	}
	tests := []struct {
		name    string
		sent    []string // values of the attribute x, one request each
		merge   bool
		want    string // empty when there is none
		ignored int    // values that were left out
	}{
		{name: "a value is set", sent: []string{`"gold"`}, want: `"gold"`},
		{name: "the newest wins, of whatever type", sent: []string{`"gold"`, `7`, `true`}, want: `true`},
		{name: "large numbers keep all digits", sent: []string{`820982911946154508`}, want: `820982911946154508`},
		{name: "an empty string is a value", sent: []string{`""`}, want: `""`},
		{name: "null removes it", sent: []string{`"gold"`, `null`}},
		{name: "a string too long is left out", sent: []string{`"gold"`, `"` + long + `"`}, want: `"gold"`, ignored: 1},

		{name: "an integer is incremented", sent: []string{`5`, `{"inc":3}`, `{"inc":-10}`}, want: `-2`},
		{name: "and again when it is sent again", sent: []string{`{"inc":1}`, `{"inc":1}`}, want: `2`},
		{name: "nothing else is", sent: []string{`"five"`, `{"inc":1}`}, want: `"five"`, ignored: 1},
		{name: "by nothing else either", sent: []string{`5`, `{"inc":"1"}`}, want: `5`, ignored: 1},
		{name: "nor beyond its bounds", sent: []string{`9223372036854775807`, `{"inc":1}`}, want: `9223372036854775807`, ignored: 1},

		{name: "an array holds each value once", sent: []string{`["a","b","a"]`}, want: `["b","a"]`},
		{name: "adding moves what is there to the end", sent: []string{`["a","b"]`, `{"add":["a","c"]}`}, want: `["b","a","c"]`},
		{name: "adding again changes nothing", sent: []string{`{"add":["a"]}`, `{"add":["a"]}`}, want: `["a"]`},
		{name: "removing removes", sent: []string{`["a","b","c"]`, `{"remove":["b","x"]}`}, want: `["a","c"]`},
		{name: "both go at once", sent: []string{`["a","b"]`, `{"add":["c"],"remove":["a"]}`}, want: `["b","c"]`},
		{name: "nothing is added to a word", sent: []string{`"a"`, `{"add":["b"]}`}, want: `"a"`, ignored: 1},
		{name: "25 values are kept", sent: []string{array(25)}, want: array(25)},
		{name: "26 are left out", sent: []string{`["a"]`, array(26)}, want: `["a"]`, ignored: 1},
		{name: "adding the 26th is left out", sent: []string{array(25), `{"add":[99]}`}, want: array(25), ignored: 1},

		{name: "an object is set", sent: []string{`{"zip":"1010","at":{"$time":"2026-03-04"}}`}, want: `{"zip":"1010","at":{"$time":"2026-03-04"}}`},
		{name: "an object replaces another", sent: []string{`{"a":1,"b":2}`, `{"b":3}`}, want: `{"b":3}`},
		{name: "or is merged into it", merge: true, sent: []string{`{"a":1,"o":{"x":1,"y":2}}`, `{"b":3,"o":{"y":4}}`}, want: `{"a":1,"b":3,"o":{"x":1,"y":4}}`},
		{name: "a null in an object drops all of it", sent: []string{`{"a":1}`, `{"a":2,"b":null}`}, want: `{"a":1}`, ignored: 1},
		{name: "so does a date that is none", sent: []string{`{"at":{"$time":"soon"}}`}, ignored: 1},
		{name: "so does a name with a blank", sent: []string{`{"a b":1}`}, ignored: 1},

		{name: "objects are added", sent: []string{`[{"id":1}]`, `{"$add":[{"id":2}]}`}, want: `[{"id":1},{"id":2}]`},
		{name: "and again when they are sent again", sent: []string{`{"$add":[{"id":2}]}`, `{"$add":[{"id":2}]}`}, want: `[{"id":2},{"id":2}]`},
		{name: "objects are removed, all that match", sent: []string{`[{"id":1},{"id":2},{"id":1,"v":3}]`, `{"$remove":[{"$identifier_key":"id","$identifier_value":1}]}`}, want: `[{"id":2}]`},
		{name: "objects are updated", merge: true, sent: []string{`[{"id":1,"o":{"x":1}},{"id":2}]`, `{"$update":[{"$identifier_key":"id","$identifier_value":1,"$new_object":{"o":{"y":2}}}]}`}, want: `[{"id":1,"o":{"x":1,"y":2}},{"id":2}]`},
		{name: "but only when objects are merged", sent: []string{`[{"id":1}]`, `{"$update":[{"$identifier_key":"id","$identifier_value":1,"$new_object":{"v":2}}]}`}, want: `[{"id":1}]`, ignored: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := brazefake.New(brazefake.Options{})
			for _, value := range tt.sent {
				attributes(t, s, fmt.Sprintf(`{"external_id":"crm-1","_merge_objects":%v," x ":%s}`, tt.merge, value))
			}
			if got := string(profile(t, s, "crm-1").Custom["x"]); got != tt.want {
				t.Errorf("x is %s, want %s", got, tt.want)
			}
			if got := s.Stats().ValuesIgnored; got != int64(tt.ignored) {
				t.Errorf("%d values left out, want %d", got, tt.ignored)
			}
		})
	}
}

func TestProfileFields(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	attributes(t, s, `{"external_id":"crm-1","first_name":"Ada","email":"Ada@example.org","gender":"X","country":"Wien","dob":"1815-12-10",
		"time_zone":"Europe/London","language":"en","date_of_first_session":"03/04/2026","first_Name":"a custom one","gone":1,
		"email_subscribe":"opted_in","subscription_groups":[{"subscription_group_id":"01234567-89ab-cdef-0123-456789abcdef","subscription_state":"subscribed"}]}`,
		`{"external_id":"crm-1","first_name":null,"last_name":"Lovelace","country":"GB","time_zone":"Moon/Crater","dob":"yesterday","gone":null}`)
	got := profile(t, s, "crm-1")
	want := brazefake.Profile{
		ExternalID: "crm-1",
		Attributes: map[string]json.RawMessage{
			"email": []byte(`"Ada@example.org"`), "last_name": []byte(`"Lovelace"`), "country": []byte(`"GB"`), "dob": []byte(`"1815-12-10"`),
			"time_zone": []byte(`"Europe/London"`), "language": []byte(`"en"`), "date_of_first_session": []byte(`"03/04/2026"`),
			"email_subscribe": []byte(`"opted_in"`),
		},
		Custom:        map[string]json.RawMessage{"first_Name": []byte(`"a custom one"`)},
		Subscriptions: map[string]string{"01234567-89ab-cdef-0123-456789abcdef": "subscribed"},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(brazefake.Profile{}, "BrazeID", "CreatedAt", "UpdatedAt")); diff != "" {
		t.Errorf("profile (-want +got):\n%s", diff)
	}
	if got.BrazeID == "" || got.CreatedAt.IsZero() || got.UpdatedAt.Before(got.CreatedAt) {
		t.Errorf("braze id %q, created %v, updated %v", got.BrazeID, got.CreatedAt, got.UpdatedAt)
	}
}

func TestWhoIsCreatedAndWhoIsFound(t *testing.T) {
	alias := `"user_alias":{"alias_label":"lead","alias_name":"7"}`
	tests := []struct {
		name  string
		knobs brazefake.Knobs
		first string // attributes object that sets up somebody; may be empty
		body  string
		user  string
		found bool
		x     string // of whom that is
	}{
		{name: "an external id is created", body: `{"attributes":[{"external_id":"a","x":1}]}`, user: "a", found: true, x: "1"},
		{name: "unless it must exist", body: `{"attributes":[{"external_id":"a","x":1,"_update_existing_only":true}]}`, user: "a"},
		{name: "if it does, it is updated", first: `{"external_id":"a"}`, body: `{"attributes":[{"external_id":"a","x":1,"_update_existing_only":true}]}`, user: "a", found: true, x: "1"},
		{name: "an event creates it too", body: `{"events":[{"external_id":"a","name":"e","time":"2026-03-04"}]}`, user: "a", found: true},
		{name: "an alias must exist", body: `{"attributes":[{` + alias + `,"x":1}]}`, user: "alias:lead:7"},
		{name: "unless it says otherwise", body: `{"attributes":[{` + alias + `,"x":1,"_update_existing_only":false}]}`, user: "alias:lead:7", found: true, x: "1"},
		{name: "then it is found without", first: `{` + alias + `,"_update_existing_only":false}`, body: `{"attributes":[{` + alias + `,"x":1}]}`, user: "alias:lead:7", found: true, x: "1"},
		{name: "an event may create an alias", body: `{"events":[{` + alias + `,"name":"e","time":"2026-03-04","_update_existing_only":false}]}`, user: "alias:lead:7", found: true},
		{name: "or may not, as other pages have it", knobs: brazefake.Knobs{AliasEventsIgnored: true}, body: `{"events":[{` + alias + `,"name":"e","time":"2026-03-04","_update_existing_only":false}]}`, user: "alias:lead:7"},
		{name: "an email finds whom it belongs to, in any case", first: `{"external_id":"a","email":"Ada@Example.org"}`, body: `{"attributes":[{"email":"ada@example.ORG","x":1}]}`, user: "a", found: true, x: "1"},
		{name: "an unknown email is created", body: `{"attributes":[{"email":"ada@example.org","x":1}]}`, user: "email:ada@example.org", found: true, x: "1"},
		{name: "a phone number finds whom it belongs to", first: `{"external_id":"a","phone":"+431234567"}`, body: `{"attributes":[{"phone":"+431234567","x":1}]}`, user: "a", found: true, x: "1"},
		{name: "email goes before phone", first: `{"external_id":"a","phone":"+431234567"}`, body: `{"attributes":[{"phone":"+431234567","email":"b@example.org","x":1}]}`, user: "a", found: true},
		{name: "a primary identifier goes before email", first: `{"external_id":"a","email":"ada@example.org"}`, body: `{"attributes":[{"external_id":"b","email":"ada@example.org","x":1}]}`, user: "a", found: true},
		{name: "a braze id nobody has creates nobody", body: `{"attributes":[{"braze_id":"5a4db0","x":1}]}`, user: "braze_id:5a4db0"},
		{name: "somebody who changed address is not found under the old one", first: `{"external_id":"a","email":"old@example.org"}`, body: `{"attributes":[{"external_id":"a","email":"new@example.org"}]}`, user: "email:old@example.org"},
		{name: "but under the new one", first: `{"external_id":"a","email":"old@example.org"}`, body: `{"attributes":[{"external_id":"a","email":"new@example.org","x":1}]}`, user: "email:new@example.org", found: true, x: "1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := brazefake.New(brazefake.Options{Knobs: tt.knobs})
			if tt.first != "" {
				attributes(t, s, tt.first)
			}
			send(t, s, tt.body)
			p, found := s.Profile(tt.user)
			if found != tt.found {
				t.Fatalf("found: %v, want %v", found, tt.found)
			}
			if got := string(p.Custom["x"]); got != tt.x {
				t.Errorf("x is %q, want %q", got, tt.x)
			}
			if stats := s.Stats(); !tt.found && stats.Nobody == 0 && tt.first == "" {
				t.Error("the object for nobody is not counted")
			}
		})
	}
}

func TestOfSeveralWithOneEmailTheKnownOneUpdatedLastIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := brazefake.New(brazefake.Options{})
		for _, object := range []string{
			`{"external_id":"a","email":"x@example.org"}`,
			`{"external_id":"b","email":"x@example.org"}`,
			`{"external_id":"a","seen":1}`,
			`{"user_alias":{"alias_label":"l","alias_name":"n"},"_update_existing_only":false,"email":"x@example.org"}`,
		} {
			<-time.After(time.Second)
			attributes(t, s, object)
		}
		attributes(t, s, `{"email":"x@example.org","x":1}`)
		if got := string(profile(t, s, "a").Custom["x"]); got != "1" {
			t.Errorf("x of a is %q, want 1: a has an external id and was updated last of those who have", got)
		}
	})
}

func TestARequestIsAppliedAttributesThenEventsThenPurchases(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	send(t, s, `{"purchases":[{"external_id":"a","product_id":"P1","currency":"EUR","price":1,"time":"2026-03-04"}],
		"events":[{"user_alias":{"alias_label":"l","alias_name":"n"},"name":"e","time":"2026-03-04"}],
		"attributes":[{"user_alias":{"alias_label":"l","alias_name":"n"},"_update_existing_only":false}]}`)
	events := profile(t, s, "alias:l:n").Events
	purchases := profile(t, s, "a").Purchases
	if len(events) != 1 || len(purchases) != 1 {
		t.Fatalf("%d events and %d purchases, want one each: the attributes created the alias first", len(events), len(purchases))
	}
	if events[0].Applied >= purchases[0].Applied || events[0].Received >= purchases[0].Received {
		t.Errorf("the event is %+v, the purchase %+v; want the event first", events[0], purchases[0])
	}
}

func TestRepeatedEventsAreStoredAgain(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	send(t, s, events(2))
	send(t, s, events(1))
	if n := len(profile(t, s, "crm-1").Events); n != 3 {
		t.Errorf("%d events, want 3", n)
	}
}

func TestAnEventIsStoredAsItWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := brazefake.New(brazefake.Options{})
		now := time.Now().UTC()
		send(t, s, `{"events":[
			{"external_id":"a","name":"past","time":"1999-12-31T23:59:59.5Z","app_id":"app","properties":{"n":820982911946154508}},
			{"external_id":"a","name":"future","time":"2999-12-31T23:59:59Z"}],
			"purchases":[{"external_id":"a","product_id":"P1","currency":"EUR","price":9.90,"quantity":2,"time":"1999-12-31"}]}`)
		p := profile(t, s, "a")
		want := []brazefake.Event{
			{
				Name: "past", Time: time.Date(1999, 12, 31, 23, 59, 59, 500e6, time.UTC), AppID: []byte(`"app"`),
				Properties: []byte(`{"n":820982911946154508}`), Request: 1, Received: 1, Applied: 1,
			},
			{Name: "future", Time: now, Request: 1, Received: 2, Applied: 2, Clamped: true},
		}
		if diff := cmp.Diff(want, p.Events); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		want = []brazefake.Event{{
			Name: "P1", Time: time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC), Currency: []byte(`"EUR"`), Price: []byte("9.90"),
			Quantity: []byte("2"), Request: 1, Received: 3, Applied: 3,
		}}
		if diff := cmp.Diff(want, p.Purchases); diff != "" {
			t.Errorf("purchases (-want +got):\n%s", diff)
		}
		if n := s.Stats().TimesClamped; n != 1 {
			t.Errorf("%d times clamped, want 1", n)
		}
	})
}

func TestTheFirst256PropertiesAreKept(t *testing.T) {
	var b strings.Builder
	for i := range 300 {
		fmt.Fprintf(&b, `,"p%d":{"i":[%d]}`, i, i)
	}
	s := brazefake.New(brazefake.Options{})
	send(t, s, `{"events":[{"external_id":"a","name":"e","time":"2026-03-04","properties":{`+b.String()[1:]+`}}]}`)
	var kept map[string]json.RawMessage
	if err := json.Unmarshal(profile(t, s, "a").Events[0].Properties, &kept); err != nil {
		t.Fatal(err)
	}
	if len(kept) != 256 || kept["p255"] == nil || kept["p256"] != nil {
		t.Errorf("%d properties kept", len(kept))
	}
}

func TestMemoryIsBounded(t *testing.T) {
	s := brazefake.New(brazefake.Options{MaxProfiles: 3, MaxEventsPerUser: 2, MaxReceived: 5})
	for i := range 10 {
		attributes(t, s, fmt.Sprintf(`{"external_id":"u%d","email":"u%d@example.org"}`, i, i))
		for n := range 3 {
			send(t, s, fmt.Sprintf(`{"events":[{"external_id":"u%d","name":"e%d","time":"2026-03-04"}]}`, i, n))
		}
	}
	for i := range 10 {
		p, byID := s.Profile(fmt.Sprintf("u%d", i))
		_, byEmail := s.Profile(fmt.Sprintf("email:u%d@example.org", i))
		if want := i >= 7; byID != want || byEmail != want {
			t.Errorf("u%d: known by id %v, by email %v, want %v", i, byID, byEmail, want)
		}
		if byID && (len(p.Events) != 2 || p.Events[0].Name != "e1" || p.Events[1].Name != "e2" || p.EventCount != 3) {
			t.Errorf("u%d: %d events counted, kept %v; want the last two of three", i, p.EventCount, p.Events)
		}
	}
	if n := s.Stats().Profiles; n != 3 {
		t.Errorf("%d profiles, want 3", n)
	}
	var received []string
	for e := range s.Received() {
		received = append(received, e.User+e.Name)
	}
	if diff := cmp.Diff([]string{"u8e2", "u9", "u9e0", "u9e1", "u9e2"}, received); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
}

func TestResetForgetsEverything(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	send(t, s, events(3))
	post(s, events(99))
	s.Reset()
	if _, found := s.Profile("crm-1"); found || len(s.Violations()) != 0 || len(slices.Collect(s.Received())) != 0 {
		t.Error("something is still known")
	}
	want := brazefake.New(brazefake.Options{}).Stats()
	if diff := cmp.Diff(want, s.Stats()); diff != "" {
		t.Errorf("stats after a reset (-want +got):\n%s", diff)
	}
}

func TestRequestsCanBeAppliedInReverseOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := brazefake.New(brazefake.Options{Knobs: brazefake.Knobs{ApplyDelayMin: time.Minute}})
		send(t, s, `{"events":[{"external_id":"a","name":"first","time":"2026-03-04"}]}`)
		if err := s.SetKnobs(brazefake.Knobs{ApplyDelayMin: time.Second}); err != nil {
			t.Fatal(err)
		}
		send(t, s, `{"events":[{"external_id":"a","name":"second","time":"2026-03-04"}]}`)
		if _, found := s.Profile("a"); found || s.Stats().Pending != 2 {
			t.Errorf("applied before its time, %d pending", s.Stats().Pending)
		}
		if err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		names := func(events []brazefake.Event) (out []string) {
			for _, e := range events {
				out = append(out, e.Name)
			}
			return out
		}
		p := profile(t, s, "a")
		if diff := cmp.Diff([]string{"second", "first"}, names(p.Events)); diff != "" {
			t.Errorf("as applied (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"first", "second"}, names(brazefake.InOrderReceived(p.Events))); diff != "" {
			t.Errorf("as received (-want +got):\n%s", diff)
		}
	})
}
