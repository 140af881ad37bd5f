package routes

import (
	"fmt"
	"strings"
	"testing"
)

// many is a file with a hundred routes, as a company has after some years.
func many(t testing.TB) *Table {
	var b strings.Builder
	b.WriteString("routes:\n")
	for i := range 100 {
		fmt.Fprintf(&b, "  - {name: r%d, match: {topic: customer.events, event: Event %d}, when: .properties.total > 100, send: [{campaign: {id: c, properties: {amount: .properties.total}}}]}\n", i, i)
	}
	b.WriteString("  - {name: tests, match: {topic: customer.events, source: 'test-*'}, send: [{skip: test}]}\n")
	return parse(t, b.String())
}

// Nearly every record is one that no route wants, so asking for it must cost nothing to speak of.
func TestARecordThatNoRouteWantsCostsNoMemory(t *testing.T) {
	for name, table := range map[string]*Table{"the shipped file": Default(), "a hundred routes": many(t)} {
		for _, r := range []Record{cart(), failedPayment()} {
			if n := testing.AllocsPerRun(100, func() { _, _ = table.Apply(r) }); n != 0 {
				t.Errorf("%s, %s: %v allocations", name, r.Topic(), n)
			}
		}
	}
}

func BenchmarkApply(b *testing.B) {
	wanted := cart()
	wanted.Event.Name = "Event 50"
	large := cart()
	large.Event.Name, large.Event.Properties = "Event 50", []byte(`{"total":120.5,"text":"`+strings.Repeat("x", 200)+`"}`)
	pick := parse(b, on("customer.events", `send: [{event: {pick: [total, ref]}}]`))
	purchases := parse(b, on("commerce.events", `send: [{purchase: {each: ".lines[]"}}]`))
	for _, c := range []struct {
		name   string
		table  *Table
		record Record
	}{
		{"no route wants it", many(b), cart()},
		{"a condition that does not hold", many(b), wanted},
		{"a campaign with one property", many(b), large},
		{"picked properties", pick, cart()},
		{"two purchases", purchases, failedPayment()},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.table.Apply(c.record); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
