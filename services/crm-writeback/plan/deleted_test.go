package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
)

func (s *story) numbered(second int, version int64, kind, fields string) *stream.Record {
	c := &event.Change{
		ID: s.id(), User: event.User{ExternalID: "ann"}, Kind: kind, System: testTarget, Object: testObject, ObjectID: "003A",
		Version: &version, Actor: "colleague", OccurredAt: at(second), ReceivedAt: at(second + 1),
	}
	if fields != "" {
		c.Changes = []byte(fields)
	}
	return s.change(c)
}

// An object that is made anew counts its versions anew.
func TestTheVersionsOfADeletedObjectEndWithIt(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	got := []string{
		s.step(1, s.numbered(0, 50, event.Changed, `{"color":"red"}`)), s.step(11, s.numbered(10, 51, event.Deleted, "")),
		s.step(21, s.numbered(20, 1, event.Changed, `{"color":"blue"}`)), s.step(31, s.numbered(30, 2, event.Changed, `{"color":"green"}`)),
	}
	want := []string{`braze {"color":"red"}`, ``, `braze {"color":"blue"}`, `braze {"color":"green"}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// A link of an object that is gone would be kept for ever.
func TestADeletedObjectIsNotLinked(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	object := &event.Change{
		ID: "link", User: event.User{ExternalID: "ann"}, Kind: event.Linked, System: testTarget, Object: testObject, ObjectID: "003A",
		OccurredAt: at(0), ReceivedAt: at(0),
	}
	s.step(1, s.change(object))
	gone := *object
	gone.ID, gone.User, gone.Kind = "gone", event.User{}, event.Deleted
	s.step(2, s.change(&gone))
	if diff := cmp.Diff([]string{"ann deleted of ann"}, s.passed()); diff != "" {
		t.Fatalf("changes (-want +got):\n%s", diff)
	}
	relayed := s.changes[0]
	s.changes = nil
	s.step(3, relayed)
	if got := s.passed(); len(got) > 0 {
		t.Errorf("the object that is gone is linked once more: %v", got)
	}
	for _, c := range s.table {
		var st state
		if err := st.decode(c.key, c.value); err != nil || len(st.objects) > 0 {
			t.Errorf("something is kept of it under %s: %+v, %v", c.key, st.objects, err)
		}
	}
}

// object is a change of an object of ann's by its id.
func (s *story) object(id string, second int, fields string) *stream.Record {
	return s.change(&event.Change{
		ID: s.id(), User: event.User{ExternalID: "ann"}, Kind: event.Changed, System: testTarget, Object: testObject, ObjectID: id,
		Changes: []byte(fields), Actor: "colleague", OccurredAt: at(second), ReceivedAt: at(second + 1),
	})
}
