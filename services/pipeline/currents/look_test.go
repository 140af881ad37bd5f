package currents_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/currents-fanout/watch"
	"github.com/sluicehq/sluice/services/pipeline/currents"
	"github.com/sluicehq/sluice/services/pipeline/replay/replaytest"
)

// topic is braze.engagements of a test.
type topic struct {
	*replaytest.Cluster
	t        *testing.T
	producer *stream.Producer
	n        int
}

func newTopic(t *testing.T) *topic {
	t.Helper()
	c := replaytest.Start(t)
	producer, err := stream.NewProducer(c.Kafka, stream.ProducerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(producer.Close)
	return &topic{Cluster: c, t: t, producer: producer}
}

func (tp *topic) put(value []byte, at time.Time) {
	r := stream.Record{Topic: tp.Kafka.Topic(schema.BrazeEngagements), Key: fmt.Append(nil, tp.n%7), Value: value, Timestamp: at}
	tp.producer.Produce(tp.t.Context(), &r, func(_ *stream.Record, err error) {
		if err != nil {
			tp.t.Error(err)
		}
	})
}

func (tp *topic) add(e event.Engagement, at time.Time) {
	tp.n++
	e.ID, e.User.ExternalID, e.OccurredAt, e.ReceivedAt = fmt.Sprint(tp.n), "cus-1", at, at
	tp.put(avro.AppendEngagement(nil, replaytest.ID(schema.BrazeEngagements), &e), at)
}

func (tp *topic) every(gap time.Duration, e event.Engagement, from, to time.Time) {
	for at := from; at.Before(to); at = at.Add(gap) {
		tp.add(e, at)
	}
}

func (tp *topic) flush() {
	if err := tp.producer.Flush(tp.t.Context()); err != nil {
		tp.t.Fatal(err)
	}
}

func TestLookJudgesByTheDayBeforeHoweverLittleIsAsked(t *testing.T) {
	tp := newTopic(t)
	now := time.Now().Truncate(time.Millisecond)
	of := func(kind, properties string) event.Engagement {
		return event.Engagement{Workspace: "shop", Type: kind, CampaignID: "spring", JSON: []byte(`{"properties":` + properties + `}`)}
	}
	tp.every(5*time.Minute, of("users.messages.email.Send", "{}"), now.Add(-26*time.Hour), now)
	tp.every(5*time.Minute, of("users.messages.email.Open", "{}"), now.Add(-26*time.Hour), now.Add(-2*time.Hour))
	tp.every(time.Minute, of("users.messages.email.Click", "{}"), now.Add(-26*time.Hour), now.Add(-2*time.Hour))
	tp.every(30*time.Minute, of("users.messages.email.Click", "{}"), now.Add(-119*time.Minute), now)
	tp.put([]byte("nonsense"), now)
	tp.flush()

	v, err := currents.Look(t.Context(), tp.Cluster.Cluster, now.Add(-3*time.Hour), now)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, typ := range v.Types {
		got[typ.Type] = fmt.Sprint(typ.Verdict, " ", typ.Events)
	}
	want := map[string]string{
		"users.messages.email.Send": "fine 36", "users.messages.email.Open": "silent 12", "users.messages.email.Click": "dropped 64",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if v.Hours != 3 || v.Unreadable != 1 || len(v.Connectors) != 1 || len(v.Steps) != 1 {
		t.Errorf("%v hours, %d unreadable, %d connectors, %d campaigns", v.Hours, v.Unreadable, len(v.Connectors), len(v.Steps))
	}
	wantAlarms := []watch.Alarm{
		{Kind: watch.RateDropped, Workspace: "shop", Type: "users.messages.email.Click", Since: now},
		{Kind: watch.TypeSilent, Workspace: "shop", Type: "users.messages.email.Open", Since: now},
	}
	var alarms []watch.Alarm
	for _, a := range v.Alarms {
		if a.Type != "" {
			alarms = append(alarms, a)
		}
	}
	if diff := cmp.Diff(wantAlarms, alarms); diff != "" {
		t.Error(diff)
	}
}

func TestFindDrifts(t *testing.T) {
	tp := newTopic(t)
	now := time.Now().UTC().Truncate(time.Millisecond)
	first := now.Add(-time.Hour)
	ordinary := `{"event_type":"users.messages.email.Unsubscribe","id":"a","time":1,"user":{"user_id":"u"},"properties":{"email_address":"a@b.c"%s}}`
	for i := range 3 {
		at := first.Add(time.Duration(i) * time.Minute)
		tp.add(event.Engagement{Type: "users.messages.telegram.Send", Workspace: "shop", JSON: []byte(`{"properties":{"chat":"C-77"}}`)}, at)
		tp.add(event.Engagement{Type: "users.messages.email.Unsubscribe", JSON: fmt.Appendf(nil, ordinary, "")}, at)
		tp.add(event.Engagement{Type: "users.messages.email.Unsubscribe", JSON: fmt.Appendf(nil, ordinary, `,"mood":"Sad 1"`)}, at)
	}
	tp.add(event.Engagement{Type: "users.messages.email.Unsubscribe", JSON: fmt.Appendf(nil, ordinary, `,"old":1`)}, now.Add(-50*time.Hour))
	tp.flush()
	got, err := currents.FindDrifts(t.Context(), tp.Cluster.Cluster, now.Add(-2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	last := first.Add(2 * time.Minute)
	want := []currents.Drift{
		{Type: "users.messages.email.Unsubscribe", Field: "properties.mood", What: "unknown_field", Events: 3, First: first, Last: last, Example: `"xxx 9"`},
		{Type: "users.messages.telegram.Send", What: "unknown_type", Events: 3, First: first, Last: last, Workspace: "shop", Example: `{"chat":"x-99"}`},
	}
	if diff := cmp.Diff(want, got.Drifts); diff != "" {
		t.Error(diff)
	}
}
