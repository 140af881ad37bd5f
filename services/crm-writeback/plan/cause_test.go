package plan

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// sluice trace finds what was planned because of a record by the place where the record stands.
func TestTheCauseIsTheRecordAsItStandsOnTheCluster(t *testing.T) {
	t.Parallel()
	d := newDesk(t, &plainRules{})
	var err error
	d.planner, err = New(Options{
		Rules: d.planner.o.Rules, Source: d.source, IDs: d.ids, Metrics: prometheus.NewRegistry(), Kafka: stream.Config{TopicPrefix: "acme."},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := d.action(&event.Action{ID: "a", User: event.User{ExternalID: "ann"}, Name: "form", OccurredAt: noon, ReceivedAt: noon, JSON: []byte(`{"color":"red"}`)})
	r.Topic = "acme." + schema.BrazeActions
	tx := &deskTx{d: d, now: at(1), set: map[string]cell{}}
	if err := d.planner.process(t.Context(), tx, []*stream.Record{r}, at(1)); err != nil || len(tx.emitted) != 1 {
		t.Fatalf("%d records, %v", len(tx.emitted), err)
	}
	w, err := crm.ReadWrite(tx.emitted[0].Value)
	if err != nil || w.Cause.Topic != r.Topic {
		t.Errorf("the cause is on %q, the record on %q (%v)", w.Cause.Topic, r.Topic, err)
	}
}
