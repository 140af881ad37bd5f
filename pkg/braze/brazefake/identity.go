package brazefake

import (
	"strings"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

// identity is how an object names its user. Of the primary identifiers (external_id, user_alias,
// braze_id) there may be one at most; email, before phone, looks a user up when there is none
// (braze-docs: post_user_track).
type identity struct {
	externalID, brazeID   string
	aliasLabel, aliasName string
	email, phone          string
	primaries             int
	pushImport            bool   // a push token is imported for nobody yet
	refusal               string // of an identifier that is malformed in itself
}

func (id *identity) read(name string, value []byte) {
	if name == "user_alias" {
		id.primaries++
		for name, value := range jsonscan.Members(value) {
			text, _ := jsonscan.String(value)
			switch string(name) {
			case "alias_label":
				id.aliasLabel = string(text)
			case "alias_name":
				id.aliasName = string(text)
			}
		}
		if id.aliasLabel == "" || id.aliasName == "" {
			id.refusal = "'user_alias' must have the strings alias_name and alias_label"
		}
		return
	}
	text, _ := jsonscan.String(value)
	// Without a primary identifier these look the user up, with one they are attributes like others.
	switch name {
	case "email":
		id.email = string(text)
		return
	case "phone":
		id.phone = string(text)
		return
	}
	if len(text) == 0 {
		id.refusal = "'" + name + "' must be a string that is not empty"
	}
	switch name {
	case "external_id":
		id.primaries++
		id.externalID = string(text)
		if len(text) > braze.MaxExternalID {
			id.refusal = "EXTERNAL_USER_ID_TOO_LARGE"
		}
	case "braze_id":
		id.primaries++
		id.brazeID = string(text)
	}
}

// check returns why the object cannot be told whom it concerns, or nothing.
func (id *identity) check() string {
	switch {
	case id.refusal != "":
		return id.refusal
	case id.pushImport:
		return "" // attributes.go has its rules
	case id.primaries > 1:
		return "more than one of external_id, user_alias and braze_id"
	case id.primaries == 1:
		return ""
	case id.email != "":
		if !validEmail(id.email) {
			return "EMAIL_BAD_FORMAT"
		}
		return ""
	case id.phone != "":
		if !validPhone(id.phone) {
			return "'phone' is not a valid number"
		}
		return ""
	}
	return "one of external_id, user_alias, braze_id, email and phone is needed"
}

// key is the canonical id of the user.
func (id *identity) key() string {
	switch {
	case id.primaries > 1:
		return ""
	case id.externalID != "":
		return id.externalID
	case id.brazeID != "":
		return "braze_id:" + id.brazeID
	case id.aliasName != "":
		return "alias:" + id.aliasLabel + ":" + id.aliasName
	case id.email != "":
		return "email:" + strings.ToLower(id.email)
	case id.phone != "":
		return "phone:" + id.phone
	}
	return ""
}

// parseUser reads a canonical id.
func parseUser(key string) identity {
	kind, rest, _ := strings.Cut(key, ":")
	switch kind {
	case "braze_id":
		return identity{brazeID: rest}
	case "alias":
		label, name, _ := strings.Cut(rest, ":")
		return identity{aliasLabel: label, aliasName: name}
	case "email":
		return identity{email: rest}
	case "phone":
		return identity{phone: rest}
	}
	return identity{externalID: key}
}

// validEmail is deliberately simple: something, one @, a domain with a dot.
func validEmail(s string) bool {
	local, domain, found := strings.Cut(s, "@")
	return found && local != "" && len(s) <= 255 && !strings.ContainsAny(s, " \t\r\n,;<>\"") &&
		!strings.Contains(domain, "@") && strings.Contains(strings.Trim(domain, "."), ".") && !strings.Contains(domain, "..")
}

// validPhone wants E.164.
func validPhone(s string) bool {
	if len(s) < 8 || len(s) > 16 || s[0] != '+' || s[1] == '0' {
		return false
	}
	return strings.Trim(s[1:], "0123456789") == ""
}
