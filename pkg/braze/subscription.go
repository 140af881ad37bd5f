package braze

// SubscriptionState is a user's state in a subscription group, or that of an address.
type SubscriptionState string

// The states. OptedIn is of email addresses only.
const (
	Subscribed   SubscriptionState = "subscribed"
	Unsubscribed SubscriptionState = "unsubscribed"
	OptedIn      SubscriptionState = "opted_in"
)

// GroupStatus sets the state of up to 50 users in one subscription group. They are named by external id,
// by email or by phone, in one of the three ways: a group of emails takes no phones.
//
// Where several profiles share an address, all of them change. The state of an address that nobody has is
// kept for 30 days (braze-docs: post_update_user_subscription_group_status).
type GroupStatus struct {
	GroupID     string
	State       SubscriptionState
	ExternalIDs []string
	Emails      []string
	Phones      []string // E.164
	// DoubleOptIn begins the double opt-in; for SMS groups only.
	DoubleOptIn bool
}

// SubscriptionStatus is a request to /subscription/status/set.
type SubscriptionStatus struct{ GroupStatus }

// SubscriptionStatusV2 is a request to /v2/subscription/status/set, which takes several groups. How many
// is not documented. Groups of emails and of phones go together only by external id.
type SubscriptionStatusV2 struct{ Groups []GroupStatus }

// Endpoint is [SubscriptionStatusSet].
func (*SubscriptionStatus) Endpoint() *Endpoint { return SubscriptionStatusSet }

// Path is the endpoint's.
func (*SubscriptionStatus) Path() string { return SubscriptionStatusSet.Path }

// Items is the number of users.
func (s *SubscriptionStatus) Items() int { return s.users() }

// Repeatable is true: a state is set, not changed.
func (*SubscriptionStatus) Repeatable() bool { return true }

// AppendBody appends the request's body.
func (s *SubscriptionStatus) AppendBody(dst []byte) []byte {
	w := startWriter(dst)
	s.append(&w, "external_id", "email", "phone")
	return w.b
}

// Check checks the request.
func (s *SubscriptionStatus) Check() *Violation { return s.check("", "external_id", "email", "phone") }

// Endpoint is [SubscriptionStatusSetV2].
func (*SubscriptionStatusV2) Endpoint() *Endpoint { return SubscriptionStatusSetV2 }

// Path is the endpoint's.
func (*SubscriptionStatusV2) Path() string { return SubscriptionStatusSetV2.Path }

// Items is the number of groups.
func (s *SubscriptionStatusV2) Items() int { return len(s.Groups) }

// Repeatable is true: states are set, not changed.
func (*SubscriptionStatusV2) Repeatable() bool { return true }

// AppendBody appends the request's body.
func (s *SubscriptionStatusV2) AppendBody(dst []byte) []byte {
	w := startWriter(dst)
	w.open('{')
	w.name("subscription_groups")
	w.open('[')
	for i := range s.Groups {
		s.Groups[i].append(&w, "external_ids", "emails", "phones")
	}
	w.close(']')
	w.close('}')
	return w.b
}

// Check checks the request and each of its groups.
func (s *SubscriptionStatusV2) Check() *Violation {
	if len(s.Groups) == 0 {
		return &Violation{Field: "subscription_groups", Rule: RuleMissing}
	}
	emails, phones := false, false
	for i := range s.Groups {
		g, at := &s.Groups[i], indexed("subscription_groups", i)
		if v := g.check(at+".", "external_ids", "emails", "phones"); v != nil {
			return v
		}
		emails, phones = emails || len(g.Emails) > 0, phones || len(g.Phones) > 0
		if emails && phones {
			return &Violation{Field: at, Rule: RuleNotAllowed, Detail: "groups of emails and of phones go together by external id only"}
		}
	}
	return nil
}

func (g *GroupStatus) users() int { return len(g.ExternalIDs) + len(g.Emails) + len(g.Phones) }

func (g *GroupStatus) append(w *writer, ids, emails, phones string) {
	w.open('{')
	w.text("subscription_group_id", g.GroupID)
	w.text("subscription_state", string(g.State))
	w.texts(ids, g.ExternalIDs)
	w.texts(emails, g.Emails)
	w.texts(phones, g.Phones)
	w.flag("use_double_opt_in_logic", g.DoubleOptIn)
	w.close('}')
}

// check checks one group; at is the way to it, with a dot, and the others are what its lists are called.
func (g *GroupStatus) check(at, ids, emails, phones string) *Violation {
	switch {
	case g.GroupID == "":
		return &Violation{Field: at + "subscription_group_id", Rule: RuleMissing}
	case g.State != Subscribed && g.State != Unsubscribed:
		return &Violation{Field: at + "subscription_state", Rule: RuleNotOneOf, Detail: "subscribed, unsubscribed"}
	case g.users() == 0:
		return &Violation{Field: at + ids, Rule: RuleMissing, Detail: "or " + emails + ", or " + phones}
	case g.DoubleOptIn && len(g.Emails) > 0:
		return &Violation{Field: at + "use_double_opt_in_logic", Rule: RuleNotAllowed, Detail: "for SMS groups only"}
	}
	kinds := 0
	for _, list := range []struct {
		name   string
		values []string
		user   func(string) User
	}{
		{ids, g.ExternalIDs, func(s string) User { return User{ExternalID: s} }},
		{emails, g.Emails, func(s string) User { return User{Email: s} }},
		{phones, g.Phones, func(s string) User { return User{Phone: s} }},
	} {
		if len(list.values) == 0 {
			continue
		}
		if kinds++; kinds > 1 {
			return &Violation{Field: at + list.name, Rule: RuleSeveralUsers, Detail: "users are named in one way only"}
		}
		if v := tooMany(at+list.name, len(list.values), mostUsers); v != nil {
			return v
		}
		for i, value := range list.values {
			field := indexed(at+list.name, i)
			if value == "" {
				return &Violation{Field: field, Rule: RuleMissing}
			}
			user := list.user(value)
			if v := user.checkValue(field); v != nil {
				return v
			}
		}
	}
	return nil
}

// EmailSubscription is a request to /email/status, which sets the state of addresses themselves, also of
// those that nobody has yet.
type EmailSubscription struct {
	Emails []string
	State  SubscriptionState
}

// Endpoint is [EmailStatus].
func (*EmailSubscription) Endpoint() *Endpoint { return EmailStatus }

// Path is the endpoint's.
func (*EmailSubscription) Path() string { return EmailStatus.Path }

// Items is the number of addresses.
func (e *EmailSubscription) Items() int { return len(e.Emails) }

// Repeatable is true: a state is set, not changed.
func (*EmailSubscription) Repeatable() bool { return true }

// AppendBody appends the request's body.
func (e *EmailSubscription) AppendBody(dst []byte) []byte {
	w := startWriter(dst)
	w.open('{')
	w.texts("email", e.Emails)
	w.text("subscription_state", string(e.State))
	w.close('}')
	return w.b
}

// Check checks the request.
func (e *EmailSubscription) Check() *Violation {
	switch {
	case len(e.Emails) == 0:
		return &Violation{Field: "email", Rule: RuleMissing}
	case e.State != Subscribed && e.State != Unsubscribed && e.State != OptedIn:
		return &Violation{Field: "subscription_state", Rule: RuleNotOneOf, Detail: "subscribed, unsubscribed, opted_in"}
	}
	if v := tooMany("email", len(e.Emails), mostUsers); v != nil {
		return v
	}
	for i, email := range e.Emails {
		if !plausibleEmail(email) {
			return &Violation{Field: indexed("email", i), Rule: RuleNotAnEmail}
		}
	}
	return nil
}
