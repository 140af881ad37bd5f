package ingest

import (
	"fmt"
	"strings"
	"testing"
)

// TestTraitsBecomeWhatBrazeTakes has for each trait what is left of it; plan stands for all that must not be
// lost because of it.
func TestTraitsBecomeWhatBrazeTakes(t *testing.T) {
	long, clipped := strings.Repeat("ä", 300), strings.Repeat("ä", 255)
	for _, c := range []struct{ trait, want string }{
		// Addresses and numbers.
		{`"email":"mira@example.org"`, `"email":"mira@example.org",`},
		{`"email":" mira@example.org "`, `"email":"mira@example.org",`},
		{`"email":""`, ``},
		{`"email":"mira@intranet"`, ``},
		{`"email":"a,b@example.org"`, ``},
		{`"email":true`, ``},
		{`"phone":"+43 (664) 123-456"`, `"phone":"+43664123456",`},
		{`"phone":"0043/664/123456"`, `"phone":"+43664123456",`},
		{`"phone":"0664 123456"`, ``},
		{`"phone":123`, ``},
		{`"phone":""`, ``},
		{`"phone":"+43123"`, ``},
		// Codes.
		{`"country":"at"`, `"country":"AT",`},
		{`"country":"UK"`, `"country":"GB",`},
		{`"country":"Austria"`, `,"country_name":"Austria"`},
		{`"country":"XK"`, `,"country_name":"XK"`},
		{`"country":""`, ``},
		{`"country":43`, ``},
		{`"country":"Austria","country_name":"A"`, `,"country_name":"A"`},
		{`"country_name":"A","country":"Austria"`, `"country_name":"A",`},
		{`"address":{"city":"Wien","country":"Austria"}`, `"home_city":"Wien",|,"country_name":"Austria"`},
		{`"address":{"country":"Austria"},"country":"AT"`, `"country":"AT",`},
		{`"language":"de-AT"`, `"language":"de",`},
		{`"language":"German"`, ``},
		{`"gender":"Female"`, `"gender":"F",`},
		{`"gender":"?"`, ``},
		{`"time_zone":"Europe/Vienna"`, `"time_zone":"Europe/Vienna",`},
		{`"time_zone":"CEST"`, ``},
		{`"time_zone":"../etc"`, ``},
		// States.
		{`"email_subscribe":"unsubscribed"`, `"email_subscribe":"unsubscribed",`},
		{`"email_subscribe":"Opted-In"`, `"email_subscribe":"opted_in",`},
		{`"email_subscribe":false`, `"email_subscribe":"unsubscribed",`},
		{`"push_subscribe":true`, `"push_subscribe":"subscribed",`},
		{`"email_subscribe":"opted out"`, `"email_subscribe":"unsubscribed",`},
		{`"email_subscribe":"perhaps"`, ``},
		{`"email_subscribe":1`, ``},
		{`"email_subscription_info":1`, ``},
		// Days and times.
		{`"dob":"1990-4-3"`, `"dob":"1990-04-03",`},
		{`"dob":"in spring"`, ``},
		{`"birthday":"in spring"`, `,"birthday":"in spring"`},
		{`"date_of_first_session":"2026-03-02 10:00:00"`, `"date_of_first_session":"2026-03-02T10:00:00Z",`},
		{`"date_of_last_session":"soon"`, ``},
		// Shapes.
		{`"current_location":{"latitude":48.2,"longitude":16.37,"x":1}`, `"current_location":{"longitude":16.37,"latitude":48.2},`},
		{`"current_location":{"latitude":148.2,"longitude":16.37}`, ``},
		{`"current_location":"Wien"`, ``},
		{`"twitter":"@mira"`, ``},
		{`"facebook":{"id":"1","likes":null}`, `"facebook":{"id":"1"},`},
		{`"email_open_tracking_disabled":"true"`, `"email_open_tracking_disabled":true,`},
		{`"email_click_tracking_disabled":1`, ``},
		// Names and places.
		{`"first_name":"` + long + `"`, `"first_name":"` + clipped + `",`},
		{`"firstName":""`, ``},
		{`"avatar":"https://x/` + long + `"`, `,"avatar":"https://x/` + clipped[:len("ä")*245] + `"`},
		// Custom attributes.
		{`"bio":"` + long + `"`, `,"bio":"` + clipped + `"`},
		{`"bio":"\u00e4` + long + `"`, `,"bio":"` + clipped + `"`},
		{`"bio":""`, `,"bio":""`},
		{`"big":1e400`, ``},
		{`"$plan_name":"x"`, `,"plan_name":"x"`},
		{`" a":1,"a":2`, `,"a":1`},
		{`"a":1,"$a":2`, `,"a":1`},
		{`"":1`, ``},
		{`"a\u0000":1`, ``},
		{`"$external_id":"x"," user_alias":{}`, ``},
		{`"$email":"x@example.org"`, `"email":"x@example.org",`},
		{`"` + long + `":1`, ``},
		{`"o":{"a":null,"b c":{"d":[null,1,"` + long + `"]},"b_c":2,"$e":3,"":4}`, `,"o":{"b_c":{"d":[1,"` + clipped + `"]},"e":3}`},
		{`"tags":["a",null,"b",[1],{"c":1}]`, `,"tags":["a","b"]`},
		{`"cars":[{"a b":1,"c":null},"x"]`, `,"cars":[{"a_b":1}]`},
		{`"at":{"$time":"2026-03-02"}`, `,"at":{"$time":"2026-03-02T00:00:00Z"}`},
		{`"at":{"$time":"soon","x":1}`, `,"at":{"x":1}`},
		{`"n":{"inc":1}`, `,"n":{"inc":1}`},
		{`"cars":{"$add":[{"a":1}]}`, `,"cars":{"$add":[{"a":1}]}`},
		{`"o":{"a":"` + strings.Repeat(`x","b`+strings.Repeat("y", 200)+`":"`, 1) + `"}`, `,"o":{"a":"x","b` + strings.Repeat("y", 200) + `":""}`},
		{`"o":` + manyMembers(300), ``},
		{`"n":{"inc":"1"}`, ``},
		{`"tags":{"add":["a"],"remove":["b"]}`, `,"tags":{"add":["a"],"remove":["b"]}`},
		{`"tags":{"add":[{"a":1}]}`, ``},
		{`"o":{ }`, `,"o":{}`},
	} {
		got := translated(t, "identify", `{"userId":"u","traits":{"plan":"gold",`+c.trait+`}}`)[0]
		if got.fate != toTopic || got.profile == nil {
			t.Errorf("%s: %s %s", c.trait, got.problem.field, got.problem.reason())
			continue
		}
		before, after, _ := strings.Cut(c.want, "|")
		if strings.HasPrefix(before, ",") {
			before, after = "", before
		}
		if before == `"country_name":"A",` { // a custom attribute stands where it was sent
			before, after = "", `,"country_name":"A"`
		}
		if want := "{" + before + `"plan":"gold"` + after + "}"; string(got.profile.Set) != want {
			t.Errorf("%s\n becomes %s\n     want %s", c.trait, got.profile.Set, want)
		}
	}
}

// manyMembers is an object of n texts of 255 characters.
func manyMembers(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"m%d":"%s"`, i, strings.Repeat("x", 255)))
	}
	return "{" + strings.Join(all, ",") + "}"
}

func TestAGroupIsTidiedToo(t *testing.T) {
	got := translated(t, "group", `{"userId":"u","groupId":"g","traits":{"employee count":12,"plan":null,"id":"x"}}`)[0]
	if want := `{"company":{"id":"g","employee_count":12}}`; string(got.profile.Set) != want {
		t.Errorf("got %s", got.profile.Set)
	}
	got = translated(t, "group", `{"userId":"u","groupId":"g","traits":`+manyMembers(300)+`}`)[0]
	if want := `{"company":{"id":"g"}}`; string(got.profile.Set) != want {
		t.Errorf("got %s", got.profile.Set)
	}
}

// TestANoStandsAlone sends an unsubscribe with what attribute-sync may refuse for reasons of its own.
func TestANoStandsAlone(t *testing.T) {
	d := newDoor(nil)
	d.shelf.inline = true
	for i, c := range []struct{ traits, want string }{
		{`{"tags":[1],"email_subscribe":"unsubscribed","push_subscribe":"opted_in","a":null}`, `m0 {"tags":[1]} | m0:states {"email_subscribe":"unsubscribed","push_subscribe":"opted_in"}`},
		{`{"email_subscribe":"unsubscribed"}`, `m1 {"email_subscribe":"unsubscribed"}`},
		{`{"email_subscribe":"unsubscribed","a":null}`, `m2 <nil> | m2:states {"email_subscribe":"unsubscribed"}`},
		{`{"my_email_subscribe":1,"a":{"email_subscribe":2}}`, `m3 {"my_email_subscribe":1,"a":{"email_subscribe":2}}`},
	} {
		d.shelf.records = nil
		body := fmt.Sprintf(`{"userId":"u","messageId":"m%d","traits":%s}`, i, c.traits)
		for range 2 { // a repeat is one, of both
			if w := d.ask("POST", "/v1/identify", body, "Authorization", "Bearer k1"); w.Code != 200 {
				t.Fatalf("answered %d %s", w.Code, w.Body)
			}
		}
		var got []string
		for _, r := range d.shelf.records {
			got = append(got, fmt.Sprint(r.headers["event-id"], " ", decode(t, "customer.profiles", r.value)["set_json"]))
		}
		if s := strings.Join(got, " | "); s != c.want {
			t.Errorf("%s\n becomes %s\n want %s", c.traits, s, c.want)
		}
	}
}
