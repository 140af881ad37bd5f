package braze

// Identification joins a user who is known by an alias, an email or a phone to an external id.
type Identification struct {
	ExternalID string
	// Known is whom we mean: an alias, or an email or a phone with its prioritization.
	Known Target
}

// Identify is a request to /users/identify. All of it is of one kind: aliases, emails or phones.
//
// If the external id has no profile it is given to the known one; otherwise the two are merged, unless
// the target has an alias with that label already. Success does not prove that anybody was found, names
// of aliases being case-sensitive (braze-docs: post_user_identify).
type Identify struct{ Users []Identification }

// Endpoint is [UsersIdentify].
func (*Identify) Endpoint() *Endpoint { return UsersIdentify }

// Path is the endpoint's.
func (*Identify) Path() string { return UsersIdentify.Path }

// Items is the number of users.
func (r *Identify) Items() int { return len(r.Users) }

// Repeatable is true: the second time there is nobody left to join.
func (*Identify) Repeatable() bool { return true }

// identifyLists are what the request's list is called, by what the user is known by.
var identifyLists = map[string]string{
	"user_alias": "aliases_to_identify", "email": "emails_to_identify", "phone": "phone_numbers_to_identify",
}

func (r *Identify) list() string {
	if len(r.Users) > 0 {
		if list := identifyLists[r.Users[0].Known.User.kind()]; list != "" {
			return list
		}
	}
	return "aliases_to_identify"
}

// AppendBody appends the request's body.
func (r *Identify) AppendBody(dst []byte) []byte {
	w := startWriter(dst)
	w.open('{')
	w.name(r.list())
	w.open('[')
	for i := range r.Users {
		w.open('{')
		w.text("external_id", r.Users[i].ExternalID)
		r.Users[i].Known.append(&w, "")
		w.close('}')
	}
	w.close(']')
	w.close('}')
	return w.b
}

// Check checks the request.
func (r *Identify) Check() *Violation {
	list := r.list()
	if len(r.Users) == 0 {
		return &Violation{Field: list, Rule: RuleMissing}
	}
	if v := tooMany(list, len(r.Users), mostUsers); v != nil {
		return v
	}
	for i := range r.Users {
		u, at := &r.Users[i], indexed(list, i)
		if v := CheckExternalID(u.ExternalID); v != nil {
			v.Field = at + "." + v.Field
			return v
		}
		if v := u.Known.check(at, "user_alias", "email", "phone"); v != nil {
			return v
		}
		if identifyLists[u.Known.User.kind()] != list {
			return &Violation{Field: at, Rule: RuleNotAllowed, Detail: "all users of a request are known in one way"}
		}
	}
	return nil
}

// NewAlias gives a user an alias, or makes a user who has nothing else.
type NewAlias struct {
	Alias Alias
	// ExternalID is whose the alias shall be: to an unknown one none is added. Empty makes a new user.
	ExternalID string
}

// NewAliases is a request to /users/alias/new.
type NewAliases struct{ Aliases []NewAlias }

// Endpoint is [UsersAliasNew].
func (*NewAliases) Endpoint() *Endpoint { return UsersAliasNew }

// Path is the endpoint's.
func (*NewAliases) Path() string { return UsersAliasNew.Path }

// Items is the number of aliases.
func (r *NewAliases) Items() int { return len(r.Aliases) }

// Repeatable is true: the second time they are there.
func (*NewAliases) Repeatable() bool { return true }

// AppendBody appends the request's body.
func (r *NewAliases) AppendBody(dst []byte) []byte {
	w := startWriter(dst)
	w.open('{')
	w.name("user_aliases")
	w.open('[')
	for _, a := range r.Aliases {
		w.open('{')
		w.text("external_id", a.ExternalID)
		w.text("alias_name", a.Alias.Name)
		w.text("alias_label", a.Alias.Label)
		w.close('}')
	}
	w.close(']')
	w.close('}')
	return w.b
}

// Check checks the request.
func (r *NewAliases) Check() *Violation {
	if len(r.Aliases) == 0 {
		return &Violation{Field: "user_aliases", Rule: RuleMissing}
	}
	if v := tooMany("user_aliases", len(r.Aliases), mostUsers); v != nil {
		return v
	}
	for i, a := range r.Aliases {
		at := indexed("user_aliases", i)
		switch {
		case a.Alias.Name == "":
			return &Violation{Field: at + ".alias_name", Rule: RuleMissing}
		case a.Alias.Label == "":
			return &Violation{Field: at + ".alias_label", Rule: RuleMissing}
		case len(a.ExternalID) > MaxExternalID:
			return &Violation{Field: at + ".external_id", Rule: RuleTooLarge, Detail: "987 bytes"}
		}
	}
	return nil
}
