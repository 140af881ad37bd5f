package crmwriteback_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
	"github.com/sluicehq/sluice/pkg/topics"
	crmwriteback "github.com/sluicehq/sluice/services/crm-writeback"
	"github.com/sluicehq/sluice/services/crm-writeback/plan"
	"github.com/sluicehq/sluice/services/crm-writeback/rules"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

const wholeFile = `
targets:
  - name: crm
    kind: http
    linger: 20ms
    http: {url: "http://127.0.0.1:1/"}
    objects:
      - object: Contact
        key: {field: Ext, from: .user.external_id}
        identity: Ext
        fields:
          - {field: HasOptedOutOfEmail, attribute: email_subscribe, type: boolean, to_braze: 'if . then "unsubscribed" else "subscribed" end'}
          - {field: Tier, attribute: loyalty_tier, owner: crm}
rules:
  - name: preferences
    on: actions
    names: [preferences]
    target: crm
    object: Contact
    set: '{HasOptedOutOfEmail: (.payload.email == "no")}'
`

// whole starts both stages upon a file, with a target of the test's own in the place of the kind http.
func (s *scene) whole(file string, e *end) *replica {
	s.t.Helper()
	s.config.State = table.Config{Dir: s.t.TempDir(), CacheBytes: 8 << 20}
	s.config.Writeback.File = filepath.Join(s.t.TempDir(), "writeback.yaml")
	s.config.Writeback.Batch, s.config.Writeback.BatchBytes = 1000, 1<<20
	if err := os.WriteFile(s.config.Writeback.File, []byte(file), 0o600); err != nil {
		s.t.Fatal(err)
	}
	kinds := crmwriteback.Kinds{rules.HTTP: func(rules.Target) (crmwriteback.Opener, error) {
		return func(context.Context, target.Deps) (target.Target, error) { return e, nil }, nil
	}}
	reg, err := registry.New(s.config.Registry)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(reg.Close)
	if s.ids, err = topics.Prepare(s.t.Context(), s.config.Kafka, reg, append(plan.Topics(), schema.CustomerProfiles)...); err != nil {
		s.t.Fatal(err)
	}
	return s.serve(func(ctx context.Context, p *daemon.Process) (*crmwriteback.Service, error) {
		return kinds.Open(ctx, s.config, p)
	})
}

func (s *scene) produce(topic, key string, value []byte) {
	s.t.Helper()
	record := &stream.Record{Topic: s.config.Kafka.Topic(topic), Key: []byte(key), Value: value}
	if err := s.producer.ProduceAll(s.t.Context(), record); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) profiles() (list []event.Profile) {
	s.t.Helper()
	decoder := avro.NewProfileDecoder(s.source)
	err := stream.Read(s.t.Context(), s.config.Kafka, stream.Range{Topic: s.config.Kafka.Topic(schema.CustomerProfiles)}, func(r *stream.Record) error {
		var p event.Profile
		_, err := decoder.Decode(s.t.Context(), slices.Clone(r.Value), &p)
		list = append(list, p)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

func TestAnEditGoesOutAndItsEchoNoFurther(t *testing.T) {
	s := newScene(t)
	e := newEnd()
	r := s.whole(wholeFile, e)
	now := time.Now().UTC().Truncate(time.Millisecond)
	user := event.User{ExternalID: "u"}
	action := event.Action{
		ID: "a1", User: user, Name: "preferences", OccurredAt: now, ReceivedAt: now, ContentType: "application/json", JSON: []byte(`{"email":"no"}`),
	}
	s.produce(schema.BrazeActions, action.Key(), avro.AppendAction(nil, s.ids[schema.BrazeActions], &action))
	r.settled("crm", 1)
	if got := e.fields("u"); got != `{"HasOptedOutOfEmail":true}` {
		t.Errorf("the CRM holds %s", got)
	}

	change := func(id, changes string) {
		c := event.Change{
			ID: id, Kind: event.Changed, User: user, System: "crm", Object: "Contact", ObjectID: "crm-u", Changes: []byte(changes),
			OccurredAt: time.Now(), ReceivedAt: time.Now(),
		}
		s.produce(schema.CRMChanges, c.Key(), avro.AppendChange(nil, s.ids[schema.CRMChanges], &c))
	}
	change("c1", `{"Ext":"u","HasOptedOutOfEmail":true}`) // ours, coming back
	change("c2", `{"Ext":"u","Tier":"gold"}`)
	r.await("the profile", func() bool { return len(s.profiles()) > 0 })
	r.await("the law of the way back", func() bool {
		_, ended := r.law(crm.Braze)
		return ended["delivered"] == 1 && ended["skipped echo"] == 1
	})
	if got := s.profiles(); len(got) != 1 || string(got[0].Set) != `{"loyalty_tier":"gold"}` || got[0].Source != "crm" {
		t.Errorf("profiles: %+v", got)
	}
	if n := e.made(); n != 1 {
		t.Errorf("the CRM was called %d times", n)
	}
	got := map[string]int{}
	for _, d := range s.deliveries() {
		got[d.Target+" "+d.Outcome.Kind.String()+" "+d.Outcome.Reason]++
	}
	if diff := cmp.Diff(map[string]int{"crm delivered ": 1, "braze delivered ": 1, "braze skipped echo": 1}, got); diff != "" {
		t.Errorf("deliveries (-want +got):\n%s", diff)
	}
	r.holds("crm")
	r.holds(crm.Braze)
}

func TestAWrongFileIsToldWithWhereItIsWrong(t *testing.T) {
	s := newScene(t)
	s.config.Writeback.File = filepath.Join(t.TempDir(), "writeback.yaml")
	if err := os.WriteFile(s.config.Writeback.File, []byte("targets:\n  - {name: crm, kind: salesforce, colour: red}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := crmwriteback.Open(t.Context(), s.config, &daemon.Process{Name: crmwriteback.Name, Metrics: prometheus.NewRegistry(), Health: &daemon.Health{}})
	if daemon.ExitCode(err) != 78 {
		t.Errorf("the error is %v", err)
	}
}
