package braze

import (
	"fmt"
	"strconv"
)

// Rule is a documented rule of Braze's that an object breaks, as a word for metrics and dead letters.
type Rule string

// The rules that the Check functions know.
const (
	RuleMissing       Rule = "missing"         // empty where something must be
	RuleNotAnObject   Rule = "not_an_object"   // properties that are no JSON object
	RuleNotJSON       Rule = "not_json"        // bytes that are no JSON in UTF-8
	RuleTooDeep       Rule = "too_deep"        // nested beyond maxNesting
	RuleTooLarge      Rule = "too_large"       // over the documented number of bytes
	RuleTooMany       Rule = "too_many"        // more than MaxProperties
	RuleEmptyName     Rule = "empty_name"      // a property without a name
	RuleNameTooLong   Rule = "name_too_long"   // over MaxNameLen
	RuleLeadingDollar Rule = "leading_dollar"  // a property's name that begins with $
	RuleReserved      Rule = "reserved_name"   // a name that means something else to Braze
	RuleStringTooLong Rule = "string_too_long" // over MaxStringLen

	RuleTooLong      Rule = "too_long"       // over another number of characters
	RuleTooManyItems Rule = "too_many_items" // more entries than a list may have
	RuleNotAList     Rule = "not_a_list"     // something else where a JSON array must be
	RuleNoUser       Rule = "no_user"        // nothing that names the user
	RuleSeveralUsers Rule = "several_users"  // more than one identifier
	RuleNotAllowed   Rule = "not_allowed"    // something that must not stand where it does
	RuleNotOneOf     Rule = "not_one_of"     // none of the words that may stand there
	RuleTwice        Rule = "twice"          // the same again in one request
	RuleNotAnEmail   Rule = "not_an_email"   // no address at all
	RuleNotE164      Rule = "not_e164"       // a phone number that is not +… with 7 to 15 digits
	RulePattern      Rule = "pattern"        // characters that may not stand there
	RuleNotANumber   Rule = "not_a_number"   // something else where a JSON number must be
	RuleOutOfRange   Rule = "out_of_range"   // a number or a time that is too small or too large

	// Of the recommended commerce events. Braze drops such an event altogether.
	RuleUnknownEvent    Rule = "unknown_event"    // none of the recommended events
	RuleUnknownProperty Rule = "unknown_property" // not in the event's schema; metadata is the place for it
	RuleWrongType       Rule = "wrong_type"       // in the schema, with another type
	RuleNegative        Rule = "negative"         // an amount below zero
	RuleNotACurrency    Rule = "not_a_currency"   // no alphabetic code of ISO 4217
)

var ruleTexts = map[Rule]string{
	RuleMissing:       "must not be empty",
	RuleNotAnObject:   "must be a JSON object",
	RuleNotJSON:       "is not valid JSON",
	RuleTooDeep:       "is nested too many levels deep",
	RuleTooLarge:      "is larger than Braze takes",
	RuleTooMany:       fmt.Sprintf("has more than %d properties", MaxProperties),
	RuleEmptyName:     "has an empty name",
	RuleNameTooLong:   fmt.Sprintf("has a name of more than %d characters", MaxNameLen),
	RuleLeadingDollar: "has a name that begins with $",
	RuleReserved:      "has a name that is reserved",
	RuleStringTooLong: fmt.Sprintf("is longer than %d characters", MaxStringLen),

	RuleTooLong:      "is longer than Braze takes",
	RuleTooManyItems: "has more entries than Braze takes",
	RuleNotAList:     "must be a JSON array",
	RuleNoUser:       "names no user",
	RuleSeveralUsers: "names the user in more than one way",
	RuleNotAllowed:   "must not stand here",
	RuleNotOneOf:     "is none of the words that may stand here",
	RuleTwice:        "stands in the request twice",
	RuleNotAnEmail:   "is not an email address",
	RuleNotE164:      "is not a phone number in the form of E.164, such as +431234567",
	RulePattern:      "has characters that may not stand here",
	RuleNotANumber:   "must be a number",
	RuleOutOfRange:   "is out of range",

	RuleUnknownEvent:    "is none of the recommended commerce events",
	RuleUnknownProperty: "is no property of this event; put it into metadata",
	RuleWrongType:       "has another type than the event wants",
	RuleNegative:        "must be 0 or greater",
	RuleNotACurrency:    "must be an ISO 4217 currency",
}

// Violation says which part of an object breaks which rule. A *Violation is an error; beware of
// storing a nil one in an error variable.
type Violation struct {
	// Field is the way to the part: "properties.items[2].sku". Names in it are cut to a readable length.
	Field string
	Rule  Rule
	// Detail is the limit or what is allowed, where the rule alone does not say.
	Detail string
}

// Error names the field and explains the rule.
func (v *Violation) Error() string {
	if v.Detail == "" {
		return v.Field + " " + ruleTexts[v.Rule]
	}
	return v.Field + " " + ruleTexts[v.Rule] + ": " + v.Detail
}

// indexed is the way to an element: "recipients[3]".
func indexed(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

// tooMany checks the length of a list.
func tooMany(field string, n, most int) *Violation {
	if n > most {
		return &Violation{Field: field, Rule: RuleTooManyItems, Detail: strconv.Itoa(most) + " at most"}
	}
	return nil
}

// checkJSON checks a JSON object, or nothing, of whatever content.
func checkJSON(field string, object []byte, maxBytes int) *Violation {
	loose := rules{root: field, maxBytes: maxBytes, maxMembers: maxBytes, loose: true}
	return loose.check(object)
}
