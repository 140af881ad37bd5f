package profile

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// tenFields is a record as a CRM sends it, and the same with another value.
func tenFields(tier string, visits int) []byte {
	return fmt.Appendf(nil, `{"first_name":"Aloisia","last_name":"Österreicher","email":"aloisia@example.org","country":"AT",`+
		`"tier":%q,"visits":%d,"newsletter":true,"lifetime_value":1234.56,"last_store":"Wien Mitte","member_since":"2019-04-01"}`, tier, visits)
}

// BenchmarkWindow is one user's record of ten fields from the bytes of the state to the bytes of the next:
// nine of ten records bring nothing new, as in a sync that pushes whole profiles.
func BenchmarkWindow(b *testing.B) {
	for _, test := range []struct {
		name  string
		every int
	}{{"every tenth changes two fields", 10}, {"each changes two fields", 1}} {
		b.Run(test.name, func(b *testing.B) {
			rules := &Rules{Fields: []Field{{Name: "loyalty_*", Owner: "loyalty"}, {Name: "tier", Type: TypeString}}}
			if err := rules.Validate(); err != nil {
				b.Fatal(err)
			}
			var s State
			sets := [][]byte{tenFields("gold", 17), tenFields("none", 18)}
			p := &event.Profile{ID: "e1", Source: "crm", OccurredAt: start, Set: sets[0]}
			at := Place{Topic: "customer.profiles", Now: start}
			if refusal := rules.Apply(&s, p, at); refusal != nil {
				b.Fatal(refusal)
			}
			s.Update()
			known := s.Append(nil)
			next := make([]byte, 0, 1024)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if err := s.Decode(known); err != nil {
					b.Fatal(err)
				}
				p.OccurredAt = start.Add(time.Duration(n) * time.Second)
				if n++; n%test.every == 0 {
					p.Set = sets[n/test.every%2]
				}
				if refusal := rules.Apply(&s, p, at); refusal != nil {
					b.Fatal(refusal)
				}
				d := s.Update()
				if len(d.Counts) != 10 {
					b.Fatal(d.Counts)
				}
				next = s.Append(next[:0])
				known, next = next, known
			}
			b.ReportMetric(float64(len(known)), "state-bytes")
		})
	}
}

// BenchmarkDecodeAppend is the state alone, of ten and of a hundred fields.
func BenchmarkDecodeAppend(b *testing.B) {
	for _, fields := range []int{10, 100} {
		b.Run(fmt.Sprint(fields), func(b *testing.B) {
			rules := &Rules{}
			if err := rules.Validate(); err != nil {
				b.Fatal(err)
			}
			var s State
			for i := range fields {
				p := &event.Profile{Source: "crm", OccurredAt: start, Set: fmt.Appendf(nil, `{"field_%d":"value %d"}`, i, i)}
				if refusal := rules.Apply(&s, p, Place{}); refusal != nil {
					b.Fatal(refusal)
				}
			}
			s.Update()
			known := s.Append(nil)
			var next []byte
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Decode(known); err != nil {
					b.Fatal(err)
				}
				next = s.Append(next[:0])
			}
			b.ReportMetric(float64(len(known))/float64(fields), "bytes/field")
		})
	}
}
