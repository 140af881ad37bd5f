package webhook_test

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// own are the sources of testdata/own.yaml, which somebody has added by configuration alone.
func own(t testing.TB) *webhook.Sources {
	t.Helper()
	text, err := os.ReadFile("testdata/own.yaml")
	if err != nil {
		t.Fatal(err)
	}
	presets, err := shippedText()
	if err != nil {
		t.Fatal(err)
	}
	o := options(map[string]string{"LOYALTY_SECRET": "new", "SECOND_SHOP_SECRETS": "shop-secret"})
	o.Presets = presets
	o.ReadFile = func(path string) ([]byte, error) { return []byte("# from " + path + "\nold\n\n"), nil }
	sources, err := webhook.Parse(text, o)
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

func loyaltySignature(secret, body string) string {
	h := hmac.New(sha512.New, []byte(secret))
	fmt.Fprintf(h, "%d\nPOST\n%s", signedAt.Unix(), body)
	return "v2:" + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func TestASourceIsAddedByConfigurationAlone(t *testing.T) {
	source := own(t).Find("loyalty")
	const body = `[
		{"id": 9007199254740993, "kind": "earned", "member": 7045678901234567891, "points": 120, "at": 1767225605123},
		{"id": "m-2", "kind": "tier.up", "member": "x-1", "tier": "gold", "at": 1767225605123},
		{"id": "m-3", "kind": "heartbeat"},
		{"id": "m-4", "kind": "spent", "member": "x-1"},
		{"id": "m-5", "kind": "tier.up", "member": null, "tier": "gold"},
		{"id": "m-6", "kind": "bought", "member": "x-1", "order": 9007199254740995, "total": 10.10, "at": 1767225605123},
		"surprise"
	]`
	for _, secret := range []string{"new", "old"} {
		r := call(body, signedAt, "X-Loyalty-Time", fmt.Sprint(signedAt.Unix()), "X-Loyalty-Signature", loyaltySignature(secret, body))
		if err := source.Verify(r); err != nil {
			t.Errorf("with the %s secret: %v", secret, err)
		}
	}
	if ack := source.Ack(); ack != (webhook.Ack{Status: 202, Type: "text/plain", Body: "thanks", BadSignature: 401}) {
		t.Errorf("acknowledged by %+v", ack)
	}
	var got []string
	for _, m := range source.Translate(t.Context(), call(body, signedAt)) {
		line := fmt.Sprintf("%s %s%s", m.Key, m.Skip, m.Refuse)
		for _, o := range m.Outputs {
			line += fmt.Sprintf(" %s %s", o.To, o.JSON)
		}
		if piece := body[m.Start:m.End]; m.Refuse != "" {
			line += " " + piece
		}
		got = append(got, line)
	}
	want := []string{
		`9007199254740993  event {"id":"9007199254740993","name":"points_earned","properties":{"points":120},"time":"2026-01-01T00:00:05.123Z","user":{"external_id":"7045678901234567891"}}` +
			` profile {"id":"9007199254740993/1","increment":{"points":120},"time":"2026-01-01T00:00:05.123Z","user":{"external_id":"7045678901234567891"}}`,
		`m-2  profile {"id":"m-2","set":{"tier":"gold"},"time":"2026-01-01T00:00:05.123Z","user":{"external_id":"x-1"}}`,
		`m-3 heartbeat`,
		`m-4 unmappable {"id": "m-4", "kind": "spent", "member": "x-1"}`,
		`m-5 identity_unresolved {"id": "m-5", "kind": "tier.up", "member": null, "tier": "gold"}`,
		`m-6  commerce {"currency":"EUR","id":"m-6","lines":[{"price":"10.10","product_id":"points","product_name":"Points","quantity":1,"variant_id":"points"}],` +
			`"order_id":"9007199254740995","source":"loyalty.example.com","time":"2026-01-01T00:00:05.123Z","total":"10.10","type":"order_placed","user":{"external_id":"x-1"}}`,
		`sha256:e6f1b4b2d5ae5ec7ed0e3ff9b1a3b4d8c5f1b2b7c3c0a2a4a5e0f7e0c2a6b1d3 unmappable "surprise"`,
	}
	got[6], want[6] = got[6][len("sha256:")+64:], want[6][len("sha256:")+64:] // whatever the hash is
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestAPresetIsWhatASourceBeginsAs(t *testing.T) {
	source := own(t).Find("second-shop")
	r := sample(t, "testdata/shopify/orders_create.http")
	r.Header.Set("X-Shopify-Hmac-Sha256", shopifySignature("shop-secret", string(r.Body)))
	if err := source.Verify(r); err != nil {
		t.Fatal(err)
	}
	if source.Ack().Status != 204 || source.Ack().Body != "" {
		t.Errorf("acknowledged by %+v", source.Ack())
	}
	messages := source.Translate(t.Context(), r)
	if len(messages) != 1 || len(messages[0].Outputs) != 1 {
		t.Fatalf("got %+v", messages)
	}
	if text := string(messages[0].Outputs[0].JSON); !cmp.Equal(text[len(text)-len(`"user":{"email":"mira.osei@example.com"}}`):], `"user":{"email":"mira.osei@example.com"}}`) {
		t.Errorf("its own setting was not used: %s", text)
	}
}
