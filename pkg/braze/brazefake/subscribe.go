package brazefake

import (
	"net/http"
	"slices"
	"strings"
)

// groupStatus is what one group is told.
type groupStatus struct {
	group, state        string
	ids, emails, phones []string
}

// readGroup reads a group with its users, under the names that either edition has for them.
func (f *form) readGroup(ids, emails, phones string, orSingle bool, most int) (g groupStatus) {
	g.group = f.needed("subscription_group_id")
	g.state = f.oneOf("subscription_state", "subscribed", "unsubscribed")
	g.ids, g.emails, g.phones = f.texts(ids, orSingle), f.texts(emails, orSingle), f.texts(phones, orSingle)
	f.most(f.at+ids, len(g.ids), most)
	f.most(f.at+emails, len(g.emails), most)
	f.most(f.at+phones, len(g.phones), most)
	double := f.boolean("use_double_opt_in_logic", false)
	switch {
	case len(g.emails) > 0 && len(g.phones) > 0:
		f.fail("%s may have only one of %s and %s", f.where(), emails, phones)
	case len(g.ids)+len(g.emails)+len(g.phones) == 0:
		f.fail("%s must have one of %s, %s and %s", f.where(), ids, emails, phones)
	case len(g.ids) > 0 && len(g.emails)+len(g.phones) > 0:
		f.fail("%s may have only one of %s, %s and %s", f.where(), ids, emails, phones)
	case double && len(g.emails) > 0:
		f.fail("%s: use_double_opt_in_logic is for SMS groups", f.where())
	}
	for _, email := range g.emails {
		if !validEmail(email) {
			f.fail("%s: %q is no email address", f.where(), email)
		}
	}
	for _, phone := range g.phones {
		if !validPhone(phone) {
			f.fail("%s: %q is not in the form of E.164", f.where(), phone)
		}
	}
	return g
}

func (g *groupStatus) users() (users []string) {
	users = append(users, g.ids...)
	for _, email := range g.emails {
		users = append(users, "email:"+strings.ToLower(email))
	}
	for _, phone := range g.phones {
		users = append(users, "phone:"+phone)
	}
	return users
}

// planStatus plans /subscription/status/set.
func (s *Sandbox) planStatus(c *call, _ *http.Request, body []byte) (plan, reply) {
	f := s.read(c, "", body, "subscription_group_id", "subscription_state", "external_id", "email", "phone", "use_double_opt_in_logic")
	g := f.readGroup("external_id", "email", "phone", true, c.endpoint.MaxItems)
	return plan{
		items: len(g.users()), users: g.users(), status: http.StatusCreated, body: success(),
		apply: func() { s.setStatus(g) },
	}, f.bad()
}

// planStatusV2 plans /v2/subscription/status/set.
func (s *Sandbox) planStatusV2(c *call, _ *http.Request, body []byte) (plan, reply) {
	f := s.read(c, "", body, "subscription_groups")
	p := plan{status: c.knobs.PlainStatus, body: success()}
	var groups []groupStatus
	emails, phones := false, false
	for i, element := range f.list("subscription_groups") {
		gf := s.read(c, indexed("subscription_groups", i), element, "subscription_group_id", "subscription_state", "external_ids", "emails",
			"phones", "use_double_opt_in_logic")
		g := gf.readGroup("external_ids", "emails", "phones", false, c.endpoint.MaxItems)
		f.problem = firstOf(f.problem, gf.problem)
		groups = append(groups, g)
		p.users = append(p.users, g.users()...)
		emails, phones = emails || len(g.emails) > 0, phones || len(g.phones) > 0
	}
	if len(groups) == 0 {
		f.fail("'subscription_groups' is required")
	}
	if emails && phones {
		f.fail("groups of emails and of phones can be set together only by external_ids")
	}
	p.items = len(groups)
	p.apply = func() {
		for _, g := range groups {
			s.setStatus(g)
		}
	}
	return p, f.bad()
}

// setStatus sets the state of users, and of all who share an address.
func (s *Sandbox) setStatus(g groupStatus) {
	s.people.whole.RLock()
	defer s.people.whole.RUnlock()
	set := func(who *person) {
		who.mu.Lock()
		defer who.mu.Unlock()
		before := who.groups[g.group]
		who.setGroup(g.group, g.state)
		s.regrouped(who, g.group, before, g.state)
	}
	for _, id := range g.ids {
		if who := s.people.find(identity{externalID: id}); who != nil {
			set(who)
		} else {
			s.counters.nobody.Add(1)
		}
	}
	for _, email := range g.emails {
		s.subscriptions.set(strings.ToLower(email), g.group, g.state)
		for _, who := range s.people.sharing(email, "") {
			set(who)
		}
	}
	for _, phone := range g.phones {
		s.subscriptions.set(phone, g.group, g.state)
		for _, who := range s.people.sharing("", phone) {
			set(who)
		}
	}
}

// sharing are all who have an address.
func (p *people) sharing(email, phone string) []*person {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if email != "" {
		return slices.Clone(p.email[strings.ToLower(email)])
	}
	return slices.Clone(p.phone[phone])
}

// planEmail plans /email/status (braze-docs: post_email_subscription_status).
func (s *Sandbox) planEmail(c *call, _ *http.Request, body []byte) (plan, reply) {
	f := s.read(c, "", body, "email", "subscription_state")
	emails := f.texts("email", true)
	state := f.oneOf("subscription_state", "subscribed", "unsubscribed", "opted_in")
	f.most("emails", len(emails), c.endpoint.MaxItems)
	if len(emails) == 0 {
		f.fail("'email' is required")
	}
	p := plan{items: len(emails), status: c.knobs.PlainStatus, body: success()}
	for _, email := range emails {
		if !validEmail(email) {
			f.fail("%q is no email address", email)
		}
		p.users = append(p.users, "email:"+strings.ToLower(email))
	}
	p.apply = func() {
		s.people.whole.RLock()
		defer s.people.whole.RUnlock()
		for _, email := range emails {
			s.subscriptions.set(strings.ToLower(email), "", state)
			for _, who := range s.people.sharing(email, "") {
				who.mu.Lock()
				before := who.attributes["email_subscribe"]
				who.attributes["email_subscribe"] = []byte(quoted(state))
				s.resubscribed(who, before, who.attributes["email_subscribe"], byAPI)
				who.mu.Unlock()
			}
		}
	}
	return p, f.bad()
}
