package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/crm-writeback/rules"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// story is what happens to one user, step by step, each in a batch of its own.
type story struct {
	*desk
	rows map[string]crm.Write // the last row for each target that is to be written
	next int
}

func newStory(t *testing.T) *story {
	t.Helper()
	return &story{desk: newDesk(t, &plainRules{owners: fieldsOfStories, self: []string{ourselves}, turns: 2, within: time.Minute}), rows: map[string]crm.Write{}}
}

func at(second int) time.Time { return noon.Add(time.Duration(second) * time.Second) }

// step plans a record and says what came of it, a line for each row.
func (s *story) step(second int, r *stream.Record) string {
	s.t.Helper()
	s.plan(at(second), true, r)
	var lines []string
	for _, w := range s.take() {
		line := w.Target
		if w.Settled != nil {
			line += " " + w.Settled.Outcome + " " + w.Settled.Reason
		} else {
			s.rows[w.Target] = w
			line += " " + string(w.Fields)
		}
		for _, c := range w.Conflicts {
			line += fmt.Sprintf(" (%s: ours %s, theirs %s, %s by %s)", c.Field, c.Ours, c.Theirs, c.Winner, c.Rule)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}

func (s *story) id() string {
	s.next++
	return fmt.Sprintf("event-%d", s.next)
}

// braze is an edit in Braze, planned at once.
func (s *story) braze(second int, fields string) string {
	s.t.Helper()
	return s.brazeLate(second, second, fields)
}

func (s *story) brazeLate(second, planned int, fields string) string {
	s.t.Helper()
	return s.step(planned, s.action(&event.Action{
		ID: s.id(), User: event.User{ExternalID: "ann"}, Name: "form", OccurredAt: at(second), ReceivedAt: at(planned), JSON: []byte(fields),
	}))
}

// crm is what the system reports, a second later.
func (s *story) crm(second int, actor, fields string) string {
	s.t.Helper()
	return s.step(second+1, s.changed(s.id(), second, actor, fields))
}

func (s *story) changed(id string, second int, actor, fields string) *stream.Record {
	return s.change(&event.Change{
		ID: id, User: event.User{ExternalID: "ann"}, Kind: event.Changed, System: testTarget, Object: testObject, ObjectID: "003A",
		Changes: []byte(fields), Actor: actor, OccurredAt: at(second), ReceivedAt: at(second + 1),
	})
}

// done reports the last write to the system.
func (s *story) done(second int, what outcome.Outcome) string {
	s.t.Helper()
	w := s.rows[testTarget]
	return s.step(second, s.delivery(&crm.Delivery{
		WriteID: w.ID, UserID: "ann", Target: w.Target, Object: w.Object, Key: w.Key, CRMID: "003A", Mode: w.Mode, Fields: w.Fields,
		Outcome: what, Attempts: 1, EditedAt: w.EditedAt, SettledAt: at(second),
	}))
}

var (
	fieldsOfStories = map[string]rules.Owner{
		"tier": rules.OwnerCRM, "optout": rules.OwnerCRM, "phone": rules.OwnerBraze, "topic": rules.OwnerNewest, "color": rules.OwnerNewest,
	}
	delivered    = outcome.Outcome{Kind: outcome.Delivered}
	refusedByCRM = outcome.Outcome{Kind: outcome.Refused, Reason: "row_refused", Detail: "INVALID_FIELD"}
)

func TestWhatBecomesOfEdits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		tell  func(s *story) []string
		wants []string
	}{
		{
			name: "only what differs is written",
			tell: func(s *story) []string {
				return []string{s.braze(0, `{"color":"red","topic":"a"}`), s.braze(1, `{"color":"red","topic":"b"}`), s.braze(2, `{"color":"red","topic":"b"}`)}
			},
			wants: []string{`crm {"color":"red","topic":"a"}`, `crm {"topic":"b"}`, `crm skipped unchanged`},
		},
		{
			name: "an echo never passes, before its delivery is known or after",
			tell: func(s *story) []string {
				return []string{
					s.braze(0, `{"color":"red"}`), s.crm(1, ourselves, `{"color":"red"}`), s.done(3, delivered),
					s.braze(100, `{"color":"blue"}`), s.done(102, delivered), s.crm(101, ourselves, `{"color":"blue"}`),
				}
			},
			wants: []string{`crm {"color":"red"}`, `braze skipped echo`, ``, `crm {"color":"blue"}`, ``, `braze skipped echo`},
		},
		{
			name: "an echo that says a value in its own way is one",
			tell: func(s *story) []string {
				return []string{s.braze(0, `{"color":true}`), s.crm(1, ourselves, `{"color":"true"}`)}
			},
			wants: []string{`crm {"color":true}`, `braze skipped echo`},
		},
		{
			name: "the same value by the same API user passes once the echo was consumed",
			tell: func(s *story) []string {
				return []string{s.braze(0, `{"color":"red"}`), s.crm(1, ourselves, `{"color":"red"}`), s.crm(2, ourselves, `{"color":"red"}`)}
			},
			wants: []string{`crm {"color":"red"}`, `braze skipped echo`, `braze {"color":"red"}`},
		},
		{
			name: "and so it does after somebody else's edit in between",
			tell: func(s *story) []string {
				return []string{
					s.braze(0, `{"color":"red"}`), s.done(1, delivered), s.crm(1, ourselves, `{"color":"red"}`),
					s.crm(100, "colleague", `{"color":"blue"}`), s.crm(101, ourselves, `{"color":"red"}`),
				}
			},
			wants: []string{`crm {"color":"red"}`, ``, `braze skipped echo`, `braze {"color":"blue"}`, `braze {"color":"red"}`},
		},
		{
			name: "a colleague's edit is never an echo, even of the value that is on its way",
			tell: func(s *story) []string {
				return []string{s.braze(0, `{"color":"red"}`), s.crm(1, "colleague", `{"color":"red"}`)}
			},
			wants: []string{`crm {"color":"red"}`, `braze {"color":"red"}`},
		},
		{
			name: "another value by ourselves is a person's edit",
			tell: func(s *story) []string {
				return []string{s.braze(0, `{"color":"red"}`), s.done(1, delivered), s.crm(100, ourselves, `{"color":"green"}`)}
			},
			wants: []string{`crm {"color":"red"}`, ``, `braze {"color":"green"}`},
		},
		{
			name: "the CRM's field: Braze is given back what the CRM has",
			tell: func(s *story) []string {
				return []string{s.crm(0, "colleague", `{"tier":"gold"}`), s.braze(100, `{"tier":"none"}`)}
			},
			wants: []string{
				`braze {"tier":"gold"}`,
				`crm skipped owned_by_crm (tier: ours "none", theirs "gold", crm by crm); braze {"tier":"gold"}`,
			},
		},
		{
			name: "the CRM's field: what a person wants to be sent is never undone in Braze",
			tell: func(s *story) []string {
				return []string{s.crm(0, "colleague", `{"optout":"opted_in"}`), s.braze(100, `{"optout":"unsubscribed"}`)}
			},
			wants: []string{
				`braze {"email_subscribe":"opted_in"}`,
				`crm skipped owned_by_crm (optout: ours "unsubscribed", theirs "opted_in", crm by crm)`,
			},
		},
		{
			name: "Braze's field: the CRM is given back what Braze has",
			tell: func(s *story) []string {
				return []string{s.braze(0, `{"phone":"1"}`), s.done(1, delivered), s.crm(100, "colleague", `{"phone":"2"}`), s.crm(102, ourselves, `{"phone":"1"}`)}
			},
			wants: []string{
				`crm {"phone":"1"}`, ``,
				`braze skipped conflict (phone: ours "1", theirs "2", braze by braze); crm {"phone":"1"}`,
				`braze skipped echo`,
			},
		},
		{
			name: "Braze's field: nothing is given back that is not known",
			tell: func(s *story) []string {
				return []string{s.crm(0, "colleague", `{"phone":"2"}`), s.braze(100, `{"phone":"1"}`)}
			},
			wants: []string{`braze skipped conflict`, `crm {"phone":"1"}`},
		},
		{
			name: "the newest: a later edit that has seen the other one is no conflict, and Braze is told that it has another value",
			tell: func(s *story) []string {
				return []string{s.braze(0, `{"color":"red"}`), s.done(1, delivered), s.crm(100, "colleague", `{"color":"blue"}`), s.braze(200, `{"color":"green"}`)}
			},
			wants: []string{`crm {"color":"red"}`, ``, `braze {"color":"blue"}`, `crm {"color":"green"}; braze {"color":"green"}`},
		},
		{
			name: "the newest: a later edit in the CRM while ours is on its way is written over it",
			tell: func(s *story) []string {
				return []string{s.braze(0, `{"color":"red"}`), s.crm(10, "colleague", `{"color":"blue"}`), s.crm(12, ourselves, `{"color":"red"}`), s.crm(13, ourselves, `{"color":"blue"}`)}
			},
			wants: []string{
				`crm {"color":"red"}`,
				`braze {"color":"blue"} (color: ours "red", theirs "blue", crm by newest); crm {"color":"blue"}`,
				`braze skipped echo`, `braze skipped echo`,
			},
		},
		{
			name: "the newest: an older edit in the CRM loses, and ours that is planned later arrives after it",
			tell: func(s *story) []string {
				return []string{s.brazeLate(10, 30, `{"color":"red"}`), s.crm(5, "colleague", `{"color":"blue"}`)}
			},
			wants: []string{`crm {"color":"red"}`, `braze skipped conflict (color: ours "red", theirs "blue", braze by newest)`},
		},
		{
			name: "the newest: an older edit in Braze loses",
			tell: func(s *story) []string {
				return []string{s.crm(10, "colleague", `{"color":"blue"}`), s.brazeLate(2, 12, `{"color":"red"}`)}
			},
			wants: []string{`braze {"color":"blue"}`, `crm skipped conflict (color: ours "red", theirs "blue", crm by newest)`},
		},
		{
			name: "a report that was overtaken by a later one is stale",
			tell: func(s *story) []string {
				return []string{s.crm(10, "colleague", `{"color":"blue"}`), s.crm(5, "colleague", `{"color":"red"}`)}
			},
			wants: []string{`braze {"color":"blue"}`, `braze skipped stale`},
		},
		{
			name: "a refused write is taken back: the same is sent again",
			tell: func(s *story) []string {
				return []string{s.braze(0, `{"color":"red"}`), s.done(1, refusedByCRM), s.braze(2, `{"color":"red"}`)}
			},
			wants: []string{`crm {"color":"red"}`, ``, `crm {"color":"red"}`},
		},
		{
			name: "a refused write that an operator sends once more has an echo like any other",
			tell: func(s *story) []string {
				return []string{s.braze(0, `{"color":"red"}`), s.done(1, refusedByCRM), s.done(5000, delivered), s.crm(4999, ourselves, `{"color":"red"}`), s.braze(5100, `{"color":"red"}`)}
			},
			wants: []string{`crm {"color":"red"}`, ``, ``, `braze skipped echo`, `crm skipped unchanged`},
		},
		{
			name: "and if it overwrites something newer, that is written again",
			tell: func(s *story) []string {
				first := s.braze(0, `{"color":"red"}`)
				row := s.rows[testTarget]
				refused, second := s.done(1, refusedByCRM), s.braze(100, `{"color":"blue"}`)
				done := s.done(101, delivered)
				s.rows[testTarget] = row
				return []string{first, refused, second, done, s.done(5000, delivered), s.crm(4999, ourselves, `{"color":"red"}`), s.crm(5001, ourselves, `{"color":"blue"}`)}
			},
			wants: []string{`crm {"color":"red"}`, ``, `crm {"color":"blue"}`, ``, `crm {"color":"blue"}`, `braze skipped echo`, `braze skipped echo`},
		},
		{
			name: "what was edited over hours and is read in a moment is no circle",
			tell: func(s *story) []string {
				var got []string
				for hour := range 3 {
					at := hour * 3600
					late := s.changed(s.id(), at+1800, "colleague", fmt.Sprintf(`{"topic":"theirs-%d"}`, hour))
					got = append(got, s.brazeLate(at, 40_000, fmt.Sprintf(`{"topic":"ours-%d"}`, hour)), s.step(40_000, late))
				}
				return got[4:]
			},
			wants: []string{
				`crm {"topic":"ours-2"} (topic: ours "ours-2", theirs "theirs-1", braze by newest); braze {"topic":"ours-2"}`,
				`braze {"topic":"theirs-2"} (topic: ours "ours-2", theirs "theirs-2", crm by newest); crm {"topic":"theirs-2"}`,
			},
		},
		{
			name: "an entry's time ends: a day after the write it is no echo any more",
			tell: func(s *story) []string {
				day := 24 * 3600
				return []string{s.braze(0, `{"color":"red"}`), s.done(1, delivered), s.crm(day+2, ourselves, `{"color":"red"}`)}
			},
			wants: []string{`crm {"color":"red"}`, ``, `braze {"color":"red"}`},
		},
		{
			name: "a deleted object is made anew with all that is said next",
			tell: func(s *story) []string {
				gone := s.change(&event.Change{
					ID: "gone", User: event.User{ExternalID: "ann"}, Kind: event.Deleted, System: testTarget, Object: testObject, ObjectID: "003A",
					OccurredAt: at(9), ReceivedAt: at(10),
				})
				return []string{s.braze(0, `{"color":"red"}`), s.step(10, gone), s.braze(20, `{"color":"red"}`), s.crm(21, ourselves, `{"color":"red"}`)}
			},
			wants: []string{`crm {"color":"red"}`, ``, `crm {"color":"red"}`, `braze skipped echo`},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t)
			if diff := cmp.Diff(tt.wants, tt.tell(s)); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			if len(s.letters) > 0 {
				t.Errorf("there are dead letters: %v", s.letters[0].Reason)
			}
		})
	}
}

func TestAValueThatGoesRoundInACircleIsStopped(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	got := []string{
		s.braze(0, `{"color":"a","topic":"1"}`), s.crm(1, "robot", `{"color":"b"}`), s.braze(2, `{"color":"c"}`),
		s.crm(3, "robot", `{"color":"d","topic":"2"}`), s.braze(4, `{"color":"e"}`), s.braze(200, `{"color":"f"}`),
	}
	want := []string{
		`crm {"color":"a","topic":"1"}`,
		`braze {"color":"b"} (color: ours "a", theirs "b", crm by newest); crm {"color":"b"}`,
		`crm {"color":"c"}; braze {"color":"c"}`,
		`braze refused loop; braze {"topic":"2"} (topic: ours "1", theirs "2", crm by newest); crm {"topic":"2"}`,
		`crm refused loop`,
		`crm {"color":"f"}; braze {"color":"f"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if len(s.letters) != 2 || s.letters[0].Reason != "loop" || strings.Count(s.letters[0].Detail, "→") != 3 || !strings.Contains(s.letters[0].Detail, "event-4") {
		t.Errorf("the dead letters do not tell the way: %+v", s.letters)
	}
}

// A system that neither says who made a change nor when leaves only the values to go by.
func TestWithoutActorsAndTimesARealEditEndsTheWaitForEchoes(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.planner.core.rules.(*plainRules).self = nil
	change := func(second int, fields string) string {
		return s.step(second, s.change(&event.Change{
			ID: s.id(), User: event.User{ExternalID: "ann"}, Kind: event.Changed, System: testTarget, Object: testObject, ObjectID: "003A",
			Changes: []byte(fields), OccurredAt: at(second), ReceivedAt: at(second),
		}))
	}
	got := []string{
		s.braze(0, `{"color":"red"}`), s.done(1, delivered), // it is red already, and so there is no echo
		change(100, `{"color":"blue"}`), change(200, `{"color":"red"}`),
		s.braze(300, `{"color":"green"}`), s.done(301, delivered), change(400, `{"color":"green"}`), // late, and an echo all the same
	}
	want := []string{
		`crm {"color":"red"}`, ``, `braze {"color":"blue"}`, `braze {"color":"red"}`,
		`crm {"color":"green"}; braze {"color":"green"}`, ``, `braze skipped echo`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestARecordIsPlannedOnce(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	r := s.changed("change", 0, "colleague", `{"color":"red"}`)
	got := []string{s.step(1, r), s.step(2, r), s.step(3, s.changed("another", 2, "colleague", `{"color":"red"}`))}
	if diff := cmp.Diff([]string{`braze {"color":"red"}`, ``, `braze {"color":"red"}`}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	day := int(seenFor/time.Second) + 10
	s.plan(at(day), true) // the timer of what was seen
	if got := s.step(day+1, r); got != `braze skipped stale` {
		t.Errorf("after a day the record counts as %q", got)
	}
}

func TestANoteIsWrittenEachTime(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	note := func(id string) *stream.Record {
		return s.action(&event.Action{ID: id, User: event.User{ExternalID: "ann"}, Name: "note", OccurredAt: noon, ReceivedAt: noon, JSON: []byte(`{"text":"hello"}`)})
	}
	got := []string{s.step(0, note("1")), s.step(1, note("2")), s.step(2, note("2"))}
	if diff := cmp.Diff([]string{`crm {"text":"hello"}`, `crm {"text":"hello"}`, ``}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if w := s.rows[testTarget]; w.Key != w.ID || w.Mode != crm.Note {
		t.Errorf("the note's key is %q, its id %q", w.Key, w.ID)
	}
}
