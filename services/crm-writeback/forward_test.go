package crmwriteback_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	crmwriteback "github.com/sluicehq/sluice/services/crm-writeback"
)

func TestChangesGoBackToBraze(t *testing.T) {
	s := newScene(t, "crm")
	version := int64(12)
	back := crm.Write{
		ID: "b1", Target: crm.Braze, Object: "profile", Key: "u", Mode: crm.Upsert, User: event.User{ExternalID: "u"},
		Fields: []byte(`{"tier":"gold","score":12345678901234567890,"nickname":null}`), EditedAt: time.Date(2026, 3, 2, 9, 15, 4, 0, time.UTC),
		Origin: "crm", Version: &version, Groups: []event.Subscription{{GroupID: "g1", State: "unsubscribed"}},
		Conflicts: []crm.Conflict{{Field: "Tier__c", Ours: []byte(`"silver"`), Theirs: []byte(`"gold"`), Winner: "crm", Rule: "newest"}},
	}
	empty := back
	empty.ID, empty.Fields, empty.Groups = "b2", nil, nil
	nobody := back
	nobody.ID, nobody.User = "b3", event.User{}
	echo := row("crm", "s1", "u", `{"A":1}`)
	echo.Settled = &crm.Settled{Outcome: "skipped", Reason: "echo"}
	loop := row("crm", "s2", "u", `{"A":1}`)
	loop.Settled = &crm.Settled{Outcome: "refused", Reason: "loop", Detail: "crm, braze, crm"}
	odd := row("crm", "s3", "u", `{"A":1}`)
	odd.Settled = &crm.Settled{Outcome: "deferred"}
	s.write(back, empty, nobody, echo, loop, odd, row("gone", "g1", "u", `{"A":1}`), row("crm", "w1", "u", `{"A":1}`))
	unreadable := &stream.Record{Topic: s.config.Kafka.Topic(schema.Writes(crmwriteback.Name)), Key: []byte("u"), Value: []byte(`{"id":`)}
	if err := s.producer.ProduceAll(t.Context(), unreadable); err != nil {
		t.Fatal(err)
	}
	r := s.start()
	r.settled(crm.Braze, 8)
	r.settled("crm", 1)

	got := map[string]string{}
	for id, d := range s.once() {
		got[id] = d.Target + " " + d.Outcome.Kind.String() + " " + d.Outcome.Reason
	}
	want := map[string]string{
		"b1": "braze delivered ", "b2": "braze skipped nothing_to_write", "b3": "braze refused no_user", "s1": "crm skipped echo",
		"s2": "crm refused loop", "s3": "crm refused undecodable", "g1": "gone refused unknown_target", "w1": "crm delivered ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("deliveries (-want +got):\n%s", diff)
	}
	var letters []string
	for _, l := range s.letters() {
		letters = append(letters, l.EventID+" "+l.Reason)
	}
	// Of s2 the planner has written the letter.
	if diff := cmp.Diff([]string{" undecodable", "b3 no_user", "g1 unknown_target", "s3 undecodable"}, letters); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}

	var profiles []event.Profile
	decoder := avro.NewProfileDecoder(s.source)
	err := stream.Read(t.Context(), s.config.Kafka, stream.Range{Topic: s.config.Kafka.Topic(schema.CustomerProfiles)}, func(r *stream.Record) error {
		var p event.Profile
		_, err := decoder.Decode(t.Context(), slices.Clone(r.Value), &p)
		profiles = append(profiles, p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(profiles) != 1 {
		t.Fatalf("there are %d profiles, want one", len(profiles))
	}
	profiles[0].ReceivedAt = time.Time{}
	profile := event.Profile{
		ID: "b1", User: event.User{ExternalID: "u"}, Set: []byte(`{"score":12345678901234567890,"tier":"gold"}`), Unset: []string{"nickname"},
		Subscriptions: back.Groups, Source: "crm", Version: &version, OccurredAt: back.EditedAt,
	}
	if diff := cmp.Diff(profile, profiles[0]); diff != "" {
		t.Errorf("the profile (-want +got):\n%s", diff)
	}
	if got := s.once()["b1"]; string(got.Conflicts) != `[{"field":"Tier__c","ours":"silver","theirs":"gold","winner":"crm","rule":"newest"}]` {
		t.Errorf("the delivery has the conflicts %s", got.Conflicts)
	}
	if d := s.once()["s1"]; d.Outcome.Kind != outcome.Skipped || d.Attempts != 0 {
		t.Errorf("the echo's delivery: %+v", d)
	}
	r.holds(crm.Braze)
	r.holds("crm")
	r.stop()
	again := s.start()
	again.settled(crm.Braze, 0)
	s.write(row("crm", "w2", "u", `{"A":1}`))
	again.settled("crm", 1)
	s.once()
}
