package braze

import (
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

// rules is what may stand in one kind of JSON object.
type rules struct {
	root       string // the first part of Violation.Field
	maxBytes   int
	maxMembers int
	noDollar   bool                   // at the top level
	reserved   func(name []byte) bool // at the top level
	free       string                 // a top-level name beneath which strings may be of any length
	loose      bool                   // only the grammar counts: names and strings may be any
}

var (
	eventRules = rules{
		root: "properties", maxBytes: MaxPropertyBytes, maxMembers: MaxProperties, noDollar: true,
		reserved: func(name []byte) bool {
			switch string(name) {
			case "time", "event_name": // braze-docs: event_object
				return true
			}
			return false
		},
	}
	purchaseRules = rules{
		root: "properties", maxBytes: MaxPurchasePropertyBytes, maxMembers: MaxProperties, noDollar: true,
		reserved: func(name []byte) bool {
			switch string(name) {
			case "time", "product_id", "quantity", "event_name", "price", "currency": // braze-docs: purchase_events
				return true
			}
			return false
		},
	}
	attributeRules = rules{
		root: "attributes", maxBytes: MaxBody, maxMembers: MaxBody, free: "push_tokens",
		reserved: func(name []byte) bool {
			switch string(name) {
			// What identifies the user and steers the update stands beside the attributes in one object.
			case "external_id", "user_alias", "braze_id", "_update_existing_only", "_merge_objects", "push_token_import",
				"email_subscription_info": // never an attribute (braze-docs: post_user_track)
				return true
			}
			return false
		},
	}
)

// CheckProperties checks an event's properties, a JSON object, or nothing. Nil means that they are
// valid JSON and that Braze will take them: names (not empty, at most [MaxNameLen] characters, at the top level neither reserved
// nor with a leading $), string values at any depth (at most [MaxStringLen] characters), no more than
// [MaxProperties] of them in no more than [MaxPropertyBytes].
//
// It is one pass and allocates only for a violation. A name that comes twice is no violation.
func CheckProperties(properties []byte) *Violation { return eventRules.check(properties) }

// CheckPurchaseProperties is [CheckProperties] for a purchase, which reserves more names and has
// [MaxPurchasePropertyBytes].
func CheckPurchaseProperties(properties []byte) *Violation { return purchaseRules.check(properties) }

// CheckAttributes checks a JSON object of attributes to set, custom or not, that will be merged into
// an attributes object: it must not name the user or steer the update, names and strings have the
// same limits as properties. Operators such as {"$add": […]} may stand in it.
//
// Braze applies an attributes object without the values that break a limit and says nothing
// (braze-docs: post_user_track_synchronous), so this is the only place where anybody learns of them.
func CheckAttributes(attributes []byte) *Violation { return attributeRules.check(attributes) }

// CheckEvent checks an event's name and properties. No limit for the name's length is documented.
func CheckEvent(name string, properties []byte) *Violation {
	if strings.TrimSpace(name) == "" {
		return &Violation{Field: "name", Rule: RuleMissing}
	}
	return CheckProperties(properties)
}

// CheckExternalID checks a user's external_id.
func CheckExternalID(id string) *Violation {
	switch {
	case id == "":
		return &Violation{Field: "external_id", Rule: RuleMissing}
	case len(id) > MaxExternalID:
		return &Violation{Field: "external_id", Rule: RuleTooLarge}
	}
	return nil
}

func (r *rules) check(b []byte) *Violation {
	if len(b) == 0 {
		return nil
	}
	if len(b) > r.maxBytes {
		return &Violation{Field: r.root, Rule: RuleTooLarge}
	}
	if i := jsonscan.Space(b, 0); i == len(b) || b[i] != '{' {
		return &Violation{Field: r.root, Rule: RuleNotAnObject}
	}
	at, rule := r.scan(b)
	switch rule {
	case "":
		return nil
	case RuleTooMany, RuleNotJSON:
		return &Violation{Field: r.root, Rule: rule}
	case RuleTooDeep:
		return &Violation{Field: r.root + pathTo(b, at), Rule: rule, Detail: fmt.Sprintf("more than %d", maxNesting)}
	default:
		return &Violation{Field: r.root + pathTo(b, at), Rule: rule}
	}
}

// scan looks for the first name, string or piece of grammar that breaks a rule, and returns where.
func (r *rules) scan(b []byte) (at int, rule Rule) {
	w := walker{b: b, rules: r}
	if w.value(1) {
		if w.space(); w.i < len(b) {
			w.broken(0, RuleNotJSON)
		}
	}
	return w.at, w.rule
}

func (r *rules) name(inner []byte, escaped, top bool) Rule {
	if r.loose {
		return ""
	}
	if len(inner) == 0 {
		return RuleEmptyName
	}
	if longer(inner, MaxNameLen) {
		return RuleNameTooLong
	}
	if !top {
		return ""
	}
	name := inner
	if escaped {
		name = jsonscan.Unquote(inner)
	}
	if r.noDollar && len(name) > 0 && name[0] == '$' {
		return RuleLeadingDollar
	}
	if r.reserved(name) {
		return RuleReserved
	}
	return ""
}

// longer reports whether what stands between the quotes has more than limit characters. No character
// is shorter than a byte, so nearly always the length alone answers.
func longer(inner []byte, limit int) bool {
	return len(inner) > limit && jsonscan.Runes(inner, limit) > limit
}

// pathTo is the way to the name or value that begins at b[at], such as ".items[2].sku". It walks again
// instead of having the fast scan remember where it is. It walks no deeper than anybody wants to read:
// every level is searched for its end, and levels can be many.
func pathTo(b []byte, at int) string {
	const levels = 16
	var path strings.Builder
	for range levels {
		i := jsonscan.Space(b, 0)
		from, found := 0, false
		if i < len(b) && b[i] == '[' {
			n := 0
			for element := range jsonscan.Elements(b) {
				from = offset(b, element)
				if found = at < from+len(element); found {
					fmt.Fprintf(&path, "[%d]", n)
					b, at = element, at-from
					break
				}
				n++
			}
		} else {
			for name, value := range jsonscan.Members(b) {
				from = offset(b, value)
				if found = at < from+len(value); found {
					fmt.Fprintf(&path, ".%s", shortName(name))
					b, at = value, at-from
					break
				}
			}
		}
		if !found || at <= 0 {
			return path.String()
		}
	}
	return path.String() + "…"
}

// offset is where part, a slice of b, begins in it.
func offset(b, part []byte) int { return cap(b) - cap(part) }

// shortName is a name fit for a message.
func shortName(inner []byte) string {
	const most = 64
	name := []rune(strings.ToValidUTF8(string(jsonscan.Unquote(inner)), "\ufffd"))
	if len(name) > most {
		return string(name[:most]) + "…"
	}
	return string(name)
}
