package ingest

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// user reads whom the event concerns, and reports whether there was an object at all.
func (s *scanner) user(it *item) bool {
	if s.peek() != '{' {
		if !s.null() {
			it.refuse(problem{why: notObject, field: "user"})
			s.value()
			return true
		}
		return false
	}
	u := &it.event.User
	for base, first := s.object(), true; s.member(base, first); first = false {
		switch s.name {
		case "external_id":
			u.ExternalID = s.identifier(it, "user.external_id")
			if len(u.ExternalID) > MaxExternalID {
				it.refuse(problem{why: tooLong, field: "user.external_id", limit: MaxExternalID, unit: "bytes"})
			}
		case "braze_id":
			u.BrazeID = s.short(it, "user.braze_id")
		case "alias":
			s.alias(it)
		case "email":
			u.Email = s.short(it, "user.email")
			if u.Email != "" && !plausibleEmail(u.Email) {
				it.refuse(problem{why: notEmail, field: "user.email"})
			}
		case "phone":
			u.Phone = s.short(it, "user.phone")
			if u.Phone != "" && !isE164(u.Phone) {
				it.refuse(problem{why: notPhone, field: "user.phone"})
			}
		default:
			it.refuse(problem{why: unknownField, field: "user." + s.name})
			s.value()
		}
	}
	return true
}

// alias reads {"label", "name"}.
func (s *scanner) alias(it *item) {
	if s.null() {
		return
	}
	if s.peek() != '{' {
		it.refuse(problem{why: notObject, field: "user.alias"})
		s.value()
		return
	}
	u := &it.event.User
	for base, first := s.object(), true; s.member(base, first); first = false {
		switch s.name {
		case "label":
			u.AliasLabel = s.short(it, "user.alias.label")
		case "name":
			u.AliasName = s.short(it, "user.alias.name")
		default:
			it.refuse(problem{why: unknownField, field: "user.alias." + s.name})
			s.value()
		}
	}
	switch {
	case u.AliasLabel == "":
		it.refuse(problem{why: missing, field: "user.alias.label"})
	case u.AliasName == "":
		it.refuse(problem{why: missing, field: "user.alias.name"})
	}
}

// identifier reads a string that may become a record's key.
func (s *scanner) identifier(it *item, field string) string {
	text, ok := s.optional(it, field)
	if ok && !printable(text) {
		it.refuse(problem{why: unprintable, field: field})
	}
	return text
}

func (s *scanner) short(it *item, field string) string {
	text := s.identifier(it, field)
	if len(text) > MaxIdentifier && utf8.RuneCountInString(text) > MaxIdentifier {
		it.refuse(problem{why: tooLong, field: field, limit: MaxIdentifier, unit: "characters"})
	}
	return text
}

// namesAUser reports whether Braze would take an attribute of that name for an instruction about
// whom the change concerns, or whether to create them (braze-docs: user attributes object).
func namesAUser(name string) bool {
	switch name {
	case "external_id", "braze_id", "user_alias", "_update_existing_only", "push_token_import":
		return true
	}
	return false
}

// printable reports whether a text is free of control characters, which neither a header nor a key
// nor a person's screen should be given.
func printable(text string) bool {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c >= utf8.RuneSelf {
			return !strings.ContainsFunc(text[i:], unicode.IsControl)
		} else if c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// plausibleEmail looks for something before and behind one @, and no blanks. Whether an address
// exists only its mail server knows.
func plausibleEmail(text string) bool {
	at := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case ' ':
			return false
		case '@':
			if at > 0 || i == 0 {
				return false
			}
			at = i
		}
	}
	return at > 0 && at < len(text)-1
}

// isE164 reports whether a text is a phone number in E.164: a plus and up to fifteen digits, the
// first not zero.
func isE164(text string) bool {
	if len(text) < 3 || len(text) > 16 || text[0] != '+' || text[1] == '0' {
		return false
	}
	for i := 1; i < len(text); i++ {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}
