package ingest

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Cloudinary signs with it
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

const hookSecret = "shpss_demo"

var hookEnv = map[string]string{
	"SHOPIFY_WEBHOOK_SECRETS": hookSecret, "STRIPE_WEBHOOK_SECRETS": hookSecret, "ZENDESK_WEBHOOK_SECRETS": hookSecret,
	"CONTENTFUL_WEBHOOK_SECRETS": hookSecret, "CLOUDINARY_WEBHOOK_SECRETS": hookSecret, "SHOPIFY_SMS_GROUP": "group-1",
}

// newHookDoor is a front door with the sources that are built in, before a shelf.
func newHookDoor(t testing.TB, env map[string]string) *door {
	t.Helper()
	sources, err := LoadSources("", func(name string) (string, bool) { v, ok := env[name]; return v, ok }, "")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{shelf: &shelf{}, metrics: prometheus.NewRegistry()}
	d.Service = New(testOptions(), Deps{
		Producer: d.shelf, Letters: d.shelf, Kafka: stream.Config{}, Sources: sources,
		IDs:               topics.IDs{schema.CustomerEvents: 7, schema.CustomerProfiles: 8, schema.CommerceEvents: 9, schema.SupportCases: 10, schema.CRMChanges: 14, schema.ContentItems: 13},
		ContentPartitions: 12,
		Metrics:           d.metrics, Log: zerolog.Nop(),
	})
	d.handler = d.Handler()
	return d
}

// hookSample is a recorded call of package webhook's, signed afresh.
func hookSample(t testing.TB, name string) *http.Request {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("webhook", "testdata", name+".http"))
	if err != nil {
		t.Fatal(err)
	}
	sample, err := webhook.ReadSample(text, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, sample.URL.String(), bytes.NewReader(sample.Body))
	r.Header = sample.Header
	return signHook(r, sample.Body)
}

// signHook signs as Shopify, Stripe, Zendesk, Contentful and Cloudinary do; each looks at its own header only.
func signHook(r *http.Request, body []byte) *http.Request { return signHookWith(hookSecret, r, body) }

func signHookWith(secret string, r *http.Request, body []byte) *http.Request {
	header := "X-Shopify-Hmac-Sha256"
	if r.Header.Get("Shopify-Topic") != "" {
		header = "Shopify-Hmac-Sha256"
	}
	r.Header.Set(header, signatureOf(secret, string(body)))
	mac := hmac.New(sha256.New, []byte(secret))
	now := time.Now().Unix()
	fmt.Fprintf(mac, "%d.%s", now, body)
	r.Header.Set("Stripe-Signature", fmt.Sprintf("t=%d,v1=%s", now, hex.EncodeToString(mac.Sum(nil))))
	at := time.Now().UTC().Format(time.RFC3339)
	r.Header.Set("X-Zendesk-Webhook-Signature", signatureOf(secret, at+string(body)))
	r.Header.Set("X-Zendesk-Webhook-Signature-Timestamp", at)
	switch r.URL.Path {
	case "/v1/hooks/contentful":
		signContentful(secret, r, body)
	case "/v1/hooks/cloudinary":
		r.Header.Set("X-Cld-Timestamp", strconv.FormatInt(now, 10))
		sum := sha1.Sum([]byte(string(body) + strconv.FormatInt(now, 10) + secret)) //nolint:gosec // as the import
		r.Header.Set("X-Cld-Signature", hex.EncodeToString(sum[:]))
	}
	return r
}

// signContentful signs the canonical request.
func signContentful(secret string, r *http.Request, body []byte) {
	r.Header.Set("X-Contentful-Timestamp", strconv.FormatInt(time.Now().UnixMilli(), 10))
	r.Header.Set("X-Contentful-Signed-Headers", "content-type,x-contentful-signed-headers,x-contentful-timestamp,x-contentful-topic")
	var lines []string
	for _, name := range strings.Split(r.Header.Get("X-Contentful-Signed-Headers"), ",") {
		lines = append(lines, name+":"+r.Header.Get(name))
	}
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s\n%s\n%s\n%s", r.Method, r.URL.EscapedPath(), strings.Join(lines, ";"), body)
	r.Header.Set("X-Contentful-Signature", hex.EncodeToString(mac.Sum(nil)))
}

// signatureOf is the signature of a text as Shopify and Zendesk write it.
func signatureOf(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// shopifyHook is a webhook about a topic, signed.
func shopifyHook(topic, id, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/v1/hooks/shopify", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Shopify-Topic", topic)
	r.Header.Set("X-Shopify-Shop-Domain", "store.example.com")
	r.Header.Set("X-Shopify-Event-Id", id)
	return signHook(r, []byte(body))
}

func (d *door) hook(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return w
}

// TestSamplesBecomeRecords sends every recorded call through the door and holds the records, as goavro
// shows them, to files: example in, expected records out.
func TestSamplesBecomeRecords(t *testing.T) {
	samples, err := filepath.Glob("webhook/testdata/*/*.http")
	if err != nil || len(samples) < 50 {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	before := map[string]string{
		"shopify/orders_fulfilled": "orders_create", "shopify/fulfillments_create": "orders_create",
		"shopify/fulfillments_update_in_transit": "orders_create", "shopify/fulfillments_update_delivered": "orders_create",
		"shopify/refunds_create": "orders_create", "shopify/refunds_create_by_lines": "orders_create_guest",
		"shopify/carts_update": "checkouts_create", "shopify/carts_update_emptied": "orders_create",
		"stripe/subscription_after_checkout": "checkout_completed", "contentful/entry_delete_without_type": "entry_publish",
		"contentful/entry_publish_late": "entry_unpublish",
	}
	for _, path := range samples {
		name := strings.TrimSuffix(strings.TrimPrefix(path, "webhook/testdata/"), ".http")
		t.Run(name, func(t *testing.T) {
			d := newHookDoor(t, hookEnv)
			d.shelf.inline = true // so that records stand in their order
			sent := 0
			if first := before[name]; first != "" {
				if w := d.hook(hookSample(t, filepath.Dir(name)+"/"+first)); w.Code != 200 {
					t.Fatalf("%s: %d %s", first, w.Code, w.Body)
				}
				sent = len(d.shelf.records)
				d.shelf.records = nil
			}
			w := d.hook(hookSample(t, name))
			if w.Code != 200 || w.Body.String() != "{}" {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
			var shown []map[string]any
			for _, r := range d.shelf.records {
				if r.value == nil {
					shown = append(shown, map[string]any{"topic": r.topic, "key": r.key, "event_id": r.headers["event-id"], "tombstone": true})
					continue
				}
				value := readable(decode(t, r.topic, r.value)).(map[string]any)
				if value["occurred_at"] == value["received_at"] {
					value["occurred_at"] = "on arrival"
				}
				delete(value, "received_at")
				if value["event_id"] != r.headers["event-id"] || value["source"] != r.headers["source"] || value["user_id"] != r.key && value["item_key"] != r.key {
					t.Errorf("headers %v, key %s, value %v", r.headers, r.key, value)
				}
				shown = append(shown, map[string]any{"topic": r.topic, "key": r.key, "value": value})
			}
			for _, l := range d.shelf.letters {
				shown = append(shown, map[string]any{"dead letter": l.Reason, "detail": l.Detail, "event_id": l.EventID})
			}
			text, err := json.MarshalIndent(shown, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("hooks", name+".json"), append(text, '\n'))
			checkLaw(t, d.metrics, sent+max(len(shown), 1), sent+len(d.shelf.records))
		})
	}
}

// readable leaves out of a record what is not said, and the names of unions' branches, and writes money
// as people do.
func readable(v any) any {
	switch v := v.(type) {
	case map[string]any:
		kept := map[string]any{}
		for name, inner := range v {
			if len(v) == 1 && slices.Contains([]string{"string", "long", "bytes.decimal"}, name) {
				return readable(inner)
			}
			if inner != nil {
				kept[name] = readable(inner)
			}
		}
		return kept
	case []any:
		for i := range v {
			v[i] = readable(v[i])
		}
	case *big.Rat:
		return strings.TrimSuffix(strings.TrimRight(v.FloatString(9), "0"), ".")
	}
	return v
}

func TestWhoCannotProveWhoTheyAreIsRefusedAndNothingIsParsed(t *testing.T) {
	d := newHookDoor(t, hookEnv)
	for _, c := range []struct {
		name, source string
		change       func(r *http.Request)
		want         int
	}{
		{"Shopify without a signature", "shopify", func(r *http.Request) { r.Header.Del("X-Shopify-Hmac-Sha256") }, 401},
		{"Shopify with another's", "shopify", func(r *http.Request) {
			r.Header.Set("X-Shopify-Hmac-Sha256", "6MwCwC1PDiBwtxZT0A5Ey222oBBBqZZQhqZScRy6J+s=")
		}, 401},
		{"Stripe without a signature", "stripe", func(r *http.Request) { r.Header.Del("Stripe-Signature") }, 400},
		{"an API key does not help", "shopify", func(r *http.Request) {
			r.Header.Del("X-Shopify-Hmac-Sha256")
			r.Header.Set("X-Api-Key", "k1")
		}, 401},
		{"a source that there is not", "etsy", func(*http.Request) {}, 404},
		{"XML", "shopify", func(r *http.Request) { r.Header.Set("Content-Type", "application/xml") }, 415},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := shopifyHook("orders/create", "e-1", "not even JSON")
			r.URL.Path = "/v1/hooks/" + c.source
			c.change(r)
			if w := d.hook(r); w.Code != c.want || strings.Contains(w.Body.String(), "JSON value") {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
		})
	}
	if d.shelf.offered != 0 {
		t.Errorf("%d things were written", d.shelf.offered)
	}
	checkLaw(t, d.metrics, 0, 0)
}

func TestASourceWithoutASecretAsksToComeAgain(t *testing.T) {
	d := newHookDoor(t, nil)
	w := d.hook(hookSample(t, "shopify/orders_create"))
	if w.Code != 503 || w.Header().Get("Retry-After") != "30" || d.shelf.offered != 0 {
		t.Errorf("answered %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
}

// TestHostileBodiesAreKeptOrTooLarge sends what is signed and cannot be used.
func TestHostileBodiesAreKeptOrTooLarge(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       int
	}{
		{"nothing", "", 200},
		{"no JSON", "<order/>", 200},
		{"what is not UTF-8", "{\"id\": \"\xff\xfe\"}", 200},
		{"deep nesting", strings.Repeat(`{"a":`, 100_000), 200},
		{"five megabytes of numbers", "[" + strings.Repeat("0,", 2_400_000) + "0]", 200},
		{"more than five megabytes", strings.Repeat(" ", 5_000_001), 413},
		{"another shape", `{"id": [], "line_items": 7, "customer": "x", "email": "a@b.c", "currency": 1}`, 200},
		{"a currency that there is not", `{"id": 1, "email": "a@b.c", "currency": "XXQ", "total_price": "1", "line_items": []}`, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newHookDoor(t, hookEnv)
			w := d.hook(shopifyHook("orders/create", "e-1", c.body))
			if w.Code != c.want {
				t.Fatalf("answered %d %s", w.Code, w.Body)
			}
			if c.want != 200 {
				return
			}
			if len(d.shelf.letters) != 1 || len(d.shelf.records) != 0 {
				t.Fatalf("%d letters, %d records", len(d.shelf.letters), len(d.shelf.records))
			}
			l := d.shelf.letters[0]
			if l.Reason != "unmappable" || string(l.Value) != c.body || l.OriginTopic != "/v1/hooks/shopify" || l.EventID != "store.example.com/orders/create/e-1" {
				t.Errorf("letter %s %q from %s, id %s", l.Reason, l.Detail, l.OriginTopic, l.EventID)
			}
			checkLaw(t, d.metrics, 1, 0)
		})
	}
}

func TestADeadLetterKeepsTheHeadersThatSayWhatItIs(t *testing.T) {
	d := newHookDoor(t, hookEnv)
	r := shopifyHook("products/update", "e-1", `{"id": 820982911946154508 }`)
	r.URL.RawQuery = "tenant=acme"
	r.Header.Set("Cookie", "session")
	if w := d.hook(r); w.Code != 200 {
		t.Fatalf("answered %d", w.Code)
	}
	got := map[string]string{}
	for _, h := range d.shelf.letters[0].Headers {
		got[h.Key] = string(h.Value)
	}
	for _, other := range []string{"http-stripe-signature", "http-x-zendesk-webhook-signature", "http-x-zendesk-webhook-signature-timestamp"} {
		delete(got, other) // which the test has sent to Shopify too
	}
	want := map[string]string{
		"source": "shopify", "http-content-type": "application/json", "http-x-shopify-topic": "products/update",
		"http-x-shopify-shop-domain": "store.example.com", "http-x-shopify-event-id": "e-1", "http-query": "tenant=acme",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

func TestARepeatIsAcknowledgedAndWrittenOnce(t *testing.T) {
	d := newHookDoor(t, hookEnv)
	for range 3 {
		for _, name := range []string{"shopify/orders_create", "shopify/orders_paid", "shopify/unknown_topic", "stripe/invoice_payment_failed"} {
			if w := d.hook(hookSample(t, name)); w.Code != 200 {
				t.Errorf("%s: answered %d", name, w.Code)
			}
		}
	}
	ids := map[string]int{}
	for _, r := range d.shelf.records {
		ids[r.topic+" "+r.headers["event-id"]]++
	}
	want := map[string]int{
		"commerce.events mira-shoes.example.com/orders/create/ev-orders_create": 1, "customer.events mira-shoes.example.com/orders/paid/ev-orders_create": 1,
		"commerce.events evt_invoice_payment_failed": 1, "customer.profiles evt_invoice_payment_failed/1": 1,
	}
	if diff := cmp.Diff(want, ids); diff != "" || len(d.shelf.letters) != 1 {
		t.Errorf("%d letters; records (-want +got):\n%s", len(d.shelf.letters), diff)
	}
	checkLaw(t, d.metrics, 15, 4)
}

// TestOrderDoesNotMatter sends what may come in any order in each: the same is written.
func TestOrderDoesNotMatter(t *testing.T) {
	names := []string{"stripe/subscription_created", "stripe/invoice_paid", "stripe/subscription_updated", "shopify/orders_create", "shopify/orders_paid", "shopify/fulfillments_create", "shopify/orders_fulfilled"}
	write := func(names []string) []string {
		d := newHookDoor(t, hookEnv)
		// Who placed the order must be known before its shipment: that order is another test's.
		d.hook(hookSample(t, "shopify/orders_updated"))
		for _, name := range names {
			if w := d.hook(hookSample(t, name)); w.Code != 200 {
				t.Errorf("%s: answered %d", name, w.Code)
			}
		}
		var all []string
		for _, r := range d.shelf.records {
			value := decode(t, r.topic, r.value)
			all = append(all, fmt.Sprint(r.topic, " ", r.key, " ", value["event_id"], " ", value["occurred_at"]))
		}
		slices.Sort(all)
		return all
	}
	forward := write(names)
	slices.Reverse(names)
	if diff := cmp.Diff(forward, write(names)); diff != "" || len(forward) != 8 {
		t.Errorf("%d records; forward and backward differ:\n%s", len(forward), diff)
	}
}

func TestARefundBeforeItsOrderIsKeptUntilSomebodyKnows(t *testing.T) {
	d := newHookDoor(t, hookEnv)
	d.hook(hookSample(t, "shopify/refunds_create"))
	if len(d.shelf.letters) != 1 || d.shelf.letters[0].Reason != "identity_unresolved" {
		t.Fatalf("letters: %v", d.shelf.letters)
	}
}

func TestKafkaAwayIs503ForVendorsAndTheirRetryIsWrittenOnce(t *testing.T) {
	d := newHookDoor(t, hookEnv)
	away := errors.New("away")
	d.shelf.fail = func(n int) error { // the first record of two gets through
		if n == 1 || n == 2 {
			return away
		}
		return nil
	}
	first := d.hook(hookSample(t, "stripe/invoice_payment_failed"))
	letter := d.hook(hookSample(t, "stripe/unknown_type"))
	for _, w := range []*httptest.ResponseRecorder{first, letter} {
		if w.Code != 503 || w.Header().Get("Retry-After") != "2" {
			t.Errorf("away: answered %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
	}
	for _, name := range []string{"stripe/invoice_payment_failed", "stripe/unknown_type"} {
		if w := d.hook(hookSample(t, name)); w.Code != 200 {
			t.Errorf("again: answered %d %s", w.Code, w.Body)
		}
	}
	if len(d.shelf.records) != 2 || len(d.shelf.letters) != 1 {
		t.Errorf("%d records, %d letters", len(d.shelf.records), len(d.shelf.letters))
	}
	checkLaw(t, d.metrics, 6, 2)
}

func TestCompressedWebhooksAreVerifiedOverWhatWasCompressed(t *testing.T) {
	compress := func(r *http.Request, body string) *http.Request {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(body))
		_ = z.Close()
		small := httptest.NewRequest(http.MethodPost, r.URL.String(), &b)
		small.Header = r.Header
		small.Header.Set("Content-Encoding", "gzip")
		return small
	}
	d := newHookDoor(t, hookEnv)
	const body = `{"id": 5912345678901234567, "email": "a@b.c", "currency": "EUR", "total_price": "1.00", "line_items": []}`
	if w := d.hook(compress(shopifyHook("orders/create", "e-1", body), body)); w.Code != 200 || len(d.shelf.records) != 1 {
		t.Errorf("answered %d %s, %d records", w.Code, w.Body, len(d.shelf.records))
	}
	bomb := strings.Repeat(" ", 50_000_000)
	if w := d.hook(compress(shopifyHook("orders/create", "e-2", body), bomb)); w.Code != 413 {
		t.Errorf("a bomb: answered %d", w.Code)
	}
}

func TestNoDigitOfAnIdIsLost(t *testing.T) {
	d := newHookDoor(t, hookEnv)
	for i, id := range []string{"9007199254740993", "820982911946154508", "9223372036854775807", "18446744073709551617"} {
		body := fmt.Sprintf(`{"id": %s, "customer": {"id": %s}, "currency": "EUR", "total_price": 12345678901234567.89, "line_items": [{"product_id": %s, "variant_id": %s, "title": "t", "quantity": 1, "price": "1"}]}`, id, id, id, id)
		if w := d.hook(shopifyHook("orders/create", fmt.Sprint("e-", i), body)); w.Code != 200 || len(d.shelf.records) != i+1 {
			t.Fatalf("answered %d %s; %v", w.Code, w.Body, d.shelf.letters)
		}
		r := d.shelf.records[i]
		text := fmt.Sprint(decode(t, r.topic, r.value))
		if r.key != id || strings.Count(text, id) < 4 {
			t.Errorf("%s: key %s, %s", id, r.key, text)
		}
	}
}

func TestHandshakesNeedTheirSource(t *testing.T) {
	d := newHookDoor(t, hookEnv)
	for _, c := range []struct {
		method, path string
		want         int
	}{{"GET", "/v1/hooks/shopify", 405}, {"HEAD", "/v1/hooks/stripe", 405}, {"GET", "/v1/hooks/etsy", 404}, {"PUT", "/v1/hooks/shopify", 405}} {
		if w := d.ask(c.method, c.path, ""); w.Code != c.want {
			t.Errorf("%s %s: answered %d", c.method, c.path, w.Code)
		}
	}
}

func TestTheDevSecretIsForLoopbackAndTheWellKnownKey(t *testing.T) {
	dev := Keys{{Name: "dev", Key: "dev"}}
	for _, c := range []struct {
		addr string
		keys Keys
		want string
	}{
		{"127.0.0.1:8080", dev, "dev"},
		{"localhost:0", dev, "dev"},
		{":8080", dev, ""},
		{"10.0.0.7:80", dev, ""},
		{"127.0.0.1:8080", Keys{{Name: "shop", Key: "s3cret"}}, ""},
	} {
		if got := (Options{Addr: c.addr, Keys: c.keys}).devSecret(); got != c.want {
			t.Errorf("%s: %q", c.addr, got)
		}
	}
	var log bytes.Buffer
	sources, err := LoadSources("", func(name string) (string, bool) { return map[string]string{"STRIPE_WEBHOOK_SECRETS": "s"}[name], true }, "dev")
	if err != nil {
		t.Fatal(err)
	}
	announce(zerolog.New(&log), sources, "dev")
	if got := log.String(); !strings.Contains(got, `"source":"shopify","secret":"dev"`) || strings.Contains(got, "stripe") {
		t.Errorf("said at start: %s", got)
	}
	log.Reset()
	if sources, err = LoadSources("", nil, ""); err != nil {
		t.Fatal(err)
	}
	announce(zerolog.New(&log), sources, "")
	if got := log.String(); !strings.Contains(got, "takes nothing: it has no secret: set STRIPE_WEBHOOK_SECRETS") {
		t.Errorf("said at start: %s", got)
	}
}

func TestASourcesFileThatIsWrongIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sources.yaml")
	if err := os.WriteFile(path, []byte("sources: {a: {mapp: empty}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, path + ".not"} {
		if _, err := LoadSources(file, nil, ""); err == nil || !strings.Contains(err.Error(), "SOURCES_FILE") || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v", err)
		}
	}
}
