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

// MergeUpdate merges one user into another, who stays. What the one who stays has wins.
type MergeUpdate struct{ From, Into Target }

// Merge is a request to /users/merge. Braze takes it on and works it off later, in no promised order, so
// no user should be in two of its updates (braze-docs: post_users_merge).
type Merge struct{ Updates []MergeUpdate }

// Endpoint is [UsersMerge].
func (*Merge) Endpoint() *Endpoint { return UsersMerge }

// Path is the endpoint's.
func (*Merge) Path() string { return UsersMerge.Path }

// Items is the number of updates.
func (r *Merge) Items() int { return len(r.Updates) }

// Repeatable is true: the second time there is nobody left to merge.
func (*Merge) Repeatable() bool { return true }

// AppendBody appends the request's body.
func (r *Merge) AppendBody(dst []byte) []byte {
	w := startWriter(dst)
	w.open('{')
	w.name("merge_updates")
	w.open('[')
	for i := range r.Updates {
		w.open('{')
		for _, end := range []struct {
			name   string
			target *Target
		}{{"identifier_to_merge", &r.Updates[i].From}, {"identifier_to_keep", &r.Updates[i].Into}} {
			w.name(end.name)
			w.open('{')
			end.target.append(&w, "external_id")
			w.close('}')
		}
		w.close('}')
	}
	w.close(']')
	w.close('}')
	return w.b
}

// Check checks the request.
func (r *Merge) Check() *Violation {
	if len(r.Updates) == 0 {
		return &Violation{Field: "merge_updates", Rule: RuleMissing}
	}
	if v := tooMany("merge_updates", len(r.Updates), mostUsers); v != nil {
		return v
	}
	in := make(map[User]bool, 2*len(r.Updates))
	for i := range r.Updates {
		u, at := &r.Updates[i], indexed("merge_updates", i)
		for _, end := range []struct {
			name   string
			target *Target
		}{{".identifier_to_merge", &u.From}, {".identifier_to_keep", &u.Into}} {
			if v := end.target.check(at+end.name, "external_id", "user_alias", "email", "phone"); v != nil {
				return v
			}
			if in[end.target.User] {
				return &Violation{Field: at + end.name, Rule: RuleTwice, Detail: "the order of the updates is not promised"}
			}
			in[end.target.User] = true
		}
	}
	return nil
}

// Rename gives a user another external id. The old one goes on working until it is removed.
type Rename struct{ Current, New string }

// Renames is a request to /users/external_ids/rename. The answer refuses renames singly.
type Renames struct{ Renames []Rename }

// Endpoint is [UsersExternalIDsRename].
func (*Renames) Endpoint() *Endpoint { return UsersExternalIDsRename }

// Path is the endpoint's.
func (*Renames) Path() string { return UsersExternalIDsRename.Path }

// Items is the number of renames.
func (r *Renames) Items() int { return len(r.Renames) }

// Repeatable is true: what was renamed is refused the second time, and stays as it is.
func (*Renames) Repeatable() bool { return true }

// AppendBody appends the request's body.
func (r *Renames) AppendBody(dst []byte) []byte {
	w := startWriter(dst)
	w.open('{')
	w.name("external_id_renames")
	w.open('[')
	for _, rename := range r.Renames {
		w.open('{')
		w.text("current_external_id", rename.Current)
		w.text("new_external_id", rename.New)
		w.close('}')
	}
	w.close(']')
	w.close('}')
	return w.b
}

// Check checks the request.
func (r *Renames) Check() *Violation {
	if len(r.Renames) == 0 {
		return &Violation{Field: "external_id_renames", Rule: RuleMissing}
	}
	if v := tooMany("external_id_renames", len(r.Renames), mostUsers); v != nil {
		return v
	}
	in := make(map[string]bool, 2*len(r.Renames))
	for i, rename := range r.Renames {
		at := indexed("external_id_renames", i)
		for _, end := range []struct{ name, id string }{{".current_external_id", rename.Current}, {".new_external_id", rename.New}} {
			if v := CheckExternalID(end.id); v != nil {
				v.Field = at + end.name
				return v
			}
			if in[end.id] {
				return &Violation{Field: at + end.name, Rule: RuleTwice}
			}
			in[end.id] = true
		}
	}
	return nil
}
