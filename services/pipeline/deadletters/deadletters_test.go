package deadletters_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/deadletters"
	"github.com/sluicehq/sluice/services/pipeline/replay"
	"github.com/sluicehq/sluice/services/pipeline/replay/replaytest"
)

var delivered = outcome.Outcome{Kind: outcome.Delivered}

func refused(reason, detail string) outcome.Outcome {
	return outcome.Outcome{Kind: outcome.Refused, Reason: reason, Detail: detail}
}

func TestPatternsLeaveOutWhatDiffersFromLetterToLetter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, detail, want string }{
		{"numbers", "external_id: longer than 997 bytes", "external_id: longer than N bytes"},
		{"what stands in quotes", `events: 'plan' "gold-7" is unknown`, `events: "…" "…" is unknown`},
		{"an address", "email zoe@example.com is not valid", "email EMAIL is not valid"},
		{"a UUID", "no campaign 5f0c7d3e-9a41-4c1f-8b1e-2f6d0a9b7c11", "no campaign ID"},
		{"an id", "order ord_20930001 is closed", "order ID is closed"},
		{"words stay as they are", "properties.$price has a name that begins with $", "properties.$price has a name that begins with $"},
		{"space and lines", "two\n  lines", "two lines"},
		{"nothing", "", ""},
		{"bytes that are no text at the cut", strings.Repeat("ä", 400), strings.Repeat("ä", 160) + "…"},
	} {
		if got := deadletters.Pattern(c.detail); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("order \"a\" of zoe@example.com: 17")
	f.Fuzz(func(t *testing.T, detail string) {
		got := deadletters.Pattern(strings.ToValidUTF8(detail, ""))
		if n := len([]rune(got)); n > 161 {
			t.Fatalf("%d runes", n)
		}
	})
}

func TestLettersAreGroupedByCause(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	for i, user := range []string{"cus-1", "cus-2", "cus-3"} {
		c.Letter(c.Event(user, user, "Signed Up", ""), user, user, refused("item_error", []string{`plan "a"`, `plan "b"`, `plan "c"`}[i]))
	}
	at := c.Letter(c.Event("cus-1", "e-9", "Signed Up", ""), "cus-1", "e-9", refused("rejected", "400: no"))
	c.Put(schema.DeadLetters(replaytest.Service), 0, "x", []byte("no letter"))
	mustReplay(t, c, deadletters.Filter{Reason: "item_error", Match: `"b"`}, 1)

	got, err := deadletters.Group(t.Context(), c.Cluster, deadletters.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	want := deadletters.List{
		Causes: []deadletters.Cause{
			{Service: replaytest.Service, Reason: "item_error", Detail: `plan "…"`, Letters: 3, Open: 2},
			{Service: replaytest.Service, Reason: "rejected", Detail: "N: no", Letters: 1, Open: 1, Example: at},
		},
		Unreadable: 1, Unreadables: []replay.Place{{Topic: "test.braze-sender.deadletters"}},
	}
	if got.Causes[0].Example.Topic == "" || got.Causes[0].First.After(got.Causes[0].Last) {
		t.Errorf("the first cause is %+v", got.Causes[0])
	}
	got.Causes[0].Example = replay.Place{}
	ignore := []cmp.Option{cmpopts.IgnoreFields(deadletters.Cause{}, "First", "Last"), cmpopts.IgnoreUnexported(deadletters.Cause{}), cmpopts.IgnoreFields(replay.Place{}, "Offset")}
	if diff := cmp.Diff(want, got, ignore...); diff != "" {
		t.Errorf("causes (-want +got):\n%s", diff)
	}
}

// mustReplay sends back what a filter means, and checks how many that is.
func mustReplay(t *testing.T, c *replaytest.Cluster, f deadletters.Filter, want int) {
	t.Helper()
	p, err := deadletters.Make(t.Context(), c.Cluster, f)
	if err != nil {
		t.Fatal(err)
	}
	done, err := p.Do(t.Context(), c.Marker, func(int, int) {})
	if err != nil || len(done.Failed) > 0 || done.Replayed != want || p.Replay != want {
		t.Fatalf("%+v of %d, %v; want %d", done, p.Replay, err, want)
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	want := map[string]deadletters.Verdict{}
	expect := func(id replay.Place, v deadletters.Verdict) { want[id.String()] = v }

	first := c.Event("cus-1", "e-1", "Signed Up", "")
	expect(c.Letter(first, "cus-1", "e-1", refused("item_error", "events: no")), deadletters.Replay)
	// A sender that died between the letter and its receipt leaves two letters.
	expect(c.Letter(first, "cus-1", "e-1", refused("item_error", "events: no")), deadletters.Repeated)
	twin := c.Event("cus-1", "e-1", "Signed Up", "")
	expect(c.Letter(twin, "cus-1", "e-1", refused("item_error", "events: no")), deadletters.Repeated)

	arrived := c.Event("cus-1", "e-2", "Signed Up", "")
	expect(c.Letter(arrived, "cus-1", "e-2", refused("item_error", "events: no")), deadletters.Delivered)
	c.Receipt(arrived, "cus-1", "e-2", delivered)
	elsewhere := c.Event("cus-1", "e-3", "Signed Up", "")
	expect(c.Letter(elsewhere, "cus-1", "e-3", refused("item_error", "events: no")), deadletters.Delivered)
	c.Receipt(c.Event("cus-1", "e-3", "Signed Up", ""), "cus-1", "e-3", delivered)
	// Another customer's event may have the same id.
	c.Receipt(c.Event("cus-2", "e-4", "Signed Up", ""), "cus-2", "e-4", delivered)
	foreign := c.Event("cus-1", "e-4", "Signed Up", "")
	expect(c.Letter(foreign, "cus-1", "e-4", refused("item_error", "events: no")), deadletters.Replay)

	copied := c.Event("cus-1", "e-5", "Signed Up", "")
	expect(c.Letter(copied, "cus-1", "e-5", refused("item_error", "events: no")), deadletters.Replayed)
	// No mark is left of it: whoever replayed it was killed before.
	producer, err := replay.NewProducer(c.Kafka, copied.Topic)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	if err := producer.ProduceAll(t.Context(), replay.Copy(copied, []byte("cus-1"), []byte("x"), nil, replaytest.Partitions)); err != nil {
		t.Fatal(err)
	}
	marked := c.Event("cus-1", "e-6", "Signed Up", "")
	expect(c.Letter(marked, "cus-1", "e-6", refused("item_error", "events: no")), deadletters.Replayed)
	// No copy is left of it: the topic keeps records for less long than letters are kept.
	c.Lone(deadletter.Letter{Reason: deadletter.Replayed, OriginTopic: marked.Topic, OriginPartition: marked.Partition, OriginOffset: marked.Offset})

	expect(c.Lone(deadletter.Letter{Reason: "malformed", OriginTopic: "/v1/batch", OriginPartition: -1, OriginOffset: -1, Value: []byte("{}")}), deadletters.NoTopic)
	expect(c.Lone(deadletter.Letter{Reason: "item_error", OriginTopic: "gone", OriginOffset: 7, Value: []byte("{}")}), deadletters.NoTopic)
	giant := c.Event("cus-3", "e-7", "Signed Up", "")
	expect(c.Lone(deadletter.Letter{
		Reason: "invalid", OriginTopic: giant.Topic, OriginPartition: giant.Partition, OriginOffset: giant.Offset, Key: []byte("cus-3"),
		Value: make([]byte, schema.MaxDeadLetterBytes+1),
	}), deadletters.Incomplete)
	half := c.Event("cus-2", "e-8", "Signed Up", `{"tier":"gold"}`)
	expect(c.Letter(half, "cus-2", "e-8", refused("item_error", "attributes: no")), deadletters.Replay)
	doubt := c.Event("cus-2", "e-9", "Signed Up", `{"tier":"gold"}`)
	expect(c.Letter(doubt, "cus-2", "e-9", refused("in_doubt", "no answer")), deadletters.Replay)
	torn := c.Put(schema.CustomerEvents, 0, "cus-2", []byte("torn"))
	expect(c.Letter(torn, "cus-2", "", refused("not_avro", "no")), deadletters.Replay)

	difference := c.Update("cus-4", event.Update{ID: "u-1", Attributes: []byte(`{"tier":"gold"}`)})
	expect(c.Letter(difference, "cus-4", "u-1", refused("item_error", "attributes: no")), deadletters.Outdated)
	trigger := c.Update("cus-4", event.Update{ID: "u-2", Trigger: "support_survey_due"})
	expect(c.Letter(trigger, "cus-4", "u-2", refused("item_error", "events: no")), deadletters.Replay)

	c.Caught()
	held := c.Event("cus-1", "e-10", "Signed Up", "")
	expect(c.Letter(held, "cus-1", "e-10", refused("item_error", "events: no")), deadletters.Held)

	p, err := deadletters.Make(t.Context(), c.Cluster, deadletters.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]deadletters.Verdict{}
	for i, it := range p.Items {
		got[it.ID.String()] = it.Verdict
		if (it.Why == "") != (it.Verdict == deadletters.Replay) {
			t.Errorf("%s: %s, because %q", it.ID, it.Verdict, it.Why)
		}
		if i > 0 && p.Items[i-1].Origin.Compare(it.Origin) > 0 {
			t.Errorf("%s comes behind %s", it.Origin, p.Items[i-1].Origin)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	if p.Replay != 6 || p.Users != 3 || p.InDoubt != 1 || p.Halves != 1 || p.Attributes != 2 || p.Unreadable != 1 || p.Old != 6 {
		t.Errorf("the plan is %+v", *p)
	}
}

func TestWhatGoesBackIsUntouchedAndInOrderAndGoesOnce(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	var places []replay.Place
	for _, id := range []string{"e-1", "e-2", "e-3", "e-4"} {
		places = append(places, c.Event("cus-1", id, "Signed Up", ""))
	}
	// Letters come in another order than their records: a request with the second was answered first.
	for _, i := range []int{1, 0, 3, 2} {
		c.Letter(places[i], "cus-1", "e-"+string(rune('1'+i)), refused("item_error", "events: no"))
	}
	before := c.Records(schema.CustomerEvents)
	mustReplay(t, c, deadletters.Filter{Service: replaytest.Service, Reason: "item_error"}, 4)
	after := c.Records(schema.CustomerEvents)
	if len(after) != 8 {
		t.Fatalf("%d records became %d", len(before), len(after))
	}
	for i, r := range after[4:] {
		original := after[i]
		want := append(original.Headers, stream.Header{Key: replay.Header, Value: []byte(places[i].String())})
		if string(r.Key) != "cus-1" || string(r.Value) != string(original.Value) || r.Partition != original.Partition {
			t.Errorf("copy %d is not what its original was", i)
		}
		if diff := cmp.Diff(want, r.Headers); diff != "" {
			t.Errorf("headers of copy %d (-want +got):\n%s", i, diff)
		}
	}
	mustReplay(t, c, deadletters.Filter{Reason: "item_error"}, 0)

	// The second is refused again, and may go back again: as the copy that it now is.
	copied := replay.PlaceOf(after[5])
	id := c.Letter(copied, "cus-1", "e-2", refused("item_error", "events: no"))
	p, err := deadletters.Make(t.Context(), c.Cluster, deadletters.Filter{})
	if err != nil || p.Replay != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	mustReplay(t, c, deadletters.Filter{IDs: []replay.Place{id}}, 1)
	newest := c.Records(schema.CustomerEvents)[8]
	if diff := cmp.Diff([]replay.Place{places[1], copied}, replay.Origins(newest)); diff != "" {
		t.Errorf("what the newest is a copy of (-want +got):\n%s", diff)
	}
	mustReplay(t, c, deadletters.Filter{}, 0)
}

func TestARecordWithoutAKeyGoesBackToItsPartition(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	c.Lone(deadletter.Letter{Reason: "tombstone", OriginTopic: c.Kafka.Topic(schema.CustomerEvents), OriginPartition: 2, OriginOffset: 17})
	mustReplay(t, c, deadletters.Filter{}, 1)
	records := c.Records(schema.CustomerEvents)
	if len(records) != 1 || records[0].Partition != 2 || records[0].Key != nil || records[0].Value != nil {
		t.Errorf("%+v", records)
	}
}

func TestOneLetterIsFound(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	id := c.Letter(c.Event("cus-1", "e-1", "Signed Up", ""), "cus-1", "e-1", refused("item_error", "events: no"))
	c.Put(schema.DeadLetters(replaytest.Service), id.Partition, "x", []byte("no letter"))
	l, err := deadletters.Find(t.Context(), c.Cluster, id)
	if err != nil || l.EventID != "e-1" || l.Service != replaytest.Service || string(l.Key) != "cus-1" {
		t.Errorf("%+v, %v", l, err)
	}
	for _, bad := range []struct {
		name string
		id   replay.Place
		want string
	}{
		{"an offset that is not there", replay.Place{Topic: id.Topic, Partition: id.Partition, Offset: 99}, "there is no dead letter"},
		{"a record that is no letter", replay.Place{Topic: id.Topic, Partition: id.Partition, Offset: id.Offset + 1}, "is no dead letter"},
		{"a topic of other records", replay.Place{Topic: "test.customer.events"}, "no topic of dead letters"},
	} {
		if _, err := deadletters.Find(t.Context(), c.Cluster, bad.id); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: %v", bad.name, err)
		}
	}
	if _, err := deadletters.Make(t.Context(), c.Cluster, deadletters.Filter{IDs: []replay.Place{{Topic: id.Topic, Offset: 99}}}); err == nil {
		t.Error("an ID that is not there: no error")
	}
}

func TestIDsAreReadWithAndWithoutThePrefix(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"braze-sender.deadletters/3/17", "eu.braze-sender.deadletters/3/17"} {
		if id, err := deadletters.ParseID(text, "eu."); err != nil || id.String() != "eu.braze-sender.deadletters/3/17" {
			t.Errorf("%s: %v, %v", text, id, err)
		}
	}
	if _, err := deadletters.ParseID("17", ""); err == nil {
		t.Error("17: no error")
	}
}

func TestAMarkerThatCannotBeOpenedSendsNothing(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	c.Letter(c.Event("cus-1", "e-1", "Signed Up", ""), "cus-1", "e-1", refused("item_error", "events: no"))
	p, err := deadletters.Make(t.Context(), c.Cluster, deadletters.Filter{Since: time.Now().Add(-time.Hour)})
	if err != nil || p.Replay != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	away := errors.New("the registry is away")
	_, err = p.Do(t.Context(), func(string) (*deadletter.Writer, error) { return nil, away }, func(int, int) {})
	if !errors.Is(err, away) || len(c.Records(schema.CustomerEvents)) != 1 {
		t.Errorf("%v, and %d records", err, len(c.Records(schema.CustomerEvents)))
	}
}
