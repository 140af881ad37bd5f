package braze

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
