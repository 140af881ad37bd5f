package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
)

// shelf stands in for Kafka where a test decides what Kafka does, and when.
type shelf struct {
	mu      sync.Mutex
	records []kept
	letters []deadletter.Letter
	fail    func(n int) error // what becomes of the nth record or letter; nil takes all
	offered int
	waiting chan func() // with it, calls back are made by the test
	inline  bool        // calls back are made at once
}

// kept is what must outlive the request: a copy.
type kept struct {
	topic, key string
	partition  int32
	value      []byte // nil of a tombstone
	headers    map[string]string
}

func (s *shelf) next() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offered++
	if s.fail == nil {
		return nil
	}
	return s.fail(s.offered - 1)
}

func (s *shelf) callBack(f func()) {
	switch {
	case s.waiting != nil:
		s.waiting <- f
	case s.inline:
		f()
	default:
		go f()
	}
}

func (s *shelf) Produce(_ context.Context, r *stream.Record, done func(*stream.Record, error)) {
	err := s.next()
	s.callBack(func() {
		if err == nil {
			k := kept{topic: r.Topic, key: string(r.Key), partition: r.Partition, value: bytes.Clone(r.Value), headers: map[string]string{}}
			for _, h := range r.Headers {
				k.headers[h.Key] = string(h.Value)
			}
			s.mu.Lock()
			s.records = append(s.records, k)
			s.mu.Unlock()
		}
		done(r, err)
	})
}

func (s *shelf) Write(_ context.Context, l deadletter.Letter, done func(error)) {
	err := s.next()
	s.callBack(func() {
		if err == nil {
			l.Value = bytes.Clone(l.Value)
			s.mu.Lock()
			s.letters = append(s.letters, l)
			s.mu.Unlock()
		}
		done(err)
	})
}

// door is a front door before a shelf.
type door struct {
	*Service
	shelf   *shelf
	handler http.Handler
	metrics *prometheus.Registry
}

func testOptions() Options {
	return Options{
		Addr: "127.0.0.1:0", Keys: Keys{{Name: "shop", Key: "k1"}, {Name: "crm", Key: "k2"}},
		MaxBody: 5_000_000, MaxHeld: 64 << 20, DeliveryTimeout: 5 * time.Second,
		ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		DedupEntries: 100_000, DedupWindow: 24 * time.Hour, CORSOrigins: []string{"*"},
		CurrentsMaxBody: 20_000_000, CurrentsDedupEntries: 100_000,
	}
}

func newDoor(change func(*Options)) *door {
	o := testOptions()
	if change != nil {
		change(&o)
	}
	d := &door{shelf: &shelf{}, metrics: prometheus.NewRegistry()}
	d.Service = New(o, Deps{
		Producer: d.shelf, Letters: d.shelf, Kafka: stream.Config{TopicPrefix: "eu."},
		IDs:               topics.IDs{schema.CustomerEvents: 7, schema.CustomerProfiles: 8, schema.CommerceEvents: 9, schema.SupportCases: 10, schema.CRMChanges: 14, schema.ContentItems: 13},
		ContentPartitions: 12,
		Metrics:           d.metrics, Log: zerolog.Nop(),
	})
	d.handler = d.Handler()
	return d
}

// ask sends a request and returns the answer.
func (d *door) ask(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return w
}

// post sends events as the holder of the first key.
func (d *door) post(body string) *httptest.ResponseRecorder {
	return d.ask("POST", "/v1/events", body, "Authorization", "Bearer k1", "Content-Type", "application/json")
}

// itemsAnswer is the answer of our own API.
type itemsAnswer struct {
	Accepted, Rejected int
	Results            []struct {
		Index                     int
		ID, Status, Field, Reason string
	}
	Error struct{ Code, Message, Field string }
}

func readAnswer(t *testing.T, body io.Reader) itemsAnswer {
	t.Helper()
	var a itemsAnswer
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	if err := d.Decode(&struct {
		*itemsAnswer
		Unavailable int
	}{itemsAnswer: &a}); err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	return a
}

// statuses are the verdicts, in order.
func (a itemsAnswer) statuses() string {
	var all []string
	for i, r := range a.Results {
		if r.Index != i {
			return fmt.Sprintf("result %d has index %d", i, r.Index)
		}
		all = append(all, r.Status)
	}
	return strings.Join(all, " ")
}

// count is the sum of a counter over all its labels.
func (d *door) count(t *testing.T, name string) int {
	t.Helper()
	return countIn(t, d.metrics, name)
}

func countIn(t *testing.T, g prometheus.Gatherer, name string) int {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == "sluice_ingest_"+name+"_total" {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return int(sum)
}

// checkLaw holds the books against what was sent and what is on the topics.
func checkLaw(t *testing.T, g prometheus.Gatherer, sent, onTopics int) {
	t.Helper()
	c := func(name string) int { return countIn(t, g, name) }
	if got := c("received"); got != sent {
		t.Errorf("received %d, sent %d", got, sent)
	}
	if sum := c("accepted") + c("duplicate") + c("rejected") + c("skipped") + c("unavailable"); sum != sent {
		t.Errorf("accepted %d + duplicate %d + rejected %d + skipped %d + unavailable %d = %d, sent %d",
			c("accepted"), c("duplicate"), c("rejected"), c("skipped"), c("unavailable"), sum, sent)
	}
	if got := c("accepted") + c("late"); got != onTopics {
		t.Errorf("accepted and late %d, on the topics %d", got, onTopics)
	}
}
