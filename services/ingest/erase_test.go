package ingest

import (
	"strings"
	"testing"
)

func TestErasingIsForKeysThatMay(t *testing.T) {
	for _, c := range []struct {
		name, keys, key, id string
		status              int
	}{
		{"a key that may", "ops:k::erase", "k", "crm-1", 202},
		{"a key that may not", "shop:k", "k", "crm-1", 403},
		{"no key", "shop:k", "", "crm-1", 401},
		{"the well-known key, on this machine", "dev", "dev", "crm-1", 202},
		{"an id with an escaped slash", "ops:k::erase", "k", "eu%2Fcrm-1", 202},
		{"an id that is too long", "ops:k::erase", "k", strings.Repeat("x", MaxExternalID+1), 422},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDoor(func(o *Options) {
				var keys Keys
				if err := keys.UnmarshalText([]byte(c.keys)); err != nil {
					t.Fatal(err)
				}
				o.Keys = keys
			})
			w := d.ask("DELETE", "/v1/users/"+c.id, "", "X-Api-Key", c.key)
			if w.Code != c.status {
				t.Fatalf("got %d %s, want %d", w.Code, w.Body, c.status)
			}
			want := 0
			if c.status == 202 {
				want = 1
			}
			if len(d.shelf.records) != want {
				t.Fatalf("%d records", len(d.shelf.records))
			}
			if want == 1 {
				if r := d.shelf.records[0]; r.topic != "eu.customer.events" || r.key != strings.ReplaceAll(c.id, "%2F", "/") {
					t.Errorf("it stands on %s for %s", r.topic, r.key)
				}
			}
		})
	}
}
