package brazefake

import (
	"net/http"
	"strconv"
	"strings"
)

// onlyOne returns the one list of those names that is there, and refuses several and none.
func (f *form) onlyOne(names ...string) (name string, elements [][]byte) {
	for _, n := range names {
		if !f.has(n) {
			continue
		}
		if name != "" {
			f.fail("only one of %s may be given", strings.Join(names, ", "))
		}
		name, elements = n, f.list(n)
	}
	if len(elements) == 0 {
		f.fail("one of %s is required", strings.Join(names, ", "))
	}
	return name, elements
}

// planIdentify plans /users/identify (braze-docs: post_user_identify).
func (s *Sandbox) planIdentify(c *call, _ *http.Request, body []byte) (plan, reply) {
	kinds := map[string]string{"aliases_to_identify": "user_alias", "emails_to_identify": "email", "phone_numbers_to_identify": "phone"}
	f := s.read(c, "", body, "aliases_to_identify", "emails_to_identify", "phone_numbers_to_identify")
	name, elements := f.onlyOne("aliases_to_identify", "emails_to_identify", "phone_numbers_to_identify")
	f.most(name, len(elements), c.endpoint.MaxItems)
	p := plan{items: len(elements), status: http.StatusCreated}
	p.body = success("aliases_processed", strconv.Itoa(len(elements)))
	type pair struct {
		known target
		id    string
	}
	var pairs []pair
	for i, element := range elements {
		ef := s.read(c, indexed(name, i), element, "external_id", kinds[name], "prioritization")
		to := identity{}
		if id := ef.needed("external_id"); id != "" {
			to.read("external_id", ef.members["external_id"])
		}
		known := ef.target("", true, kinds[name])
		f.problem = firstOf(f.problem, firstOf(ef.problem, to.refusal))
		pairs = append(pairs, pair{known, to.externalID})
		p.users = append(p.users, to.externalID, known.who.key())
	}
	p.apply = s.alone(func() {
		for _, pair := range pairs {
			s.changes.add(c, ChangeIdentify, pair.known.who.key(), pair.id, s.people.identify(pair.known, pair.id))
		}
	})
	return p, f.bad()
}

// planAliases plans /users/alias/new (braze-docs: post_user_alias).
func (s *Sandbox) planAliases(c *call, _ *http.Request, body []byte) (plan, reply) {
	f := s.read(c, "", body, "user_aliases")
	elements := f.list("user_aliases")
	if len(elements) == 0 {
		f.fail("'user_aliases' is required")
	}
	f.most("user_aliases", len(elements), c.endpoint.MaxItems)
	p := plan{items: len(elements), status: c.knobs.PlainStatus}
	p.body = success("aliases_processed", strconv.Itoa(len(elements)))
	type named struct {
		alias Alias
		id    string
	}
	var all []named
	for i, element := range elements {
		ef := s.read(c, indexed("user_aliases", i), element, "external_id", "alias_name", "alias_label")
		n := named{Alias{Label: ef.needed("alias_label"), Name: ef.needed("alias_name")}, ef.text("external_id")}
		f.problem = firstOf(f.problem, ef.problem)
		all = append(all, n)
		p.users = append(p.users, aliasUser(n.alias))
		if n.id != "" {
			p.users = append(p.users, n.id)
		}
	}
	p.apply = s.alone(func() {
		for _, n := range all {
			s.changes.add(c, ChangeAlias, aliasUser(n.alias), n.id, s.people.addAlias(n.alias, n.id))
		}
	})
	return p, f.bad()
}

func aliasUser(a Alias) string {
	id := identity{aliasLabel: a.Label, aliasName: a.Name}
	return id.key()
}
