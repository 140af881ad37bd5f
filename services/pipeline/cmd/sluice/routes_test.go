package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/services/braze-sender/routes"
)

var (
	filePattern    = regexp.MustCompile("(?s)<!-- file: (\\S+) -->\n```\\w+\n(.*?)```")
	consolePattern = regexp.MustCompile("(?s)```console\n\\$ sluice ([^\n]*)\n(.*?)```")
	secondsPattern = regexp.MustCompile(`in \d+\.\d s`)
)

// The files in the documentation are what its commands are run on, and the output in it is theirs.
func TestTheCommandsInTheDocumentationOfRoutesDoWhatItSays(t *testing.T) { // not parallel: it changes directory
	path, err := filepath.Abs(filepath.Join("..", "..", "..", "braze-sender", "ROUTES.md"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for _, file := range filePattern.FindAllSubmatch(text, -1) {
		if err := os.WriteFile(string(file[1]), file[2], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	commands := 0
	got := consolePattern.ReplaceAllFunc(text, func(block []byte) []byte {
		commands++
		command := string(consolePattern.FindSubmatch(block)[1])
		var out bytes.Buffer
		run(strings.Fields(command), []string{"PATH=" + os.Getenv("PATH")}, &out, &out)
		said := secondsPattern.ReplaceAllString(out.String(), "in 0.0 s")
		return fmt.Appendf(nil, "```console\n$ sluice %s\n%s```", command, said)
	})
	if os.Getenv("GOLDEN") == "write" {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(text), string(got)); diff != "" || commands < 4 {
		t.Errorf("%d commands (-said +done):\n%s", commands, diff)
	}
}

// dump writes recorded lines: of ten records eight are events, two commerce events.
func dump(t testing.TB, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dump.jsonl")
	file, err := os.Create(path) //nolint:gosec // below the test's own folder
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(file)
	for i := range n {
		if i%10 < 8 {
			name := map[bool]string{true: "Cart Abandoned", false: "Product Viewed"}[i%10 == 0]
			_, _ = fmt.Fprintf(w, `{"topic":"customer.events","partition":%d,"offset":%d,"timestamp":"2026-03-02T09:15:04.210Z","key":"crm-%d","headers":{"event-id":"e-%d"},"schema_id":1,"value":{"event_id":"e-%d","user_id":"crm-%d","external_id":"crm-%d","braze_id":null,"event_name":%q,"event_kind":"track","occurred_at":"2026-03-02T09:15:03.480Z","received_at":"2026-03-02T09:15:04.210Z","source":"shop","properties_json":"{\"total\":84.90,\"currency\":\"EUR\",\"ref\":820982911946154508,\"items\":[{\"name\":\"Lamp\",\"price\":84.90}]}","attributes_json":null,"app_id":null}}`+"\n",
				i%12, i, i%1000, i, i, i%1000, i%1000, name)
			continue
		}
		_, _ = fmt.Fprintf(w, `{"topic":"commerce.events","partition":%d,"offset":%d,"timestamp":"2026-03-02T09:15:04.210Z","key":"crm-%d","headers":{},"schema_id":2,"value":{"event_id":"evt_%d","external_id":"crm-%d","event_type":"payment_failed","occurred_at":"2026-03-02T09:15:03.480Z","received_at":"2026-03-02T09:15:04.210Z","source":"stripe","order_id":"SO-%d","currency":"EUR","total":84.900000000,"discounts":[],"lines":[{"product_id":"P1","quantity":1,"price":84.900000000}],"metadata_json":"{\"attempt_count\":%d}"}}`+"\n",
			i%12, i, i%1000, i, i%1000, i, i%10-7)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

const trialFile = `
routes:
  - name: cart
    match: {topic: customer.events, event: Cart Abandoned}
    send: [{campaign: {id: c-1, properties: {total: .properties.total, ref: .properties.ref}}}]
  - name: second
    match: {topic: commerce.events, event: payment_failed}
    when: .metadata.attempt_count >= 2
    send: [{transactional: {id: t-1, properties: {amount: .total}}}]
  - name: never
    match: {topic: commerce.events, event: delivered}
    send: [{campaign: {id: x}}, {transactional: {id: y}}]
`

func trialRun(t testing.TB, args ...string) (string, string, int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "routes.yaml")
	if err := os.WriteFile(path, []byte(trialFile), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, said strings.Builder
	code := run(append([]string{"routes", "test", path}, args...), nil, &out, &said)
	return out.String(), said.String(), code
}

func TestAShadowRunOverAHundredThousandRecordsTakesSeconds(t *testing.T) {
	const n = 100_000
	records := dump(t, n)
	began := time.Now()
	out, said, code := trialRun(t, "--records", records, "--json", "--show", "2")
	took := time.Since(began)
	t.Logf("%d records in %v", n, took)
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitOK {
		t.Fatalf("it ended with %d, %v: %s", code, err, said)
	}
	if took > 2*time.Minute { // under the race detector, on a busy machine
		t.Errorf("it took %v, want seconds", took)
	}
	want := report{
		File: r.File, Running: "the shipped file", Seconds: r.Seconds, Samples: r.Samples,
		// A tenth are carts that become a campaign, a tenth payments that failed twice.
		Records: n, Same: n * 8 / 10, Added: n * 2 / 10, Removed: n * 2 / 10,
		Targets: []targetCount{
			{"campaign", "c-1", n / 10, 0},
			{"commerce", "payment_failed", n / 10, n * 2 / 10},
			{"event", "Cart Abandoned", 0, n / 10},
			{"event", "Product Viewed", n * 7 / 10, n * 7 / 10},
			{"transactional", "t-1", n / 10, 0},
		},
		Routes: []routeCount{{"cart", n / 10, n / 10, 0}, {"second", n / 10, n / 10, 0}, {"never", 0, 0, 0}, {"", n * 8 / 10, n * 8 / 10, 0}},
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(r.Samples) != 4 {
		t.Errorf("%d samples, want 2 added and 2 removed", len(r.Samples))
	}
	if len(r.Samples) > 0 {
		const body = `{"campaign_id":"c-1","recipients":[{"external_user_id":"crm-0","trigger_properties":{"total":84.90,"ref":820982911946154508}}]}`
		if got := string(r.Samples[0].File.Body); compactJSON(t, got) != body {
			t.Errorf("the first sample's body is %s, want %s", got, body)
		}
	}
}

func compactJSON(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAShadowRunTakesUpdatesAndSupportCases(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lines.jsonl")
	lines := `{"topic":"eu.braze.attributes","value":{"event_id":"u-1","external_id":"crm-1","occurred_at":"2026-03-02T09:15:03.480Z","decided_at":"2026-03-02T09:15:04.210Z","attributes_json":"{\"plan\":\"gold\"}","trigger_name":null,"properties_json":null,"data_points":1,"causes":[],"declined":[]}}
{"topic":"eu.braze.attributes","value":{"event_id":"u-2","external_id":"crm-1","occurred_at":"2026-03-02T09:15:03.480Z","trigger_name":"support_survey_due","causes":[{"event_id":"z-1","source":"zendesk","source_topic":"support.cases","source_partition":0,"source_offset":1}]}}
{"topic":"eu.braze.attributes","value":{"event_id":"u-3","external_id":"crm-1","occurred_at":"2026-03-02T09:15:03.480Z","declined":[{"event_id":"p-1","source":"crm","field":"plan","reason":"stale","detail":null}]}}
{"topic":"eu.support.cases","value":{"event_id":"z-1","external_id":"crm-1","case_id":"4711","case_event":"escalated","occurred_at":"2026-03-02T09:15:03.480Z","source":"zendesk","severity":"high"}}
`
	file := filepath.Join(t.TempDir(), "routes.yaml")
	const text = `routes: [{name: sorry, match: {topic: support.cases, event: escalated}, send: [{campaign: {id: c-1, properties: {case: .case_id}}}]}]`
	for path, text := range map[string]string{path: lines, file: text} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, said strings.Builder
	if code := run([]string{"routes", "test", file, "--records", path, "--requests"}, nil, &out, &said); code != exitOK {
		t.Fatalf("it ended with %d: %s", code, said.String())
	}
	for _, want := range []string{
		`"what":"attributes","priority":"profile","call":"POST /users/track","body":{"attributes":[{"external_id":"crm-1","plan":"gold"}]}`,
		`"what":"event","target":"support_survey_due","priority":"live"`,
		`"what":"skip","target":"nothing_to_send"`,
		`"what":"campaign","target":"c-1","route":"sorry"`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("nowhere in\n%s\nis there %s", out.String(), want)
		}
	}
}

func TestAShadowRunSaysWhatIsWrongWithItsInput(t *testing.T) {
	t.Parallel()
	lines := func(text string) string {
		path := filepath.Join(t.TempDir(), "lines")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name string
		args []string
		want string
		code int
	}{
		{"neither records nor a topic", nil, "give either --records or --topic", exitUsage},
		{"a topic without routes", []string{"--topic", "braze.deliveries"}, "routes are for customer.events, commerce.events", exitUsage},
		{"no such file", []string{"--records", "/nowhere/x"}, "/nowhere/x: no such file", exitFindings},
		{"no JSON", []string{"--records", lines("hello\n")}, "line 1 is none of sluice tap's", exitFindings},
		{"records of another topic", []string{"--records", lines(`{"topic":"braze.deliveries","value":{}}`)}, "line 1: a record of braze.deliveries is not routed", exitFindings},
		{"what nobody can read is counted", []string{"--records", lines(`{"topic":"x.customer.events","value":null}` + "\n\n" + `{"topic":"customer.events","value":{"event_name":1}}`)}, "2 records cannot be read", exitOK},
		{
			"a route that fails is a finding",
			[]string{"--records", lines(`{"topic":"customer.events","value":{"phone":"+431","event_name":"Cart Abandoned"}}`)},
			"1 record refused: a route fails on it", exitFindings,
		},
		{
			"what Braze would refuse is refused with the whole record",
			[]string{"--records", lines(`{"topic":"commerce.events","value":{"email":"a@b.c","event_type":"delivered"}}`)},
			"1 record refused: a route fails on it", exitFindings,
		},
		{
			"an event that the source keeps from Braze is skipped",
			[]string{"--records", lines(`{"topic":"customer.events","value":{"event_name":"Cart Abandoned","braze_disabled":true}}`)},
			"0 requests added, 0 removed, 0 changed, 1 the same", exitOK,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, said, code := trialRun(t, c.args...)
			if code != c.code || !strings.Contains(said, c.want) {
				t.Errorf("it ended with %d and said %q, want %d and %q", code, said, c.code, c.want)
			}
		})
	}
}

func TestRequestsOfTwoFilesAreLaidSideBySide(t *testing.T) {
	t.Parallel()
	req := func(target, body string) request {
		return request{What: "campaign", Target: target, Call: "POST /x", Body: json.RawMessage(body)}
	}
	for _, c := range []struct {
		name          string
		file, running []request
		want          [4]int // same, added, removed, changed
	}{
		{"nothing on either side", nil, nil, [4]int{}},
		{"the same in another order", []request{req("a", "1"), req("b", "2")}, []request{req("b", "2"), req("a", "1")}, [4]int{2, 0, 0, 0}},
		{"one more of a kind", []request{req("a", "1"), req("a", "1")}, []request{req("a", "1")}, [4]int{1, 1, 0, 0}},
		{"one less of a kind", []request{req("a", "1")}, []request{req("a", "1"), req("a", "3"), req("a", "4")}, [4]int{1, 0, 2, 0}},
		{"another body", []request{req("a", "1")}, []request{req("a", "2")}, [4]int{0, 0, 0, 1}},
		{"another target", []request{req("a", "1")}, []request{req("b", "1")}, [4]int{0, 1, 1, 0}},
		{"another priority", []request{{What: "event", Priority: "live"}}, []request{{What: "event", Priority: "backfill"}}, [4]int{0, 0, 0, 1}},
		{"another name of the route is no difference", []request{{What: "event", Route: "a"}}, []request{{What: "event", Route: "b"}}, [4]int{1, 0, 0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newShadow(routes.Default(), routes.Default())
			s.compare(place{}, c.file, c.running)
			r := s.report
			if got := [4]int{r.Same, r.Added, r.Removed, r.Changed}; got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestTheBarTellsHowFarAndHowFast(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"[#####---------------]  25 %  25,000 records, 12,500 a second, 6 s left":     barLine(250, 1000, 25_000, 2*time.Second),
		"[####################] 100 %  1,000,000 records, 500,000 a second, 0 s left": barLine(1000, 1000, 1_000_000, 2*time.Second),
		"1 record, 1 a second": barLine(250, 0, 1, time.Second),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func BenchmarkShadowRun(b *testing.B) {
	records := dump(b, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, said, code := trialRun(b, "--records", records, "--json"); code != exitOK {
			b.Fatal(said)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/record")
}
