package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

var signedAt = time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC)

func stripeSignature(secret, body string, at time.Time) string {
	h := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(h, "%d.%s", at.Unix(), body)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(h.Sum(nil)))
}

func shopifySignature(secret, body string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(body))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func call(body string, received time.Time, headers ...string) *webhook.Request {
	r := &webhook.Request{Method: "POST", URL: &url.URL{Path: "/v1/hooks/x"}, Header: http.Header{}, Body: []byte(body), Received: received}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func TestSecretsRotate(t *testing.T) {
	sources := shipped(t, map[string]string{"SHOPIFY_WEBHOOK_SECRETS": "old, new", "STRIPE_WEBHOOK_SECRETS": "whsec_old,whsec_new"})
	for _, c := range []struct {
		secret string
		want   bool
	}{{"old", true}, {"new", true}, {"older", false}, {"old, new", false}, {"dev", false}, {"", false}} {
		if err := sources.Find("shopify").Verify(call("{}", signedAt, "X-Shopify-Hmac-Sha256", shopifySignature(c.secret, "{}"))); (err == nil) != c.want {
			t.Errorf("shopify, %q: %v", c.secret, err)
		}
		if err := sources.Find("stripe").Verify(call("{}", signedAt, "Stripe-Signature", stripeSignature("whsec_"+c.secret, "{}", signedAt))); (err == nil) != c.want {
			t.Errorf("stripe, %q: %v", c.secret, err)
		}
	}
}

func TestTheReplayWindowIsKeptToTheSecond(t *testing.T) {
	source := shipped(t, map[string]string{"STRIPE_WEBHOOK_SECRETS": "s"}).Find("stripe")
	header := stripeSignature("s", "{}", signedAt)
	for _, c := range []struct {
		name  string
		later time.Duration
		want  bool
	}{
		{"at once", 0, true},
		{"the last moment", 300 * time.Second, true},
		{"a moment too late", 300*time.Second + time.Nanosecond, false},
		{"days later", 72 * time.Hour, false},
		{"by a clock that is behind", -time.Hour, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := source.Verify(call("{}", signedAt.Add(c.later), "Stripe-Signature", header)); (err == nil) != c.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestSignatureHeadersThatAreNone are hostile, or broken on the way.
func TestSignatureHeadersThatAreNone(t *testing.T) {
	source := shipped(t, map[string]string{"STRIPE_WEBHOOK_SECRETS": "s"}).Find("stripe")
	good := stripeSignature("s", "{}", signedAt)
	_, v1, _ := strings.Cut(good, ",")
	for _, header := range []string{
		"", ",", "=", "t", "t=", "v1=", v1, "t=,v1=", "t=x," + v1, "t=-5," + v1, "t=99999999999999999999," + v1,
		"t=1767225605.0," + v1, "t= ," + v1, good + ",t=1767225606", strings.Repeat("v1=00,", 16) + good, strings.ToUpper(good),
		"t=1767225605;" + v1, strings.Replace(good, "v1=", "v0=", 1), good[:len(good)-1],
	} {
		if err := source.Verify(call("{}", signedAt, "Stripe-Signature", header)); err == nil {
			t.Errorf("%q was accepted", header)
		}
	}
	for _, header := range []string{good, " " + strings.Replace(good, ",", " , ", 1) + " ", "v0=00," + good + ",v2=zz,v1=nothex"} {
		if err := source.Verify(call("{}", signedAt, "Stripe-Signature", header)); err != nil {
			t.Errorf("%q: %v", header, err)
		}
	}
}

func TestCredentials(t *testing.T) {
	basic := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	for _, c := range []struct {
		name, source, query string
		headers             []string
		want                bool
	}{
		{"basic", "chargebee", "", []string{"Authorization", basic("user:pass")}, true},
		{"basic with another password", "chargebee", "", []string{"Authorization", basic("user:pas")}, false},
		{"basic that is no base64", "chargebee", "", []string{"Authorization", "Basic user:pass"}, false},
		{"basic as bearer", "chargebee", "", []string{"Authorization", "Bearer user:pass"}, false},
		{"bearer", "cloudevents", "", []string{"Authorization", "bearer user:pass"}, true},
		{"bearer without a word", "cloudevents", "", []string{"Authorization", "user:pass"}, false},
		{"nothing", "cloudevents", "", nil, false},
		{"a token in a header", "freshdesk", "", []string{"X-Door-Key", "user:pass"}, true},
		{"a token in another header", "freshdesk", "", []string{"X-Key", "user:pass"}, false},
		{"a token in the query", "chargebee-url", "key=user:pass", nil, true},
		{"a token in the query twice", "chargebee-url", "key=user:pass&key=", nil, false},
		{"an empty token", "chargebee-url", "key=", nil, false},
		{"a subject with a proxy that proves itself", "salesforce", "", []string{"X-Client-Subject", "CN=proxy.salesforce.com,O=Salesforce", "X-Proxy-Secret", "user:pass"}, true},
		{"a subject that anybody could have sent", "salesforce", "", []string{"X-Client-Subject", "CN=proxy.salesforce.com,O=Salesforce"}, false},
		{"a proxy that has no subject", "salesforce", "", []string{"X-Proxy-Secret", "user:pass"}, false},
		{"no certificate", "adobe", "", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := call("{}", signedAt, c.headers...)
			r.URL.RawQuery = c.query
			if err := vendor(t, c.source, "user:pass").Verify(r); (err == nil) != c.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAClientCertificateMustBeVerified(t *testing.T) {
	source := vendor(t, "adobe", "")
	if why := source.Disabled(); why != "" {
		t.Errorf("it is disabled: %s", why)
	}
	certificate := &x509.Certificate{Subject: pkix.Name{CommonName: "events", Organization: []string{"Adobe"}}}
	r := call("{}", signedAt)
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}}
	if source.Verify(r) == nil {
		t.Error("a certificate that nobody vouches for was accepted")
	}
	r.TLS.VerifiedChains = [][]*x509.Certificate{{certificate}}
	if err := source.Verify(r); err != nil {
		t.Error(err)
	}
	certificate.Subject.CommonName = "others"
	if source.Verify(r) == nil {
		t.Error("another subject was accepted")
	}
}

func TestWhatProvesTheSenderIsShownToNobody(t *testing.T) {
	r := call("{}", signedAt, "X-Door-Key", "user:pass", "Authorization", "x", "Cookie", "y", "X-Topic", "a")
	r.URL.RawQuery = "tenant=acme"
	source := vendor(t, "freshdesk", "user:pass")
	if got := fmt.Sprint(source.Headers(r), source.Query(r)); got != "[{x-topic a}] map[tenant:[acme]]" {
		t.Errorf("headers and query: %s", got)
	}
	r.URL.RawQuery = "tenant=acme&key=user:pass"
	if got := fmt.Sprint(vendor(t, "chargebee-url", "user:pass").Query(r)); got != "map[tenant:[acme]]" {
		t.Errorf("query: %s", got)
	}
}

func TestHandshakes(t *testing.T) {
	for _, c := range []struct {
		name, source, method, url string
		headers                   []string
		want                      string
	}{
		{"a challenge", "adobe", "GET", "/?challenge=8ec8d794", nil, `200 application/json {"challenge":"8ec8d794"}`},
		{"a challenge that breaks out", "adobe", "GET", `/?challenge=%22%7D%3Cscript%3E`, nil, `200 application/json {"challenge":"\"}<script>"}`},
		{"a challenge with control characters", "adobe", "GET", "/?challenge=a%0Ab", nil, "none"},
		{"a challenge far too long", "adobe", "GET", "/?challenge=" + strings.Repeat("a", 2000), nil, "none"},
		{"no challenge", "adobe", "GET", "/", nil, "none"},
		{"a look whether somebody is there", "intercom", "HEAD", "/", nil, "200  "},
		{"a method that it does not ask with", "intercom", "GET", "/", nil, "none"},
		{"permission to send", "cloudevents", "OPTIONS", "/", []string{"WebHook-Request-Origin", "eventgrid.example.com"}, "200  "},
		{"a source without", "recurly", "GET", "/?challenge=a", nil, "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), c.method, c.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(c.headers); i += 2 {
				r.Header.Set(c.headers[i], c.headers[i+1])
			}
			a, ok := vendor(t, c.source, "s").Handshake(r)
			got := "none"
			if ok {
				got = fmt.Sprintf("%d %s %s", a.Status, a.Header.Get("Content-Type"), a.Body)
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if c.source == "cloudevents" && (a.Header.Get("WebHook-Allowed-Origin") != "eventgrid.example.com" || a.Header.Get("WebHook-Allowed-Rate") != "*") {
				t.Errorf("headers: %v", a.Header)
			}
		})
	}
}
