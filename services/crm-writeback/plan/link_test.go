package plan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
)

func (s *story) nameless(id string, fields string) *stream.Record {
	return s.change(&event.Change{
		ID: id, Kind: event.Changed, System: testTarget, Object: testObject, ObjectID: "003A", Changes: []byte(fields), Actor: "colleague",
		OccurredAt: at(10), ReceivedAt: at(11),
	})
}

// passed are the changes that were sent on or said, by key.
func (s *story) passed() (keys []string) {
	s.t.Helper()
	for _, r := range s.changes {
		var c event.Change
		if _, err := avro.NewChangeDecoder(s.source).Decode(s.t.Context(), r.Value, &c); err != nil {
			s.t.Fatal(err)
		}
		keys = append(keys, string(r.Key)+" "+c.Kind+" of "+c.User.ExternalID)
	}
	return keys
}

func TestAnAnswerLinksTheObjectToItsUser(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.step(11, s.nameless("early", `{"topic":"x"}`)) // waits
	s.braze(12, `{"color":"red"}`)
	s.done(13, delivered)
	if diff := cmp.Diff([]string{"crm:crm:Contact:003A linked of ann"}, s.passed()); diff != "" {
		t.Fatalf("changes (-want +got):\n%s", diff)
	}
	link := s.changes[0]
	s.changes = nil
	s.step(14, link)
	s.step(15, s.nameless("late", `{"topic":"y"}`))
	if diff := cmp.Diff([]string{"ann changed of ann", "ann changed of ann"}, s.passed()); diff != "" {
		t.Fatalf("changes (-want +got):\n%s", diff)
	}
	got := []string{s.step(16, s.changes[0]), s.step(17, s.changes[1]), s.step(18, s.changes[0])}
	if diff := cmp.Diff([]string{`braze {"topic":"x"}`, `braze {"topic":"y"}`, ``}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	s.changes = nil
	s.done(20, delivered)
	if len(s.passed()) > 0 {
		t.Errorf("what is known is said again: %v", s.passed())
	}
	if len(s.letters) > 0 {
		t.Errorf("a dead letter: %+v", s.letters)
	}
}

func TestAChangeThatHasTheIdentityLinksItself(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.step(11, s.nameless("one", `{"topic":"x"}`))
	s.step(12, s.nameless("two", `{"Braze_Id__c":"ann","topic":"y"}`))
	if diff := cmp.Diff([]string{"ann changed of ann", "ann changed of ann"}, s.passed()); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestAnObjectThatNobodyClaimsIsRefusedAfterAWhile(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	r := s.nameless("one", `{"topic":"x"}`)
	r.Headers = []stream.Header{{Key: "traceparent", Value: []byte("00-1")}}
	s.step(11, r)
	s.step(12, r) // a repeat waits no second time
	s.plan(at(11).Add(10*time.Minute-time.Millisecond), true)
	if len(s.letters) > 0 {
		t.Fatal("it is refused before its time")
	}
	s.plan(at(11).Add(10*time.Minute), true)
	if len(s.letters) != 1 {
		t.Fatalf("there are %d dead letters", len(s.letters))
	}
	l := s.letters[0]
	if l.Reason != "unknown_object" || l.OriginTopic != r.Topic || l.OriginOffset != r.Offset || l.OriginPartition != r.Partition || !l.AppendedAt.Equal(r.Timestamp) {
		t.Errorf("the letter does not say where it is from: %+v", l)
	}
	if diff := cmp.Diff([2]any{r.Value, r.Headers}, [2]any{l.Value, l.Headers}); diff != "" {
		t.Errorf("the record is not what it was (-want +got):\n%s", diff)
	}
	if len(s.table) != 0 {
		t.Errorf("something is left of it: %v", s.table)
	}
}

func TestOnlySoMuchWaits(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	for i := range maxWaiting + 5 {
		s.step(11+i, s.nameless(s.id(), `{"topic":"x"}`))
	}
	if len(s.letters) != 5 {
		t.Errorf("%d give way, not 5", len(s.letters))
	}
}
