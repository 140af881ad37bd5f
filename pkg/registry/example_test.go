package registry_test

import (
	"fmt"

	"github.com/sluicehq/sluice/pkg/registry"
)

// A field that Avro itself would let go, and a time whose unit Avro does not look at.
func ExampleCheckChange() {
	const before = `{"type": "record", "name": "Order", "namespace": "io.sluice", "fields": [
		{"name": "order_id", "type": "string"},
		{"name": "note", "type": ["null", "string"], "default": null},
		{"name": "placed_at", "type": {"type": "long", "logicalType": "timestamp-millis"}}
	]}`
	const after = `{"type": "record", "name": "Order", "namespace": "io.sluice", "fields": [
		{"name": "order_id", "type": "string"},
		{"name": "placed_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
		{"name": "shop", "type": ["null", "string"], "default": null}
	]}`
	for _, reason := range registry.CheckChange(before, after) {
		fmt.Println(reason)
	}
	// Output:
	// placed_at: type changed from long (timestamp-millis) to long (timestamp-micros); add a field of the new type instead
	// note: removed; keep the field, or begin a new topic
}

func ExampleLint() {
	const schema = `{"type": "record", "name": "Order", "namespace": "io.sluice", "doc": "An order.", "fields": [
		{"name": "order_id", "type": {"type": "string", "logicalType": "uuid"}, "doc": "The shop's id."},
		{"name": "total", "type": "double", "doc": "What the customer pays."}
	]}`
	for _, finding := range registry.Lint("commerce.events-value", schema) {
		fmt.Println(finding)
	}
	// Output:
	// order_id: string (uuid) (rule 6): use a plain string
	// total: money as double (rule 7): use {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 9}
}
