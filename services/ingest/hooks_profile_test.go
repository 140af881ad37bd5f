package ingest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
)

func TestProfileChangesAreRead(t *testing.T) {
	version := int64(9007199254740993)
	user := event.User{ExternalID: "u-1"}
	for _, c := range []struct {
		name, body string
		want       *event.Profile
		why        string // and the field
	}{
		{
			name: "everything",
			body: `{"id":"p-1","user":{"external_id":"u-1"},"set":{"plan":"gold","n":9007199254740993},"unset":["old"],"add":{"tags":["a"]},"remove":{"tags":["b"]},` +
				`"increment":{"n":1},"subscriptions":[{"group_id":"g","state":"subscribed"}],"version":9007199254740993,"time":"2026-03-02T10:00:00+01:00"}`,
			want: &event.Profile{
				ID: "p-1", User: user, Set: []byte(`{"plan":"gold","n":9007199254740993}`), Unset: []string{"old"}, Add: []byte(`{"tags":["a"]}`), Remove: []byte(`{"tags":["b"]}`),
				Increment: []byte(`{"n":1}`), Subscriptions: []event.Subscription{{GroupID: "g", State: "subscribed"}}, Version: &version,
				OccurredAt: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
			},
		},
		{name: "nothing to change", body: `{"user":{"external_id":"u-1"}}`, why: "missing_field set"},
		{name: "nobody", body: `{"set":{"a":1}}`, why: "missing_field user"},
		{name: "a user without identifier", body: `{"user":{},"set":{"a":1}}`, why: "missing_identifier user"},
		{name: "an attribute that names somebody else", body: `{"user":{"external_id":"u-1"},"set":{"external_id":"u-2"}}`, why: "names_user set.external_id"},
		{name: "an attribute to unset that is an instruction", body: `{"user":{"external_id":"u-1"},"unset":["_merge_objects"]}`, why: "names_user unset"},
		{name: "an unknown field", body: `{"user":{"external_id":"u-1"},"sett":{}}`, why: "unknown_field sett"},
		{name: "a state that there is not", body: `{"user":{"external_id":"u-1"},"subscriptions":[{"group_id":"g","state":"maybe"}]}`, why: "bad_state subscriptions.state"},
		{name: "a subscription to nothing", body: `{"user":{"external_id":"u-1"},"subscriptions":[{"state":"subscribed"}]}`, why: "missing_field subscriptions.group_id"},
		{name: "a version that is no whole number", body: `{"user":{"external_id":"u-1"},"set":{"a":1},"version":1.5}`, why: "not_whole version"},
		{name: "no array", body: `{"user":{"external_id":"u-1"},"unset":"a"}`, why: "not_an_array unset"},
		{name: "no object", body: `7`, why: "fault"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s scanner
			s.reset([]byte(c.body))
			items, err := parseProfiles(&s, nil)
			if c.why == "fault" {
				if err == nil {
					t.Error("it was taken")
				}
				return
			}
			if err != nil || len(items) != 1 {
				t.Fatalf("%d items, %v", len(items), err)
			}
			if p := items[0].problem; c.want == nil {
				if got := p.why.String() + " " + p.field; got != c.why {
					t.Errorf("got %q, want %q", got, c.why)
				}
				return
			}
			if diff := cmp.Diff(c.want, items[0].profile); diff != "" || items[0].problem.why != fine {
				t.Errorf("problem %+v (-want +got):\n%s", items[0].problem, diff)
			}
		})
	}
}
