package braze

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var twoItems = Call{Endpoint: CatalogItemsReplace, Path: "/catalogs/c/items", Body: []byte(`{"items":[{"id":"P1"},{"id":"P2","price":1}]}`), Items: 2}

func TestParseCall(t *testing.T) {
	send := Call{Endpoint: CampaignsTriggerSend, Items: 3}
	renames := Call{Endpoint: UsersExternalIDsRename, Items: 3}
	transactional := Call{Endpoint: TransactionalSend, Items: 1}
	tests := []struct {
		name   string
		call   Call
		status int
		body   string
		cut    bool
		want   Answer
	}{
		{name: "a send has a dispatch id", call: send, status: 201, body: `{"dispatch_id":"9f0c","message":"success"}`, want: Answer{Verdict: Accepted, Message: "success", DispatchID: "9f0c"}},
		{name: "a paused Canvas has a notice", call: send, status: 201, body: `{"notice":"canvas is paused","dispatch_id":"9f0c","message":"success"}`, want: Answer{Verdict: Accepted, Message: "success", DispatchID: "9f0c", Notice: "canvas is paused"}},
		{name: "a tracked send has its id", call: send, status: 201, body: `{"dispatch_id":"d","send_id":"s","message":"success"}`, want: Answer{Verdict: Accepted, Message: "success", DispatchID: "d", SendID: "s"}},
		{name: "deletions are counted", call: Call{Endpoint: UsersDelete, Items: 2}, status: 200, body: `{"deleted":2}`, want: Answer{Verdict: Accepted, Deleted: 2}},
		{name: "aliases are counted", call: Call{Endpoint: UsersIdentify, Items: 2}, status: 201, body: `{"aliases_processed":1,"message":"success"}`, want: Answer{Verdict: Accepted, Message: "success", Aliases: 1}},
		{name: "an export keeps its body", call: Call{Endpoint: UsersExportIDs, Items: 1}, status: 201, body: `{"message":"success","users":[]}`, want: Answer{Verdict: Accepted, Message: "success", Body: []byte(`{"message":"success","users":[]}`)}},
		{name: "not when it was refused", call: Call{Endpoint: UsersExportIDs, Items: 1}, status: 400, body: `{"message":"no"}`, want: Answer{Verdict: Malformed, Message: "no"}},
		{name: "a transactional send has a status", call: transactional, status: 200, body: `{"dispatch_id":"d","status":"sent","metadata":{}}`, want: Answer{Verdict: Accepted, DispatchID: "d", SendStatus: "sent"}},
		{name: "one that is queued is taken, whatever the status", call: transactional, status: 400, body: `{"message":"The external reference has been queued. Please retry to obtain send_id."}`, want: Answer{Verdict: Accepted, Duplicate: true, Message: "The external reference has been queued. Please retry to obtain send_id."}},
		{name: "also among the errors", call: transactional, status: 500, body: `{"message":"error","errors":["The external reference has been queued. Please retry to obtain send_id."]}`, want: Answer{Verdict: Accepted, Duplicate: true, Message: "error; The external reference has been queued. Please retry to obtain send_id."}},
		{name: "a minor error of a send is said and strange", call: send, status: 201, body: `{"dispatch_id":"d","message":"success","errors":["recipient [1] is odd"]}`, want: Answer{Verdict: Accepted, Message: "success; recipient [1] is odd", DispatchID: "d", Strange: 1}},
		{name: "one with an index is an item's", call: send, status: 201, body: `{"message":"success","errors":[{"index":1,"type":"odd"}]}`, want: Answer{Verdict: Accepted, Message: "success", Items: []ItemError{{Index: 1, Type: "odd"}}}},
		{name: "one beyond the request is strange", call: send, status: 201, body: `{"message":"success","errors":[{"index":3,"type":"odd"}]}`, want: Answer{Verdict: Accepted, Message: `success; {"index":3,"type":"odd"}`, Strange: 1}},
		{name: "renames are refused by index", call: renames, status: 201, body: `{"message":"success","external_ids":["b"],"rename_errors":[{"index":0,"error":"in use"},{"index":2,"message":"gone"}]}`, want: Answer{Verdict: Accepted, Message: "success", Items: []ItemError{{Index: 0, Type: "in use"}, {Index: 2, Type: "gone"}}}},
		{name: "or in sentences", call: renames, status: 201, body: `{"message":"success","rename_errors":["index 1: in use","external_id_renames[2] is gone","Index: 0"]}`, want: Answer{Verdict: Accepted, Message: "success", Items: []ItemError{{Index: 1, Type: "index 1: in use"}, {Index: 2, Type: "external_id_renames[2] is gone"}, {Index: 0, Type: "Index: 0"}}}},
		{name: "one without an index is strange", call: renames, status: 201, body: `{"message":"success","rename_errors":["something","index 9"]}`, want: Answer{Verdict: Accepted, Message: "success; something; index 9", Strange: 2}},
		{name: "a catalog's error is on the item whose id it names", call: twoItems, status: 400, body: `{"errors":[{"id":"invalid-fields","message":"no such field","parameters":["id","field"],"parameter_values":["P2","colour"]}],"message":"Invalid Request"}`, want: Answer{Verdict: Malformed, Message: "Invalid Request; invalid-fields: no such field", Items: []ItemError{{Index: 1, Type: "invalid-fields: no such field"}}}},
		{name: "also in a list", call: twoItems, status: 400, body: `{"errors":[{"id":"ids-too-large","message":"m","parameters":["ids"],"parameter_values":[["P1","P2"]]}],"message":"Invalid Request"}`, want: Answer{Verdict: Malformed, Message: "Invalid Request; ids-too-large: m", Items: []ItemError{{Index: 0, Type: "ids-too-large: m"}, {Index: 1, Type: "ids-too-large: m"}}}},
		{name: "on none where it names none", call: twoItems, status: 400, body: `{"errors":[{"id":"items-missing-ids","message":"1 item lacks an id","parameters":[],"parameter_values":[]}],"message":"Invalid Request"}`, want: Answer{Verdict: Malformed, Message: "Invalid Request; items-missing-ids: 1 item lacks an id"}},
		{name: "on all where the catalog is not there", call: twoItems, status: 404, body: `{"errors":[{"id":"catalog-not-found","message":"m","parameters":[],"parameter_values":[]}],"message":"Invalid Request"}`, want: Answer{Verdict: Malformed, Message: "Invalid Request; catalog-not-found: m", Items: []ItemError{{Index: 0, Type: "catalog-not-found: m"}, {Index: 1, Type: "catalog-not-found: m"}}}},
		{name: "an arbitrary error is nobody's", call: Call{Endpoint: CatalogItemCreate, Items: 1}, status: 400, body: `{"errors":[{"id":"arbitrary-error","message":"try again"}],"message":"Invalid Request"}`, want: Answer{Verdict: Unavailable, Message: "Invalid Request; arbitrary-error: try again"}},
		{name: "a full storage is the account's", call: twoItems, status: 400, body: `{"errors":[{"id":"company-size-limit-already-reached","message":"full"}],"message":"Invalid Request"}`, want: Answer{Verdict: Stopped, Message: "Invalid Request; company-size-limit-already-reached: full"}},
		{name: "a body that is no JSON is answered by error", call: send, status: 400, body: `{"error":"send valid application/json"}`, want: Answer{Verdict: Malformed, Message: "send valid application/json"}},
		{name: "a page is unreadable", call: send, status: 502, body: `<html></html>`, want: Answer{Verdict: Unavailable, Message: "unreadable answer: 502 Bad Gateway"}},
		{name: "so is what was cut off", call: send, status: 201, body: `{"message":"success","dispatch_id":"d"`, cut: true, want: Answer{Verdict: Accepted, Message: "unreadable answer"}},
		{name: "members of other types do no harm", call: send, status: 201, body: `{"message":7,"dispatch_id":{},"notice":null,"deleted":"many","errors":false,"rename_errors":null}`, want: Answer{Verdict: Accepted, Message: "7; false", DispatchID: "{}", Strange: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := Answer{Verdict: classify(tt.status, false), Status: tt.status}
			a.parseCall([]byte(tt.body), !tt.cut, &tt.call)
			tt.want.Status = tt.status
			if diff := cmp.Diff(tt.want, a); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestManyRefusalsAreToldInFewBytes(t *testing.T) {
	var body strings.Builder
	body.WriteString(`{"message":"Invalid Request","errors":[`)
	for i := range 1000 {
		fmt.Fprintf(&body, `{"id":"invalid-fields","message":"no field %d","parameter_values":["P1"]},`, i)
	}
	a := Answer{Verdict: Malformed, Status: 400}
	a.parseCall([]byte(strings.TrimSuffix(body.String(), ",")+"]}"), true, &twoItems)
	if len(a.Message) > maxMessage || len(a.Items) != 1 || len(a.Items[0].Type) > maxMessage {
		t.Errorf("a message of %d bytes, %d items", len(a.Message), len(a.Items))
	}
}

// FuzzParseCall holds that whatever is answered, nothing panics, items are ones there are and each comes
// once, and words are bounded and in UTF-8.
func FuzzParseCall(f *testing.F) {
	for i, body := range []string{
		`{"message":"success","dispatch_id":"d","notice":"n","send_id":"s","status":"sent","deleted":2,"aliases_processed":1}`,
		`{"errors":[{"id":"invalid-fields","message":"m","parameters":["id"],"parameter_values":["P2",["P1"]]}],"message":"Invalid Request"}`,
		`{"errors":[{"id":"catalog-not-found"}]}`, `{"message":"success","rename_errors":["index 1",{"index":0,"error":"e"},[1,"x"]]}`,
		`{"message":"The external reference has been queued."}`, `{"errors":{"index":1}}`, `{"errors":[[[["P1"]]]],"message":null}`, `<html>`, `{"a":"`, "{\"message\":\"\xff\"}",
	} {
		f.Add(body, uint8(i), uint16(200+i*50), true)
	}
	f.Fuzz(func(t *testing.T, body string, which uint8, status uint16, whole bool) {
		call := twoItems
		call.Endpoint = Endpoints()[int(which)%len(Endpoints())]
		a := Answer{Verdict: classify(int(status), false), Status: int(status)}
		was := a.Verdict
		a.parseCall([]byte(body), whole, &call)
		seen := map[int]bool{}
		for _, item := range a.Items {
			if item.Index < 0 || item.Index >= call.Items || seen[item.Index] || item.Type == "" || len(item.Type) > maxMessage {
				t.Errorf("item %+v", item)
			}
			seen[item.Index] = true
		}
		for _, words := range []string{a.Message, a.Notice, a.DispatchID, a.SendID, a.SendStatus} {
			if len(words) > maxMessage || !utf8.ValidString(words) {
				t.Errorf("words %q", words)
			}
		}
		if a.Verdict != was && was == Accepted && a.Verdict != Unavailable && a.Verdict != Stopped {
			t.Errorf("%v has become %v", was, a.Verdict)
		}
		if a.Deleted < 0 || a.Aliases < 0 || len(a.Body) > 0 && call.Endpoint != UsersExportIDs {
			t.Errorf("answer %+v", a)
		}
	})
}
