package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/crm-writeback/rules"
)

func TestWhatCannotBePlannedIsRefused(t *testing.T) {
	t.Parallel()
	ann := event.User{ExternalID: "ann"}
	action := func(s *story, name, body string) *stream.Record {
		return s.action(&event.Action{ID: "a", User: ann, Name: name, OccurredAt: noon, ReceivedAt: noon, JSON: []byte(body)})
	}
	for _, tt := range []struct {
		name   string
		record func(s *story) *stream.Record
		reason string
	}{
		{"bytes that are no record", func(s *story) *stream.Record { return s.record(schema.BrazeActions, "ann", noon, []byte("hello")) }, "not_avro"},
		{"a record that ends in the middle", func(s *story) *stream.Record {
			r := action(s, "form", `{}`)
			r.Value = r.Value[:len(r.Value)-3]
			return r
		}, "undecodable"},
		{"a program that fails", func(s *story) *stream.Record { return action(s, "broken", `{}`) }, "rule_failed"},
		{"fields that are no object", func(s *story) *stream.Record { return action(s, "form", `[1]`) }, "rule_failed"},
		{"another user's key", func(s *story) *stream.Record {
			r := action(s, "form", `{"color":"red"}`)
			r.Key = []byte("bob")
			return r
		}, "key_mismatch"},
		{"far too much", func(s *story) *stream.Record {
			return action(s, "form", `{"color":"`+strings.Repeat("x", largest)+`"}`)
		}, "too_large"},
		{"an id without end", func(s *story) *stream.Record {
			return s.action(&event.Action{ID: strings.Repeat("x", longestID+1), User: ann, Name: "form", OccurredAt: noon, ReceivedAt: noon, JSON: []byte(`{}`)})
		}, "too_large"},
		{"a change that names nothing", func(s *story) *stream.Record {
			return s.change(&event.Change{ID: "c", Kind: event.Changed, System: testTarget, Object: testObject, OccurredAt: noon, ReceivedAt: noon})
		}, "key_mismatch"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t)
			r := tt.record(s)
			if got := s.step(1, r); strings.Contains(got, "{") {
				t.Errorf("it is written: %s", got)
			}
			if len(s.letters) != 1 || s.letters[0].Reason != tt.reason || string(s.letters[0].Value) != string(r.Value) {
				t.Fatalf("dead letters: %+v", s.letters)
			}
		})
	}
}

func TestWhatWasRefusedCanBeSentOnceMore(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	r := s.action(&event.Action{ID: "a", User: event.User{ExternalID: "ann"}, Name: "broken", OccurredAt: noon, ReceivedAt: noon, JSON: []byte(`{"color":"red"}`)})
	s.step(1, r)
	s.planner.core.rules = mended{s.planner.core.rules}
	if got := s.step(2, r); got != `crm {"color":"red"}` {
		t.Errorf("once the rule is mended it counts as %q", got)
	}
}

// mended are rules of which none fails any more.
type mended struct{ Rules }

func (m mended) Action(a *event.Action) ([]rules.Draft, error) {
	whole := *a
	whole.Name = "form"
	return m.Rules.Action(&whole)
}

// Every record is settled once, whatever becomes of it, and what is not committed does not count.
func TestTheLaw(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	reg := prometheus.NewRegistry()
	s.planner.metrics = newMetrics(reg)
	records := []*stream.Record{
		s.action(&event.Action{ID: "1", User: event.User{ExternalID: "ann"}, Name: "form", OccurredAt: noon, ReceivedAt: noon, JSON: []byte(`{"color":"red"}`)}),
		s.action(&event.Action{ID: "1", User: event.User{ExternalID: "ann"}, Name: "form", OccurredAt: noon, ReceivedAt: noon, JSON: []byte(`{"color":"red"}`)}),
		s.action(&event.Action{ID: "2", User: event.User{ExternalID: "ann"}, Name: "unwanted", OccurredAt: noon, ReceivedAt: noon, JSON: []byte(`{}`)}),
		s.action(&event.Action{ID: "3", User: event.User{ExternalID: "ann"}, Name: "broken", OccurredAt: noon, ReceivedAt: noon, JSON: []byte(`{}`)}),
		s.action(&event.Action{ID: "4", Name: "form", OccurredAt: noon, ReceivedAt: noon, JSON: []byte(`{"color":"red"}`)}),
		s.record(schema.BrazeEngagements, "ann", noon, avro.AppendEngagement(nil, s.ids[schema.BrazeEngagements], &event.Engagement{
			ID: "5", User: event.User{ExternalID: "ann"}, Type: "users.behaviors.app.SessionStart", OccurredAt: noon, ReceivedAt: noon, JSON: []byte(`{}`),
		})),
		s.changed("6", 1, ourselves, `{"color":"red"}`),
		s.nameless("7", `{"topic":"x"}`), // held
	}
	s.plan(at(2), false, records...)
	s.plan(at(2), true, records...)
	want := map[string]float64{
		"accepted_total": 7, "batches_dropped_total": 1, "unreadable_total": 0,
		"settled_total delivered ": 1, "settled_total skipped duplicate": 1, "settled_total skipped no_rule": 2, "settled_total skipped no_key": 1,
		"settled_total skipped echo": 1, "settled_total refused rule_failed": 1,
		"rows_total planned  crm": 1, "rows_total skipped no_key crm": 1, "rows_total skipped echo braze": 1,
	}
	if diff := cmp.Diff(want, counted(t, reg)); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

// counted are all counters, by name and labels without the topic.
func counted(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := strings.TrimPrefix(f.GetName(), "sluice_writeback_plan_")
			for _, l := range m.GetLabel() {
				if l.GetName() != "topic" {
					name += " " + l.GetValue()
				}
			}
			sums[name] += m.GetCounter().GetValue()
		}
	}
	return sums
}
