package webhook_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// vector is one case of signature-vectors.json.
type vector struct {
	Name, System, Secret, Body, Method, Path, Expect, Why string
	URL                                                   string `json:"url_as_received"`
	Now                                                   int64
	NowMs                                                 int64 `json:"now_ms"`
	Headers                                               map[string]string
}

func vectors(t testing.TB) []vector {
	t.Helper()
	text, err := os.ReadFile("testdata/signature-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(text, &file); err != nil || len(file.Vectors) != 18 {
		t.Fatalf("%d vectors, %v", len(file.Vectors), err)
	}
	return file.Vectors
}

func (v vector) request(t testing.TB) *webhook.Request {
	t.Helper()
	r := &webhook.Request{Method: "POST", URL: &url.URL{Path: "/v1/hooks/" + v.System}, Header: http.Header{}, Body: []byte(v.Body)}
	for name, value := range v.Headers {
		r.Header.Set(name, value)
	}
	if v.Path != "" {
		r.URL.Path = v.Path
	}
	if v.URL != "" {
		u, err := url.Parse(v.URL)
		if err != nil {
			t.Fatal(err)
		}
		r.Host, u.Scheme, u.Host = u.Host, "", ""
		r.URL = u
	}
	switch {
	case v.Now != 0:
		r.Received = time.Unix(v.Now, 0)
	case v.NowMs != 0:
		r.Received = time.UnixMilli(v.NowMs)
	default:
		r.Received = time.Date(2026, 1, 1, 0, 0, 6, 0, time.UTC)
	}
	return r
}

// source is what verifies it: shipped, or as configuration alone can say.
func (v vector) source(t testing.TB) *webhook.Source {
	t.Helper()
	switch {
	case v.System == "shopify" || v.System == "stripe" || v.System == "zendesk" || v.System == "contentful" || v.Name != "cloudinary-sha256-valid" && v.System == "cloudinary":
		return shipped(t, map[string]string{"CONTENTFUL_WEBHOOK_SECRETS": v.Secret, "CLOUDINARY_WEBHOOK_SECRETS": v.Secret, "SHOPIFY_WEBHOOK_SECRETS": v.Secret, "STRIPE_WEBHOOK_SECRETS": "whsec_another," + v.Secret, "ZENDESK_WEBHOOK_SECRETS": v.Secret + ", another"}).Find(v.System)
	case v.System == "hubspot":
		return shipped(t, map[string]string{
			"HUBSPOT_WEBHOOK_SECRETS": v.Secret, "HUBSPOT_WEBHOOK_LEGACY_SECRETS": v.Secret, "HUBSPOT_WEBHOOK_PUBLIC_URL": "https://door.example.com",
		}).Find("hubspot")
	case strings.HasPrefix(v.Name, "cloudinary-sha256"):
		return vendor(t, "cloudinary-sha256", v.Secret)
	}
	return vendor(t, v.System, v.Secret)
}

// vendor is a source of testdata/vendors.yaml.
func vendor(t testing.TB, name, secret string) *webhook.Source {
	t.Helper()
	text, err := os.ReadFile("testdata/vendors.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := webhook.Parse(text, options(map[string]string{"SECRET": secret}))
	if err != nil {
		t.Fatal(err)
	}
	source := sources.Find(name)
	if source == nil {
		t.Fatalf("there is no source %s", name)
	}
	return source
}

func TestEveryVectorIsDecidedAsItSays(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			err := v.source(t).Verify(v.request(t))
			if accept := strings.HasPrefix(v.Expect, "accept"); accept != (err == nil) {
				t.Errorf("%s, but got %v: %s", v.Expect, err, v.Why)
			}
		})
	}
}

// TestWhateverIsChangedIsNoticed changes what is good in each way there is.
func TestWhateverIsChangedIsNoticed(t *testing.T) {
	for _, v := range vectors(t) {
		if !strings.HasPrefix(v.Expect, "accept") {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			source := v.source(t)
			refused := func(what string, change func(r *webhook.Request)) {
				t.Helper()
				r := v.request(t)
				change(r)
				if source.Verify(r) == nil {
					t.Errorf("accepted with %s", what)
				}
			}
			for _, i := range []int{0, len(v.Body) / 2, len(v.Body) - 1} {
				refused("another byte in the body", func(r *webhook.Request) { r.Body[i] ^= 1 })
			}
			refused("a byte more", func(r *webhook.Request) { r.Body = append(r.Body, '\n') })
			refused("no body", func(r *webhook.Request) { r.Body = nil })
			refused("no headers", func(r *webhook.Request) { r.Header = http.Header{} })
			other := v
			other.Secret += "x"
			if other.source(t).Verify(v.request(t)) == nil {
				t.Error("accepted with another secret")
			}
		})
	}
}
