package ingest

import (
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
)

// devDoor opens a house as on somebody's own machine, where webhooks are signed with "dev".
func devDoor(o *Options) { o.Keys = Keys{{Name: "default", Key: "dev"}} }

// sendHook sends a recorded call over the wire, signed as the house expects it.
func (h *house) sendHook(t *testing.T, client *http.Client, name string) int {
	t.Helper()
	sample := hookSample(t, name)
	body, err := io.ReadAll(sample.Body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+sample.URL.Path, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = sample.Header
	resp, err := client.Do(signHookWith("dev", r, body))
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

func TestWebhooksReachTheirTopicsThroughAKafkaThatGoesAway(t *testing.T) {
	dir := t.TempDir()
	broker := startBroker(t, embedded.Config{Dir: dir})
	addr := broker.Addr()
	h := openHouse(t, kafkaAt(addr), func(o *Options) { devDoor(o); o.DeliveryTimeout = time.Second })
	client := freshClient(t)
	samples := []string{"shopify/orders_create", "shopify/refunds_create", "shopify/unknown_topic", "stripe/invoice_payment_failed"}
	for _, name := range samples[:2] {
		if code := h.sendHook(t, client, name); code != http.StatusOK {
			t.Errorf("%s: answered %d", name, code)
		}
	}
	if err := broker.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range samples[2:] {
		if code := h.sendHook(t, client, name); code != http.StatusServiceUnavailable {
			t.Errorf("away: %s: answered %d", name, code)
		}
	}
	startBroker(t, embedded.Config{Dir: dir, Addr: addr})
	for _, name := range samples {
		for deadline := time.Now().Add(20 * time.Second); h.sendHook(t, client, name) != http.StatusOK; { // each try waits for the delivery timeout
			if time.Now().After(deadline) {
				t.Fatalf("%s was never taken again", name)
			}
		}
	}
	for topic, want := range map[string]int{schema.CommerceEvents: 3, schema.CustomerProfiles: 1, schema.DeadLetters(Name): 1} {
		messages := h.read(t, topic)
		for id, n := range byID(messages) {
			if n != 1 {
				t.Errorf("%s: %s stands there %d times", topic, id, n)
			}
		}
		if len(messages) != want {
			t.Errorf("%s: %d records, want %d", topic, len(messages), want)
		}
	}
}

// TestREADMEWebhookWorks runs the README's example of a signed webhook.
func TestREADMEWebhookWorks(t *testing.T) {
	for _, tool := range []string{"curl", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("CI must have %s: %v", tool, err)
			}
			t.Skipf("NOT RUN, NEEDS %s: %v", strings.ToUpper(tool), err)
		}
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(readme), "```sh\nbody=")
	command, _, closed := strings.Cut(block, "```")
	if !found || !closed {
		t.Fatal("the README has no example of a webhook")
	}
	h := openHouse(t, kafkaAt(startBroker(t, embedded.Config{}).Addr()), devDoor)
	command = strings.ReplaceAll("body="+command, "http://localhost:8080", h.url)
	out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(command, "curl ", "curl -sS --fail-with-body ", 1)).CombinedOutput()
	if err != nil || string(out) != "{}" {
		t.Errorf("%v\n%s", err, out)
	}
	if messages := h.read(t, schema.CommerceEvents); len(messages) != 1 || string(messages[0].Key) != "7045678901234567891" {
		t.Errorf("%d records", len(messages))
	}
}

// TestASourceOfOnesOwnIsServed adds a source by SOURCES_FILE alone.
func TestASourceOfOnesOwnIsServed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sources.yaml")
	file := `
sources:
  loyalty:
    auth: {scheme: token, header: X-Loyalty-Key, secret_env: LOYALTY_KEYS}
    handshake: [{method: GET, query: challenge}]
    ack: {status: 202, type: text/plain, body: thanks}
    dedup: .body.id
    identity: '{external_id: (.body.member | id)}'
    map: '{to: "event", name: "points_earned", properties: {points: .body.points}}'
`
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LOYALTY_KEYS", "old,new")
	h := openHouse(t, kafkaAt(startBroker(t, embedded.Config{}).Addr()), func(o *Options) { o.SourcesFile = path })
	client := freshClient(t)
	ask := func(method, path, key, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, h.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Loyalty-Key", key)
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	const body = `{"id": 9007199254740993, "member": 820982911946154508, "points": 5}`
	for key, want := range map[string]int{"old": 202, "new": 202, "dev": 401, "": 401} {
		if code, text := ask("POST", "/v1/hooks/loyalty", key, body); code != want || want == 202 && text != "thanks" {
			t.Errorf("with %q: answered %d %s", key, code, text)
		}
	}
	if code, text := ask("GET", "/v1/hooks/loyalty?challenge=abc", "", ""); code != 200 || text != "abc" {
		t.Errorf("the handshake: answered %d %s", code, text)
	}
	if code, _ := ask("POST", "/v1/hooks/shopify", "old", body); code != 404 {
		t.Errorf("a source of the file that is replaced: answered %d", code)
	}
	messages := h.read(t, schema.CustomerEvents)
	if len(messages) != 1 || string(messages[0].Key) != "820982911946154508" || header(messages[0], "event-id") != "9007199254740993" || header(messages[0], "source") != "loyalty" {
		t.Errorf("%d records", len(messages))
	}
	checkLaw(t, h.process.Metrics, 2, 1)
}
