package webhook_test

import (
	"cmp"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// FuzzSignature gives the signature of every vendor any text: whatever it is, nobody comes in with it
// who did not sign.
func FuzzSignature(f *testing.F) {
	sources := []*webhook.Source{
		shipped(f, map[string]string{"STRIPE_WEBHOOK_SECRETS": "what nobody finds by chance"}).Find("stripe"),
		shipped(f, map[string]string{"CONTENTFUL_WEBHOOK_SECRETS": "what nobody finds by chance"}).Find("contentful"),
		shipped(f, map[string]string{"CLOUDINARY_WEBHOOK_SECRETS": "what nobody finds by chance"}).Find("cloudinary"),
		shipped(f, map[string]string{"SHOPIFY_WEBHOOK_SECRETS": "what nobody finds by chance"}).Find("shopify"),
	}
	for _, name := range []string{"zendesk", "hubspot", "contentful", "cloudinary", "intercom", "recurly", "chargebee", "chargebee-url", "cloudevents"} {
		sources = append(sources, vendor(f, name, "what nobody finds by chance"))
	}
	for _, v := range vectors(f) {
		for _, header := range v.Headers {
			f.Add(header, v.Body)
		}
	}
	f.Add("t=1,v1=,v1,=,t", "")
	f.Add("1767225605123,,,", "{}")
	names := []string{
		"Stripe-Signature", "X-Shopify-Hmac-Sha256", "X-Zendesk-Webhook-Signature", "X-Zendesk-Webhook-Signature-Timestamp",
		"X-HubSpot-Signature-v3", "X-HubSpot-Request-Timestamp", "X-Contentful-Signature", "X-Contentful-Signed-Headers",
		"X-Contentful-Timestamp", "X-Cld-Signature", "X-Cld-Timestamp", "X-Hub-Signature", "Recurly-Signature", "Authorization",
	}
	f.Fuzz(func(t *testing.T, header, body string) {
		r := call(body, signedAt)
		r.URL.RawQuery = "key=" + header
		for _, name := range names {
			r.Header[http.CanonicalHeaderKey(name)] = []string{header}
		}
		for _, source := range sources {
			if source.Verify(r) == nil {
				t.Errorf("%s lets %q in", source.Name(), header)
			}
		}
	})
}

// FuzzTranslate gives the shipped programs any body: each message has outputs, or a reason why not, and
// what there is to keep of it lies within the body.
func FuzzTranslate(f *testing.F) {
	samples, err := filepath.Glob("testdata/*/*.http")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range samples {
		r := sample(f, path)
		f.Add(cmp.Or(r.Header.Get("X-Shopify-Topic"), r.Header.Get("X-Contentful-Topic")), r.Body)
	}
	own, err := os.ReadFile("testdata/own.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add("carts/update", own)
	f.Add("orders/create", []byte(`{"line_items": {}, "customer": [], "discount_codes": 1, "id": -0.0}`))
	f.Add("refunds/create", []byte(`[{"transactions": [[]]}]`))
	sources := shipped(f, nil).All()
	f.Fuzz(func(t *testing.T, topic string, body []byte) {
		if len(body) > 1<<16 {
			return
		}
		for _, source := range sources {
			messages := source.Translate(t.Context(), call(string(body), signedAt, "X-Shopify-Topic", topic, "X-Contentful-Topic", topic, "X-Shopify-Shop-Domain", "s.example.com"))
			if len(messages) == 0 {
				t.Fatalf("%s: nothing was said of %q", source.Name(), body)
			}
			for _, m := range messages {
				fates := 0
				for _, is := range []bool{m.Skip != "", m.Refuse != "", len(m.Outputs) > 0} {
					if is {
						fates++
					}
				}
				if fates != 1 || m.Start < 0 || m.End > len(body) || m.Start > m.End || m.Key == "" || len(m.Key) > 255 {
					t.Errorf("%s: %+v", source.Name(), m)
				}
				for _, o := range m.Outputs {
					if !json.Valid(o.JSON) || o.ID == "" || strings.ContainsAny(o.ID, "\r\n") {
						t.Errorf("%s: %s", source.Name(), o.JSON)
					}
				}
			}
		}
	})
}
