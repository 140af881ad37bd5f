package webhook_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// made is a source with the programs given, as lines of YAML.
func made(t testing.TB, lines ...string) *webhook.Source {
	t.Helper()
	text := "sources:\n  a:\n    auth: {scheme: token, header: X-Key, secret_env: A}\n    " + strings.Join(lines, "\n    ") + "\n"
	sources, err := webhook.Parse([]byte(text), options(map[string]string{"A": "a"}))
	if err != nil {
		t.Fatal(err)
	}
	return sources.Find("a")
}

// meaning is what becomes of a body, in one line for each message.
func meaning(t testing.TB, source *webhook.Source, body string) string {
	t.Helper()
	var lines []string
	for _, m := range source.Translate(t.Context(), call(body, signedAt)) {
		line := m.Skip + string(m.Refuse)
		if m.Detail != "" {
			line += ": " + m.Detail
		}
		for _, o := range m.Outputs {
			line += string(o.JSON)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestFunctionsAreExact(t *testing.T) {
	for _, c := range []struct{ program, body, want string }{
		{".body | id", `9007199254740993`, `"9007199254740993"`},
		{".body | id", `123456789012345678901234567890`, `"123456789012345678901234567890"`},
		{".body | id", `"0042"`, `"0042"`},
		{".body | id", `""`, `null`},
		{".body | id", `null`, `null`},
		{".body | id", `1.5`, `id: an id is a text`},
		{".body | id", `1e3`, `id: an id is a text`},
		{".body | id", `{}`, `id: an id is a text`},
		{".body | money", `"84.90"`, `"84.90"`},
		{".body | money", `84.90`, `"84.90"`},
		{".body | money", `12345678901234567890.05`, `"12345678901234567890.05"`},
		{".body | money", `"12,50"`, `money: an amount`},
		{".body | money", `true`, `money: an amount`},
		{".body | number", `"84.90"`, `84.90`},
		{".body | number", `null`, `null`},
		{".body | money_sum", `["0.1", 0.2, null, "9007199254740993"]`, `"9007199254740993.3"`},
		{".body | money_sum", `[]`, `"0"`},
		{".body | money_sum", `"1"`, `money_sum: an amount`},
		{".body | money_minor(.; \"eur\")", `1290`, `"12.9"`},
		{".body | money_minor(.; \"EUR\")", `9007199254740993`, `"90071992547409.93"`},
		{".body | money_minor(.; \"jpy\")", `1290`, `"1290"`},
		{".body | money_minor(.; \"mga\")", `1290`, `"1290"`},
		{".body | money_minor(.; \"isk\")", `129000`, `"1290"`},
		{".body | money_minor(.; \"ugx\")", `129000`, `"1290"`},
		{".body | money_minor(.; \"kwd\")", `1290`, `"1.29"`},
		{".body | money_minor(.; \"eur\")", `-5`, `"-0.05"`},
		{".body | money_minor(.; \"eur\")", `12.5`, `money_minor: an amount in minor units`},
		{".body | money_minor(.; null)", `12`, `money_minor: a currency`},
		{".body | money_minor(.; \"eur\")", `null`, `null`},
		{".body | unix_time", `1767225605`, `"2026-01-01T00:00:05Z"`},
		{".body | unix_time", `0`, `null`},
		{".body | unix_time", `1e9`, `unix_time: a time`},
		{".body | unix_time", `99999999999999999`, `unix_time: a time`},
		{".body | unix_time", `9223372036854775807`, `unix_time: a time`},
		{".body | unix_ms_time", `1767225605123`, `"2026-01-01T00:00:05.123Z"`},
		{".body | unix_ms_time", `9223372036854775807`, `unix_ms_time: a time`},
		{".body | unix_ms_time", `-1`, `unix_ms_time: a time`},
		{".body | as_email", `"a@b.at"`, `"a@b.at"`},
		{".body | as_email", `"a b@c"`, `null`},
		{".body | as_phone", `"+43 (660) 123-4567"`, `"+436601234567"`},
		{".body | as_phone", `"0660 1234567"`, `null`},
		{".body | compact", `{"a": null, "b": {"c": null}, "d": [null, 1], "e": false}`, `{"d":[1],"e":false}`},
		{"recall(\"x\")", `1`, `null`},
	} {
		t.Run(c.program+" of "+c.body, func(t *testing.T) {
			source := made(t, `map: '{to: "event", name: "n", user: {external_id: "u"}, properties: {v: (`+c.program+`)}}'`)
			got := meaning(t, source, c.body)
			if strings.Contains(c.want, ": ") { // an error, which makes the message unmappable
				if !strings.Contains(got, c.want) || !strings.HasPrefix(got, "unmappable") {
					t.Errorf("got %s", got)
				}
				return
			}
			if _, v, _ := strings.Cut(got, `"v":`); !strings.HasPrefix(v, c.want+"}") {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestHostileBodiesAreUnmappableAndNothingWorse(t *testing.T) {
	whole := made(t, `map: '{to: "event", name: "n", user: {external_id: "u"}, properties: {v: .body}}'`)
	split := made(t, "split: true", `map: '{to: "event", name: "n", user: {external_id: "u"}, properties: {v: .body}}'`)
	for _, c := range []struct{ name, body, want string }{
		{"nothing", "", "unmappable: reading JSON: EOF"},
		{"no JSON", "<xml/>", "unmappable: reading JSON: jsontext"},
		{"half of it", `{"a": [1, 2`, "unmappable: reading JSON: jsontext: unexpected EOF"},
		{"two", `{} {}`, "unmappable: something follows the JSON value"},
		{"deep nesting", strings.Repeat("[", 2_000_000), "unmappable: reading JSON"},
		{"deep nesting that ends", strings.Repeat("[", 5_000) + strings.Repeat("]", 5_000), "unmappable: reading JSON"},
		{"five megabytes of numbers", "[" + strings.Repeat("0,", 2_400_000) + "0]", "unmappable: "},
		{"five megabytes of text", `"` + strings.Repeat("a", 5_000_000) + `"`, "unmappable: output 0: it is larger"},
		{"what is not UTF-8", "{\"a\": \"\xff\"}", "unmappable: reading JSON: jsontext: invalid UTF-8"},
		{"half a character", `{"a": "\ud800"}`, "unmappable: reading JSON: jsontext"},
		{"a name twice", `{"a": 1, "a": 2}`, `unmappable: reading JSON: jsontext: duplicate object member name "a"`},
		{"a number of a million digits", strings.Repeat("9", 1_000_000), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := meaning(t, whole, c.body); !strings.HasPrefix(got, c.want) || len(got) > 2<<20 {
				t.Errorf("got %.200s", got)
			}
			if got := meaning(t, split, c.body); len(got) > 2<<20 {
				t.Errorf("split: got %d bytes", len(got))
			}
		})
	}
}

func TestProgramsAreBounded(t *testing.T) {
	for _, c := range []struct{ name, program, want string }{
		{"one that does not end", "def f: f; f", "unmappable: map.*: context deadline exceeded"},
		{"one that yields without end", `repeat({to: "event"})`, "unmappable: map.*: it yields more than 500 values"},
		{"an error", `error("no such thing")`, "unmappable: map.*: error: no such thing"},
		{"a long error", `error("x" * 100000)`, "unmappable: map.*: error: xxx"},
		{"a value that is no object", "1", "unmappable: output 0: it is no object"},
		{"an object that goes nowhere", "{}", `unmappable: output 0: "to" is "", and must be`},
		{"an id that is none", `{to: "event", id: {}}`, "unmappable: output 0: an id is"},
		{"nobody", `{to: "event"}`, `identity_unresolved: nothing says whom the event "" is about`},
		{"a user of nulls", `{to: "event", user: {external_id: null}}`, `identity_unresolved: `},
		{"nothing", "empty", "nothing_to_do"},
		{"its own reason", `dead_letter("unsupported_version"; "too new")`, "unsupported_version: too new"},
		{"a reason that there is not", `dead_letter("whatever"; "hm")`, "unmappable: hm"},
		{"an end", "halt_error", "unmappable: map.*: halt error"},
		{"the environment", "{to: \"event\", user: {external_id: \"u\"}, name: (env | tojson)}", `{"id":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","name":"{}","user":{"external_id":"u"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := meaning(t, made(t, "map: |\n      "+c.program), "{}")
			if !strings.HasPrefix(got, c.want) || len(got) > 500 {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestTheFirstRuleThatFitsDecides(t *testing.T) {
	source := made(t, "kind: .body.kind", "refuse: {privacy_request: .body.redact}", "ignore: {test: .body.test}", "unmapped: skip", "map:",
		`  a.b: '{to: "event", user: {external_id: "u"}, name: "exact"}'`,
		`  "a.*": '{to: "event", user: {external_id: "u"}, name: "short prefix"}'`,
		`  "a.c.*": '{to: "event", user: {external_id: "u"}, name: "long prefix"}'`)
	for body, want := range map[string]string{
		`{"kind": "a.b"}`:                            `"name":"exact"`,
		`{"kind": "a.d"}`:                            `"name":"short prefix"`,
		`{"kind": "a.c.d"}`:                          `"name":"long prefix"`,
		`{"kind": "b"}`:                              "unmapped",
		`{"kind": 7}`:                                "unmapped",
		`{"kind": "a.b", "test": true}`:              "test",
		`{"kind": "a.b", "test": 1, "redact": true}`: "privacy_request",
		`{"kind": "a.b", "test": false}`:             `"name":"exact"`,
	} {
		if got := meaning(t, source, body); !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
}

func TestKeysAreFitForHeaders(t *testing.T) {
	source := made(t, `dedup: '[.body.shop, .body.id]'`, `map: '{to: "event", user: {external_id: "u"}, name: "n"} | ., .'`)
	hash := func(body string) string { return source.Translate(t.Context(), call(body, signedAt))[0].Key }
	for body, want := range map[string]string{
		`{"shop": "s", "id": 9007199254740993}`:                   "s/9007199254740993",
		`{"shop": "s", "id": "a\nb"}`:                             "sha256:",
		`{"shop": "s", "id": "` + strings.Repeat("a", 300) + `"}`: "sha256:",
		`{"shop": "s"}`: "s/sha256:",
		`{}`:            "sha256:",
		`{"shop": {}}`:  "sha256:",
	} {
		if got := hash(body); !strings.HasPrefix(got, want) || len(got) > 255 {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
	if hash(`{"shop": "s"}`) == hash(`{"shop": "s" }`) {
		t.Error("two messages without id have one key")
	}
	outputs := source.Translate(t.Context(), call(`{"shop": "s", "id": 1}`, signedAt))[0].Outputs
	if got := []string{outputs[0].ID, outputs[1].ID}; !cmp.Equal(got, []string{"s/1", "s/1/1"}) {
		t.Errorf("ids of two outputs: %v", got)
	}
}

func TestMemoryForgetsWhatIsOldAndWhatIsTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := made(t, "memory: {entries: 3, keep: 1h}",
			`remember: 'if .body.user then {keys: ["o/\(.body.order)", null], value: {external_id: .body.user}} else empty end'`,
			`identity: 'recall("o/\(.body.order)")'`, `map: '{to: "event", name: "n"}'`)
		says := func(body, want string) {
			t.Helper()
			if got := meaning(t, source, body); !strings.Contains(got, want) {
				t.Errorf("%s: got %s, want %s", body, got, want)
			}
		}
		says(`{"order": 1}`, "identity_unresolved")
		says(`{"order": 1, "user": "a"}`, `{"external_id":"a"}`)
		says(`{"order": 1}`, `{"external_id":"a"}`)
		says(`{"order": 1, "user": "b"}`, `{"external_id":"b"}`)
		for i := range 2 {
			says(fmt.Sprintf(`{"order": %d, "user": "c"}`, 10+i), `{"external_id":"c"}`)
		}
		says(`{"order": 1}`, `{"external_id":"b"}`)
		says(`{"order": 12, "user": "c"}`, `{"external_id":"c"}`)
		says(`{"order": 1}`, "identity_unresolved") // a fourth pushed it out
		<-time.After(time.Hour + time.Second)       // in a bubble, where it takes no time
		says(`{"order": 12}`, "identity_unresolved")
	})
}

func TestWhatCannotBeRememberedSaysSo(t *testing.T) {
	for program, want := range map[string]string{
		`{keys: ["a"], value: 1}`:                 "nothing_to_do",
		`{keys: [null], value: 1}`:                "nothing_to_do",
		`{keys: ["a"], value: null}`:              "nothing_to_do",
		`{keys: "a", value: 1}`:                   "unmappable: remember: it must yield",
		`{keys: [1], value: 1}`:                   "unmappable: remember: it must yield",
		`1`:                                       "unmappable: remember: it must yield",
		`{keys: ["a"], value: ("x" * 5000)}`:      "unmappable: remember: it must yield",
		`{keys: ["x" * 5000], value: 1}`:          "nothing_to_do",
		`{keys: ["a"], value: 1}, error("later")`: "unmappable: remember: error: later",
	} {
		if got := meaning(t, made(t, "remember: '"+program+"'", "map: empty"), "{}"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s, want %s", program, got, want)
		}
	}
}

func TestFormsAndTexts(t *testing.T) {
	form := made(t, "format: form", `map: '{to: "event", name: .body.name, user: {external_id: .body.id}}'`)
	if got := meaning(t, form, "name=Ticket+closed&id=007&id=8"); !strings.Contains(got, `"name":"Ticket closed","user":{"external_id":"007"}`) {
		t.Errorf("got %s", got)
	}
	if got := meaning(t, form, "name=%zz"); !strings.HasPrefix(got, "unmappable: reading the form") {
		t.Errorf("got %s", got)
	}
	text := made(t, "format: text", `map: '{to: "event", name: "n", user: (.body | capture("<id>(?<external_id>[^<]+)</id>"))}'`)
	if got := meaning(t, text, "<a><id>u-1</id></a>"); !strings.Contains(got, `"user":{"external_id":"u-1"}`) {
		t.Errorf("got %s", got)
	}
	for kind, want := range map[string][3]bool{ // json, form, text
		"":                                  {true, true, true},
		"application/json; charset=utf-8":   {true, false, true},
		"application/json; charset=latin1":  {false, false, true},
		"application/vnd.vendor.v1+json":    {true, false, true},
		"application/xml":                   {false, false, true},
		"text/xml":                          {false, false, true},
		"application/x-www-form-urlencoded": {false, true, true},
		"???":                               {false, false, true},
	} {
		if got := [3]bool{made(t, "map: empty").Takes(kind), form.Takes(kind), text.Takes(kind)}; got != want {
			t.Errorf("%q: %v, want %v", kind, got, want)
		}
	}
}

// soap is an outbound message with two notifications, as Salesforce writes it.
const soap = `<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <soapenv:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>00D5e</OrganizationId><SessionId xsi:nil="true"/>
  <Notification><Id>n-1</Id><sObject xsi:type="sf:Case" xmlns:sf="urn:sobject"><sf:Status>Closed &amp; done</sf:Status><sf:ContactEmail>a@b.c</sf:ContactEmail></sObject></Notification>
  <Notification><Id>n-2</Id><sObject xsi:type="sf:Case" xmlns:sf="urn:sobject"><sf:Status>New</sf:Status><sf:ContactEmail>d@e.f</sf:ContactEmail></sObject></Notification>
 </notifications></soapenv:Body></soapenv:Envelope>`

func TestXML(t *testing.T) {
	source := made(t, "format: xml", `map: '.body | xml_all("Notification") | {to: "event", id: xml_text("Id"), name: ((xml_all("sObject") | .attributes.type) + " " + xml_text("Status")), user: {email: xml_text("ContactEmail")}}'`)
	want := `{"id":"n-1","name":"sf:Case Closed & done","user":{"email":"a@b.c"}}{"id":"n-2","name":"sf:Case New","user":{"email":"d@e.f"}}`
	if got := meaning(t, source, soap); got != want {
		t.Errorf("got %s", got)
	}
	for _, c := range []struct{ name, body, want string }{
		{"half of it", soap[:400], "unmappable: reading XML"},
		{"two", "<a/><b/>", "unmappable: reading XML: there is more than one element"},
		{"nothing", " ", "unmappable: reading XML: there is no element"},
		{"an entity of somebody's own", `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`, "unmappable: reading XML"},
		{"deep nesting", strings.Repeat("<a>", 100_000), "unmappable: reading XML: values are nested too deeply"},
		{"many elements", "<a>" + strings.Repeat("<b/>", 300_000) + "</a>", "unmappable: reading XML: there are too many values"},
		{"what is not UTF-8", "<a>\xff</a>", "unmappable: reading XML"},
		{"another encoding", `<?xml version="1.0" encoding="latin1"?><a/>`, "unmappable: reading XML"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := meaning(t, source, c.body); !strings.HasPrefix(got, c.want) || len(got) > 500 {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestSamples(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a body alone", `{"a": 1}`, `POST / map[] {"a": 1}`},
		{"an array alone", "\n[1]", "POST / map[] \n[1]"},
		{"headers", "X-Topic: a\nHost: h\n\n{}\n", "POST / map[Host:[h] X-Topic:[a]] {}\n"},
		{"a request line", "PUT /v1/hooks/a?b=c HTTP/1.1\r\nX-Topic: a\r\n\r\n{}", "PUT /v1/hooks/a?b=c map[X-Topic:[a]] {}"},
		{"text", "hello", "POST / map[] hello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := webhook.ReadSample([]byte(c.text), signedAt)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(r.Method, " ", r.URL, " ", r.Header, " ", string(r.Body)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if _, err := webhook.ReadSample([]byte("X-Topic: a\nnonsense\n\n{}"), signedAt); err == nil {
		t.Error("headers that are none were taken")
	}
}
