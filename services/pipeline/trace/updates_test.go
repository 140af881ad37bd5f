package trace_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/replay"
	"github.com/sluicehq/sluice/services/pipeline/replay/replaytest"
	"github.com/sluicehq/sluice/services/pipeline/trace"
)

// known is a customer whose profile two systems write, and who has a support case.
type known struct {
	t    *testing.T
	c    *replaytest.Cluster
	user event.User
}

func (k known) put(topic, id, source string, value []byte) replay.Place {
	k.t.Helper()
	return k.c.Put(topic, replaytest.PartitionOf(k.user.Key()), k.user.Key(), value,
		stream.Header{Key: "event-id", Value: []byte(id)}, stream.Header{Key: "source", Value: []byte(source)})
}

func (k known) profile(id, source, set string) replay.Place {
	k.t.Helper()
	p := event.Profile{ID: id, User: k.user, Set: []byte(set), Source: source, OccurredAt: replaytest.Began, ReceivedAt: replaytest.Began}
	return k.put(schema.CustomerProfiles, id, source, avro.AppendProfile(nil, replaytest.ID(schema.CustomerProfiles), &p))
}

func (k known) update(u event.Update, causes ...event.Cause) replay.Place {
	k.t.Helper()
	u.User, u.OccurredAt, u.DecidedAt, u.Causes = k.user, replaytest.Began, replaytest.Began, causes
	return k.put(schema.BrazeAttributes, u.ID, "attribute-sync", avro.AppendUpdate(nil, replaytest.ID(schema.BrazeAttributes), &u))
}

func cause(at replay.Place, id, source string) event.Cause {
	return event.Cause{ID: id, Source: source, Topic: at.Topic, Partition: at.Partition, Offset: at.Offset}
}

// past says that a service has committed so many records of a topic, where the customer's stand.
func (k known) past(service, topic string, offset int64) {
	k.t.Helper()
	at := map[int32]int64{replaytest.PartitionOf(k.user.Key()): offset}
	if err := k.c.Admin.MoveOffsets(k.t.Context(), k.c.Kafka.Group(service), k.c.Kafka.Topic(topic), at); err != nil {
		k.t.Fatal(err)
	}
}

// person tells of every way in which a record of a profile or a case can end.
func person(t *testing.T, c *replaytest.Cluster) {
	t.Helper()
	k := known{t, c, event.User{ExternalID: "cus-1"}}
	first := k.profile("p-1", "crm", `{"tier":"gold","city":"Graz"}`)
	u := k.update(event.Update{ID: "u-1", Attributes: []byte(`{"tier":"gold","city":"Graz"}`), DataPoints: 2}, cause(first, "p-1", "crm"))
	c.Receipt(u, "cus-1", "u-1", delivered)
	k.profile("p-2", "crm", `{"tier":"gold"}`)
	k.profile("p-3", "erp", `{"city":"Wien","score":7}`)
	k.update(event.Update{ID: "u-0.2", Declined: []event.Declined{
		{ID: "p-3", Source: "erp", Field: "city", Reason: "stale", Detail: "crm wrote it at 2020-03-02T09:15:04.000Z"},
		{ID: "p-3", Source: "erp", Field: "score", Reason: "not_owner", Detail: "it belongs to risk"},
		{ID: "p-0", Source: "erp", Field: "city", Reason: "stale", Detail: "crm wrote it at 2020-03-02T09:15:04.000Z"},
	}})
	opened := event.Case{ID: "z-1", User: k.user, CaseID: "35436", Event: event.CaseOpened, Severity: event.SeverityHigh, Source: "zendesk", OccurredAt: replaytest.Began, ReceivedAt: replaytest.Began}
	at := k.put(schema.SupportCases, "z-1", "zendesk", avro.AppendCase(nil, replaytest.ID(schema.SupportCases), &opened))
	c.Receipt(at, "cus-1", "z-1", outcome.Outcome{Kind: outcome.Skipped, Reason: "not_routed"})
	k.update(event.Update{ID: "u-2", Attributes: []byte(`{"open_cases":1}`), DataPoints: 1}, cause(at, "z-1", "zendesk"))
	at = k.put(schema.SupportCases, "z-1", "zendesk", avro.AppendCase(nil, replaytest.ID(schema.SupportCases), &opened)) // it came twice
	c.Receipt(at, "cus-1", "z-1", outcome.Outcome{Kind: outcome.Skipped, Reason: "not_routed"})
	k.update(event.Update{ID: "u-3", Trigger: "support_survey_due", Properties: []byte(`{"case_id":"35436"}`)})
	k.profile("p-4", "crm", `{"tier":"silver"}`)
	k.past("attribute-sync", schema.CustomerProfiles, 3)
	k.past("attribute-sync", schema.SupportCases, 2)
	k.past("braze-sender", schema.SupportCases, 2) // for routes, of which there are none
}

func TestAProfilesStory(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	person(t, c)
	golden(t, "a_profile.golden", text(t, tell(t, c, trace.Query{Text: "cus-1"})))
	golden(t, "a_change_of_a_profile.golden", text(t, tell(t, c, trace.Query{Text: "p-1"})))
	golden(t, "a_change_that_lost.golden", text(t, tell(t, c, trace.Query{Text: "p-3"})))
}

func TestTheLawOfProfilesAddsUp(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	person(t, c)
	want := trace.Law{Service: "attribute-sync", Accepted: 6, Delivered: 2, Skipped: 3, Held: 1}
	if diff := cmp.Diff(want, tell(t, c, trace.Query{Text: "cus-1"}).Laws[0]); diff != "" {
		t.Errorf("the law (-want +got):\n%s", diff)
	}
}
