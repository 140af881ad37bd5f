package pipeline_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/services/ingest/webhook"
	"github.com/sluicehq/sluice/services/pipeline"
)

// hook sends a recorded call of a vendor's, signed as the vendor signs with the secret that everybody
// knows, and returns the status of the answer.
func (r *rig) hook(name string) int {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "ingest", "webhook", "testdata", name+".http"))
	if err != nil {
		r.t.Fatal(err)
	}
	sample, err := webhook.ReadSample(text, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.Places().Door+sample.URL.Path, bytes.NewReader(sample.Body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header = sample.Header
	signed := func(parts ...[]byte) []byte {
		mac := hmac.New(sha256.New, []byte("dev"))
		for _, p := range parts {
			mac.Write(p)
		}
		return mac.Sum(nil)
	}
	if vendor, _, _ := strings.Cut(name, "/"); vendor == "stripe" {
		now := fmt.Sprint(time.Now().Unix())
		req.Header.Set("Stripe-Signature", "t="+now+",v1="+hex.EncodeToString(signed([]byte(now+"."), sample.Body)))
	} else {
		req.Header.Set("X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(signed(sample.Body)))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// told are a profile's events, in the order in which Braze applied them: their names, each with what is
// picked of its properties.
func (r *rig) told(user string, picks ...string) []string {
	r.t.Helper()
	profile, ok := r.Sandbox().Profile(user)
	if !ok {
		r.t.Fatalf("Braze knows nothing of %s", user)
	}
	var told []string
	for _, e := range profile.Events {
		line := e.Name
		for _, pick := range picks {
			if bytes.Contains(e.Properties, []byte(pick)) {
				line += " " + pick
			}
		}
		told = append(told, line)
	}
	return told
}

// lawful fails unless every record that came in has one fate, and the sandbox has nothing to complain of.
func (r *rig) lawful(want pipeline.Books) {
	r.t.Helper()
	got := r.settled(want.Accepted)
	if diff := cmp.Diff(want, got.Books); diff != "" {
		r.t.Errorf("the law (-want +got):\n%s", diff)
	}
	if v := r.Sandbox().Violations(); len(v) > 0 {
		r.t.Errorf("violations: %v", v)
	}
}

func TestWhatVendorsReportArrivesAsCommerce(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		r := start(t, load(t, c.environ...), pipeline.Options{})
		for _, name := range []string{
			"shopify/orders_create", "shopify/orders_create", // vendors deliver at least once
			"shopify/fulfillments_create", "shopify/refunds_create", "stripe/invoice_payment_failed",
		} {
			if status := r.hook(name); status != http.StatusOK {
				t.Fatalf("%s: the front door answers %d", name, status)
			}
		}
		r.lawful(pipeline.Books{Accepted: 4, Delivered: 4})
		want := []string{
			`ecommerce.order_placed "order_id":"5912345678901234567" "total_value":84.9`,
			`shipment_updated "order_id":"5912345678901234567"`,
			`ecommerce.order_refunded "order_id":"5912345678901234567" "total_value":70.3`,
		}
		got := r.told("7045678901234567891", `"order_id":"5912345678901234567"`, `"total_value":84.9`, `"total_value":70.3`)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("of the shop's customer (-want +got):\n%s", diff)
		}
		if got := r.told("48213", `"total_value":12.9`); !cmp.Equal(got, []string{`payment_failed "total_value":12.9`}) {
			t.Errorf("of the billing system's customer: %q", got)
		}
	})
}

// Whatever comes in by HTTP: an order twice is one, and its refund waits for it.
func TestAnOrderIsOneOrderHoweverOftenItIsReported(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		r := start(t, load(t, c.environ...), pipeline.Options{})
		const line = `"currency":"EUR","lines":[{"product_id":"P","product_name":"Lamp","variant_id":"v","quantity":1,"price":"84.90"}]`
		const user = `"user":{"external_id":"cus-1"},"order_id":"820982911946154508"`
		for _, item := range []string{
			`{"id":"r-1",` + user + `,"type":"order_refunded","total":"84.90",` + line + `}`,
			`{"id":"o-1",` + user + `,"type":"order_placed","total":84.90,` + line + `}`,
			`{"id":"o-2",` + user + `,"type":"order_placed","total":84.90,` + line + `}`,
		} {
			if status, answer := r.post("/v1/commerce", item); status != http.StatusAccepted {
				t.Fatalf("the front door answers %d %s", status, answer)
			}
		}
		r.lawful(pipeline.Books{Accepted: 3, Delivered: 2, Skipped: 1})
		if got := r.told("cus-1"); !cmp.Equal(got, []string{"ecommerce.order_placed", "ecommerce.order_refunded"}) {
			t.Errorf("Braze was told %q", got)
		}
		if records := r.read(schema.CommerceEvents); len(records) != 3 {
			t.Errorf("%d records on the topic, want all 3", len(records))
		}
	})
}

func TestARouteSendsACampaign(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		file := filepath.Join(t.TempDir(), "routes.yaml")
		if err := os.WriteFile(file, []byte(`routes:
  - name: reminder
    match: {topic: commerce.events, event: payment_failed}
    send:
      - campaign: {id: remind-them, properties: '{amount: .total, currency: .currency}'}
  - name: our-own-tests
    match: {topic: commerce.events, source: test-*}
    send:
      - skip: reaches nobody
`), 0o600); err != nil {
			t.Fatal(err)
		}
		r := start(t, load(t, append(slices.Clone(c.environ), "ROUTES_FILE="+file)...), pipeline.Options{})
		status, answer := r.post("/v1/commerce", `[
			{"user":{"external_id":"cus-1"},"type":"payment_failed","currency":"EUR","total":"12.90","source":"billing"},
			{"user":{"external_id":"cus-2"},"type":"payment_recovered","currency":"EUR","total":"12.90","source":"billing"},
			{"user":{"external_id":"cus-3"},"type":"payment_recovered","currency":"EUR","total":"12.90","source":"test-billing"}]`)
		if status != http.StatusAccepted {
			t.Fatalf("the front door answers %d %s", status, answer)
		}
		r.lawful(pipeline.Books{Accepted: 3, Delivered: 2, Skipped: 1})
		sends := r.Sandbox().Sends()
		if len(sends) != 1 || sends[0].Campaign != "remind-them" || sends[0].User != "cus-1" {
			t.Errorf("Braze sends %+v, want one campaign to cus-1", sends)
		}
		if got := r.told("cus-2"); !cmp.Equal(got, []string{"payment_recovered"}) {
			t.Errorf("of whom no route speaks Braze was told %q", got)
		}
		if got := r.told("cus-3"); len(got) > 0 { // what it leaves on the profile is another flow's affair
			t.Errorf("of somebody whose records a route skips Braze was told %q", got)
		}
	})
}
