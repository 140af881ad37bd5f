package ingest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
)

// tell sends what Braze would, over the network.
func (h *house) tell(t *testing.T, path, authorization, body string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", authorization)
	r.Header.Set("Content-Type", "application/json")
	resp, err := freshClient(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp, string(answer)
}

func withToken(o *Options) { o.CurrentsTokens = Tokens{"t0k3n"} }

func TestWhatBrazeTellsStandsOnTopics(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, kafka stream.Config) {
		h := openHouse(t, kafka, withToken)
		var events []string
		for i := range 100 {
			events = append(events, opened(fmt.Sprintf("e-%03d", i), fmt.Sprintf("u-%d", i%7)))
		}
		large := strings.Replace(opened("large", "u"), `"properties":{`, `"properties":{"x":"`+strings.Repeat("y", 1_200_000)+`",`, 1)
		if resp, answer := h.tell(t, currentsPath, "Bearer t0k3n", batchOf(append(events, large)...)); resp.StatusCode != 200 || answer != `{"accepted":100,"duplicate":0,"deadletter":1}` {
			t.Fatalf("answered %d %s", resp.StatusCode, answer)
		}
		if resp, answer := h.tell(t, "/v1/braze/webhooks/crm-writeback", "Bearer k1", writeBack); resp.StatusCode != 200 {
			t.Fatalf("answered %d %s", resp.StatusCode, answer)
		}
		engagements := h.read(t, schema.BrazeEngagements)
		last := map[string]string{}
		for _, m := range engagements {
			e := decode(t, schema.BrazeEngagements, m.Value)
			id, user := e["event_id"].(string), e["external_id"].(string)
			if string(m.Key) != user || header(m, "event-id") != id || id <= last[user] {
				t.Errorf("%s of %s stands behind %q", id, m.Key, last[user])
			}
			last[user] = id
		}
		if n := len(byID(engagements)); n != 100 || len(engagements) != 100 {
			t.Errorf("%d records of %d events", len(engagements), n)
		}
		letters := h.read(t, schema.DeadLetters(Name))
		if len(letters) != 1 || string(decode(t, schema.DeadLetters(Name), letters[0].Value)["origin_value"].([]byte)) != large {
			t.Errorf("%d letters", len(letters))
		}
		actions := h.read(t, schema.BrazeActions)
		if len(actions) != 1 || decode(t, schema.BrazeActions, actions[0].Value)["payload_json"] != writeBack {
			t.Errorf("%d actions", len(actions))
		}
		checkLaw(t, h.process.Metrics, 102, 101)
	})
}

func TestBrazeComesAgainWhenKafkaIsAway(t *testing.T) {
	broker := startBroker(t, embedded.Config{})
	h := openHouse(t, kafkaAt(broker.Addr()), func(o *Options) {
		withToken(o)
		o.DeliveryTimeout = time.Second
	})
	var events []string
	for i := range 100 {
		events = append(events, opened(fmt.Sprintf("e-%03d", i), fmt.Sprintf("u-%d", i)))
	}
	thaw := broker.Freeze()
	if resp, answer := h.tell(t, currentsPath, "Bearer t0k3n", batchOf(events...)); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Fatalf("answered %d %s", resp.StatusCode, answer)
	}
	thaw()
	for deadline := time.Now().Add(20 * time.Second); ; {
		if time.Now().After(deadline) {
			t.Fatal("it never came back")
		}
		if resp, _ := h.tell(t, currentsPath, "Bearer t0k3n", batchOf(events...)); resp.StatusCode == 200 {
			break
		}
	}
	messages := h.read(t, schema.BrazeEngagements)
	want := map[string]int{}
	for i := range 100 {
		want[fmt.Sprintf("e-%03d", i)] = 1
	}
	if diff := cmp.Diff(want, byID(messages)); diff != "" {
		t.Errorf("ids on the topic (-want +got)\n%s", diff)
	}
}
