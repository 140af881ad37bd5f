package brazesender_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
	brazesender "github.com/sluicehq/sluice/services/braze-sender"
)

func TestCatalogsAreKeptBesideMessages(t *testing.T) {
	s := newSandboxScene(t, brazefake.Options{})
	s.config.Sender.ContentFile = filepath.Join(t.TempDir(), "content.yaml")
	if err := os.WriteFile(s.config.Sender.ContentFile, []byte("collections: [{name: banners, catalog: true}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	reg, err := registry.New(s.config.Registry)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := topics.Prepare(t.Context(), s.config.Kafka, reg, schema.ContentItems)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Truncate(time.Millisecond)
	c := &event.Content{ID: "e", Collection: "banners", ItemID: "spring", Approved: true, Source: "test", OccurredAt: now, ReceivedAt: now, Body: []byte(`{"n":1}`)}
	record := &stream.Record{Topic: s.config.Kafka.Topic(schema.ContentItems), Key: []byte(c.Key()), Value: avro.AppendContent(nil, ids[schema.ContentItems], c)}
	if err := s.producer.ProduceAll(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	r := s.start(t)
	s.produce(t, newEvent("ada", 1))
	s.awaitSettled(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 1})
	deadline := time.After(60 * time.Second)
	for {
		if got, _ := s.front.sandbox.Catalog("banners"); string(got.Items["spring"]["n"]) == "1" {
			break
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatal("the item does not come")
		}
	}
	r.drain(t)
}

func TestACatalogThatCannotBeStopsTheStart(t *testing.T) {
	s := newScene(t)
	s.config.Sender.ContentFile = filepath.Join(t.TempDir(), "content.yaml")
	if err := os.WriteFile(s.config.Sender.ContentFile, []byte("collections: [{name: a.b, catalog: true}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &daemon.Process{Name: brazesender.Name, Log: zerolog.Nop(), Metrics: prometheus.NewRegistry(), Health: &daemon.Health{}}
	if _, err := brazesender.Open(t.Context(), s.config, p); err == nil || !strings.Contains(err.Error(), "collections[0].catalog") {
		t.Errorf("%v", err)
	}
}
