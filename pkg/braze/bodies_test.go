package braze_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
)

var (
	ada   = braze.User{ExternalID: "crm-1001"}
	lead  = braze.Alias{Label: "lead", Name: "Lead-77"}
	email = braze.Target{
		User:           braze.User{Email: "ada@example.org"},
		Prioritization: []braze.Prioritization{braze.Unidentified, braze.MostRecentlyUpdated},
	}
	phone = braze.Target{
		User: braze.User{Phone: "+431234567"}, Prioritization: []braze.Prioritization{braze.MostRecentlyUpdated},
	}
)

// bodies are one of each kind of request, with all that can stand in it.
func bodies() map[string]braze.Body {
	return map[string]braze.Body{
		"campaign": &braze.CampaignTrigger{
			CampaignID: "camp-uuid", SendID: "erp-2026-03-04", Properties: []byte(`{"shop":"vienna"}`),
			Recipients: []braze.Recipient{
				{Target: braze.Target{User: ada}, Properties: []byte(`{"order_no":"SO-9","total":41.90}`)},
				{Target: braze.Target{User: braze.User{Alias: lead}}, Existing: braze.CreateNever},
				{Target: braze.Target{User: braze.User{BrazeID: "5a4db0"}}, Attributes: []byte(`{"tier":"gold"}`)},
				{Target: braze.Target{User: braze.User{ExternalID: `new "one"`}}, Attributes: []byte(`{"tier":"new"}`), Existing: braze.CreateAlways},
				{Target: email},
			},
			Attachments: []braze.Attachment{{FileName: "invoice.pdf", URL: "https://shop.example/i/SO-9.pdf"}},
		},
		"campaign_broadcast": &braze.CampaignTrigger{
			CampaignID: "camp-uuid", Broadcast: braze.Broadcast{All: true, Audience: []byte(`{"AND":[]}`)},
		},
		"canvas": &braze.CanvasTrigger{
			CanvasID: "canvas-uuid", Context: []byte(`{"shop":"vienna"}`),
			Recipients: []braze.Recipient{{Target: braze.Target{User: ada}, Properties: []byte(`{"step":"welcome"}`)}},
		},
		"messages": &braze.MessageSend{
			ExternalUserIDs: []string{"crm-1001"}, Aliases: []braze.Alias{lead, {Label: "lead", Name: "Lead-78"}}, CampaignID: "camp-uuid", SendID: "s",
			OverrideFrequencyCapping: true, RecipientState: "all", Messages: []byte(`{"email":{"app_id":"app-uuid","subject":"Hi","body":"<p>Hi</p>"}}`),
		},
		"messages_segment": &braze.MessageSend{
			SegmentID: "segment-uuid", Broadcast: braze.Broadcast{All: true}, Messages: []byte(`{"sms":{"body":"Hi"}}`),
		},
		"transactional": &braze.TransactionalMessage{
			CampaignID: "camp-uuid", ExternalSendID: "b3JkZXItU08tOQ==", Properties: []byte(`{"order_no":"SO-9"}`), User: ada, Attributes: []byte(`{"first_name":"Ada"}`),
		},
		"send_id":              &braze.SendID{CampaignID: "camp-uuid", SendID: "erp-2026-03-04"},
		"subscription":         &braze.SubscriptionStatus{GroupStatus: braze.GroupStatus{GroupID: "sg-uuid", State: braze.Unsubscribed, ExternalIDs: []string{"crm-1001"}}},
		"subscription_by_mail": &braze.SubscriptionStatus{GroupStatus: braze.GroupStatus{GroupID: "sg-uuid", State: braze.Subscribed, Emails: []string{"ada@example.org", "bob@example.org"}}},
		"subscription_v2": &braze.SubscriptionStatusV2{Groups: []braze.GroupStatus{
			{GroupID: "sg-1", State: braze.Subscribed, ExternalIDs: []string{"crm-1001", "crm-1002"}},
			{GroupID: "sg-2", State: braze.Subscribed, Phones: []string{"+431234567"}, DoubleOptIn: true},
		}},
		"email_status":      &braze.EmailSubscription{Emails: []string{"ada@example.org"}, State: braze.OptedIn},
		"identify":          &braze.Identify{Users: []braze.Identification{{ExternalID: "crm-1001", Known: braze.Target{User: braze.User{Alias: lead}}}}},
		"identify_by_email": &braze.Identify{Users: []braze.Identification{{ExternalID: "crm-1001", Known: email}}},
		"identify_by_phone": &braze.Identify{Users: []braze.Identification{{ExternalID: "crm-1001", Known: phone}}},
		"aliases":           &braze.NewAliases{Aliases: []braze.NewAlias{{Alias: lead, ExternalID: "crm-1001"}, {Alias: braze.Alias{Label: "cart", Name: "c-1"}}}},
		"merge": &braze.Merge{Updates: []braze.MergeUpdate{
			{From: braze.Target{User: braze.User{ExternalID: "crm-old"}}, Into: braze.Target{User: ada}},
			{From: email, Into: braze.Target{User: braze.User{Alias: lead}}},
		}},
		"renames":        &braze.Renames{Renames: []braze.Rename{{Current: "crm-1001", New: "acct-1001"}}},
		"delete":         &braze.Delete{Users: []braze.Target{{User: braze.User{ExternalID: "crm-gone-1"}}, {User: braze.User{ExternalID: "crm-gone-2"}}}},
		"delete_aliases": &braze.Delete{Users: []braze.Target{{User: braze.User{Alias: lead}}}},
		"delete_ids":     &braze.Delete{Users: []braze.Target{{User: braze.User{BrazeID: "5a4db0"}}}},
		"delete_emails":  &braze.Delete{Users: []braze.Target{email}},
		"delete_phones":  &braze.Delete{Users: []braze.Target{phone}},
		"export":         &braze.ExportUsers{ExternalIDs: []string{"crm-1001"}, Aliases: []braze.Alias{lead}, Fields: []string{"external_id", "custom_events"}},
		"export_email":   &braze.ExportUsers{Email: "ada@example.org", Fields: []string{"external_id"}},
		"catalog_fields": &braze.CatalogFields{Catalog: "products", Fields: []braze.CatalogField{{Name: "weight", Type: "number"}, {Name: "shop", Type: "geo"}}},
		"catalog": &braze.NewCatalog{Name: "products", Description: "ERP products", Fields: []braze.CatalogField{
			{Name: "id", Type: "string"}, {Name: "price", Type: "number"}, {Name: "tags", Type: "array"},
		}},
		"items_create":  items(braze.CreateItems, `{"price":43.00,"tags":["lamp"]}`),
		"items_update":  items(braze.UpdateItems, ` { "tags": {"$add":["sale"],"$remove":["lamp"]} } `),
		"items_replace": items(braze.ReplaceItems, `{"price":820982911946154508,"where":{"deep":{"er":["a"]}},"at":[16.37,48.2]}`),
		"items_delete":  items(braze.DeleteItems, ""),
		"item_create":   items(braze.CreateItem, `{"price":12,"tags":[]}`),
	}
}

func items(change braze.CatalogChange, fields string) *braze.CatalogItems {
	return &braze.CatalogItems{Catalog: "products", Change: change, List: []braze.CatalogItem{{ID: "P1", Fields: []byte(fields)}}}
}

// goldenRequest compares with a file under testdata, or writes it when GOLDEN=write is in the environment.
func goldenRequest(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "requests", name+".golden.json")
	if os.Getenv("GOLDEN") == "write" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is different; rewrite it with GOLDEN=write (-want +got):\n%s", path, diff)
	}
}

// asked is a request as it is kept in a golden file.
func asked(c braze.Call) []byte {
	line := c.Endpoint.Method + " "
	if line += c.Path; c.Path == "" {
		line += c.Endpoint.Path
	}
	return append(append([]byte(`["`+line+"\",\n"), c.Body...), "]\n"...)
}

func TestEachKindOfRequestIsTheseBytes(t *testing.T) {
	covered := map[*braze.Endpoint]bool{braze.UsersTrack: true, braze.UsersTrackBulk: true, braze.UsersTrackSync: true}
	for name, body := range bodies() {
		t.Run(name, func(t *testing.T) {
			if v := body.Check(); v != nil {
				t.Fatalf("refused: %v", v)
			}
			before := []byte("before ")
			call := braze.NewCall(before[:len(before):len(before)], body)
			if !jsontext.Value(call.Body).IsValid() {
				t.Errorf("no valid JSON: %s", call.Body)
			}
			if call.Items == 0 && name != "campaign_broadcast" && name != "messages_segment" {
				t.Error("no items")
			}
			goldenRequest(t, name, asked(call))
			covered[call.Endpoint] = true
		})
	}
	for _, e := range braze.Endpoints() {
		if !covered[e] {
			t.Errorf("%v has no golden file", e)
		}
	}
}

func TestWhatMayBeMadeAgain(t *testing.T) {
	never := map[string]bool{"campaign": true, "campaign_broadcast": true, "canvas": true, "messages": true, "messages_segment": true, "items_update": true}
	for name, body := range bodies() {
		if got := body.Repeatable(); got == never[name] {
			t.Errorf("%s: repeatable %v", name, got)
		}
		if body.Endpoint().Repeatable && !body.Repeatable() {
			t.Errorf("%s: its endpoint says that whatever is in it may be repeated", name)
		}
	}
	plain := &braze.TransactionalMessage{CampaignID: "c", User: ada}
	unnamed := &braze.SendID{CampaignID: "c"}
	set := items(braze.UpdateItems, `{"tags":["a"]}`)
	if plain.Repeatable() || unnamed.Repeatable() || !set.Repeatable() {
		t.Error("without an external_send_id or a send_id nothing is repeatable; a plain change is")
	}
}

func TestASendDrawsFromThePoolOfItsAudience(t *testing.T) {
	for name, want := range map[string]*braze.Pool{
		"campaign": braze.PoolGeneral, "campaign_broadcast": braze.PoolBroadcast, "canvas": braze.PoolGeneral,
		"messages": braze.PoolGeneral, "messages_segment": braze.PoolBroadcast,
	} {
		if got := bodies()[name].(interface{ Pool() *braze.Pool }).Pool(); got != want {
			t.Errorf("%s draws from %s, want %s", name, got.Name, want.Name)
		}
	}
}

func TestObjectsForTrackAreTheseBytes(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 890_000_000, time.UTC)
	for name, object := range map[string]interface {
		AppendBody([]byte) []byte
		Check() *braze.Violation
	}{
		"purchase": &braze.Purchase{
			User: ada, ProductID: "subscription", Currency: "EUR", Price: "9.90", Quantity: 2, Time: at, AppID: "app-uuid",
			Properties: []byte(`{"plan":"pro"}`), Existing: braze.CreateNever,
		},
		"purchase_least":  &braze.Purchase{User: braze.User{Alias: lead}, ProductID: "p", Currency: "JPY", Price: "-1200", Time: at, Existing: braze.CreateAlways},
		"increment":       braze.Increment(-3),
		"array_change":    &braze.ArrayChange{Add: []jsontext.Value{jsontext.Value(`"a"`), jsontext.Value(`7`)}, Remove: []jsontext.Value{jsontext.Value(`true`)}},
		"objects_change":  &braze.ObjectsChange{Add: []jsontext.Value{jsontext.Value(`{"sku":"a"}`)}, Remove: []braze.Identifier{{Key: "sku", Value: jsontext.Value(`"b"`)}}, Update: []braze.ObjectUpdate{{Identifier: braze.Identifier{Key: "sku", Value: jsontext.Value(`3`)}, New: jsontext.Value(`{"n":1}`)}}},
		"objects_removed": &braze.ObjectsChange{Remove: []braze.Identifier{{Key: "sku", Value: jsontext.Value(`"b"`)}}},
	} {
		t.Run(name, func(t *testing.T) {
			if v := object.Check(); v != nil {
				t.Errorf("refused: %v", v)
			}
			goldenRequest(t, "object_"+name, append(object.AppendBody(nil), '\n'))
		})
	}
}

func TestWhichOperatorsMayBeSentAgain(t *testing.T) {
	for _, tt := range []struct {
		operator braze.Operator
		want     bool
	}{
		{braze.Increment(1), false},
		{braze.Increment(0), true},
		{&braze.ArrayChange{Add: []jsontext.Value{jsontext.Value(`1`)}}, true},
		{&braze.ObjectsChange{Add: []jsontext.Value{jsontext.Value(`{}`)}}, false},
		{&braze.ObjectsChange{Remove: []braze.Identifier{{Key: "a", Value: jsontext.Value(`1`)}}}, true},
	} {
		if got := tt.operator.Repeatable(); got != tt.want {
			t.Errorf("%s: %v", tt.operator.AppendBody(nil), got)
		}
	}
}

var (
	someTime = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	never    time.Time
)

func raws(values ...string) (out []jsontext.Value) {
	for _, v := range values {
		out = append(out, jsontext.Value(v))
	}
	return out
}
