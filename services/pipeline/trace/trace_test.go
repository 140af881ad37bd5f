package trace_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/replay"
	"github.com/sluicehq/sluice/services/pipeline/replay/replaytest"
	"github.com/sluicehq/sluice/services/pipeline/trace"
)

// update says to rewrite golden files.
var update = os.Getenv("GOLDEN") == "write"

var delivered = outcome.Outcome{Kind: outcome.Delivered}

// life puts one customer's records of every fate on the topics, and somebody else's between them.
func life(t *testing.T, c *replaytest.Cluster) map[string]replay.Place {
	t.Helper()
	at := map[string]replay.Place{}
	p := event.Profile{
		ID: "p-1", User: event.User{ExternalID: "cus-1"}, Set: []byte(`{"tier":"gold","city":"Graz"}`), Unset: []string{"nickname"},
		Source: "crm", OccurredAt: replaytest.Began, ReceivedAt: replaytest.Began,
	}
	c.Put(schema.CustomerProfiles, replaytest.PartitionOf("cus-1"), "cus-1", avro.AppendProfile(nil, replaytest.ID(schema.CustomerProfiles), &p))
	at["slow"] = c.Event("cus-1", "e-1", "Signed Up", `{"first_name":"Zoë"}`)
	c.Receipt(at["slow"], "cus-1", "e-1", outcome.Outcome{Kind: outcome.Deferred, Reason: "rate_limited", Detail: "429: slow down"})
	c.Receipt(at["slow"], "cus-1", "e-1", delivered)
	other := c.Event("cus-2", "e-2", "Signed Up", "")
	c.Receipt(other, "cus-2", "e-2", delivered)
	at["page"] = c.Event("cus-1", "e-3", "Home", "")
	c.Receipt(at["page"], "cus-1", "e-3", outcome.Outcome{Kind: outcome.Skipped, Reason: "page_view", Detail: "page views are not sent"})
	at["refused"] = c.Event("cus-1", "e-4", "Order Completed", "")
	c.Letter(at["refused"], "cus-1", "e-4", outcome.Outcome{Kind: outcome.Refused, Reason: "item_error", Detail: "events: no such currency"})
	c.Lone(deadletter.Letter{
		Reason: deadletter.Replayed, Detail: "by an operator, from the letter test.braze-sender.deadletters/0/0", Key: []byte("cus-1"),
		OriginTopic: at["refused"].Topic, OriginPartition: at["refused"].Partition, OriginOffset: at["refused"].Offset, EventID: "e-4",
	})
	records := c.Records(schema.CustomerEvents)
	for _, r := range records {
		if replay.PlaceOf(r) == at["refused"] {
			at["copy"] = c.Put(schema.CustomerEvents, r.Partition, "cus-1", r.Value, append(r.Headers, stream.Header{Key: replay.Header, Value: []byte(at["refused"].String())})...)
		}
	}
	c.Receipt(at["copy"], "cus-1", "e-4", delivered)
	at["torn"] = c.Put(schema.CustomerEvents, replaytest.PartitionOf("cus-1"), "cus-1", []byte("torn"))
	// Its receipt is gone.
	c.Caught()
	at["held"] = c.Event("cus-1", "e-5", "Order Cancelled", "")
	// Its record is gone.
	c.Receipt(replay.Place{Topic: c.Kafka.Topic(schema.CustomerEvents), Partition: replaytest.PartitionOf("cus-1"), Offset: 4711}, "cus-1", "e-0", delivered)
	return at
}

// places differ with every topic that is new; TestWhereWasLooked is about them.
var places = regexp.MustCompile(`looked at .*`)

// today are the times of what is stamped while the test runs.
var today = regexp.MustCompile(`20(2[1-9]|[3-9]\d)-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z`)

func golden(t *testing.T, name, got string) {
	t.Helper()
	got = places.ReplaceAllString(today.ReplaceAllString(got, "TODAY"), "looked at PLACES")
	path := filepath.Join("testdata", name)
	if update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func plain(word string) string { return word }

func tell(t *testing.T, c *replaytest.Cluster, q trace.Query) *trace.Story {
	t.Helper()
	s, err := trace.Tell(t.Context(), c.Cluster, q)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func text(t *testing.T, s *trace.Story) string {
	t.Helper()
	var b strings.Builder
	if err := s.Write(&b, plain); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestStories(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	life(t, c)
	for _, tc := range []struct {
		name string
		q    trace.Query
	}{
		{"a customer", trace.Query{Text: "cus-1"}},
		{"the newest two", trace.Query{Text: "cus-1", As: trace.Key, Limit: 2}},
		{"a customer since a moment", trace.Query{Text: "cus-1", Since: replaytest.Began.Add(11 * time.Second)}},
		{"an event that was sent back", trace.Query{Text: "e-4"}},
		{"an event of which only the receipt is left", trace.Query{Text: "e-0"}},
		{"nobody", trace.Query{Text: "nobody"}},
		{"an id where a key is asked for", trace.Query{Text: "e-4", As: trace.Key}},
	} {
		golden(t, strings.ReplaceAll(tc.name, " ", "_")+".golden", text(t, tell(t, c, tc.q)))
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	story := tell(t, c, trace.Query{Text: "e-4"})
	story.Looked = nil
	if err := e.Encode(story); err != nil {
		t.Fatal(err)
	}
	golden(t, "an_event.json.golden", b.String())
}

func TestWhereWasLooked(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		looked trace.Looked
		want   string
	}{
		{trace.Looked{Topic: "a", Missing: true}, "a (not on this cluster)"},
		{trace.Looked{Topic: "a", Records: 1}, "a (1 record)"},
		{trace.Looked{Topic: "a", Records: 2, Partitions: []int32{7}}, "a (2 records of partition 7)"},
		{trace.Looked{Topic: "a", Records: 0, Partitions: []int32{7, 8}}, "a (0 records of 2 partitions)"},
	} {
		if got := tc.looked.String(); got != tc.want {
			t.Errorf("%+v is called %q, want %q", tc.looked, got, tc.want)
		}
	}
	c := replaytest.Start(t)
	life(t, c)
	looked := map[string]trace.Looked{}
	for _, l := range tell(t, c, trace.Query{Text: "cus-1"}).Looked {
		looked[l.Topic] = l
	}
	for _, topic := range schema.Tables() {
		if l := looked[topic.Name]; l.Missing || len(l.Partitions) != 1 || l.Partitions[0] != replaytest.PartitionOf("cus-1") {
			t.Errorf("in %s was looked at %+v", topic.Name, l)
		}
	}
}

func TestTheLawAddsUp(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	at := life(t, c)
	s := tell(t, c, trace.Query{Text: "cus-1"})
	// Of the refused record both the refusal and the copy count; of the torn one nothing is known.
	want := []trace.Law{{Service: "attribute-sync", Accepted: 1, Held: 1}, {Service: replaytest.Service, Accepted: 7, Delivered: 3, Skipped: 1, Refused: 1, Held: 1, Unknown: 1}}
	if diff := cmp.Diff(want, s.Laws); diff != "" {
		t.Errorf("the law (-want +got):\n%s", diff)
	}
	c.Receipt(at["slow"], "cus-1", "e-1", delivered)
	c.Caught()
	s = tell(t, c, trace.Query{Text: "cus-1"})
	want[1].Held, want[1].Unknown, want[1].Twice = 0, 2, 1
	if diff := cmp.Diff(want, s.Laws); diff != "" {
		t.Errorf("the law, when the service has come further (-want +got):\n%s", diff)
	}
}

func TestWithoutValuesNobodysValuesAreTold(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	life(t, c)
	for _, values := range []bool{false, true} {
		s := tell(t, c, trace.Query{Text: "cus-1", Values: values})
		all, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range []string{"Zoë", "Graz", "84.9"} {
			if told := strings.Contains(text(t, s)+string(all), value); told != values {
				t.Errorf("with values %v, %s is told: %v", values, value, told)
			}
		}
	}
}

func TestOnlyThePartitionOfTheKeyIsRead(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	life(t, c)
	astray := (replaytest.PartitionOf("cus-1") + 1) % replaytest.Partitions
	c.Put(schema.CustomerEvents, astray, "cus-1", []byte("astray"))
	for _, everywhere := range []bool{false, true} {
		s := tell(t, c, trace.Query{Text: "cus-1", Everywhere: everywhere})
		found := false
		for _, e := range s.Entries {
			found = found || e.Place.Partition == astray
		}
		if found != everywhere {
			t.Errorf("everywhere %v: a record in another partition is found: %v", everywhere, found)
		}
	}
}

func TestAnEventWithoutTheHeaderIsFoundByItsField(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	e := event.Event{ID: "up-1", User: event.User{ExternalID: "cus-7"}, Name: "Bought e-4", Kind: event.KindTrack, Source: "upstream"}
	c.Put(schema.CustomerEvents, replaytest.PartitionOf("cus-7"), "cus-7", avro.AppendEvent(nil, replaytest.ID(schema.CustomerEvents), &e))
	s := tell(t, c, trace.Query{Text: "up-1"})
	if len(s.Entries) != 1 || s.As != trace.Event || s.Entries[0].Source != "upstream" || len(s.Laws) != 1 || s.Laws[0].Held != 1 {
		t.Errorf("%+v", s)
	}
	if s := tell(t, c, trace.Query{Text: "e-4"}); len(s.Entries) != 0 {
		t.Errorf("an id that merely stands in a name finds %+v", s.Entries)
	}
}

func TestWhatBecameNoRecordIsFoundByItsID(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	for range 2 {
		c.Lone(deadletter.Letter{Reason: "malformed", Detail: "name: missing", OriginTopic: "/v1/track", OriginPartition: -1, OriginOffset: -1, EventID: "bad-1", AppendedAt: replaytest.Began})
	}
	s := tell(t, c, trace.Query{Text: "bad-1"})
	if len(s.Entries) != 2 || len(s.Entries[0].Letters) != 1 || s.Entries[0].What != "an item that became no record" || len(s.Laws) != 0 {
		t.Errorf("%+v", s.Entries)
	}
}

func TestTheReceiptOfARecordThatIsAstrayIsFoundBesideIt(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	e := event.Event{ID: "up-1", User: event.User{ExternalID: "cus-7"}, Name: "Bought", Kind: event.KindTrack, Source: "upstream"}
	astray := (replaytest.PartitionOf("cus-7") + 1) % replaytest.Partitions
	at := c.Put(schema.CustomerEvents, astray, "cus-7", avro.AppendEvent(nil, replaytest.ID(schema.CustomerEvents), &e))
	c.Receipt(at, "cus-7", "up-1", delivered)
	if s := tell(t, c, trace.Query{Text: "up-1"}); len(s.Entries) != 1 || len(s.Entries[0].Receipts) != 1 {
		t.Errorf("%+v", s.Entries)
	}
}
