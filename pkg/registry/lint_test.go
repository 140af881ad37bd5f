package registry_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/registry"
)

func TestLint(t *testing.T) {
	field := func(name, avroType string) string {
		return fmt.Sprintf(`{"name":%q,"type":%s,"doc":"d"}`, name, avroType)
	}
	nullable := func(name, avroType string) string {
		return fmt.Sprintf(`{"name":%q,"type":["null",%s],"default":null,"doc":"d"}`, name, avroType)
	}
	const (
		millis   = `{"type":"long","logicalType":"timestamp-millis"}`
		money    = `{"type":"bytes","logicalType":"decimal","precision":38,"scale":9}`
		currency = `{"name":"currency","type":"string","doc":"ISO 4217"}`
	)
	logical := func(avroType, logical string) string {
		return fmt.Sprintf(`{"type":%q,"logicalType":%q}`, avroType, logical)
	}
	decimal := func(precision, scale int) string {
		return fmt.Sprintf(`{"type":"bytes","logicalType":"decimal","precision":%d,"scale":%d}`, precision, scale)
	}
	array := func(items string) string { return `{"type":"array","items":` + items + `}` }
	line := func(fields string) string {
		return `{"type":"record","name":"Line","doc":"A line.","fields":[` + fields + `]}`
	}
	for _, tt := range []struct {
		name    string
		subject string // orders-value when empty
		schema  string
		want    []string // path, rule and "?" for advice
	}{
		{name: "a schema in the dialect", schema: record(strings.Join([]string{
			field("order_id", `"string"`), nullable("note", `"string"`), field("placed_at", millis), nullable("shipped_at", millis),
			field("due_on", logical("int", "date")), field("total", money), nullable("tax", money), currency, field("quantity", `"long"`),
			nullable("properties_json", `"string"`), field("labels", `{"type":"map","values":"string"}`), field("tags", array(`"string"`)),
			field("lines", array(line(field("price", money)))), `{"name":"email","type":"string","doc":"d","pii":"email"}`,
		}, ","))},

		{name: "rule 1: a subject that is not the topic's", subject: "orders", schema: record(""), want: []string{"1"}},
		{name: "rule 1: a subject without a topic", subject: "-value", schema: record(""), want: []string{"1"}},
		{name: "rule 1: no schema", schema: `{"type":"nosuchtype"}`, want: []string{"1"}},
		{name: "rule 1: no record", schema: `["null","string"]`, want: []string{"1"}},
		{name: "rule 1: a record in itself", schema: record(nullable("parent", `"Order"`)), want: []string{"parent 1"}},
		{name: "rule 1: the same by its full name", schema: record(field("children", array(`"io.sluice.Order"`))), want: []string{"children[] 1"}},
		{name: "rule 1: a record used twice is not in itself", schema: record(field("a", line("")) + "," + field("b", `"Line"`))},

		{name: "rule 3: null comes second", schema: record(`{"name":"a","type":["string","null"],"default":"","doc":"d"}`), want: []string{"a 3"}},
		{name: "rule 3: no default", schema: record(`{"name":"a","type":["null","string"],"doc":"d"}`), want: []string{"a 3"}},
		{name: "rule 3: another default", schema: record(`{"name":"a","type":["null","string"],"default":"x","doc":"d"}`), want: []string{"a 3"}},
		{name: "rule 3: three branches, each looked at", schema: record(`{"name":"a","type":["null","string","double"],"default":null,"doc":"d"}`), want: []string{"a 3", "a 8?"}},
		{name: "rule 3: only null", schema: record(field("a", `"null"`)), want: []string{"a 3"}},

		{name: "rule 4: an enum", schema: record(field("a", `{"type":"enum","name":"E","symbols":["A"]}`)), want: []string{"a 4"}},
		{name: "rule 4: an enum that may be null, in a list", schema: record(field("a", array(`{"type":"enum","name":"E","symbols":["A"]}`))), want: []string{"a[] 4"}},

		{name: "rule 5: microseconds", schema: record(field("placed_at", logical("long", "timestamp-micros"))), want: []string{"placed_at 5"}},
		{name: "rule 5: nanoseconds", schema: record(field("placed_at", logical("long", "timestamp-nanos"))), want: []string{"placed_at 5"}},
		{name: "rule 5: a local time", schema: record(field("placed_at", logical("long", "local-timestamp-millis"))), want: []string{"placed_at 5"}},
		{name: "rule 5: a time of day", schema: record(nullable("opens", logical("int", "time-millis"))), want: []string{"opens 5"}},
		{name: "rule 5: a duration", schema: record(field("wait", `{"type":"fixed","name":"D","size":12,"logicalType":"duration"}`)), want: []string{"wait 5"}},
		{name: "rule 5: milliseconds on a string", schema: record(field("placed_at", logical("string", "timestamp-millis"))), want: []string{"placed_at 5"}},
		{name: "rule 5: a time by another name", schema: record(field("placed", millis)), want: []string{"placed 5"}},
		{name: "rule 5: the name of a time on a string", schema: record(field("placed_at", `"string"`)), want: []string{"placed_at 5"}},
		{name: "rule 5: the name of a time on a bare long", schema: record(nullable("placed_at", `"long"`)), want: []string{"placed_at 5"}},
		{name: "rule 5: the name of a time on a date", schema: record(field("placed_at", logical("int", "date"))), want: []string{"placed_at 5"}},
		{name: "rule 5: a date as text", schema: record(field("placed_on", logical("string", "date"))), want: []string{"placed_on 5"}},
		{name: "rule 5: a logical type beside the type", schema: record(`{"name":"placed","type":"long","logicalType":"timestamp-millis","doc":"d"}`), want: []string{"placed 5"}},
		{name: "rule 5: a list of times", schema: record(field("seen_at", array(millis)))},

		{name: "rule 6: a uuid", schema: record(field("order_id", logical("string", "uuid"))), want: []string{"order_id 6"}},

		{name: "rule 7: a fixed decimal", schema: record(currency + "," + field("total", `{"type":"fixed","name":"F","size":16,"logicalType":"decimal","precision":38,"scale":9}`)), want: []string{"total 7"}},
		{name: "rule 7: more precision than BigQuery has", schema: record(currency + "," + field("total", decimal(39, 9))), want: []string{"total 7"}},
		{name: "rule 7: more scale", schema: record(currency + "," + field("total", decimal(38, 10))), want: []string{"total 7"}},
		{name: "rule 7: more before the point", schema: record(currency + "," + field("total", decimal(38, 8))), want: []string{"total 7"}},
		{name: "rule 7: two precisions", schema: record(currency + "," + field("total", decimal(38, 9)) + "," + nullable("tax", decimal(20, 2))), want: []string{"tax 7"}},
		{name: "rule 7: no currency", schema: record(field("total", money)), want: []string{"total 7"}},
		{name: "rule 7: a currency that is no text", schema: record(field("total", money) + "," + field("currency", `"long"`)), want: []string{"total 7"}},
		{name: "rule 7: a currency by a longer name", schema: record(field("total", money) + "," + nullable("shop_currency", `"string"`))},
		{name: "rule 7: a currency around the record", schema: record(field("lines", array(line(field("price", money)))) + "," + currency)},
		{name: "rule 7: money as double", schema: record(field("unit_price", `"double"`)), want: []string{"unit_price 7"}},
		{name: "rule 7: money as float that may be null", schema: record(nullable("total", `"float"`)), want: []string{"total 7"}},

		{name: "rule 8: an int", schema: record(field("count", `"int"`)), want: []string{"count 8?"}},
		{name: "rule 8: a double", schema: record(field("temperature", `"double"`)), want: []string{"temperature 8?"}},

		{name: "rule 9: a map of numbers", schema: record(field("m", `{"type":"map","values":"long"}`)), want: []string{"m 9"}},
		{name: "rule 9: a map of unions", schema: record(field("properties", `{"type":"map","values":["null","string","double"]}`)), want: []string{"properties 9"}},
		{name: "rule 9: JSON that is a record", schema: record(field("properties_json", line(""))), want: []string{"properties_json 9"}},

		{name: "rule 10: null items", schema: record(field("a", array(`["null","string"]`))), want: []string{"a[] 10"}},
		{name: "rule 10: an array of arrays", schema: record(field("a", array(array(`"string"`)))), want: []string{"a[] 10"}},
		{name: "rule 10: an array of maps", schema: record(field("a", array(`{"type":"map","values":"string"}`))), want: []string{"a[] 10"}},

		{name: "rule 11: camel case", schema: record(field("orderId", `"string"`)), want: []string{"orderId 11"}},
		{name: "rule 11: an underscore in front", schema: record(field("_id", `"string"`)), want: []string{"_id 11"}},
		{name: "rule 11: two names that differ in case", schema: record(field("shop", `"string"`) + "," + field("Shop", `"string"`)), want: []string{"Shop 11", "Shop 11"}},
		{name: "rule 11: a long name", schema: record(field(strings.Repeat("x", 64), `"string"`)), want: []string{strings.Repeat("x", 64) + " 11"}},
		{name: "rule 11: a keyword", schema: record(field("order", `"string"`) + "," + field("user", `"string"`) + "," + field("rowtime", `"long"`)), want: []string{"order 11", "user 11", "rowtime 11"}},
		{name: "rule 11: no namespace", schema: `{"type":"record","name":"A","doc":"d","fields":[]}`, want: []string{"11"}},
		{name: "rule 11: two namespaces", schema: record(field("a", `{"type":"record","name":"x.Line","doc":"d","fields":[]}`)), want: []string{"a 11"}},
		{name: "rule 11: two records that differ in case", schema: record(field("a", line("")) + "," + field("b", `{"type":"record","name":"LINE","doc":"d","fields":[]}`)), want: []string{"b 11"}},

		{name: "rule 12: no docs", schema: `{"type":"record","name":"A","namespace":"x","fields":[{"name":"a","type":"string"}]}`, want: []string{"12", "a 12"}},
		{name: "rule 12: an inner record without a doc", schema: record(field("a", `{"type":"record","name":"B","fields":[]}`)), want: []string{"a 12"}},
		{name: "rule 12: two lines", schema: record(`{"name":"a","type":"string","doc":"one\ntwo"}`), want: []string{"a 12"}},
		{name: "rule 12: personal data unmarked", schema: record(field("email", `"string"`) + "," + nullable("home_phone", `"string"`)), want: []string{"email 12", "home_phone 12"}},
		{name: "rule 12: a mark that says nothing", schema: record(`{"name":"a","type":"string","doc":"d","pii":true}`), want: []string{"a 12"}},
		{name: "rule 12: an unknown logical type", schema: record(field("a", logical("string", "json"))), want: []string{"a 12"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			subject := tt.subject
			if subject == "" {
				subject = "orders-value"
			}
			var got []string
			for _, f := range registry.Lint(subject, tt.schema) {
				s := strings.TrimSpace(fmt.Sprintf("%s %d", f.Path, f.Rule))
				if f.Advice {
					s += "?"
				}
				got = append(got, s)
				if f.Text == "" || f.Fix == "" || !strings.Contains(f.String(), f.Fix) {
					t.Errorf("the finding does not say what is and what to do: %+v", f)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAFindingReadsAsASentence(t *testing.T) {
	findings := registry.Lint("orders-value", record(`{"name":"unit_price","type":"double","doc":"d"},{"name":"n","type":"int","doc":"d"}`))
	var got []string
	for _, f := range findings {
		got = append(got, f.String())
	}
	want := []string{
		`unit_price: money as double (rule 7): use {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 9}`,
		`n: a number of 32 bits (advice of rule 8): use long, unless 32 bits is the meaning`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// The schemas of our own topics obey the rules, and each version follows from the one before.
func TestOurOwnSchemasAreInTheDialect(t *testing.T) {
	const root = "../../schemas"
	files, err := filepath.Glob(filepath.Join(root, "*", "v*.avsc"))
	if err != nil || len(files) == 0 {
		t.Fatalf("found no schemas in %s, error %v", root, err)
	}
	for _, file := range files {
		topic := filepath.Base(filepath.Dir(file))
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range registry.Lint(topic+"-value", string(text)) {
			if !f.Advice {
				t.Errorf("%s: %s", file, f)
			}
		}
		var number int
		if _, err := fmt.Sscanf(filepath.Base(file), "v%d.avsc", &number); err != nil {
			t.Fatal(err)
		}
		if number == 1 {
			continue
		}
		before, err := os.ReadFile(filepath.Join(root, topic, fmt.Sprintf("v%d.avsc", number-1)))
		if err != nil {
			t.Fatal(err)
		}
		for _, reason := range registry.CheckChange(string(before), string(text)) {
			t.Errorf("%s: %s", file, reason)
		}
	}
}
