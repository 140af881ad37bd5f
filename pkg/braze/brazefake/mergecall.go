package brazefake

import (
	"net/http"
	"slices"
)

// planMerge plans /users/merge, the only call of which it is documented that members it does not know are
// refused (braze-docs: post_users_merge).
func (s *Sandbox) planMerge(c *call, _ *http.Request, body []byte) (plan, reply) {
	f := s.read(c, "", body, "merge_updates")
	if !f.has("merge_updates") || f.members["merge_updates"][0] != '[' {
		f.fail("'merge_updates' must be an array of objects")
		return plan{}, f.bad()
	}
	elements := f.list("merge_updates")
	if len(elements) > c.endpoint.MaxItems {
		f.fail("a single request may not contain more than %d merge updates", c.endpoint.MaxItems)
	}
	if len(elements) == 0 {
		f.fail("'merge_updates' must be an array of objects")
	}
	p := plan{items: len(elements), status: http.StatusAccepted, body: success()}
	type pair struct{ from, into target }
	var pairs []pair
	for i, element := range elements {
		if element[0] != '{' {
			f.fail("'merge_updates' must be an array of objects")
			break
		}
		ef := s.read(c, indexed("merge_updates", i), element, "identifier_to_merge", "identifier_to_keep")
		ends := [2]target{}
		for j, name := range []string{"identifier_to_merge", "identifier_to_keep"} {
			if !ef.has(name) || ef.members[name][0] != '{' {
				ef.fail("identifiers must be objects with an 'external_id', 'user_alias', 'email' or 'phone'")
				continue
			}
			end := s.read(c, ef.at+name+".", ef.members[name], "external_id", "user_alias", "email", "phone", "prioritization")
			end.known("external_id", "user_alias", "email", "phone", "prioritization")
			ends[j] = end.target("external_id", true, "external_id", "user_alias", "email", "phone")
			ef.problem = firstOf(ef.problem, end.problem)
			p.users = append(p.users, ends[j].who.key())
		}
		ef.known("identifier_to_merge", "identifier_to_keep")
		f.problem = firstOf(f.problem, ef.problem)
		pairs = append(pairs, pair{ends[0], ends[1]})
	}
	f.known("merge_updates")
	p.apply = s.alone(func() {
		for _, pair := range pairs {
			from, into := s.people.resolve(pair.from), s.people.resolve(pair.into)
			outcome := "merged"
			switch {
			case from == nil || into == nil:
				outcome = "not merged: nobody matches, or more than one do"
			case from == into:
				outcome = "not merged: they are the same"
			default:
				s.people.merge(from, into)
			}
			s.changes.add(c, ChangeMerge, pair.from.who.key(), pair.into.who.key(), outcome)
		}
	})
	return p, f.bad()
}

// known refuses members of any other name.
func (f *form) known(names ...string) {
	for name := range f.members {
		if !slices.Contains(names, name) {
			f.fail("unexpected key %q", name)
		}
	}
}
