package brazesender

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
)

// TestTheBodyIsWhatBrazeReads compares a request with everything in it with a file that was reviewed
// once. GOLDEN=write rewrites it.
func TestTheBodyIsWhatBrazeReads(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)
	it := func(u event.User, name, properties, attributes, app string) *item {
		it := &item{event: event.Event{User: u, Name: name, OccurredAt: at, AppID: app}}
		if properties != "" {
			it.event.Properties = []byte(properties)
		}
		if attributes != "" {
			list, err := parseAttributes([]byte(attributes), u)
			if err != nil {
				t.Fatal(err)
			}
			it.attributes = list
		}
		return it
	}
	f := &flight{items: []*item{
		it(event.User{ExternalID: "crm-1001"}, "Order Completed", `{"order_id":820982911946154508,"total":84.90}`, `{"plan":"gold","visits":{"inc":1}}`, "app-1"),
		it(event.User{ExternalID: `odd "id" \ ü`}, "Tab\there", "", "", ""),
		it(event.User{BrazeID: "5f3e"}, "E", "", "", ""),
		it(event.User{AliasLabel: "anonymous_id", AliasName: "a-1"}, "E", "", `{"city":"Wien"}`, ""),
		it(event.User{Email: "mira@example.com"}, "E", "", "", ""),
		it(event.User{Phone: "+431234"}, "E", "", "", ""),
	}}
	f.encode(span{0, len(f.items)})
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, f.body, "", "  "); err != nil {
		t.Fatalf("%v in %s", err, f.body)
	}
	pretty.WriteByte('\n')
	const path = "testdata/body.golden.json"
	if os.Getenv("GOLDEN") == "write" {
		if err := os.WriteFile(path, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), pretty.String()); diff != "" {
		t.Errorf("(-reviewed +now)\n%s", diff)
	}
}
