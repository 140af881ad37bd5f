package simulate

import (
	"fmt"
	"time"
)

// What a company's CRM and its helpdesk say of people, beside what those do themselves. It has generators
// of its own, so that a story without it is the same story otherwise.

// The ways of putting that to the front door.
const (
	PathProfiles = "/v1/profiles" // changes of profiles
	PathCases    = "/v1/cases"    // what happens to support cases
)

// Kinds of item.
const (
	kindProfile = "profile"
	kindCase    = "case"
)

// officeShare is after how many of a hundred deeds an office says something.
const officeShare = 8

// officeMishaps are what can go wrong with it: both systems deliver at least once, and not in order.
var officeMishaps = []Mishap{NoMishap, Twice, Late}

// record is what the CRM and the helpdesk have of a person.
type record struct {
	version int // of the profile
	tier    string
	cases   int    // that there have been
	state   string // of the last: empty, open, escalated or resolved
}

// office lets an office say something, now and then.
func (s *Story) office() {
	roll, which := s.desk.IntN(100), s.desk.IntN(3)
	p := pick(s.desk, s.here())
	mishap := befall(s.mail, officeMishaps)
	if s.t.Straight || roll >= officeShare {
		return
	}
	if s.t.Mishaps == nil {
		mishap = NoMishap
	}
	path, kind, name, object := PathProfiles, kindProfile, "", map[string]any(nil)
	if which == 0 {
		path, kind = PathCases, kindCase
		name, object = s.supportCase(p)
	} else {
		name, object = s.profile(p)
	}
	it := Item{ID: s.letter(), Kind: kind, Name: name, Said: object, Want: Accepted, Fate: Elsewhere}
	if mishap == Late {
		it.Time = longAgo.Add(-time.Duration(1+s.mail.IntN(72*3600)) * time.Second)
	}
	a := Act{Person: p, Mishap: mishap, Path: path, Items: []Item{it}}
	s.send(&a)
}

// letter is the idempotency key of what an office says next.
func (s *Story) letter() string {
	s.letters++
	return fmt.Sprintf("sim-%d-o%05d", s.t.Seed, s.letters)
}

// profile is a change of a profile by the CRM: a new value, one that is known, one that is older than what
// has been said, or an operator.
func (s *Story) profile(p *Person) (name string, object map[string]any) {
	r := &p.record
	version := func(n int) map[string]any { return map[string]any{"source": "crm", "version": n} }
	roll := s.desk.IntN(10)
	switch {
	case r.version == 0 || roll < 4:
		r.version++
		r.tier = pick(s.desk, []string{"basic", "silver", "gold"})
		object = version(r.version)
		object["set"] = map[string]any{"first_name": p.FirstName, "tier": r.tier, "store": pick(s.desk, []string{"Graz", "Linz", "Wien"})}
		return "new", object
	case roll < 7:
		r.version++
		object = version(r.version)
		object["set"] = map[string]any{"first_name": p.FirstName, "tier": r.tier}
		return "repeated", object
	case roll == 7:
		object = version(max(r.version-1, 0))
		object["set"] = map[string]any{"tier": "lapsed"}
		return "stale", object
	case roll == 8:
		object = map[string]any{"source": "app"}
		object["add"] = map[string]any{"interests": []any{pick(s.desk, []string{"running", "hiking", "skiing"})}}
		return "add", object
	}
	object = map[string]any{"source": "till"}
	object["increment"] = map[string]any{"store_visits": 1}
	return "increment", object
}

// supportCase is what happens next to the person's case: it is opened, escalated, resolved, reopened or
// rated.
func (s *Story) supportCase(p *Person) (name string, object map[string]any) {
	r := &p.record
	object = map[string]any{"source": "desk", "channel": pick(s.desk, []string{"chat", "email", "phone"})}
	roll := s.desk.IntN(4)
	switch {
	case r.state == "" || r.state == "resolved" && roll == 0:
		r.cases++
		name, r.state = "opened", "open"
		object["severity"] = pick(s.desk, []string{"low", "normal", "high"})
	case r.state == "open" && roll == 0:
		name, r.state = "escalated", "escalated"
		object["severity"] = "urgent"
	case r.state != "resolved":
		name, r.state = "resolved", "resolved"
	case roll == 1:
		name, r.state = "reopened", "open"
	default:
		name = "rated"
		object["rating"] = s.desk.IntN(11)
	}
	object["case_id"], object["event"] = fmt.Sprintf("H-%d-%02d", p.Number, r.cases), name
	return name, object
}
