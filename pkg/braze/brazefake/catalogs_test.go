package brazefake_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
)

// shop is a sandbox with the catalog "products" and the item P1.
func shop(t *testing.T, o brazefake.Options) (*brazefake.Sandbox, *braze.Client) {
	t.Helper()
	s := brazefake.New(o)
	c := serve(t, s, 10*time.Second)
	products(t, c)
	accepted(t, c, change(braze.ReplaceItems, "products", item("P1", `{"title":"Lamp","price":43.00,"tags":["lamp"]}`)))
	return s, c
}

// stocked are a catalog's items as "id {fields}".
func stocked(t *testing.T, s *brazefake.Sandbox) (out []string) {
	t.Helper()
	c, _ := s.Catalog("products")
	for _, id := range slices.Sorted(maps.Keys(c.Items)) {
		fields, err := json.Marshal(c.Items[id])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, id+" "+string(fields))
	}
	return out
}

func TestCatalogItemsAreCreatedChangedReplacedAndDeleted(t *testing.T) {
	const all = `"title":"T","tags":[],"o":{},"at":[1,2],"since":"2026-03-04","sold":false`
	for _, tt := range []struct {
		name    string
		body    braze.Body
		want    []string
		ignored int
	}{
		{"POST creates with all fields", change(braze.CreateItems, "products", item("P2", `{"price":1,`+all+`}`)), []string{
			`P1 {"price":43.00,"tags":["lamp"],"title":"Lamp"}`,
			`P2 {"at":[1,2],"o":{},"price":1,"since":"2026-03-04","sold":false,"tags":[],"title":"T"}`,
		}, 0},
		{"and leaves what is there", change(braze.CreateItems, "products", item("P1", `{"price":1,`+all+`}`)), []string{`P1 {"price":43.00,"tags":["lamp"],"title":"Lamp"}`}, 1},
		{"PATCH changes what it names", change(braze.UpdateItems, "products", item("P1", `{"price":820982911946154508}`)), []string{`P1 {"price":820982911946154508,"tags":["lamp"],"title":"Lamp"}`}, 0},
		{"and adds and removes", change(braze.UpdateItems, "products", item("P1", `{"tags":{"$add":["sale"],"$remove":["lamp"]}}`)), []string{`P1 {"price":43.00,"tags":["sale"],"title":"Lamp"}`}, 0},
		{"of nothing", change(braze.UpdateItems, "products", item("P2", `{"price":1}`)), []string{`P1 {"price":43.00,"tags":["lamp"],"title":"Lamp"}`}, 1},
		{"PUT replaces the whole", change(braze.ReplaceItems, "products", item("P1", `{"price":1}`)), []string{`P1 {"price":1}`}, 0},
		{"DELETE deletes", change(braze.DeleteItems, "products", item("P1", ""), item("P9", "")), nil, 1},
		{"a single one is there at once", change(braze.CreateItem, "products", item("P0", `{"price":1,`+all+`}`)), []string{
			`P0 {"at":[1,2],"o":{},"price":1,"since":"2026-03-04","sold":false,"tags":[],"title":"T"}`, `P1 {"price":43.00,"tags":["lamp"],"title":"Lamp"}`,
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, c := shop(t, brazefake.Options{})
			accepted(t, c, tt.body)
			if diff := cmp.Diff(tt.want, stocked(t, s)); diff != "" {
				t.Errorf("items (-want +got):\n%s", diff)
			}
			if products, _ := s.Catalog("products"); products.Ignored != tt.ignored {
				t.Errorf("%d ignored, want %d", products.Ignored, tt.ignored)
			}
		})
	}
}

func TestCatalogCallsAreRefusedByTheirDocumentedIDs(t *testing.T) {
	const items, one, fields = "/catalogs/products/items", "/catalogs/products/items/", "/catalogs/products/fields"
	put := func(fields string) string { return `{"items":[{"id":"P1",` + fields + `}]}` }
	for _, tt := range []struct {
		method, path, body, want string
		status                   int
	}{
		{"POST", "/catalogs", `{}`, "catalog-array-invalid", 400},
		{"POST", "/catalogs", `{"catalogs":{}}`, "catalog-array-invalid", 400},
		{"POST", "/catalogs", `{"catalogs":["a"]}`, "catalog-array-invalid", 400},
		{"POST", "/catalogs", `{"catalogs":[{},{}]}`, "too-many-catalog-atoms", 400},
		{"POST", "/catalogs", `{"catalogs":[{"name":"products","fields":[{"name":"id","type":"string"}]}]}`, "catalog-name-already-exists", 400},
		{"POST", "/catalogs", `{"catalogs":[{"name":"a","fields":["id"]}]}`, "invalid-fields", 400},
		{"POST", "/catalogs/none/items", `{"items":[{"id":"a"}]}`, "catalog-not-found", 404},
		{"DELETE", "/catalogs/none/items", `{"items":[{"id":"a"}]}`, "catalog-not-found", 404},
		{"POST", "/catalogs/none/items/a", `{"items":[{}]}`, "catalog-not-found", 404},
		{"POST", fields, `{}`, "invalid-fields", 400},
		{"POST", fields, `{"fields":{}}`, "invalid-fields", 400},
		{"POST", fields, `{"fields":["a"]}`, "invalid-fields", 400},
		{"POST", "/catalogs/none/fields", `{"fields":[{"name":"a","type":"number"}]}`, "catalog-not-found", 404},
		{"POST", fields, `{"fields":[{"name":"a","type":"float"}]}`, "invalid-field-types", 400},
		{"POST", fields, `{"fields":[{"name":"a b","type":"number"}]}`, "invalid-field-names", 400},
		{"POST", fields, `{"fields":[{"name":"a","type":"number"},{"name":"a","type":"string"}]}`, "field-names-not-unique", 400},
		{"POST", fields, `{"fields":[` + strings.Repeat(`{},`, 50) + `{}]}`, "request-includes-too-many-fields", 400},
		{"PUT", items, `{"items":{}}`, "item-array-invalid", 400},
		{"PATCH", items, `{"items":["P1"]}`, "item-array-invalid", 400},
		{"PUT", items, `{"items":[{"id":7}]}`, "ids-not-strings", 400},
		{"PUT", items, `{"items":[{"id":null}]}`, "items-missing-ids", 400},
		{"PUT", items, put(`"colour":"red"`), "invalid-fields", 400},
		{"POST", items, `{"items":[{"id":"P2","price":1}]}`, "invalid-fields", 400},
		{"PUT", items, put(`"price":"much"`), "unable-to-coerce-value", 400},
		{"PUT", items, put(`"sold":1`), "unable-to-coerce-value", 400},
		{"PUT", items, put(`"since":"soon"`), "unable-to-coerce-value", 400},
		{"PUT", items, put(`"at":[1]`), "unable-to-coerce-value", 400},
		{"PUT", items, put(`"title":{}`), "unable-to-coerce-value", 400},
		{"PUT", items, put(`"o":[]`), "unable-to-coerce-value", 400},
		{"PUT", items, put(`"tags":"a"`), "unable-to-coerce-value", 400},
		{"PATCH", items, put(`"tags":{"$add":["a"],"$set":["b"]}`), "unable-to-coerce-value", 400},
		{"POST", one + "P1", `{"items":[{}]}`, "item-already-exists", 400},
		{"POST", one + "P2", `{"items":[{"id":"P2"}]}`, "id-in-body", 400},
		{"POST", one + "P%202", `{"items":[{}]}`, "invalid-ids", 400},
		{"POST", one + strings.Repeat("x", 251), `{"items":[{}]}`, "ids-too-large", 400},
		{"POST", one + "P2", `{"items":[{},{}]}`, "item-array-invalid", 400},
		{"POST", one + "P2", `{"items":[{"price":1}]}`, "invalid-fields", 400},
	} {
		t.Run(tt.want+" "+tt.method+" "+tt.path[:min(len(tt.path), 40)]+" "+tt.body, func(t *testing.T) {
			s, _ := shop(t, brazefake.Options{})
			before := stocked(t, s)
			status, answer := call(s, tt.method, tt.path, tt.body)
			var got struct {
				Message string `json:"message"`
				Errors  []struct {
					ID         string   `json:"id"`
					Message    string   `json:"message"`
					Parameters []string `json:"parameters"`
					Values     []string `json:"parameter_values"`
				} `json:"errors"`
			}
			if err := json.Unmarshal([]byte(answer), &got); err != nil || status != tt.status || got.Message != "Invalid Request" || len(got.Errors) != 1 {
				t.Fatalf("status %d, %v, %s", status, err, answer)
			}
			if e := got.Errors[0]; e.ID != tt.want || e.Message == "" || e.Parameters == nil || len(e.Parameters) != len(e.Values) {
				t.Errorf("error %+v, want %s", e, tt.want)
			}
			if diff := cmp.Diff(before, stocked(t, s)); diff != "" {
				t.Errorf("items have changed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheStorageOfCatalogsIsLimited(t *testing.T) {
	_, c := shop(t, brazefake.Options{CatalogBytes: 300})
	big := func(id string) braze.Answer {
		return c.Call(t.Context(), braze.NewCall(nil, change(braze.ReplaceItems, "products", item(id, `{"title":"`+strings.Repeat("x", 140)+`"}`))))
	}
	if a := big("P1"); a.Verdict != braze.Accepted {
		t.Errorf("%+v", a)
	}
	if a := big("P2"); a.Verdict != braze.Malformed || !strings.Contains(a.Message, "company-size-limit-surge") {
		t.Errorf("%+v", a)
	}
	accepted(t, c, change(braze.UpdateItems, "products", item("P1", `{"title":"`+strings.Repeat("x", 300)+`"}`)))
	if a := big("P2"); a.Verdict != braze.Stopped || !strings.Contains(a.Message, "company-size-limit-already-reached") {
		t.Errorf("%+v", a)
	}
}

func TestAnArbitraryErrorIsToBeTriedAgain(t *testing.T) {
	s, c := shop(t, brazefake.Options{})
	if err := s.SetKnobs(brazefake.Knobs{PArbitrary: 1}); err != nil {
		t.Fatal(err)
	}
	a := c.Call(t.Context(), braze.NewCall(nil, change(braze.CreateItem, "products", item("P2", `{"price":1}`))))
	if a.Verdict != braze.Unavailable || a.MaybeApplied() || !strings.Contains(a.Message, "arbitrary-error") {
		t.Errorf("%+v", a)
	}
}

func TestTheClientPutsErrorsOnTheRightItems(t *testing.T) {
	_, c := shop(t, brazefake.Options{})
	for _, tt := range []struct {
		name string
		body braze.Body
		want []int
	}{
		{"a catalog that does not exist fails all", change(braze.ReplaceItems, "none", item("a", ""), item("b", "")), []int{0, 1}},
		{"a field that does not exist fails the item that has it", change(braze.ReplaceItems, "products", item("a", ""), item("b", `{"colour":"red"}`), item("c", "")), []int{1}},
		{"the only item is at fault, whatever it is", change(braze.ReplaceItems, "products", item("a", `{"price":"much"}`)), []int{0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.Call(t.Context(), braze.NewCall(nil, tt.body))
			var got []int
			for _, item := range a.Items {
				got = append(got, item.Index)
			}
			if a.Verdict != braze.Malformed || !slices.Equal(got, tt.want) {
				t.Errorf("%v %s, items %v, want %v", a.Verdict, a.Message, a.Items, tt.want)
			}
		})
	}
}

// A body by hand, for what no builder would make.
func TestOtherCallsAreRefusedInWords(t *testing.T) {
	for _, tt := range []struct{ path, body, want string }{
		{"/users/merge", `{"merge_updates":{}}`, "must be an array of objects"},
		{"/users/merge", `{"merge_updates":["a"]}`, "must be an array of objects"},
		{"/users/merge", `{"merge_updates":[{"identifier_to_merge":"a","identifier_to_keep":{"external_id":"b"}}]}`, "identifiers must be objects"},
		{"/users/merge", `{"merge_updates":[{"identifier_to_keep":{"external_id":"b"}}]}`, "identifiers must be objects"},
		{"/users/merge", `{"merge_updates":[{"identifier_to_merge":{"external_id":"a"},"identifier_to_keep":{"external_id":"b"},"why":1}]}`, `unexpected key "why"`},
		{"/users/merge", `{"merge_updates":[{"identifier_to_merge":{"external_id":"a"},"identifier_to_keep":{"external_id":"b"}}],"x":1}`, `unexpected key "x"`},
		{"/users/delete", `{"external_ids":["a"],"braze_ids":["b"]}`, "only one of"},
		{"/users/delete", `{"external_ids":[7]}`, "must be a string"},
		{"/users/delete", `{"external_ids":"a"}`, "must be an array"},
		{"/users/identify", `{"aliases_to_identify":[],"emails_to_identify":[]}`, "only one of"},
		{"/users/identify", `{"aliases_to_identify":[{"external_id":"a"}]}`, "must have one of user_alias"},
		{"/users/alias/new", `{"user_aliases":[7]}`, "must be an object"},
		{"/campaigns/trigger/send", `{"campaign_id":7,"recipients":[{"external_user_id":"a"}]}`, "'campaign_id' must be a string"},
		{"/campaigns/trigger/send", `{"campaign_id":"c","broadcast":"yes"}`, "'broadcast' must be true or false"},
		{"/campaigns/trigger/send", `{"campaign_id":"c","recipients":{}}`, "'recipients' must be an array"},
		{"/campaigns/trigger/send", `{"campaign_id":"c","recipients":[7]}`, "'recipients[0]' must be an object"},
		{"/canvas/trigger/send", `{"canvas_id":"c","recipients":[{"email":7,"prioritization":["identified"]}]}`, "must be a string"},
		{"/transactional/v1/campaigns/c/send", `{"external_send_id":"","recipient":{"external_user_id":"a"}}`, "must match"},
		{"/transactional/v1/campaigns/c/send", `{"external_send_id":"a"}`, "No Recipients"},
		{"/subscription/status/set", `{"subscription_group_id":"g","subscription_state":"subscribed","email":[7]}`, "must be a string that is not empty"},
		{"/email/status", `{"email":"a@example.org"}`, "'subscription_state' must be one of"},
	} {
		s := brazefake.New(brazefake.Options{})
		if status, answer := call(s, "POST", tt.path, tt.body); status != 400 || !strings.Contains(strings.ReplaceAll(answer, `\"`, `"`), tt.want) {
			t.Errorf("%s %s: status %d, %s, want %s", tt.path, tt.body, status, answer, tt.want)
		}
	}
}

func TestAMemberThatIsNotDocumentedIsBadManners(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	call(s, "POST", "/campaigns/trigger/send", `{"campaign_id":"c","recipients":[{"external_user_id":"a","context":{}}]}`)
	want := []string{`request 1 to /campaigns/trigger/send has a member that is not documented: "recipients[0].context"`}
	if diff := cmp.Diff(want, s.Violations()); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
}

// FuzzCalls holds that no body makes an endpoint panic, and that each is answered in JSON.
func FuzzCalls(f *testing.F) {
	paths := []string{}
	for _, e := range braze.Endpoints() {
		paths = append(paths, e.Method+" "+filled(e))
	}
	for i, body := range []string{
		`{"campaign_id":"c","recipients":[{"external_user_id":"a","attributes":{"tags":{"add":["x"]}}}]}`, `{"items":[{"id":"P1","tags":{"$add":["a"]}}]}`,
		`{"merge_updates":[{"identifier_to_merge":{"email":"a@b.c","prioritization":["identified"]},"identifier_to_keep":{"user_alias":{"alias_name":"n","alias_label":"l"}}}]}`,
		`{"external_ids":["a",null,7,{}]}`, `{"catalogs":[{"name":"n","fields":[{"name":"id","type":"string"}]}]}`, `{"a":null}`, `{"recipients":null,"items":null,"catalogs":null}`,
	} {
		f.Add(uint8(i), body)
	}
	f.Fuzz(func(t *testing.T, which uint8, body string) {
		method, path, _ := strings.Cut(paths[int(which)%len(paths)], " ")
		s := brazefake.New(brazefake.Options{})
		for _, make := range []string{`{"catalogs":[{"name":"thing","fields":[{"name":"id","type":"string"},{"name":"tags","type":"array"}]}]}`} {
			call(s, "POST", "/catalogs", make)
		}
		for range 2 {
			status, answer := call(s, method, path, body)
			if status < 200 || status > 499 || !json.Valid([]byte(answer)) {
				t.Errorf("%s %s %s: status %d, %s", method, path, body, status, answer)
			}
		}
	})
}
