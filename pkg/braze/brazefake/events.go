package brazefake

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

// check returns why an object is refused, or nothing. It sets the time at which the object happened.
func (s *Sandbox) check(o *object, k *Knobs, now time.Time) string {
	if s.blocked[o.who.externalID] {
		return "BLACKLISTED_EXTERNAL_USER_ID"
	}
	switch o.array {
	case braze.Attributes:
		return s.checkAttributes(o)
	case braze.Events:
		if refusal := s.checkTimed(o, now); refusal != "" {
			return refusal
		}
		if len(o.name) == 0 {
			return "'name' must be a string that is not empty"
		}
		if v := braze.CheckProperties(o.properties); refusable(v) {
			return badProperties(v)
		}
		return checkCommerce(string(o.name), o.properties, k)
	default:
		return s.checkPurchase(o, now)
	}
}

// checkTimed has the rules that events and purchases share. A time in the future becomes now
// (braze-docs: event_object).
func (s *Sandbox) checkTimed(o *object, now time.Time) string {
	text, _ := jsonscan.String(o.when)
	at, ok := parseEventTime(string(text))
	if !ok {
		return "'time' is not a valid datetime"
	}
	if at.After(now) {
		at = now
		o.clamped = true
		s.counters.clamped.Add(1)
	}
	o.at = at.UTC()
	if len(o.appID) > 0 && o.appID[0] != '"' && !isNull(o.appID) {
		return "'app_id' must be a string"
	}
	return ""
}

func (s *Sandbox) checkPurchase(o *object, now time.Time) string {
	if refusal := s.checkTimed(o, now); refusal != "" {
		return refusal
	}
	if len(o.name) == 0 || utf8.RuneCount(o.name) > braze.MaxProductID {
		return "'product_id' must be a string of 1 to 255 characters"
	}
	if !isCurrency(o.currency) {
		return "'currency' must be an ISO 4217 currency"
	}
	if !isNumber(o.price) {
		return "'price' must be a number"
	}
	if len(o.quantity) > 0 {
		if n, err := strconv.Atoi(string(o.quantity)); err != nil || n < 1 || n > braze.MaxQuantity {
			return "'quantity' must be an integer from 1 to 100"
		}
	}
	if v := braze.CheckPurchaseProperties(o.properties); refusable(v) {
		return badProperties(v)
	}
	return ""
}

// refusable tells the rules for which Braze refuses an object from the one for which it drops properties,
// and from the one that is only our client's own.
func refusable(v *braze.Violation) bool {
	return v != nil && v.Rule != braze.RuleTooMany && v.Rule != braze.RuleTooDeep
}

// badProperties words a violation in the way of the documented text.
func badProperties(v *braze.Violation) string {
	return "Invalid 'properties' field: " + strings.ToValidUTF8(v.Error(), "\ufffd")
}

func isCurrency(value []byte) bool {
	text, _ := jsonscan.String(value)
	return braze.IsCurrency(string(text))
}

// keptProperties are an event's properties as they are stored: only the first so many of them
// (braze-docs: custom_events).
func keptProperties(properties []byte) []byte {
	const smallest = len(`"a":1,`)
	if len(properties) <= smallest*braze.MaxProperties {
		return properties
	}
	n, end := 0, 0
	for _, value := range jsonscan.Members(properties) {
		if n == braze.MaxProperties {
			return append(properties[:end:end], '}')
		}
		n++
		end = cap(properties) - cap(value) + len(value)
	}
	return properties
}
