package brazesender

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/braze-sender/routes"
)

// TestTheBodyIsWhatBrazeReads compares a request with everything in it with a file that was reviewed
// once. GOLDEN=write rewrites it.
func TestTheBodyIsWhatBrazeReads(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)
	s := &Sender{routes: routes.Default(), lines: newLines(braze.Config{MaxObjects: 75}, Options{})}
	d := newDrafts(nil)
	f := &flight{line: s.lines.track[rank(routes.Live)]}
	add := func(u event.User, name, properties, attributes, app string) {
		d.now, d.event = at, event.Event{User: u, Name: name, OccurredAt: at, AppID: app}
		if properties != "" {
			d.event.Properties = []byte(properties)
		}
		if attributes != "" {
			d.event.Attributes = []byte(attributes)
		}
		it := &item{}
		if what := s.route(it, d); what != send {
			t.Fatal(what)
		}
		f.loads = append(f.loads, load{it, 0, uint16(len(it.parts))})
	}
	add(event.User{ExternalID: "crm-1001"}, "Order Completed", `{"order_id":820982911946154508,"total":84.90}`, `{"plan":"gold","visits":{"inc":1}}`, "app-1")
	add(event.User{ExternalID: `odd "id" \ ü`}, "Tab\there", "", "", "")
	add(event.User{BrazeID: "5f3e"}, "E", "", "", "")
	add(event.User{AliasLabel: "anonymous_id", AliasName: "a-1"}, "E", "", `{"city":"Wien"}`, "")
	add(event.User{Email: "mira@example.com"}, "E", "", "", "")
	add(event.User{Phone: "+431234"}, "E", "", "", "")
	f.encode(span{0, len(f.loads)})
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
