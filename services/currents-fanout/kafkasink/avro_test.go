package kafkasink

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/registry/embedded"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

func startRegistry(t *testing.T) registry.Config {
	t.Helper()
	reg, err := embedded.Start(t.Context(), embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
	})
	return registry.Config{URL: reg.URL()}
}

// The record can be read with nothing but the far registry.
func TestAvroIsReadByTheFarRegistry(t *testing.T) {
	f, reg := start(t, 1, nil), startRegistry(t)
	s := f.open(t, func(o *Options) { o.Value, o.Registry = "avro", reg })
	webhook := &sink.Event{ID: "a", Type: "action.form", Key: "crm-1", JSON: []byte(`{}`), Action: &event.Action{ID: "a"}}
	batch := []*sink.Event{engagement(0), webhook, engagement(1)}
	if diff := cmp.Diff([]string{"delivered ", "refused no_record", "delivered "}, fates(s.Write(t.Context(), batch), 3)); diff != "" {
		t.Error(diff)
	}
	client, err := registry.New(reg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	decoder := avro.NewEngagementDecoder(avro.FromRegistry(client))
	records := f.stands(t)[0]
	if len(records) != 2 {
		t.Fatalf("%d records", len(records))
	}
	for i, r := range records {
		var got event.Engagement
		if _, err := decoder.Decode(t.Context(), r.Value, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(*engagement(i).Engagement, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestARegistryThatIsAwayIsWaitedFor(t *testing.T) {
	f := start(t, 1, nil)
	s := f.open(t, func(o *Options) { o.Value, o.Registry = "avro", registry.Config{URL: "http://127.0.0.1:1"} })
	if a := s.Write(t.Context(), engagements(2)); a.All.Kind != outcome.Deferred || a.All.Reason != reasonRegistry || a.Halt {
		t.Errorf("%+v", a)
	}
}

func TestASubjectOfAnotherSchemaNeedsAPerson(t *testing.T) {
	f, reg := start(t, 1, nil), startRegistry(t)
	client, err := registry.New(reg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if _, err := client.Register(t.Context(), topic+"-value", `{"type":"record","name":"other","fields":[{"name":"x","type":"int"}]}`); err != nil {
		t.Fatal(err)
	}
	s := f.open(t, func(o *Options) { o.Value, o.Registry = "avro", reg })
	if a := s.Write(t.Context(), engagements(2)); !a.Halt || a.All.Reason != reasonSchema {
		t.Errorf("%+v", a)
	}
}
