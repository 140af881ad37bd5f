package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
	brazesender "github.com/sluicehq/sluice/services/braze-sender"
	"github.com/sluicehq/sluice/services/braze-sender/routes"
)

// Every kind of action for every way to know a customer, byte by byte: what a shadow run shows has to be
// what braze-sender would send.
func TestTheRequestsOfAShadowRun(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1772442903480)
	users := []event.User{
		{ExternalID: "crm-1", Email: "not@this.one"}, {BrazeID: "5f"}, {AliasLabel: "lead", AliasName: "<77>"}, {Email: "a@example.org"}, {Phone: "+43123456"},
	}
	properties := []byte(`{"total":84.90}`)
	actions := []routes.Action{
		{Kind: routes.Event, AsIs: true, Attributes: true},
		{Kind: routes.Event, Name: "Renamed", Properties: properties, ExistingOnly: true, Route: "r", InDoubt: routes.Park},
		{Kind: routes.Attributes, Route: "r"},
		{Kind: routes.Purchase, ProductID: "P1", Price: "84.90", Currency: "EUR", Quantity: 2, Properties: properties},
		{Kind: routes.Campaign, ID: "c-1", Properties: properties, Priority: routes.Urgent},
		{Kind: routes.Canvas, ID: "x-1", Properties: properties, Priority: routes.Backfill},
		{Kind: routes.Transactional, ID: "t-1", ExternalSendID: "e-1", Properties: properties, Priority: routes.Urgent},
		{Kind: routes.Subscription, GroupID: "8f6f1f6e-8f0b-4f0e-9b68-0f2f5f0c8a11", State: "unsubscribed"},
		{Kind: routes.Skip, Reason: "test orders"},
	}
	sender := brazesender.NewPreviewer()
	var got strings.Builder
	show := func(r request) {
		e := json.NewEncoder(&got)
		e.SetEscapeHTML(false)
		if err := e.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	for _, u := range users {
		got.WriteString("# " + u.Key() + "\n")
		rec := routes.Record{Event: &event.Event{
			User: u, Name: "Cart Abandoned", OccurredAt: at, AppID: "app-1",
			Properties: []byte(`{ "ref": 820982911946154508 }`), Attributes: []byte(`{"tier": "gold", "visits": {"inc": 1}}`),
		}}
		for _, a := range actions {
			show(requestFor(sender, a, rec))
		}
		bought := &event.Commerce{
			User: u, Type: event.OrderPlaced, OccurredAt: at, Source: "shop", OrderID: "SO-9", Currency: "EUR", Total: "84.9",
			Lines: []event.Line{{ProductID: "P1", ProductName: "Lamp", VariantID: "P1-red", Quantity: 1, Price: "84.9"}},
		}
		show(requestFor(sender, routes.Action{Kind: routes.Commerce}, routes.Record{Commerce: bought}))
		show(requestFor(sender, routes.Action{Kind: routes.Event, Name: "Bought", Properties: properties}, routes.Record{Commerce: bought}))
		show(requestFor(sender, routes.Action{Kind: routes.Purchase, ProductID: "P1", Price: "1", Currency: "EUR", Quantity: 1}, routes.Record{Commerce: bought}))
	}
	path := filepath.Join("testdata", "requests.golden")
	if os.Getenv("GOLDEN") == "write" {
		if err := os.WriteFile(path, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestARecordThatMayWaitIsKnownByItsHeaders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, headers, want string
	}{
		{"none", `{}`, "live"},
		{"others", `{"event-id":"e-1","priority":"high"}`, "live"},
		{"the priority", `{"priority":"backfill"}`, "backfill"},
		{"the priority, twice", `{"priority":["x","backfill"]}`, "backfill"},
		{"replayed", `{"replayed-from":"customer.events/3@17"}`, "backfill"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "lines")
			line := `{"topic":"customer.events","headers":` + c.headers + `,"value":{"external_id":"u","event_name":"Cart Abandoned"}}`
			if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
				t.Fatal(err)
			}
			out, said, code := trialRun(t, "--records", path, "--requests")
			if want := `"priority":"` + c.want + `"`; code != exitOK || !strings.Contains(out, want) {
				t.Errorf("it ended with %d, said %q and printed %s, want %s", code, said, out, want)
			}
		})
	}
}
