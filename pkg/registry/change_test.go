package registry_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/registry"
)

// record is a schema with the given fields, in the namespace io.sluice.
func record(fields string) string {
	return fmt.Sprintf(`{"type":"record","name":"Order","namespace":"io.sluice","doc":"An order.","fields":[%s]}`, fields)
}

func TestCheckChange(t *testing.T) {
	const (
		id   = `{"name":"order_id","type":"string","doc":"d"}`
		at   = `{"name":"placed_at","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"d"}`
		note = `{"name":"note","type":["null","string"],"default":null,"doc":"d"}`
	)
	for _, tt := range []struct {
		name     string
		old, new string
		want     []string
	}{
		{name: "nothing changed", old: record(id), new: record(id)},
		{name: "a field that may be null was added", old: record(id), new: record(id + "," + note)},
		{name: "it was added in the middle", old: record(id + "," + at), new: record(id + "," + note + "," + at)},
		{name: "another doc and another property", old: record(id), new: record(`{"name":"order_id","type":"string","doc":"e","pii":"user"}`)},
		{name: "a default was added", old: record(id), new: record(`{"name":"order_id","type":"string","default":""}`)},

		{
			name: "a mandatory field was added", old: record(id), new: record(id + `,{"name":"shop","type":"string"}`),
			want: []string{`shop: added as string; whatever is added must be ["null", T] with default null`},
		},
		{
			name: "a field with another default was added", old: record(id), new: record(id + `,{"name":"tags","type":{"type":"array","items":"string"},"default":[]}`),
			want: []string{`tags: added as array of string; whatever is added must be ["null", T] with default null`},
		},
		{
			name: "null does not come first", old: record(id), new: record(id + `,{"name":"shop","type":["string","null"],"default":"x"}`),
			want: []string{`shop: added as [string, null]; whatever is added must be ["null", T] with default null`},
		},
		{
			name: "a field was removed", old: record(id + "," + at), new: record(id),
			want: []string{"placed_at: removed; keep the field, or begin a new topic"},
		},
		{
			name: "even one that Avro would let go", old: record(id + "," + note), new: record(id),
			want: []string{"note: removed; keep the field, or begin a new topic"},
		},
		{
			name: "a field was renamed, and an alias left", old: record(id + "," + note), new: record(id + `,{"name":"remark","aliases":["note"],"type":["null","string"],"default":null}`),
			want: []string{"note: removed; keep the field, or begin a new topic"},
		},
		{
			name: "a number was widened", old: record(`{"name":"n","type":"int"}`), new: record(`{"name":"n","type":"long"}`),
			want: []string{"n: type changed from int to long; add a field of the new type instead"},
		},
		{
			name: "a field may now be null", old: record(id), new: record(`{"name":"order_id","type":["null","string"],"default":null}`),
			want: []string{"order_id: type changed from string to [null, string]; add a field of the new type instead"},
		},
		{
			name: "milliseconds became microseconds", old: record(at), new: record(`{"name":"placed_at","type":{"type":"long","logicalType":"timestamp-micros"}}`),
			want: []string{"placed_at: type changed from long (timestamp-millis) to long (timestamp-micros); add a field of the new type instead"},
		},
		{
			name: "a decimal's scale changed", old: record(`{"name":"n","type":{"type":"bytes","logicalType":"decimal","precision":38,"scale":9}}`), new: record(`{"name":"n","type":{"type":"bytes","logicalType":"decimal","precision":38,"scale":2}}`),
			want: []string{"n: decimal changed from (38,9) to (38,2); the bytes would mean another number"},
		},
		{
			name: "a default is gone", old: record(`{"name":"n","type":"int","default":1}`), new: record(`{"name":"n","type":"int"}`),
			want: []string{"n: its default is gone; records from before the field could not be read"},
		},
		{
			name: "a default changed", old: record(`{"name":"n","type":"int","default":1}`), new: record(`{"name":"n","type":"int","default":2}`),
			want: []string{"n: its default changed from 1 to 2"},
		},
		{
			name: "the record was renamed", old: record(id), new: `{"type":"record","name":"Purchase","namespace":"io.sluice","fields":[` + id + `]}`,
			want: []string{"the record: record renamed from io.sluice.Order to io.sluice.Purchase; readers find it by name"},
		},
		{
			name: "the namespace changed", old: record(id), new: `{"type":"record","name":"Order","namespace":"com.sluice","fields":[` + id + `]}`,
			want: []string{"the record: record renamed from io.sluice.Order to com.sluice.Order; readers find it by name"},
		},
		{
			name: "enum symbols were reordered", old: record(`{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}}`), new: record(`{"name":"e","type":{"type":"enum","name":"E","symbols":["B","A"]}}`),
			want: []string{"e: symbols changed from [A B] to [B A]; an older reader fails at a new symbol"},
		},
		{
			name: "a fixed grew", old: record(`{"name":"f","type":{"type":"fixed","name":"F","size":1}}`), new: record(`{"name":"f","type":{"type":"fixed","name":"F","size":2}}`),
			want: []string{"f: size changed from 1 to 2 bytes"},
		},
		{
			name: "deep inside", old: record(`{"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[{"name":"price","type":["null","long"],"default":null}]}}}`),
			new:  record(`{"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[{"name":"price","type":["null","double"],"default":null},{"name":"sku","type":"string"}]}}}`),
			want: []string{"lines[].price: type changed from long to double; add a field of the new type instead", `lines[].sku: added as string; whatever is added must be ["null", T] with default null`},
		},
		{
			name: "in a map", old: record(`{"name":"m","type":{"type":"map","values":"string"}}`), new: record(`{"name":"m","type":{"type":"map","values":"long"}}`),
			want: []string{"m{}: type changed from string to long; add a field of the new type instead"},
		},
		{
			name: "in a type that is named twice", old: record(`{"name":"a","type":{"type":"record","name":"M","fields":[{"name":"x","type":"int"}]}},{"name":"b","type":"M"}`),
			new:  record(`{"name":"a","type":{"type":"record","name":"M","fields":[{"name":"x","type":"long"}]}},{"name":"b","type":"M"}`),
			want: []string{"a.x: type changed from int to long; add a field of the new type instead", "b.x: type changed from int to long; add a field of the new type instead"},
		},
		{
			name: "several at once, all named", old: record(id + "," + at), new: record(`{"name":"order_id","type":"long"},{"name":"shop","type":"string"}`),
			want: []string{"order_id: type changed from string to long; add a field of the new type instead", `shop: added as string; whatever is added must be ["null", T] with default null`, "placed_at: removed; keep the field, or begin a new topic"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, registry.CheckChange(tt.old, tt.new)); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckChangeSaysWhichOfTheTwoIsNoSchema(t *testing.T) {
	good := record("")
	for _, tt := range []struct{ old, new, want string }{
		{old: "{", new: good, want: "the old schema: parsing schema: "},
		{old: good, new: "{", want: "the new schema: parsing schema: "},
	} {
		if got := registry.CheckChange(tt.old, tt.new); len(got) != 1 || !strings.HasPrefix(got[0], tt.want) {
			t.Errorf("got %q, want one reason that begins with %q", got, tt.want)
		}
	}
}
