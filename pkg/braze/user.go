package braze

import "strings"

// User names one user. Exactly one of its fields is set.
type User struct {
	ExternalID string
	Alias      Alias
	BrazeID    string
	Email      string
	Phone      string // E.164
}

// Alias names a user by a label and a name under it. Both are case-sensitive; a user has at most one name
// under a label (braze-docs: user_alias_object).
type Alias struct {
	Label string
	Name  string
}

// Prioritization says which user is meant where several share an address. Without one that leaves a
// single user, nothing happens to any.
type Prioritization string

// The rules of prioritization, to be given in the order in which they apply. The first two exclude each
// other; Braze does not list the last for /users/delete (braze-docs: post_user_identify, post_users_merge,
// post_user_delete).
const (
	Identified           Prioritization = "identified"
	Unidentified         Prioritization = "unidentified"
	MostRecentlyUpdated  Prioritization = "most_recently_updated"
	LeastRecentlyUpdated Prioritization = "least_recently_updated"
)

// Target names a user for a call that needs to know which one is meant where several share an address:
// an email or a phone must come with a Prioritization, anything else without.
type Target struct {
	User           User
	Prioritization []Prioritization
}

// kind is what a user is named by, as the member is called in objects of /users/track; empty when by
// nothing, "several" when by more than one.
func (u *User) kind() (kind string) {
	n := 0
	for _, id := range []struct {
		set  bool
		name string
	}{
		{u.ExternalID != "", "external_id"},
		{u.Alias != Alias{}, "user_alias"},
		{u.BrazeID != "", "braze_id"},
		{u.Email != "", "email"},
		{u.Phone != "", "phone"},
	} {
		if id.set {
			kind = id.name
			n++
		}
	}
	if n > 1 {
		return "several"
	}
	return kind
}

// check checks that the user is named by exactly one identifier, and by one of a kind that is allowed.
// At is the way to the object that holds the identifier. In messages external_id goes by another name.
func (u *User) check(at string, allowed ...string) *Violation {
	kind := u.kind()
	switch kind {
	case "":
		return &Violation{Field: at, Rule: RuleNoUser, Detail: "one of " + strings.Join(allowed, ", ")}
	case "several":
		return &Violation{Field: at, Rule: RuleSeveralUsers}
	}
	known := false
	for _, a := range allowed {
		known = known || a == kind
	}
	if !known {
		return &Violation{Field: at + "." + kind, Rule: RuleNotAllowed, Detail: "here it is one of " + strings.Join(allowed, ", ")}
	}
	return u.checkValue(at + "." + kind)
}

// checkValue checks the identifier itself, whichever it is.
func (u *User) checkValue(field string) *Violation {
	switch {
	case u.ExternalID != "" && len(u.ExternalID) > MaxExternalID:
		return &Violation{Field: field, Rule: RuleTooLarge, Detail: "987 bytes"}
	case (u.Alias.Label == "") != (u.Alias.Name == ""):
		return &Violation{Field: field, Rule: RuleMissing, Detail: "it needs both alias_name and alias_label"}
	case u.Email != "" && !plausibleEmail(u.Email):
		return &Violation{Field: field, Rule: RuleNotAnEmail}
	case u.Phone != "" && !isE164(u.Phone):
		return &Violation{Field: field, Rule: RuleNotE164}
	}
	return nil
}

// plausibleEmail only refuses what is no address at all: what else Braze refuses is not documented.
func plausibleEmail(s string) bool {
	local, domain, found := strings.Cut(s, "@")
	return found && local != "" && domain != "" && !strings.ContainsAny(s, " \t\r\n") && len(s) <= MaxStringLen
}

// isE164 takes a plus sign and up to 15 digits, of which the first is no zero. Seven digits are the
// fewest that any country uses with its code.
func isE164(s string) bool {
	return len(s) >= 8 && len(s) <= 16 && s[0] == '+' && s[1] != '0' && strings.Trim(s[1:], "0123456789") == ""
}

// append appends the identifiers as members of the object that w is in, external_id under the name given.
func (u *User) append(w *writer, externalID string) {
	w.text(externalID, u.ExternalID)
	if (u.Alias != Alias{}) {
		w.name("user_alias")
		u.Alias.append(w)
	}
	w.text("braze_id", u.BrazeID)
	w.text("email", u.Email)
	w.text("phone", u.Phone)
}

func (a *Alias) append(w *writer) {
	w.open('{')
	w.text("alias_name", a.Name)
	w.text("alias_label", a.Label)
	w.close('}')
}

// append appends the target's members.
func (t *Target) append(w *writer, externalID string) {
	t.User.append(w, externalID)
	appendPrioritization(w, t.Prioritization)
}

func appendPrioritization(w *writer, rules []Prioritization) {
	if len(rules) == 0 {
		return
	}
	w.name("prioritization")
	w.open('[')
	for _, rule := range rules {
		w.value(string(rule))
	}
	w.close(']')
}

// check checks the identifier and that a prioritization stands where one must, and only there.
func (t *Target) check(at string, allowed ...string) *Violation {
	if v := t.User.check(at, allowed...); v != nil {
		return v
	}
	at += ".prioritization"
	if t.User.Email == "" && t.User.Phone == "" {
		if len(t.Prioritization) > 0 {
			return &Violation{Field: at, Rule: RuleNotAllowed, Detail: "only an email or a phone has one"}
		}
		return nil
	}
	if len(t.Prioritization) == 0 {
		return &Violation{Field: at, Rule: RuleMissing}
	}
	seen := map[Prioritization]bool{}
	for _, rule := range t.Prioritization {
		switch {
		case rule != Identified && rule != Unidentified && rule != MostRecentlyUpdated && rule != LeastRecentlyUpdated:
			return &Violation{Field: at, Rule: RuleNotOneOf, Detail: "identified, unidentified, most_recently_updated, least_recently_updated"}
		case seen[rule]:
			return &Violation{Field: at, Rule: RuleTwice, Detail: string(rule)}
		}
		seen[rule] = true
	}
	if seen[Identified] && seen[Unidentified] {
		return &Violation{Field: at, Rule: RuleNotAllowed, Detail: "identified and unidentified exclude each other"}
	}
	return nil
}
