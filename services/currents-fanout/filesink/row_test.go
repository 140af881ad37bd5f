package filesink

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// written is one engagement as it comes back from a file of each format; they must agree.
func written(t *testing.T, e *sink.Event) map[string]any {
	t.Helper()
	table, err := tablesForTest(t).of(e.Type)
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	for _, format := range []string{formatParquet, formatAvro} {
		o := Options{Format: format}.withDefaults()
		enc, err := newEncoder(&o)
		if err != nil {
			t.Fatal(err)
		}
		done, err := enc.encode(&piece{path: "x", kind: e.Type, table: table, events: []int{0}}, []*sink.Event{e})
		if err != nil || len(done.refused) > 0 {
			t.Fatal(err, done.refused)
		}
		if format == formatParquet {
			rows = append(rows, parquetRows(t, done.data)...)
			continue
		}
		rows = append(rows, avroRows(t, done.data)...)
	}
	if len(rows) != 2 {
		t.Fatalf("%d rows", len(rows))
	}
	for name, v := range rows[1] { // times come back as such
		if at, ok := v.(interface{ UnixMilli() int64 }); ok {
			rows[1][name] = at.UnixMilli()
		}
	}
	if diff := cmp.Diff(rows[0], rows[1]); diff != "" {
		t.Fatalf("the formats differ: %s", diff)
	}
	return rows[0]
}

func TestFieldsBecomeColumnsOfTheirType(t *testing.T) {
	js := `{"event_type":"users.messages.email.Click","id":"e-1","time":1788264000,
		"user":{"user_id":"b1","external_user_id":"crm-1","timezone":"Europe\/Vienna"},
		"properties":{"campaign_id":"c1","is_amp":false,"is_suspected_bot_click":true,"url":"https:\u002f\u002fshop.example\/?q=\"ü\"",
		"link_id":"","suspected_bot_click_reason":["ua \"x\"",null,""],"new_field":{"a":[1,{"b":"}"}]},"\u0065sp":"sparkpost"}}`
	row := written(t, engagement(t, strings.ReplaceAll(js, "\n\t\t", ""), 0))
	for name, want := range map[string]any{
		"event_id": "e-1", "user_id": "crm-1", "external_id": "crm-1", "braze_id": "b1", "type": click, "channel": "email",
		"occurred_at": int64(1788264000000), "received_at": day.UnixMilli(), "workspace": "eu", "campaign_id": "c1", "canvas_id": nil,
		"timezone": "Europe/Vienna", "is_amp": false, "is_suspected_bot_click": true, "url": `https://shop.example/?q="ü"`,
		"link_id": "", "suspected_bot_click_reason": []any{`ua "x"`, nil, ""}, "esp": "sparkpost", "user_agent": nil,
		"event_json": strings.ReplaceAll(js, "\n\t\t", ""),
	} {
		got, ok := row[name]
		if !ok {
			t.Errorf("no column %s", name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if _, ok := row["new_field"]; ok {
		t.Error("a field that the catalogue does not know has become a column")
	}
}

func TestValuesThatDoNotFitAreNullAndStayInTheJSON(t *testing.T) {
	typ := ""
	for _, candidate := range currents.Types() {
		if f, ok := candidate.Field(currents.InProperties, "time_ms"); ok && f.Kind == currents.Long {
			typ = candidate.Name
		}
	}
	for _, c := range []struct {
		name, typ, field, json string
		want                   any
	}{
		{"a number in the digits that it has", typ, "time_ms", `9007199254740993`, int64(9007199254740993)},
		{"a number too large", typ, "time_ms", `9223372036854775808`, nil},
		{"a fraction for a whole number", typ, "time_ms", `1.5`, nil},
		{"a number as text", typ, "time_ms", `"17"`, nil},
		{"null", typ, "time_ms", `null`, nil},
		{"a price with its digits", purchase, "price", `1234567.89`, 1234567.89},
		{"a whole number for a float", purchase, "price", `-12`, -12.0},
		{"a number beyond all floats", purchase, "price", `1e999`, nil},
		{"[REDACTED] for a number", purchase, "price", `"[REDACTED]"`, nil},
		{"a number for text", purchase, "currency", `978`, nil},
		{"an object for text", purchase, "currency", `{"code":"EUR"}`, nil},
		{"an object", purchase, "purchase_properties", `{ "sizes": [36, 9007199254740993] }`, `{ "sizes": [36, 9007199254740993] }`},
		{"text for a boolean", click, "is_amp", `"true"`, nil},
		{"an empty list", click, "suspected_bot_click_reason", `[]`, []any{}},
		{"text for a list", click, "suspected_bot_click_reason", `"ua"`, nil},
		{"a list of something else", click, "suspected_bot_click_reason", `["ua",["x"],7]`, nil},
		{"the last of two", click, "url", `"a","url":"b"`, "b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			js := `{"event_type":"` + c.typ + `","id":"e","time":1788264000,"user":{},"properties":{"` + c.field + `":` + c.json + `}}`
			row := written(t, engagement(t, js, 0))
			got, ok := row[c.field]
			if !ok {
				t.Fatalf("%s has no column %s", c.typ, c.field)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if row[eventJSON] != js {
				t.Errorf("the JSON is %s", row[eventJSON])
			}
		})
	}
}

func TestColumnsAreWhatIsLeftAfterRedaction(t *testing.T) {
	e := sampled(t, click, 0)
	redacted := *e.Engagement
	redacted.User = event.User{}
	redacted.CampaignName = ""
	e.Engagement = &redacted
	e.JSON = []byte(`{"event_type":"users.messages.email.Click","id":"e","time":1,"user":{},"properties":{"email_address":"[REDACTED]"}}`)
	row := written(t, e)
	want := map[string]any{
		"user_id": "event:" + redacted.ID, "external_id": nil, "braze_id": nil, "campaign_name": nil,
		"email_address": "[REDACTED]", "event_json": string(e.JSON),
	}
	for name, v := range want {
		if row[name] != v {
			t.Errorf("%s is %v, want %v", name, row[name], v)
		}
	}
}

func TestATypeOutsideTheCatalogueHasItsEnvelope(t *testing.T) {
	js := `{"event_type":"users.messages.fax.Send","id":"e","time":1788264000,"user":{"external_user_id":"crm-1"},"properties":{"pages":3,"campaign_id":"c"}}`
	row := written(t, engagement(t, js, 0))
	if len(row) != len(envelope)+1 || row["user_id"] != "crm-1" || row["campaign_id"] != "c" || row[eventJSON] != js {
		t.Errorf("%v", row)
	}
}

// TestTheEnvelopeIsThatOfTheTopics holds the columns to the topics' schemas: what a record has, the files
// have under the same name and in the same order, but for the type, whose name is the folder's.
func TestTheEnvelopeIsThatOfTheTopics(t *testing.T) {
	ts := tablesForTest(t)
	for subject, table := range map[string]*table{"braze.engagements": ts.unknown, "braze.actions": ts.action} {
		avsc, err := os.ReadFile(filepath.Join("../../../schemas", subject, "v1.avsc"))
		if err != nil {
			t.Fatal(err)
		}
		var schema struct {
			Fields []struct {
				Name string         `json:"name"`
				Type jsontext.Value `json:"type"`
			} `json:"fields"`
		}
		if err := json.Unmarshal(avsc, &schema); err != nil {
			t.Fatal(err)
		}
		var want, got []string
		for _, f := range schema.Fields {
			want = append(want, strings.Replace(f.Name, "event_type", eventType, 1)+map[bool]string{true: " null"}[f.Type.Kind() == '['])
		}
		for _, c := range table.columns {
			got = append(got, c.name+map[bool]string{true: " null"}[!c.required])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", subject, diff)
		}
	}
}

func TestColumnNamesAreFitForEveryEngine(t *testing.T) {
	ts := tablesForTest(t)
	for _, typ := range currents.Types() {
		table, err := ts.of(typ.Name)
		if err != nil {
			t.Fatal(err)
		}
		if table == ts.unknown {
			t.Errorf("%s is unknown", typ.Name)
		}
		seen := map[string]bool{"event_type": true, "date": true}
		for _, c := range table.columns {
			folded := strings.ToLower(c.name)
			if seen[folded] {
				t.Errorf("%s: %s is there twice", typ.Name, c.name)
			}
			seen[folded] = true
			if strings.Trim(folded, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || folded[0] <= '9' {
				t.Errorf("%s: %s", typ.Name, c.name)
			}
		}
	}
}

// FuzzRow holds that no JSON of an event does more than to be refused, and that what is not refused can
// be read back from both formats, in which it is the same.
func FuzzRow(f *testing.F) {
	f.Add([]byte(`{"event_type":"users.messages.email.Click","id":"e","user":{"timezone":"x"},"properties":{"is_amp":true,"suspected_bot_click_reason":["a",null]}}`))
	f.Add([]byte(`{"properties":{"url":"\ud83d\ude00","is_amp":1e5,"properties":{}}}`))
	f.Add([]byte(`{"user":[],"properties":null} `))
	f.Add([]byte("{\"properties\":{\"url\":\"\xff\"}}"))
	table, err := tablesForTest(f).of(click)
	if err != nil {
		f.Fatal(err)
	}
	r := newRow()
	f.Fuzz(func(t *testing.T, js []byte) {
		e := &sink.Event{Engagement: &event.Engagement{ID: "e", Type: click, OccurredAt: day, ReceivedAt: day}, Type: click, JSON: bytes.Clone(js)}
		r.begin(table)
		if r.read(e) != nil {
			return
		}
		if !utf8.Valid(js) {
			t.Fatalf("%q was taken", js)
		}
		written(t, e)
		if !bytes.Equal(js, e.JSON) {
			t.Error("the event was written to")
		}
	})
}
