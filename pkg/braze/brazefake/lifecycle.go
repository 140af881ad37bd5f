package brazefake

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Change is something that was done to who a user is.
type Change struct {
	Request int64     `json:"request"`
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"` // identify, alias, merge, delete or rename
	User    string    `json:"user"` // canonical id
	Into    string    `json:"into,omitempty"`
	Outcome string    `json:"outcome"` // what came of it, in words
}

// The kinds of changes.
const (
	ChangeIdentify = "identify"
	ChangeAlias    = "alias"
	ChangeMerge    = "merge"
	ChangeDelete   = "delete"
	ChangeRename   = "rename"
)

// changeLog is what was done; beyond limit the oldest is forgotten.
type changeLog struct {
	limit int
	mu    sync.Mutex
	list  []Change
}

func (l *changeLog) add(c *call, kind, user, into, outcome string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = bounded(append(l.list, Change{c.number, time.Now(), kind, user, into, outcome}), l.limit)
}

func (l *changeLog) last(n int, user string) []Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	return newest(l.list, n, func(c *Change) bool { return user == "" || c.User == user || c.Into == user })
}

func (l *changeLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = nil
}

// Changes are what was done to who users are, in the order in which it was done.
func (s *Sandbox) Changes() []Change {
	s.changes.mu.Lock()
	defer s.changes.mu.Unlock()
	return slices.Clone(s.changes.list)
}

// Deleted are the users that were deleted, by the canonical ids that they were named by.
func (s *Sandbox) Deleted() (users []string) {
	for _, c := range s.Changes() {
		if c.Kind == ChangeDelete {
			users = append(users, c.User)
		}
	}
	return users
}

// alone is what is done while nobody else does anything to people.
func (s *Sandbox) alone(do func()) func() {
	return func() {
		s.people.whole.Lock()
		defer s.people.whole.Unlock()
		do()
	}
}

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

// planRename plans /users/external_ids/rename, whose answer refuses renames singly. It is done before the
// answer is written, which says how each went (braze-docs: post_external_ids_rename).
func (s *Sandbox) planRename(c *call, _ *http.Request, body []byte) (plan, reply) {
	f := s.read(c, "", body, "external_id_renames")
	elements := f.list("external_id_renames")
	if len(elements) == 0 {
		f.fail("'external_id_renames' is required")
	}
	f.most("external_id_renames", len(elements), c.endpoint.MaxItems)
	p := plan{items: len(elements), status: c.knobs.PlainStatus, now: true}
	var renames [][2]string
	for i, element := range elements {
		ef := s.read(c, indexed("external_id_renames", i), element, "current_external_id", "new_external_id")
		pair := [2]string{ef.needed("current_external_id"), ef.needed("new_external_id")}
		for _, id := range pair {
			to := identity{}
			to.read("external_id", []byte(quoted(id)))
			ef.problem = firstOf(ef.problem, to.refusal)
		}
		f.problem = firstOf(f.problem, ef.problem)
		renames = append(renames, pair)
		p.users = append(p.users, pair[0], pair[1])
	}
	var done, failed []string
	p.apply = s.alone(func() {
		for i, pair := range renames {
			problem := s.people.rename(pair[0], pair[1])
			s.changes.add(c, ChangeRename, pair[0], pair[1], firstOf(problem, "renamed"))
			switch {
			case problem == "":
				done = append(done, quoted(pair[1]))
			case c.knobs.RenameErrorTexts:
				failed = append(failed, quoted("index "+strconv.Itoa(i)+": "+problem))
			default:
				failed = append(failed, `{"index":`+strconv.Itoa(i)+`,"error":`+quoted(problem)+`}`)
			}
		}
	})
	p.answer = func() []byte {
		c.refused = len(failed)
		return success("external_ids", "["+strings.Join(done, ",")+"]", "rename_errors", "["+strings.Join(failed, ",")+"]")
	}
	return p, f.bad()
}
