package ingest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
)

func TestEventsReachTheTopicAsTheyWereSent(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, kafka stream.Config) {
		h := openHouse(t, kafka, nil)
		before := time.Now().Truncate(time.Millisecond)
		code, answer, err := h.post(t.Context(), freshClient(t), array(
			`{"id":"e-1","user":{"external_id":"cus-1","email":"Mira@example.com"},"name":"Order Completed","time":"2026-03-02T10:15:04.210+01:00",`+
				`"properties":{"id":820982911946154508,"total":84.90,"note":"\u00e9"},"attributes":{"vip":true}}`,
			`{"user":{"alias":{"label":"anonymous_id","name":"a-1"}},"name":"Seen","time":"2126-01-01T00:00:00Z"}`,
			`{"id":"e-1","user":{"external_id":"cus-1"},"name":"Order Completed"}`,
			`{"id":"e-3","user":{},"name":"Order Completed"}`,
		))
		if err != nil || code != http.StatusAccepted {
			t.Fatalf("got %d %s, %v", code, answer, err)
		}
		a := readAnswer(t, strings.NewReader(string(answer)))
		if got := a.statuses(); got != "accepted accepted duplicate rejected" || a.Accepted != 3 || a.Rejected != 1 {
			t.Errorf("verdicts: %s, accepted %d, rejected %d", got, a.Accepted, a.Rejected)
		}
		messages := h.read(t, schema.CustomerEvents)
		checkLaw(t, h.process.Metrics, 4, len(messages))
		records := map[string]map[string]any{}
		for _, m := range messages {
			r := decode(t, schema.CustomerEvents, m.Value)
			if r["user_id"] != string(m.Key) || header(m, "source") != "shop" || header(m, "origin") != "ingest" || header(m, "hops") != "0" || header(m, "event-id") != r["event_id"] {
				t.Errorf("key %q, headers %v", m.Key, m.Headers)
			}
			received := r["received_at"].(time.Time)
			if received.Before(before) || received.After(time.Now()) || !m.Time.Equal(received) {
				t.Errorf("received at %s, stamped %s", received, m.Time)
			}
			if r["user_id"] == "alias:anonymous_id:a-1" {
				if !r["occurred_at"].(time.Time).Equal(received) {
					t.Errorf("a time in the future was not clamped: %s", r["occurred_at"])
				}
				delete(r, "occurred_at")
			}
			delete(r, "received_at")
			records[r["event_id"].(string)] = r
		}
		common := map[string]any{"braze_id": nil, "phone": nil, "app_id": nil, "braze_disabled": nil, "identified_as": nil, "source": "shop", "event_kind": "track"}
		made := a.Results[1].ID
		want := map[string]map[string]any{
			"e-1": {
				"event_id": "e-1", "user_id": "cus-1", "external_id": "cus-1", "email": "Mira@example.com", "alias_label": nil, "alias_name": nil,
				"event_name": "Order Completed", "occurred_at": time.Date(2026, 3, 2, 9, 15, 4, 210_000_000, time.UTC),
				"properties_json": `{"id":820982911946154508,"total":84.90,"note":"\u00e9"}`, "attributes_json": `{"vip":true}`,
			},
			made: {
				"event_id": made, "user_id": "alias:anonymous_id:a-1", "external_id": nil, "email": nil, "alias_label": "anonymous_id", "alias_name": "a-1",
				"event_name": "Seen", "properties_json": nil, "attributes_json": nil,
			},
		}
		for _, r := range want {
			maps.Copy(r, common)
		}
		if diff := cmp.Diff(want, records); diff != "" {
			t.Errorf("records (-want +got):\n%s", diff)
		}
	})
}

func TestAUsersOrderIsThatOfTheItems(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, kafka stream.Config) {
		h := openHouse(t, kafka, nil)
		const users, requests, each = 8, 6, 40
		var all sync.WaitGroup
		for u := range users {
			all.Go(func() {
				client := freshClient(t)
				for r := range requests {
					code, answer, err := h.post(t.Context(), client, array(orders(fmt.Sprint("u", u), r*each, each)...))
					if err != nil || code != http.StatusAccepted {
						t.Errorf("got %d %s, %v", code, answer, err)
						return
					}
				}
			})
		}
		all.Wait()
		messages := h.read(t, schema.CustomerEvents)
		next := map[string]int{}
		for _, m := range messages {
			user := string(m.Key)
			if want := fmt.Sprintf("%s-%04d", user, next[user]); header(m, "event-id") != want {
				t.Fatalf("user %s: %s stands where %s belongs", user, header(m, "event-id"), want)
			}
			next[user]++
		}
		checkLaw(t, h.process.Metrics, users*requests*each, len(messages))
	})
}

func TestKafkaAwayIs503AndTheRepeatIsWrittenOnce(t *testing.T) {
	dir := t.TempDir()
	broker := startBroker(t, embedded.Config{Dir: dir})
	addr := broker.Addr()
	h := openHouse(t, kafkaAt(addr), func(o *Options) { o.DeliveryTimeout = time.Second })
	client := freshClient(t)
	sent := 0
	post := func(body string) (int, itemsAnswer) {
		code, answer, err := h.post(t.Context(), client, body)
		if err != nil {
			t.Fatal(err)
		}
		a := readAnswer(t, strings.NewReader(string(answer)))
		sent += len(a.Results)
		return code, a
	}
	if code, a := post(array(orders("u", 0, 3)...)); code != 202 {
		t.Fatalf("before: got %d %s", code, a.statuses())
	}
	if failing := h.process.Health.Failing(t.Context()); len(failing) > 0 {
		t.Errorf("not ready before: %v", failing)
	}

	if err := broker.Close(); err != nil {
		t.Fatal(err)
	}
	body := array(orders("u", 2, 4)...) // the first of them is durable already
	resp, err := client.Do(authorized(t, h.url+"/v1/events", body))
	if err != nil {
		t.Fatal(err)
	}
	a := readAnswer(t, resp.Body)
	_ = resp.Body.Close()
	sent += len(a.Results)
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || a.statuses() != "duplicate unavailable unavailable unavailable" {
		t.Errorf("away: got %d, Retry-After %q, %s", resp.StatusCode, resp.Header.Get("Retry-After"), a.statuses())
	}
	if failing := h.process.Health.Failing(t.Context()); failing["kafka"] == nil {
		t.Error("ready though Kafka is away")
	}

	startBroker(t, embedded.Config{Dir: dir, Addr: addr})
	for deadline := time.Now().Add(20 * time.Second); ; {
		if time.Now().After(deadline) {
			t.Fatal("it never came back")
		}
		if code, _ := post(body); code == 202 { // each try waits for the delivery timeout
			break
		}
	}
	messages := h.read(t, schema.CustomerEvents)
	want := map[string]int{}
	for i := range 6 {
		want[fmt.Sprintf("u-%04d", i)] = 1
	}
	if diff := cmp.Diff(want, byID(messages)); diff != "" {
		t.Errorf("ids on the topic (-want +got):\n%s", diff)
	}
	checkLaw(t, h.process.Metrics, sent, len(messages))
}

func authorized(t *testing.T, url, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Api-Key", "k1")
	return r
}

func TestAnswersThatGetLostAreNotDoubled(t *testing.T) {
	broker := startBroker(t, embedded.Config{})
	h := openHouse(t, kafkaAt(broker.Addr()), nil)
	client := freshClient(t)
	broker.LoseProduceAnswers(3)
	for i := range 10 {
		code, answer, err := h.post(t.Context(), client, array(orders("u", 20*i, 20)...))
		if err != nil || code != 202 {
			t.Fatalf("got %d %s, %v", code, answer, err)
		}
	}
	messages := h.read(t, schema.CustomerEvents)
	if ids := byID(messages); len(ids) != 200 || len(messages) != 200 {
		t.Errorf("%d records of %d ids", len(messages), len(ids))
	}
	checkLaw(t, h.process.Metrics, 200, len(messages))
}

func TestDrainAnswersEveryRequestThatCameIn(t *testing.T) {
	broker := startBroker(t, embedded.Config{})
	h := openHouse(t, kafkaAt(broker.Addr()), nil)
	const clients = 12
	var yes sync.Map // ids that were answered yes
	var sent, answered atomic.Int64
	var lost atomic.Pointer[error]
	var all, warm sync.WaitGroup
	warm.Add(clients)
	for c := range clients {
		all.Go(func() {
			client := freshClient(t)
			for r := 0; ; r++ {
				items := orders(fmt.Sprint("u", c), 5*r, 5)
				code, answer, err := h.post(t.Context(), client, array(items...))
				if r == 3 {
					warm.Done()
				}
				if err != nil {
					if !errors.Is(err, syscall.ECONNREFUSED) {
						lost.Store(&err)
					}
					return // the door is closed
				}
				sent.Add(int64(len(items)))
				answered.Add(1)
				if code != http.StatusAccepted {
					err := fmt.Errorf("answered %d %s", code, answer)
					lost.Store(&err)
					return
				}
				for i := range items {
					yes.Store(fmt.Sprintf("u%d-%04d", c, 5*r+i), true)
				}
			}
		})
	}
	warm.Wait()
	h.stop() // in the middle of it all
	all.Wait()
	if err := <-h.stopped; err != nil {
		t.Errorf("draining: %v", err)
	}
	h.stopped = nil
	if err := lost.Load(); err != nil {
		t.Errorf("a request was not answered as it should be: %v", *err)
	}
	messages := h.read(t, schema.CustomerEvents)
	ids := byID(messages)
	yes.Range(func(id, _ any) bool {
		if ids[id.(string)] != 1 {
			t.Errorf("%s was answered yes and is on the topic %d times", id, ids[id.(string)])
		}
		return true
	})
	checkLaw(t, h.process.Metrics, int(sent.Load()), len(messages))
	if held := h.Held(); held != "" {
		t.Errorf("still held: %s", held)
	}
	t.Logf("%d requests answered", answered.Load())
}

func TestOpenFailsWhereNobodyListens(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	p := openHouse(t, kafkaAt(startBroker(t, embedded.Config{}).Addr()), nil).process.Named("ingest-2")
	kafka := kafkaAt("127.0.0.1:1")
	if s, err := Open(ctx, Config{Kafka: kafka, Ingest: testOptions()}, p); err == nil || s != nil {
		t.Errorf("got %v, %v", s, err)
	}
}
