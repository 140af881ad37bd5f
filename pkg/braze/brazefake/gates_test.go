package brazefake_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
)

// filled is a path of the endpoint.
func filled(e *braze.Endpoint) string { return e.At("thing", "item") }

func TestEveryEndpointHasItsGate(t *testing.T) {
	for _, e := range braze.Endpoints() {
		t.Run(e.String(), func(t *testing.T) {
			other := "users.track"
			if e.Permission == other {
				other = "users.delete"
			}
			s := brazefake.New(brazefake.Options{Keys: []brazefake.Key{
				{Value: "right", Permissions: []string{e.Permission}}, {Value: "wrong", Permissions: []string{other}},
			}})
			key := func(k string) func(*http.Request) { return header("Authorization", "Bearer "+k) }
			wrongMethod := http.MethodPut
			if strings.HasSuffix(e.Path, "/items") {
				wrongMethod = http.MethodGet
			}
			for name, tt := range map[string]struct {
				method, path, body string
				alter              []func(*http.Request)
				want               int
			}{
				"no key":                  {e.Method, filled(e), `{}`, []func(*http.Request){header("Authorization", "")}, 401},
				"an unknown key":          {e.Method, filled(e), `{}`, []func(*http.Request){key("nobody's")}, 401},
				"a key that may not":      {e.Method, filled(e), `{}`, []func(*http.Request){key("wrong")}, 403},
				"a trailing slash":        {e.Method, filled(e) + "/", `{}`, []func(*http.Request){key("right")}, 403},
				"another method":          {wrongMethod, filled(e), `{}`, []func(*http.Request){key("right")}, 405},
				"another content type":    {e.Method, filled(e), `{}`, []func(*http.Request){key("right"), header("Content-Type", "text/plain")}, 415},
				"a compressed body":       {e.Method, filled(e), `{}`, []func(*http.Request){key("right"), header("Content-Encoding", "gzip")}, 415},
				"a body that is no JSON":  {e.Method, filled(e), `{"a":`, []func(*http.Request){key("right")}, 400},
				"one that is no object":   {e.Method, filled(e), `[]`, []func(*http.Request){key("right")}, 400},
				"one with nothing in it":  {e.Method, filled(e), `{}`, []func(*http.Request){key("right")}, 400},
				"one that is too large":   {e.Method, filled(e), strings.Repeat(" ", e.MaxBody+1), []func(*http.Request){key("right")}, 413},
				"one that is a bit small": {e.Method, filled(e), "", []func(*http.Request){key("right")}, 400},
			} {
				if tt.want == 413 && e == braze.UsersTrackBulk {
					tt.want = 400
				}
				if status, answer := call(s, tt.method, tt.path, tt.body, tt.alter...); status != tt.want {
					t.Errorf("%s: status %d, want %d: %.200s", name, status, tt.want, answer)
				}
			}
		})
	}
}

func TestEveryEndpointSuffersMishaps(t *testing.T) {
	for _, e := range braze.Endpoints() {
		s := brazefake.New(brazefake.Options{})
		for name, k := range map[string]brazefake.Knobs{"down": {Down: true}, "throttled": {P429: 1}} {
			if err := s.SetKnobs(k); err != nil {
				t.Fatal(err)
			}
			want := map[string]int{"down": 503, "throttled": 429}[name]
			if status, _ := call(s, e.Method, filled(e), `{}`); status != want {
				t.Errorf("%v %s: status %d, want %d", e, name, status, want)
			}
		}
	}
}

// small is a request that draws from each pool.
var small = map[string]struct{ method, path, body string }{
	"track_bulk":     {"POST", "/users/track/bulk", `{"events":[` + event + `]}`},
	"track_sync":     {"POST", "/users/track/sync", `{"events":[` + event + `]}`},
	"general":        {"POST", "/campaigns/trigger/send", `{"campaign_id":"c","recipients":[{"external_user_id":"a"}]}`},
	"broadcast":      {"POST", "/canvas/trigger/send", `{"canvas_id":"c","broadcast":true}`},
	"send_ids":       {"POST", "/sends/id/create", `{"campaign_id":"c"}`},
	"subscription":   {"POST", "/subscription/status/set", `{"subscription_group_id":"g","subscription_state":"subscribed","external_id":["a"]}`},
	"user_lifecycle": {"POST", "/users/delete", `{"external_ids":["a"]}`},
	"rename":         {"POST", "/users/external_ids/rename", `{"external_id_renames":[{"current_external_id":"a","new_external_id":"b"}]}`},
	"export":         {"POST", "/users/export/ids", `{"external_ids":["a"],"fields_to_export":["email"]}`},
	"catalogs":       {"POST", "/catalogs", `{"catalogs":[{"name":"n","fields":[{"name":"id","type":"string"}]}]}`},
	"catalog_fields": {"POST", "/catalogs/n/fields", `{"fields":[{"name":"price","type":"number"}]}`},
	"catalog_items":  {"DELETE", "/catalogs/n/items", `{"items":[{"id":"a"}]}`},
	"catalog_item":   {"POST", "/catalogs/n/items/a", `{"items":[{}]}`},
}

func TestEveryPoolRunsDryAndFillsAgain(t *testing.T) {
	for _, pool := range braze.Pools() {
		if pool == braze.PoolTrack {
			continue // window_test.go
		}
		for _, dialect := range []string{brazefake.DialectEpoch, brazefake.DialectDelta} {
			synctest.Test(t, func(t *testing.T) {
				k := brazefake.Knobs{PoolLimits: fmt.Sprintf("%s=2/%s", pool.Name, strings.SplitN(pool.Rate.String(), "/", 2)[1]), Dialect: dialect}
				s := brazefake.New(brazefake.Options{Knobs: k})
				r := small[pool.Name]
				ask := func() (int, [4]string) {
					w := httptest.NewRecorder()
					req := httptest.NewRequest(r.method, r.path, strings.NewReader(r.body))
					req.Header.Set("Authorization", "Bearer "+brazefake.DefaultKey)
					req.Header.Set("Content-Type", "application/json")
					s.ServeHTTP(w, req)
					return w.Code, quotaOf(w.Result())
				}
				// Not at the beginning of the window: it is the clock that cuts it.
				wait(t, pool.Rate.Per/4)
				left := pool.Rate.Per * 3 / 4
				reset := fmt.Sprint(int64((left + time.Second - 1) / time.Second))
				if dialect == brazefake.DialectEpoch {
					reset = fmt.Sprint((time.Now().Add(left).UnixNano() + int64(time.Second) - 1) / int64(time.Second))
				}
				for i, want := range [][4]string{{"2", "1", reset, ""}, {"2", "0", reset, ""}} {
					if status, got := ask(); status == 429 || got != want {
						t.Errorf("%s %s %d: status %d, headers %q, want %q", pool.Name, dialect, i, status, got, want)
					}
				}
				dry := [4]string{"2", "0", reset, ""}
				if dialect == brazefake.DialectDelta {
					dry = [4]string{"", "", "", reset}
				}
				if status, got := ask(); status != 429 || got != dry {
					t.Errorf("%s %s: status %d, headers %q, want 429 and %q", pool.Name, dialect, status, got, dry)
				}
				wait(t, left-time.Millisecond)
				if status, _ := ask(); status != 429 {
					t.Errorf("%s: status %d before the window ends, want 429", pool.Name, status)
				}
				wait(t, time.Millisecond)
				if status, _ := ask(); status == 429 {
					t.Errorf("%s: 429 in the next window", pool.Name)
				}
			})
		}
	}
}

func TestThePoolsAreSharedAsDocumented(t *testing.T) {
	s := brazefake.New(brazefake.Options{Knobs: brazefake.Knobs{PoolLimits: "user_lifecycle=4/1h,subscription=2/1h,general=1/1h,broadcast=1/1h"}})
	statuses := func(requests ...[2]string) (got []int) {
		for _, r := range requests {
			status, _ := call(s, "POST", r[0], r[1])
			got = append(got, status)
		}
		return got
	}
	group := `"subscription_group_id":"g","subscription_state":"subscribed"`
	for name, tt := range map[string]struct{ got, want []int }{
		"the life of users": {
			statuses([2]string{"/users/identify", `{"aliases_to_identify":[{"external_id":"a","user_alias":{"alias_name":"n","alias_label":"l"}}]}`},
				[2]string{"/users/alias/new", `{"user_aliases":[{"alias_name":"n","alias_label":"l"}]}`},
				[2]string{"/users/merge", `{"merge_updates":[{"identifier_to_merge":{"external_id":"a"},"identifier_to_keep":{"external_id":"b"}}]}`},
				[2]string{"/users/delete", `{"external_ids":["a"]}`}, [2]string{"/users/delete", `{"external_ids":["a"]}`}),
			[]int{201, 201, 202, 201, 429},
		},
		"both subscriptions": {
			statuses([2]string{"/subscription/status/set", `{` + group + `,"external_id":["a"]}`},
				[2]string{"/v2/subscription/status/set", `{"subscription_groups":[{` + group + `,"external_ids":["a"]}]}`},
				[2]string{"/subscription/status/set", `{` + group + `,"external_id":["a"]}`}),
			[]int{201, 201, 429},
		},
		"sends and email states, but not broadcasts": {
			statuses([2]string{"/transactional/v1/campaigns/c/send", `{"recipient":{"external_user_id":"a"}}`},
				[2]string{"/email/status", `{"email":"a@example.org","subscription_state":"opted_in"}`},
				[2]string{"/messages/send", `{"external_user_ids":["a"],"messages":{"sms":{}}}`},
				[2]string{"/messages/send", `{"segment_id":"s","broadcast":true,"messages":{"sms":{}}}`},
				[2]string{"/campaigns/trigger/send", `{"campaign_id":"c","broadcast":true}`}),
			[]int{201, 429, 429, 201, 429},
		},
	} {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("%s: %v, want %v", name, tt.got, tt.want)
		}
	}
}

func TestOneAudienceIsSentToTenTimesAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := brazefake.New(brazefake.Options{})
		send := func(campaign string) int {
			status, _ := call(s, "POST", "/campaigns/trigger/send", `{"campaign_id":"`+campaign+`","broadcast":true}`)
			return status
		}
		for range 10 {
			if status := send("a"); status != 201 {
				t.Fatalf("status %d", status)
			}
		}
		if a, b := send("a"), send("b"); a != 429 || b != 201 {
			t.Errorf("status %d for the same audience and %d for another", a, b)
		}
		wait(t, time.Minute)
		if a := send("a"); a != 201 {
			t.Errorf("status %d a minute later", a)
		}
	})
}

func TestPoolLimitsThatMakeNoSenseAreRefused(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	for limits, ok := range map[string]bool{
		"general=5/1m": true, " all=none , export=1/s": true, "": true,
		"track=5/1m": false, "genral=5/1m": false, "general": false, "general=much": false,
	} {
		body, err := json.Marshal(map[string]string{"pool_limits": limits})
		if err != nil {
			t.Fatal(err)
		}
		if status, answer := ask(s, "PUT", "/_sandbox/knobs", string(body)); (status == 200) != ok {
			t.Errorf("%q: status %d, %s", limits, status, answer)
		}
	}
	if err := s.SetKnobs(brazefake.Knobs{PoolLimits: "all=none,export=1/1h"}); err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, name := range []string{"catalogs", "export", "export"} {
		status, _ := call(s, small[name].method, small[name].path, small[name].body)
		got = append(got, status)
	}
	if diff := cmp.Diff([]int{201, 201, 429}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}
