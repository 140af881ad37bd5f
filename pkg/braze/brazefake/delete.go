package brazefake

import (
	"net/http"
	"slices"
	"strconv"
)

// planDelete plans /users/delete (braze-docs: post_user_delete).
func (s *Sandbox) planDelete(c *call, _ *http.Request, body []byte) (plan, reply) {
	names := []string{"external_ids", "user_aliases", "braze_ids", "email_addresses", "phone_numbers"}
	f := s.read(c, "", body, names...)
	name, elements := f.onlyOne(names...)
	f.most(name, len(elements), c.endpoint.MaxItems)
	p := plan{items: len(elements), status: c.knobs.PlainStatus}
	p.body = success("deleted", strconv.Itoa(len(elements)))
	var targets []target
	for i, element := range elements {
		t := target{}
		switch name {
		case "external_ids":
			t.who.read("external_id", element)
		case "braze_ids":
			t.who.read("braze_id", element)
		case "user_aliases":
			t.who.read("user_alias", element)
		default:
			kind := map[string]string{"email_addresses": "email", "phone_numbers": "phone"}[name]
			ef := s.read(c, indexed(name, i), element, kind, "prioritization")
			t = ef.target("", true, kind)
			if slices.Contains(t.rules, "least_recently_updated") {
				ef.fail("least_recently_updated is no prioritization here")
			}
			f.problem = firstOf(f.problem, ef.problem)
		}
		if t.who.refusal != "" {
			f.fail("'%s[%d]': %s", name, i, t.who.refusal)
		}
		targets = append(targets, t)
		p.users = append(p.users, t.who.key())
	}
	p.apply = s.alone(func() {
		for _, t := range targets {
			who, outcome := s.people.resolve(t), "nobody matches, or more than one do"
			if who != nil {
				s.erase(who)
				outcome = "deleted"
			}
			s.changes.add(c, ChangeDelete, t.who.key(), "", outcome)
		}
	})
	return p, f.bad()
}

// erase deletes somebody, and the states of the addresses that nobody else has.
func (s *Sandbox) erase(who *person) {
	email, phone := who.email, who.phone
	s.people.forget(who)
	if len(s.people.email[email]) == 0 {
		s.subscriptions.forget(email)
	}
	if len(s.people.phone[phone]) == 0 {
		s.subscriptions.forget(phone)
	}
}
