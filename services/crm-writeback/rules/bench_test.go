package rules_test

import (
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/crm-writeback/rules"
)

// BenchmarkAction is what a form costs that becomes a contact and a note, of which the file's own rules are the measure.
// A core is to make 20,000 rows a second: 50 µs each.
func BenchmarkAction(b *testing.B) {
	set := rules.Default()
	a := form()
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		drafts, err := set.Action(a)
		if err != nil {
			b.Fatal(err)
		}
		rows += len(drafts)
	}
	b.ReportMetric(float64(b.Elapsed())/float64(rows), "ns/row")
}

// BenchmarkUnwanted is an engagement that no rule is about, as nearly all are.
func BenchmarkUnwanted(b *testing.B) {
	set := rules.Default()
	b.ReportAllocs()
	for b.Loop() {
		if set.WantsType("users.messages.pushnotification.Send") {
			b.Fatal("it is wanted")
		}
	}
}

func BenchmarkEngagement(b *testing.B) {
	set := rules.Default()
	e := click()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := set.Engagement(e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBack(b *testing.B) {
	set := rules.Default()
	c := optOut()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := set.Back(c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkComparable(b *testing.B) {
	set := rules.Default()
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = set.Comparable(dst[:0], "crm", "Contact", "HasOptedOutOfEmail", []byte(`"true"`))
	}
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func form() *event.Action {
	return &event.Action{
		ID: "f-1", Name: "form-test-drive", User: event.User{ExternalID: "48213", Email: "mira.osei@example.com"}, OccurredAt: noon,
		JSON: []byte(`{"idempotency_key":"f-1","external_id":"48213","fields":{"first_name":"Mira","last_name":"Osei","email":"mira.osei@example.com","phone":"","dealer":820982911946154508}}`),
	}
}

func click() *event.Engagement {
	return &event.Engagement{
		ID: "c-1", Type: "users.messages.email.Click", User: event.User{ExternalID: "48213"}, OccurredAt: noon,
		JSON: []byte(`{"id":"c-1","event_type":"users.messages.email.Click","time":1772452800,"user":{"user_id":"66a1","external_user_id":"48213"},"properties":{"campaign_id":"c","url":"https://example.com/a?b=c"}}`),
	}
}

func optOut() *event.Change {
	return &event.Change{
		ID: "s-1", Kind: event.Changed, System: "crm", Object: "Contact", ObjectID: "0035e00000Demo9AAF", OccurredAt: noon,
		Changes: []byte(`{"Braze_External_Id__c":"48213","HasOptedOutOfEmail":"true","Loyalty_Tier__c":"gold","LastModifiedDate":"2026-03-02T12:00:00.000Z"}`),
	}
}
