package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go"
	"gopkg.in/segmentio/analytics-go.v3"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
)

// arrived are the records of both topics by id, as far as the sender decides what stands in them.
func (h *house) arrived(t *testing.T) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for _, topic := range []string{schema.CustomerEvents, schema.CustomerProfiles} {
		for _, m := range h.read(t, topic) {
			r := decode(t, topic, m.Value)
			id := r["event_id"].(string)
			if all[id] != nil {
				t.Errorf("%s was written twice", id)
			}
			checkEnvelope(t, m, r)
			shown := map[string]any{"topic": topic, "user": r["user_id"]}
			for _, field := range []string{"event_name", "event_kind", "braze_disabled", "previous_user_id"} {
				if r[field] != nil {
					shown[field] = r[field]
				}
			}
			for _, field := range []string{"properties_json", "set_json"} {
				if text, ok := r[field].(string); ok {
					var object map[string]any
					if err := json.Unmarshal([]byte(text), &object); err != nil {
						t.Errorf("%s of %s: %v", field, id, err)
					}
					shown[field] = object
				}
			}
			if unset, ok := r["unset_fields"].([]any); ok && len(unset) > 0 {
				shown["unset_fields"] = unset
			}
			all[id] = shown
		}
	}
	return all
}

// checkEnvelope checks what is the same for every record.
func checkEnvelope(t *testing.T, m kafka.Message, r map[string]any) {
	t.Helper()
	received, occurred := r["received_at"].(time.Time), r["occurred_at"].(time.Time)
	if string(m.Key) != r["user_id"] || header(m, "source") != "shop" || r["source"] != "shop" || occurred.After(received) || received.Sub(occurred) > 5*time.Minute {
		t.Errorf("key %q, source %s, occurred %s, received %s", m.Key, r["source"], occurred, received)
	}
}

const (
	toEvents   = schema.CustomerEvents
	toProfiles = schema.CustomerProfiles
)

func TestTheGoClientWorksUnchanged(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(*embedded.Broker) (mend func())
	}{
		{"when all is well", func(*embedded.Broker) func() { return func() {} }},
		{"while Kafka is away and comes back", func(b *embedded.Broker) func() { return b.RefuseProduce(-1) }},
		{"while answers get lost", func(b *embedded.Broker) func() { return b.LoseProduceAnswers(2) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			broker := startBroker(t, embedded.Config{})
			h := openHouse(t, kafkaAt(broker.Addr()), func(o *Options) { o.DeliveryTimeout = time.Second })
			mend := c.harm(broker)
			var o outcomes
			client, err := analytics.NewWithConfig("k1", analytics.Config{
				Endpoint: h.url, BatchSize: 9, Interval: 50 * time.Millisecond,
				RetryAfter: func(int) time.Duration { return 50 * time.Millisecond },
				Logger:     quiet{t},
				Callback:   &o,
			})
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]map[string]any{}
			enqueue := func(id string, m analytics.Message, shown map[string]any) {
				t.Helper()
				if err := client.Enqueue(m); err != nil {
					t.Fatal(err)
				}
				want[id] = shown
			}
			at := time.Now().Add(-time.Minute)
			for n := range 40 {
				id := fmt.Sprint("go-", n)
				enqueue(id, analytics.Track{MessageId: id, UserId: "u", Event: "Order Completed", Timestamp: at, Properties: analytics.NewProperties().SetRevenue(84.9).Set("n", n)},
					map[string]any{"topic": toEvents, "user": "u", "event_name": "Order Completed", "event_kind": "track", "properties_json": map[string]any{"revenue": 84.9, "n": float64(n)}})
			}
			enqueue("go-i", analytics.Identify{MessageId: "go-i", UserId: "u", AnonymousId: "a", Traits: analytics.NewTraits().SetEmail("a@b.at").SetFirstName("Mira").Set("plan", "gold")},
				map[string]any{"topic": toProfiles, "user": "u", "previous_user_id": "alias:anonymous_id:a", "set_json": map[string]any{"email": "a@b.at", "first_name": "Mira", "plan": "gold"}})
			enqueue("go-p", analytics.Page{MessageId: "go-p", AnonymousId: "a", Name: "Home"},
				map[string]any{"topic": toEvents, "user": "alias:anonymous_id:a", "event_name": "Viewed Home Page", "event_kind": "page"})
			enqueue("go-s", analytics.Screen{MessageId: "go-s", UserId: "u", Name: "Cart", Integrations: analytics.NewIntegrations().Disable("Braze")},
				map[string]any{"topic": toEvents, "user": "u", "event_name": "Viewed Cart Screen", "event_kind": "screen", "braze_disabled": true})
			enqueue("go-g", analytics.Group{MessageId: "go-g", UserId: "u", GroupId: "acme", Traits: analytics.NewTraits().SetName("Acme")},
				map[string]any{"topic": toProfiles, "user": "u", "set_json": map[string]any{"company": map[string]any{"id": "acme", "name": "Acme"}}})
			enqueue("go-a", analytics.Alias{MessageId: "go-a", UserId: "u", PreviousId: "before"},
				map[string]any{"topic": toProfiles, "user": "u", "previous_user_id": "alias:anonymous_id:before"})

			messages := len(want)
			want["go-i:link"], want["go-a:link"] = link("a"), link("before")
			if c.name == "while Kafka is away and comes back" {
				waitUntil(t, func() bool { return countIn(t, h.process.Metrics, "unavailable") > 0 })
			}
			mend()
			// Only then close it: from then on this client does not try again.
			waitUntil(t, func() bool { return o.sent.Load()+o.failed.Load() == int64(messages) })
			if err := client.Close(); err != nil {
				t.Fatal(err)
			}
			if n := o.failed.Load(); n > 0 {
				t.Errorf("the client gave %d messages up", n)
			}
			if diff := cmp.Diff(want, h.arrived(t)); diff != "" {
				t.Errorf("on the topics (-want +got):\n%s", diff)
			}
			checkLaw(t, h.process.Metrics, countIn(t, h.process.Metrics, "received"), len(want))
		})
	}
}

// link is the record that says who an anonymous user turned out to be.
func link(anonymousID string) map[string]any {
	return map[string]any{"topic": toEvents, "user": "alias:anonymous_id:" + anonymousID, "event_name": identified, "event_kind": event.KindIdentify}
}

// outcomes counts what the Go client says of its messages.
type outcomes struct{ sent, failed atomic.Int64 }

func (o *outcomes) Success(analytics.Message)        { o.sent.Add(1) }
func (o *outcomes) Failure(analytics.Message, error) { o.failed.Add(1) }

// quiet shows what the Go client says only where the test fails.
type quiet struct{ t *testing.T }

func (q quiet) Logf(format string, args ...any)   { q.t.Logf(format, args...) }
func (q quiet) Errorf(format string, args ...any) { q.t.Logf(format, args...) }

func TestTheNodeClientWorksUnchanged(t *testing.T) {
	installed := installNodeClient(t)
	broker := startBroker(t, embedded.Config{})
	h := openHouse(t, kafkaAt(broker.Addr()), nil)
	script, err := filepath.Abs("testdata/node/track.mjs")
	if err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(t.Context(), "node", script)
	node.Env = append(os.Environ(), "INSTALLED="+installed, "HOST="+h.url, "WRITE_KEY=k1")
	if out, err := node.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := map[string]map[string]any{
		"node-identify": {
			"topic": toProfiles, "user": "node-user", "previous_user_id": "alias:anonymous_id:node-anon", "unset_fields": []any{"lost"},
			"set_json": map[string]any{"email": "mira.osei@example.com", "first_name": "Mira", "home_city": "Graz", "country": "AT", "plan": "gold", "visits": 3.0},
		},
		"node-hidden": {"topic": toEvents, "user": "alias:anonymous_id:node-anon", "event_name": "Seen", "event_kind": "track", "braze_disabled": true, "properties_json": map[string]any{}},
		"node-page": {
			"topic": toEvents, "user": "node-user", "event_name": "Viewed Home Page", "event_kind": "page",
			"properties_json": map[string]any{"path": "/", "category": "Shop"},
		},
		"node-screen": {"topic": toEvents, "user": "node-user", "event_name": "Viewed Cart Screen", "event_kind": "screen", "properties_json": map[string]any{}},
		"node-group":  {"topic": toProfiles, "user": "node-user", "set_json": map[string]any{"company": map[string]any{"id": "acme", "name": "Acme", "employees": 12.0}}},
		"node-alias":  {"topic": toProfiles, "user": "node-user", "previous_user_id": "alias:anonymous_id:node-before"},

		"node-identify:link": link("node-anon"),
		"node-alias:link":    link("node-before"),
	}
	for n := range 20 {
		want[fmt.Sprint("node-track-", n)] = map[string]any{
			"topic": toEvents, "user": "node-user", "event_name": "Order Completed", "event_kind": "track",
			"properties_json": map[string]any{"order_id": fmt.Sprint("A-", n), "total": 84.9, "note": "für 😀", "items": []any{map[string]any{"sku": "TRAIL-42"}}},
		}
	}
	if diff := cmp.Diff(want, h.arrived(t)); diff != "" {
		t.Errorf("on the topics (-want +got):\n%s", diff)
	}
	checkLaw(t, h.process.Metrics, len(want), len(want))
}

// installNodeClient installs the published Node client once for each user and lock file.
func installNodeClient(t *testing.T) (folder string) {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("CI must have %s: %v", tool, err)
			}
			t.Skipf("NOT RUN, NEEDS NODE AND NPM: %v", err)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	folder = filepath.Join(cache, "sluice", "tracking-client", "node-3.1.0")
	if _, err := os.Stat(filepath.Join(folder, "node_modules")); err == nil {
		return folder
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		t.Fatal(err)
	}
	// Beside its place, and moved there when it is whole: another test run may do the same.
	fresh, err := os.MkdirTemp(filepath.Dir(folder), "installing-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	for _, file := range []string{"package.json", "package-lock.json"} {
		data, err := os.ReadFile(filepath.Join("testdata", "node", file))
		if err == nil {
			err = os.WriteFile(filepath.Join(fresh, file), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	npm.Dir = fresh
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("installing the Node client: %v\n%s", err, out)
	}
	if err := os.Rename(fresh, folder); err != nil {
		if _, there := os.Stat(filepath.Join(folder, "node_modules")); there != nil {
			t.Fatal(errors.Join(err, there))
		}
	}
	return folder
}
