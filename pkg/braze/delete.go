package braze

// Delete is a request to /users/delete, which cannot be undone. All users are named in one way, and the
// answer's Deleted counts how many were queued.
type Delete struct{ Users []Target }

// Endpoint is [UsersDelete].
func (*Delete) Endpoint() *Endpoint { return UsersDelete }

// Path is the endpoint's.
func (*Delete) Path() string { return UsersDelete.Path }

// Items is the number of users.
func (r *Delete) Items() int { return len(r.Users) }

// Repeatable is true: the second time there is nobody left, unless somebody has made the user anew.
func (*Delete) Repeatable() bool { return true }

// deleteLists are what the request's list is called, by what the users are named by.
var deleteLists = map[string]string{
	"external_id": "external_ids", "user_alias": "user_aliases", "braze_id": "braze_ids",
	"email": "email_addresses", "phone": "phone_numbers",
}

func (r *Delete) list() string {
	if len(r.Users) > 0 {
		if list := deleteLists[r.Users[0].User.kind()]; list != "" {
			return list
		}
	}
	return "external_ids"
}

// AppendBody appends the request's body.
func (r *Delete) AppendBody(dst []byte) []byte {
	w := startWriter(dst)
	w.open('{')
	w.name(r.list())
	w.open('[')
	for i := range r.Users {
		switch t := &r.Users[i]; t.User.kind() {
		case "external_id":
			w.value(t.User.ExternalID)
		case "braze_id":
			w.value(t.User.BrazeID)
		case "user_alias":
			t.User.Alias.append(&w)
		default:
			w.open('{')
			t.append(&w, "external_id")
			w.close('}')
		}
	}
	w.close(']')
	w.close('}')
	return w.b
}

// Check checks the request.
func (r *Delete) Check() *Violation {
	list := r.list()
	if len(r.Users) == 0 {
		return &Violation{Field: list, Rule: RuleMissing}
	}
	if v := tooMany(list, len(r.Users), mostUsers); v != nil {
		return v
	}
	for i := range r.Users {
		t, at := &r.Users[i], indexed(list, i)
		if v := t.check(at, "external_id", "user_alias", "braze_id", "email", "phone"); v != nil {
			return v
		}
		if deleteLists[t.User.kind()] != list {
			return &Violation{Field: at, Rule: RuleNotAllowed, Detail: "all users of a request are named in one way"}
		}
		for _, rule := range t.Prioritization {
			if rule == LeastRecentlyUpdated {
				return &Violation{Field: at + ".prioritization", Rule: RuleNotOneOf, Detail: "identified, unidentified, most_recently_updated"}
			}
		}
	}
	return nil
}

// ExportUsers is a request to /users/export/ids, for reading back what Braze knows. It takes up to 50
// external ids and aliases, or one device, address or number. The answer is in Answer.Body; its events
// and purchases cover 90 days.
type ExportUsers struct {
	ExternalIDs []string
	Aliases     []Alias
	DeviceID    string
	Email       string
	Phone       string
	// Fields are fields_to_export, which newer accounts must name.
	Fields []string
}

// Endpoint is [UsersExportIDs].
func (*ExportUsers) Endpoint() *Endpoint { return UsersExportIDs }

// Path is the endpoint's.
func (*ExportUsers) Path() string { return UsersExportIDs.Path }

// Items is the number of users asked for.
func (r *ExportUsers) Items() int {
	n := len(r.ExternalIDs) + len(r.Aliases)
	for _, single := range []string{r.DeviceID, r.Email, r.Phone} {
		if single != "" {
			n++
		}
	}
	return n
}

// Repeatable is true: it only reads.
func (*ExportUsers) Repeatable() bool { return true }

// AppendBody appends the request's body.
func (r *ExportUsers) AppendBody(dst []byte) []byte {
	w := startWriter(dst)
	w.open('{')
	w.texts("external_ids", r.ExternalIDs)
	appendAliases(&w, r.Aliases)
	w.text("device_id", r.DeviceID)
	w.text("email_address", r.Email)
	w.text("phone", r.Phone)
	w.texts("fields_to_export", r.Fields)
	w.close('}')
	return w.b
}

// Check checks the request.
func (r *ExportUsers) Check() *Violation {
	many := len(r.ExternalIDs) + len(r.Aliases)
	switch n := r.Items(); {
	case n == 0:
		return &Violation{Field: "external_ids", Rule: RuleMissing}
	case n > many && n > 1:
		return &Violation{Field: "external_ids", Rule: RuleSeveralUsers, Detail: "a device, an address or a number stands alone"}
	case len(r.Fields) == 0:
		return &Violation{Field: "fields_to_export", Rule: RuleMissing}
	}
	if v := tooMany("external_ids", many, mostUsers); v != nil {
		return v
	}
	for i, id := range r.ExternalIDs {
		if v := CheckExternalID(id); v != nil {
			v.Field = indexed("external_ids", i)
			return v
		}
	}
	for i, alias := range r.Aliases {
		if alias.Label == "" || alias.Name == "" {
			return &Violation{Field: indexed("user_aliases", i), Rule: RuleMissing, Detail: "it needs both alias_name and alias_label"}
		}
	}
	user := User{Email: r.Email, Phone: r.Phone}
	field := "email_address"
	if r.Phone != "" {
		field = "phone"
	}
	return user.checkValue(field)
}
