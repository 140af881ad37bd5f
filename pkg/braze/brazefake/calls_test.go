package brazefake_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
)

// knows makes users with those external ids.
func knows(t *testing.T, s *brazefake.Sandbox, ids ...string) {
	t.Helper()
	for _, id := range ids {
		attributes(t, s, fmt.Sprintf(`{"external_id":%q,"email":%q}`, id, id+"@example.org"))
	}
}

// call posts a body by hand.
func call(s *brazefake.Sandbox, method, path, body string, alter ...func(*http.Request)) (status int, answer string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+brazefake.DefaultKey)
	r.Header.Set("Content-Type", "application/json")
	for _, a := range alter {
		a(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestEachEndpointDoesWhatItIsAsked(t *testing.T) {
	lead := braze.User{Alias: alias("lead", "7")}
	tests := []struct {
		name string
		body braze.Body
		want braze.Answer
	}{
		{"a campaign", &braze.CampaignTrigger{CampaignID: "camp", Recipients: to("a", "b")}, braze.Answer{Status: 201, DispatchID: "*"}},
		{"a tracked broadcast", &braze.CampaignTrigger{CampaignID: "camp", SendID: "spring", Broadcast: braze.Broadcast{All: true}}, braze.Answer{Status: 201, DispatchID: "*", SendID: "spring"}},
		{"a Canvas", &braze.CanvasTrigger{CanvasID: "canvas", Recipients: to("a")}, braze.Answer{Status: 201, DispatchID: "*"}},
		{"a paused Canvas", &braze.CanvasTrigger{CanvasID: "paused", Recipients: to("a")}, braze.Answer{Status: 201, DispatchID: "*", Notice: "the canvas is paused"}},
		{"a message", &braze.MessageSend{ExternalUserIDs: []string{"a"}, Messages: []byte(`{"sms":{"body":"Hi"}}`)}, braze.Answer{Status: 201, DispatchID: "*"}},
		{"a transactional send", &braze.TransactionalMessage{CampaignID: "txn", ExternalSendID: "e1", User: braze.User{ExternalID: "a"}}, braze.Answer{Status: 201, DispatchID: "*", SendStatus: "sent"}},
		{"a send id", &braze.SendID{CampaignID: "camp", SendID: "spring"}, braze.Answer{Status: 201, SendID: "spring"}},
		{"a subscription", group(braze.GroupStatus{ExternalIDs: []string{"a"}}), braze.Answer{Status: 201}},
		{"several", &braze.SubscriptionStatusV2{Groups: []braze.GroupStatus{{GroupID: "g", State: braze.Subscribed, ExternalIDs: []string{"a"}}}}, braze.Answer{Status: 201}},
		{"an email's state", &braze.EmailSubscription{Emails: []string{"a@example.org"}, State: braze.OptedIn}, braze.Answer{Status: 201}},
		{"an alias", &braze.NewAliases{Aliases: []braze.NewAlias{{Alias: lead.Alias}}}, braze.Answer{Status: 201, Aliases: 1}},
		{"identifying", &braze.Identify{Users: []braze.Identification{{ExternalID: "a", Known: braze.Target{User: lead}}}}, braze.Answer{Status: 201, Aliases: 1}},
		{"merging", &braze.Merge{Updates: []braze.MergeUpdate{{From: user("b"), Into: user("a")}}}, braze.Answer{Status: 202}},
		{"renaming", &braze.Renames{Renames: []braze.Rename{{Current: "a", New: "acct"}}}, braze.Answer{Status: 201}},
		{"exporting", &braze.ExportUsers{ExternalIDs: []string{"acct", "nobody"}, Fields: []string{"external_id"}}, braze.Answer{Status: 201, Body: []byte("*")}},
		{"deleting", &braze.Delete{Users: []braze.Target{user("acct"), user("nobody")}}, braze.Answer{Status: 201, Deleted: 2}},
		{"a catalog", &braze.NewCatalog{Name: "products", Fields: []braze.CatalogField{{Name: "id", Type: "string"}, {Name: "price", Type: "number"}}}, braze.Answer{Status: 201}},
		{"new fields", &braze.CatalogFields{Catalog: "products", Fields: []braze.CatalogField{{Name: "price", Type: "number"}}}, braze.Answer{Status: 202}},
		{"new items", change(braze.CreateItems, "products", item("P1", `{"price":43.00}`)), braze.Answer{Status: 202}},
		{"changed items", change(braze.UpdateItems, "products", item("P1", `{"price":44}`)), braze.Answer{Status: 202}},
		{"replaced items", change(braze.ReplaceItems, "products", item("P2", `{"price":1}`)), braze.Answer{Status: 202}},
		{"items deleted", change(braze.DeleteItems, "products", item("P2", "")), braze.Answer{Status: 202}},
		{"a single item", change(braze.CreateItem, "products", item("P3", `{"price":3}`)), braze.Answer{Status: 201}},
	}
	s := brazefake.New(brazefake.Options{Campaigns: map[string]brazefake.Campaign{
		"camp": {Kind: brazefake.APICampaign}, "canvas": {Kind: brazefake.Canvas}, "txn": {Kind: brazefake.TransactionalCampaign},
		"paused": {Kind: brazefake.Canvas, State: brazefake.Paused},
	}})
	c := serve(t, s, 10*time.Second)
	knows(t, s, "a", "b")
	asked := map[*braze.Endpoint]bool{braze.UsersTrack: true, braze.UsersTrackBulk: true, braze.UsersTrackSync: true}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := accepted(t, c, tt.body)
			asked[tt.body.Endpoint()] = true
			tt.want.Verdict, tt.want.Message = braze.Accepted, "success"
			if (got.DispatchID != "") && tt.want.DispatchID == "*" {
				tt.want.DispatchID = got.DispatchID
			}
			if len(got.Body) > 0 && string(tt.want.Body) == "*" {
				tt.want.Body = got.Body
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(braze.Answer{}, "Latency", "Hint", "RequestID")); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if !got.Hint.Counted || got.Hint.Limit == 0 || got.Hint.ResetAt.IsZero() {
				t.Errorf("the quota is not spoken of: %+v", got.Hint)
			}
		})
	}
	for _, e := range braze.Endpoints() {
		if !asked[e] {
			t.Errorf("%v was not asked", e)
		}
	}
	if v := s.Violations(); len(v) > 0 {
		t.Errorf("violations %q", v)
	}
	if got, want := s.Deleted(), []string{"acct", "nobody"}; !cmp.Equal(got, want) {
		t.Errorf("deleted %q, want %q", got, want)
	}
	if got := s.Stats().ByEndpoint["POST /campaigns/trigger/send"]; got != 2 {
		t.Errorf("%d calls to campaigns counted, want 2", got)
	}
}

func TestSendsAreRememberedWithWhatTheySay(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	c := serve(t, s, 10*time.Second)
	knows(t, s, "a")
	accepted(t, c, &braze.CampaignTrigger{
		CampaignID: "camp", Properties: []byte(`{"shop":"vienna","n":1}`),
		Recipients: []braze.Recipient{
			{Target: user("a"), Properties: []byte(`{"n":2}`), Attributes: []byte(`{"tier":"gold"}`)},
			{Target: user("nobody")},
			{Target: user("new"), Attributes: []byte(`{"tier":"new"}`), Existing: braze.CreateAlways},
		},
	})
	accepted(t, c, &braze.CanvasTrigger{CanvasID: "canvas", Recipients: []braze.Recipient{
		{Target: byEmail("a@example.org", braze.Identified), Properties: []byte(`{"step":1}`), Attributes: []byte(`{"x":1,"subscription_groups":[{"subscription_group_id":"g","subscription_state":"subscribed"}]}`)},
	}})
	accepted(t, c, &braze.CampaignTrigger{CampaignID: "camp", Broadcast: braze.Broadcast{All: true, Audience: []byte(`{"AND":[]}`)}})
	var got []string
	for _, send := range s.Sends() {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", send.Campaign, send.User, send.Properties, send.Unsent)))
	}
	want := []string{
		`camp a {"n":2,"shop":"vienna"}`, `camp nobody {"shop":"vienna","n":1} no such user`, `camp new {"shop":"vienna","n":1}`,
		`canvas email:a@example.org {"step":1}`, `camp`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sends (-want +got):\n%s", diff)
	}
	p := profile(t, s, "a")
	if string(p.Custom["tier"]) != `"gold"` || string(p.Custom["x"]) != "1" || len(p.Subscriptions) > 0 {
		t.Errorf("attributes %s, groups %v; a Canvas sets no groups", p.Custom, p.Subscriptions)
	}
	if _, found := s.Profile("nobody"); found || string(profile(t, s, "new").Custom["tier"]) != `"new"` {
		t.Error("a user is created only where the recipient says so")
	}
}

func TestTheLastOfOneRecipientWins(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	knows(t, s, "a")
	status, answer := call(s, "POST", "/campaigns/trigger/send",
		`{"campaign_id":"c","recipients":[{"external_user_id":"a","trigger_properties":{"n":1}},{"external_user_id":"a","trigger_properties":{"n":2}}]}`)
	if sends := s.Sends(); status != 201 || len(sends) != 1 || string(sends[0].Properties) != `{"n":2}` {
		t.Errorf("status %d %s, sends %+v", status, answer, sends)
	}
}

func TestAnExternalSendIDSendsOnceIn24Hours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := brazefake.New(brazefake.Options{})
		knows(t, s, "a")
		send := func(id string) string {
			status, answer := call(s, "POST", "/transactional/v1/campaigns/c/send", `{"external_send_id":"`+id+`","recipient":{"external_user_id":"a"}}`)
			if status != 201 {
				t.Fatalf("status %d: %s", status, answer)
			}
			return answer
		}
		first := send("SO-9")
		wait(t, 24*time.Hour-time.Second)
		if again := send("SO-9"); again != first || len(s.Sends()) != 1 {
			t.Errorf("%d sends; answers %s and %s", len(s.Sends()), first, again)
		}
		send("SO-10")
		wait(t, time.Second)
		if late := send("SO-9"); late == first || len(s.Sends()) != 3 {
			t.Errorf("%d sends after a day, want 3", len(s.Sends()))
		}
	})
}

// wait lets the bubble's time pass.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

func TestAnExternalSendIDThatIsStillQueuedIsSaidToBe(t *testing.T) {
	for _, status := range []int{0, 200, 409, 500} {
		s := brazefake.New(brazefake.Options{Knobs: brazefake.Knobs{ApplyDelayMin: 50 * time.Millisecond, QueuedStatus: status}})
		c := serve(t, s, 10*time.Second)
		message := &braze.TransactionalMessage{CampaignID: "c", ExternalSendID: "SO-9", User: braze.User{ExternalID: "a"}}
		accepted(t, c, message)
		again := c.Call(t.Context(), braze.NewCall(nil, message))
		if !again.Duplicate || again.Verdict != braze.Accepted || !strings.Contains(again.Message, "has been queued") {
			t.Errorf("status %d: %+v", status, again)
		}
		if err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if later := accepted(t, c, message); later.Duplicate || len(s.Sends()) != 1 {
			t.Errorf("%d sends, answer %+v", len(s.Sends()), later)
		}
	}
}

func TestATransactionalSendThatCameToNothingMayBeMadeAgain(t *testing.T) {
	s := brazefake.New(brazefake.Options{Knobs: brazefake.Knobs{P5xxBefore: 1}})
	c := serve(t, s, 10*time.Second)
	knobs, message := s.Knobs(), &braze.TransactionalMessage{CampaignID: "c", ExternalSendID: "SO-9", User: braze.User{ExternalID: "a"}}
	if a := c.Call(t.Context(), braze.NewCall(nil, message)); a.Verdict != braze.Unavailable || !a.MaybeApplied() {
		t.Errorf("%+v", a)
	}
	knobs.P5xxBefore, knobs.P5xxAfter = 0, 1
	if err := s.SetKnobs(knobs); err != nil {
		t.Fatal(err)
	}
	c.Call(t.Context(), braze.NewCall(nil, message))
	knobs.P5xxAfter = 0
	if err := s.SetKnobs(knobs); err != nil {
		t.Fatal(err)
	}
	accepted(t, c, message)
	if n := len(s.Sends()); n != 1 {
		t.Errorf("%d sends, want the one that was answered 5xx", n)
	}
	var fates []brazefake.Fate
	for _, c := range s.Calls() {
		fates = append(fates, c.Fate)
	}
	if diff := cmp.Diff([]brazefake.Fate{brazefake.NotApplied, brazefake.AppliedUnanswered, brazefake.Answered}, fates); diff != "" {
		t.Errorf("fates (-want +got):\n%s", diff)
	}
}

func TestCampaignsThatCannotBeSentAreRefused(t *testing.T) {
	s := brazefake.New(brazefake.Options{Campaigns: map[string]brazefake.Campaign{
		"camp": {Kind: brazefake.APICampaign}, "off": {Kind: brazefake.TransactionalCampaign, State: brazefake.Archived},
		"idle": {Kind: brazefake.APICampaign, State: brazefake.Paused},
	}})
	c := serve(t, s, 10*time.Second)
	for name, tt := range map[string]struct {
		body braze.Body
		want string
	}{
		"unknown":           {&braze.CampaignTrigger{CampaignID: "none", Recipients: to("a")}, "Invalid Campaign ID"},
		"no Canvas":         {&braze.CanvasTrigger{CanvasID: "camp", Recipients: to("a")}, "Invalid Canvas ID"},
		"not transactional": {&braze.TransactionalMessage{CampaignID: "camp", User: braze.User{ExternalID: "a"}}, "not a transactional campaign"},
		"archived":          {&braze.TransactionalMessage{CampaignID: "off", User: braze.User{ExternalID: "a"}}, "is archived"},
		"of a message":      {&braze.MessageSend{CampaignID: "none", ExternalUserIDs: []string{"a"}, Messages: []byte(`{"sms":{}}`)}, "Invalid Campaign ID"},
		"of a send id":      {&braze.SendID{CampaignID: "none"}, "Invalid Campaign ID"},
	} {
		if a := c.Call(t.Context(), braze.NewCall(nil, tt.body)); a.Verdict != braze.Malformed || !strings.Contains(a.Message, tt.want) {
			t.Errorf("%s: %v %q, want %q", name, a.Verdict, a.Message, tt.want)
		}
	}
	accepted(t, c, &braze.CampaignTrigger{CampaignID: "idle", Recipients: to("a")})
	if sends := s.Sends(); len(sends) != 1 || sends[0].Unsent != "the campaign is paused" {
		t.Errorf("sends %+v", sends)
	}
}

func TestSubscriptionStatesAreKeptAndInherited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := brazefake.New(brazefake.Options{})
		attributes(t, s, `{"external_id":"a","email":"shared@example.org"}`, `{"external_id":"b","email":"shared@example.org"}`)
		post := func(path, body string) {
			t.Helper()
			if status, answer := call(s, "POST", path, body); status != 201 {
				t.Fatalf("status %d: %s", status, answer)
			}
		}
		post("/subscription/status/set", `{"subscription_group_id":"mail","subscription_state":"subscribed","email":"Shared@example.org"}`)
		post("/subscription/status/set", `{"subscription_group_id":"sms","subscription_state":"unsubscribed","phone":["+431234567"]}`)
		post("/v2/subscription/status/set", `{"subscription_groups":[{"subscription_group_id":"app","subscription_state":"subscribed","external_ids":["a","nobody"]}]}`)
		post("/email/status", `{"email":"later@example.org","subscription_state":"opted_in"}`)
		for id, want := range map[string]map[string]string{"a": {"mail": "subscribed", "app": "subscribed"}, "b": {"mail": "subscribed"}} {
			if diff := cmp.Diff(want, profile(t, s, id).Subscriptions); diff != "" {
				t.Errorf("%s's groups (-want +got):\n%s", id, diff)
			}
		}
		wait(t, 30*24*time.Hour-time.Second)
		attributes(t, s, `{"external_id":"c","phone":"+431234567","email":"later@example.org"}`)
		c := profile(t, s, "c")
		if c.Subscriptions["sms"] != "unsubscribed" || string(c.Attributes["email_subscribe"]) != `"opted_in"` {
			t.Errorf("a new profile inherits for 30 days: %+v", c)
		}
		wait(t, time.Second)
		attributes(t, s, `{"external_id":"d","phone":"+431234567"}`)
		if d := profile(t, s, "d"); len(d.Subscriptions) > 0 {
			t.Errorf("and no longer: %+v", d)
		}
		want := []brazefake.Subscription{
			{Address: "+431234567", Group: "sms", State: "unsubscribed"},
			{Address: "later@example.org", State: "opted_in"},
			{Address: "shared@example.org", Group: "mail", State: "subscribed"},
		}
		if diff := cmp.Diff(want, s.Subscriptions()); diff != "" {
			t.Errorf("states of addresses (-want +got):\n%s", diff)
		}
		post("/users/delete", `{"external_ids":["a"]}`)
		if n := len(s.Subscriptions()); n != 3 {
			t.Errorf("%d states, want 3 while somebody has the address", n)
		}
		post("/users/delete", `{"external_ids":["b"]}`)
		if n := len(s.Subscriptions()); n != 2 {
			t.Errorf("%d states, want 2 when nobody has it", n)
		}
	})
}

func TestAUserInTwoCallsOfWhateverKindIsAViolation(t *testing.T) {
	s := brazefake.New(brazefake.Options{Knobs: brazefake.Knobs{LatencyMin: 100 * time.Millisecond}})
	c := serve(t, s, 10*time.Second)
	lead := braze.Target{User: braze.User{Alias: alias("lead", "7")}}
	tests := map[string]struct {
		body braze.Body
		user string
	}{
		"campaign":      {&braze.CampaignTrigger{CampaignID: "c", Recipients: to("crm-1")}, "crm-1"},
		"canvas":        {&braze.CanvasTrigger{CanvasID: "c", Recipients: to("other", "crm-2")}, "crm-2"},
		"messages":      {&braze.MessageSend{ExternalUserIDs: []string{"crm-3"}, Messages: []byte(`{"sms":{}}`)}, "crm-3"},
		"transactional": {&braze.TransactionalMessage{CampaignID: "c", User: braze.User{ExternalID: "crm-4"}}, "crm-4"},
		"subscription":  {group(braze.GroupStatus{ExternalIDs: []string{"crm-5"}}), "crm-5"},
		"v2":            {&braze.SubscriptionStatusV2{Groups: []braze.GroupStatus{{GroupID: "g", State: braze.Subscribed, ExternalIDs: []string{"crm-6"}}}}, "crm-6"},
		"identify":      {&braze.Identify{Users: []braze.Identification{{ExternalID: "crm-7", Known: lead}}}, "crm-7"},
		"alias":         {&braze.NewAliases{Aliases: []braze.NewAlias{{Alias: alias("x", "8"), ExternalID: "crm-8"}}}, "crm-8"},
		"merge":         {&braze.Merge{Updates: []braze.MergeUpdate{{From: user("old"), Into: user("crm-9")}}}, "crm-9"},
		"delete":        {&braze.Delete{Users: []braze.Target{user("crm-10")}}, "crm-10"},
		"rename":        {&braze.Renames{Renames: []braze.Rename{{Current: "crm-11", New: "new"}}}, "crm-11"},
		"export":        {&braze.ExportUsers{ExternalIDs: []string{"crm-12"}, Fields: []string{"email"}}, "crm-12"},
	}
	var wg sync.WaitGroup
	for _, tt := range tests {
		wg.Go(func() { c.Call(t.Context(), braze.NewCall(nil, tt.body)) })
		wg.Go(func() { track(t.Context(), c, tt.user, "e") })
	}
	wg.Wait()
	violations := s.Violations()
	for name, tt := range tests {
		n := 0
		for _, v := range violations {
			if strings.Contains(v, fmt.Sprintf("user %q ", tt.user)) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s: %d violations about %s, want 1", name, n, tt.user)
		}
	}
	if len(violations) != len(tests) {
		t.Errorf("%d violations, want %d: %q", len(violations), len(tests), violations)
	}
}

func TestCallsOneAfterTheOtherAreNoViolation(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	c := serve(t, s, 10*time.Second)
	for range 200 {
		c.Call(t.Context(), braze.NewCall(nil, &braze.CampaignTrigger{CampaignID: "c", Recipients: to("a", "b")}))
		track(t.Context(), c, "a", "e")
	}
	if v := s.Violations(); len(v) > 0 {
		t.Errorf("violations %q", v)
	}
}

func TestWhatIsAskedAboutTheOtherEndpointsIsJSON(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	c := serve(t, s, 10*time.Second)
	knows(t, s, "a")
	accepted(t, c, &braze.CampaignTrigger{CampaignID: "camp", Recipients: to("a", "b")})
	accepted(t, c, &braze.Delete{Users: []braze.Target{user("a")}})
	accepted(t, c, &braze.EmailSubscription{Emails: []string{"x@example.org"}, State: braze.OptedIn})
	accepted(t, c, catalog())
	for path, want := range map[string]int{
		"calls": 4, "calls?endpoint=campaigns": 1, "sends": 2, "sends?user=a": 1, "sends?limit=1": 1,
		"changes": 1, "changes?user=b": 0, "subscriptions": 1, "catalogs": 1,
	} {
		status, answer := ask(s, "GET", "/_sandbox/"+path, "")
		var list []map[string]any
		if err := json.Unmarshal([]byte(answer), &list); err != nil || status != 200 || len(list) != want {
			t.Errorf("%s: status %d, %v, %d entries, want %d", path, status, err, len(list), want)
		}
	}
	if status, page := ask(s, "GET", "/_sandbox/", ""); status != 200 || !strings.Contains(page, "POST /campaigns/trigger/send") {
		t.Errorf("the page, status %d, does not name the endpoint", status)
	}
	s.Reset()
	if n := len(s.Calls()) + len(s.Sends()) + len(s.Changes()) + len(s.Subscriptions()) + len(s.Catalogs()); n != 0 {
		t.Errorf("%d things left after a reset", n)
	}
}

func TestASandboxThatForgetsAnswersAllTheSame(t *testing.T) {
	s := brazefake.New(brazefake.Options{Forget: true})
	c := serve(t, s, 10*time.Second)
	if a := accepted(t, c, &braze.CampaignTrigger{CampaignID: "c", Recipients: to("a")}); a.DispatchID == "" {
		t.Errorf("%+v", a)
	}
	if a := c.Call(t.Context(), braze.NewCall(nil, &braze.CampaignTrigger{CampaignID: "c"})); a.Verdict != braze.Malformed {
		t.Errorf("%+v", a)
	}
	if n := len(s.Sends()) + len(s.Calls()); n != 0 || s.Stats().ByEndpoint["POST /campaigns/trigger/send"] != 2 {
		t.Errorf("%d things are remembered; stats %+v", n, s.Stats())
	}
}
