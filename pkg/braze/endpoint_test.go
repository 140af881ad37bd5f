package braze_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
)

func TestEndpointsAreToldApartAndWhole(t *testing.T) {
	seen, drawn := map[string]bool{}, map[*braze.Pool]bool{braze.PoolBroadcast: true}
	for _, e := range braze.Endpoints() {
		if seen[e.String()] {
			t.Errorf("%v is there twice", e)
		}
		seen[e.String()], drawn[e.Pool] = true, true
		if e.Permission == "" || e.MaxItems == 0 || e.MaxBody == 0 || e.Pool == nil || !strings.HasPrefix(e.Source, "braze-docs: ") {
			t.Errorf("%v lacks something: %+v", e, e)
		}
	}
	names := map[string]bool{}
	for _, p := range braze.Pools() {
		if !drawn[p] || names[p.Name] || p.Rate.IsZero() || !strings.Contains(p.Doc, "braze-docs: ") {
			t.Errorf("pool %+v: nobody draws from it, or it lacks something", p)
		}
		names[p.Name] = true
		if p.Clock != (p.Rate.Per == time.Hour) {
			t.Errorf("pool %s: windows of an hour, and only those, are documented to begin with the clock's", p.Name)
		}
	}
	if len(names) != len(drawn) {
		t.Errorf("%d pools are drawn from, %d are listed", len(drawn), len(names))
	}
}

func TestThePoolsAreAsDocumented(t *testing.T) {
	got := map[string]string{}
	for _, p := range braze.Pools() {
		got[p.Name] = p.Rate.String()
	}
	want := map[string]string{
		"track": "3000/3s", "track_bulk": "50/1s", "track_sync": "500/1m", "general": "250000/1h", "broadcast": "250/1m", "send_ids": "100/24h",
		"subscription": "5000/1m", "user_lifecycle": "20000/1m", "rename": "1000/1m", "export": "250/1m",
		"catalogs": "50/1m", "catalog_fields": "50/1m", "catalog_items": "16000/1m", "catalog_item": "50/1m",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pools (-want +got):\n%s", diff)
	}
}

func TestPathsAreFilledInAndEscaped(t *testing.T) {
	for want, got := range map[string]string{
		"/users/track":                         braze.UsersTrack.At(),
		"/transactional/v1/campaigns/c-1/send": braze.TransactionalSend.At("c-1"),
		"/catalogs/products/items/P1":          braze.CatalogItemCreate.At("products", "P1"),
		"/catalogs/a%2Fb%20c%3F/items":         braze.CatalogItemsCreate.At("a/b c?"),
		"/catalogs/products/items/{item_id}":   braze.CatalogItemCreate.At("products"),
		"/catalogs/products/items":             braze.CatalogItemsDelete.At("products", "one", "too many"),
	} {
		if got != want {
			t.Errorf("path %s, want %s", got, want)
		}
	}
}
