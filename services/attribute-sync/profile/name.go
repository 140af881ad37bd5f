package profile

import (
	"strings"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/braze"
)

// name is all there is to know of a field's name. Names come again and again, in one spelling, so it is
// worked out once.
type name struct {
	text   string // in the state
	shown  string // to people
	rule   *Field
	std    *standard  // nil for a custom attribute
	group  string     // id of the subscription group whose state it is
	breaks braze.Rule // that the name itself breaks, if any
	detail string     // of that
}

// maxItems is how many values an array of that name may hold.
func (n *name) maxItems() int { return n.rule.maxItems() }

// spelled returns the name that is spelled like this between quotes.
func (b *batch) spelled(inner []byte, escaped bool) *name {
	if n := b.state.names[string(inner)]; n != nil {
		return n
	}
	meaning := b.scan.meaning(inner, escaped)
	return b.learn(string(inner), b.describe(string(meaning)))
}

// called returns the name that is this text. A backslash would mean something else where it is spelled,
// and control characters do not stand in spellings at all.
func (b *batch) called(text string) *name {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == '\\' }) {
		return b.describe(text)
	}
	if n := b.state.names[text]; n != nil {
		return n
	}
	return b.learn(strings.Clone(text), b.describe(strings.Clone(text)))
}

// ofGroup returns the name of the state in a subscription group, whose id is the same in small letters and
// in capitals.
func (b *batch) ofGroup(id string) *name {
	id = strings.ToLower(id)
	b.key = append(append(b.key[:0], groupMark...), id...)
	if n := b.state.names[string(b.key)]; n != nil {
		return n
	}
	n := &name{text: string(b.key), shown: groupPrefix + id, group: strings.Clone(id)}
	n.rule = b.rules.rule(n.shown)
	if !isUUID(id) {
		n.breaks, n.detail = braze.RulePattern, "a subscription group's id is a UUID"
	}
	return b.learn(n.text, n)
}

func (b *batch) learn(spelling string, n *name) *name {
	names := b.state.names
	if names == nil || len(names) >= maxInterned {
		names = map[string]*name{}
		b.state.names = names
	}
	names[spelling] = n
	return n
}

// describe works out a name. The API strips the blanks around one (braze-docs: custom_attributes).
func (b *batch) describe(said string) *name {
	text := strings.TrimSpace(said)
	n := &name{text: text, shown: text, std: standards[text], rule: b.rules.rule(text)}
	switch {
	case text == "":
		n.breaks = braze.RuleEmptyName
	case !utf8.ValidString(text):
		n.breaks = braze.RuleNotJSON
	case len(text) > braze.MaxNameLen && utf8.RuneCountInString(text) > braze.MaxNameLen:
		n.breaks, n.shown = braze.RuleNameTooLong, string([]rune(text)[:64])+"…"
	case strings.HasPrefix(text, groupMark):
		n.breaks, n.detail = braze.RulePattern, "a name does not begin with a NUL"
	case reserved(text) != "":
		n.breaks, n.detail = braze.RuleReserved, reserved(text)
	}
	return n
}

// reserved says why a name is none of an attribute, or nothing (braze-docs: post_user_track,
// user_attributes_object).
func reserved(name string) string {
	switch name {
	case "external_id", "user_alias", "braze_id":
		return "it says who the user is"
	case "_update_existing_only", "_merge_objects", "push_token_import":
		return "it steers the whole request"
	case "subscription_groups":
		return "states are given as subscriptions"
	case "email_subscription_info":
		return "Braze does not take it"
	}
	return ""
}

// isUUID takes the form 8-4-4-4-12.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (c == '-') {
			return false
		}
		if c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}
