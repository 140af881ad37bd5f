package webhook_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

var arrival = time.Date(2026, 3, 6, 8, 0, 0, 0, time.UTC)

// after are the samples that must have come before one, for it to be whole.
var after = map[string][]string{
	"shopify/orders_fulfilled":                {"orders_create"},
	"shopify/fulfillments_create":             {"orders_create"},
	"shopify/fulfillments_update_in_transit":  {"orders_create"},
	"shopify/fulfillments_update_delivered":   {"orders_create"},
	"shopify/refunds_create":                  {"orders_create"},
	"shopify/refunds_create_by_lines":         {"orders_create_guest"},
	"shopify/carts_update":                    {"checkouts_create"},
	"shopify/carts_update_emptied":            {"orders_create"},
	"shopify/checkouts_create":                {"checkouts_create_nobody"},
	"contentful/entry_delete_without_type":    {"entry_publish"},
	"contentful/entry_publish_late":           {"entry_unpublish"},
	"stripe/subscription_after_checkout":      {"checkout_completed"},
	"stripe/checkout_async_payment_succeeded": {"checkout_completed_unpaid"},
}

// TestSamplesBecomeWhatTheirGoldenFilesSay holds each sample's meaning to a file beside it.
func TestSamplesBecomeWhatTheirGoldenFilesSay(t *testing.T) {
	samples, err := filepath.Glob("testdata/*/*.http")
	if err != nil || len(samples) < 50 {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	for _, path := range samples {
		folder, file := filepath.Split(path)
		name := filepath.Base(folder) + "/" + strings.TrimSuffix(file, ".http")
		t.Run(name, func(t *testing.T) {
			source := shipped(t, map[string]string{"SHOPIFY_SMS_GROUP": "group-1"}).Find(filepath.Base(folder))
			for _, before := range after[name] {
				source.Translate(t.Context(), sample(t, folder+before+".http"))
			}
			r := sample(t, path)
			messages := source.Translate(t.Context(), r)
			if len(messages) != 1 || messages[0].Start != 0 || messages[0].End != len(r.Body) {
				t.Fatalf("got %d messages", len(messages))
			}
			golden(t, strings.TrimSuffix(path, ".http")+".golden.json", shown(t, messages[0]))
		})
	}
}

func sample(t testing.TB, path string) *webhook.Request {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := webhook.ReadSample(text, arrival)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// shown is a message for people.
func shown(t testing.TB, m webhook.Message) []byte {
	t.Helper()
	type output struct {
		To   webhook.Target
		JSON json.RawMessage
	}
	outputs := []output{}
	for _, o := range m.Outputs {
		outputs = append(outputs, output{o.To, o.JSON})
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(map[string]any{"kind": m.Kind, "key": m.Key, "skip": m.Skip, "refuse": m.Refuse, "detail": m.Detail, "outputs": outputs}); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// golden compares with a file, or writes it when GOLDEN=write is in the environment.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if os.Getenv("GOLDEN") == "write" {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s is different; rewrite it with GOLDEN=write\n%s", path, cmp.Diff(string(want), string(got)))
	}
}
