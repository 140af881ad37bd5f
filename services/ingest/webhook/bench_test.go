package webhook_test

import (
	"testing"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// What a webhook costs: whether it is the source's own, and what it means. The first to be run on every
// stranger's request, the second only on the source's.
func BenchmarkVerify(b *testing.B) {
	for _, name := range []string{"shopify", "stripe"} {
		b.Run(name, func(b *testing.B) {
			source := shipped(b, map[string]string{"SHOPIFY_WEBHOOK_SECRETS": "s", "STRIPE_WEBHOOK_SECRETS": "s"}).Find(name)
			r := sample(b, "testdata/shopify/orders_create.http")
			r.Received = signedAt
			r.Header.Set("X-Shopify-Hmac-Sha256", shopifySignature("s", string(r.Body)))
			r.Header.Set("Stripe-Signature", stripeSignature("s", string(r.Body), signedAt))
			b.SetBytes(int64(len(r.Body)))
			for b.Loop() {
				if err := source.Verify(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTranslate(b *testing.B) {
	for source, name := range map[string]string{"shopify": "orders_create", "stripe": "invoice_payment_failed"} {
		b.Run(name, func(b *testing.B) {
			s := shipped(b, nil).Find(source)
			r := sample(b, "testdata/"+source+"/"+name+".http")
			b.SetBytes(int64(len(r.Body)))
			for b.Loop() {
				if m := s.Translate(b.Context(), r); len(m) != 1 || len(m[0].Outputs) == 0 {
					b.Fatalf("got %+v", m)
				}
			}
		})
	}
}

// BenchmarkParse is what the shipped file costs at start.
func BenchmarkParse(b *testing.B) {
	text, err := shippedText()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := webhook.Parse(text, options(nil)); err != nil {
			b.Fatal(err)
		}
	}
}
