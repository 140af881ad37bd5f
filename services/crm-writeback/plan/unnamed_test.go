package plan

import "testing"

// Of two objects of which only the ids are known nobody can say which one a key names.
func TestAKeyIsNotTakenForOneOfSeveralObjects(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.step(2, s.object("003A", 1, `{"color":"red"}`))
	s.step(3, s.object("003B", 2, `{"color":"blue"}`))
	if got := s.braze(10, `{"color":"blue"}`); got != `crm {"color":"blue"}` {
		t.Errorf("the write to the object with the key comes to %q", got)
	}
}
