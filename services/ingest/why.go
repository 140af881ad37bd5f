package ingest

import (
	"errors"
	"strconv"
)

// why is what is wrong with an item. Its word stands in metrics and dead letters, its sentence in
// answers.
type why uint8

const (
	fine why = iota // nothing is wrong

	notObject
	unknownField
	missing
	notString
	empty
	tooLong
	unprintable
	notTime
	notEmail
	notPhone
	noIdentifier
	tooLarge
	tooDeep
	duplicateName
	notUTF8
	namesUser

	// Only of commerce events.
	notSource
	notYourSource
	notCommerce
	notMoney
	negative
	notWhole
	notURL
	notCurrency
	notArray
	notOneLine
	noLine
	tooManyEntries

	// Only of changes to profiles, and of support cases.
	notScalar
	notCaseEvent
	notSeverity
	notRating
	notRated

	// Only of content.
	notCollection
	notContentID
	notLocale
	notWindow
	notBoolean
	notBeside
	notBare

	// Only of changes of a CRM.
	notSystem
	notChangeKind

	// Only of messages of the tracking API.
	unknownType
	tooMany
	noSender

	// Only of webhooks.
	unmappable
	identityUnresolved
	unsupportedVersion
	wrongMode
	privacyRequest
	gap
	notState

	// Only of what Braze reports.
	notBatch
	notEvent

	refusedByKafka
)

var whys = [...]struct{ word, sentence string }{
	fine:          {},
	notObject:     {"not_an_object", "must be an object"},
	unknownField:  {"unknown_field", "is not a known field"},
	missing:       {"missing_field", "is required"},
	notString:     {"not_a_string", "must be a string"},
	empty:         {"empty", "must not be empty"},
	tooLong:       {"too_long", "is too long"},
	unprintable:   {"unprintable", "must not hold control characters"},
	notTime:       {"bad_time", "must be a time such as 2026-03-02T09:15:04Z (RFC 3339)"},
	notEmail:      {"bad_email", "must be an e-mail address"},
	notPhone:      {"bad_phone", "must be a phone number such as +431234567 (E.164)"},
	noIdentifier:  {"missing_identifier", "needs one of external_id, braze_id, alias, email, phone"},
	tooLarge:      {"too_large", "is too large"},
	tooDeep:       {"too_deep", "is nested too deeply"},
	duplicateName: {"duplicate_name", "has a name twice"},
	notUTF8:       {"not_utf8", "is not valid UTF-8"},
	namesUser:     {"names_user", "names a user, which belongs in user"},
	notSource:     {"bad_source", "must be 1 to 100 letters, digits, dots, dashes or underscores"},
	notYourSource: {"foreign_source", "is not a source that this key may speak for"},
	notCommerce: {"unknown_type", "must be one of product_viewed, cart_updated, checkout_started, order_placed, order_cancelled, order_refunded, " +
		"shipment_updated, delivered, renewal_due, payment_failed, payment_recovered"},
	notMoney:       {"bad_amount", `must be an amount such as "84.90" or 84.90, with at most 29 digits before the point and 9 behind it`},
	negative:       {"negative", "must not be less than 0"},
	notWhole:       {"not_whole", "must be a whole number"},
	notURL:         {"bad_url", "must be an address such as https://shop.example.com/p/1"},
	notCurrency:    {"bad_currency", "must be a currency's code of ISO 4217, such as EUR"},
	notArray:       {"not_an_array", "must be an array"},
	notOneLine:     {"not_one_line", "must hold exactly one product"},
	noLine:         {"no_line", "must hold at least one product"},
	tooManyEntries: {"too_many_entries", "holds too many"},
	notScalar:      {"not_a_scalar", "must be a text, a number, true or false"},
	notCaseEvent:   {"unknown_event", "must be one of opened, updated, escalated, at_risk, resolved, reopened, rated"},
	notSeverity:    {"unknown_severity", "must be one of low, normal, high, urgent"},
	notRating:      {"bad_rating", "must be a whole number from 0 to 10"},
	notRated:       {"not_rated", "belongs to the event rated, and to no other"},
	notCollection:  {"bad_collection", "must be 1 to 64 letters, digits, dots, dashes or underscores"},
	notContentID:   {"bad_content_id", "must not hold '#', which separates an id from a locale in keys"},
	notLocale:      {"bad_locale", "must be a locale such as de or de-AT"},
	notWindow:      {"bad_window", "must be later than valid_from"},
	notBoolean:     {"not_a_boolean", "must be true or false"},
	notBeside:      {"not_beside_locale", "cannot stand beside locale: a record of one locale is that locale's alone"},
	notBare:        {"not_bare", "cannot stand beside withdraw or remove"},
	notSystem:      {"bad_system", "must be the name of a target: 1 to 63 small letters, digits, dashes or underscores, a letter first, and not braze"},
	notChangeKind:  {"unknown_kind", "must be one of changed, deleted, linked"},
	unknownType:    {"unknown_type", "must be one of track, identify, page, screen, group, alias"},
	tooMany:        {"too_many_items", "comes after the last item that a request may have"},
	noSender:       {"missing_identifier", "or anonymousId is needed"},

	unmappable:         {"unmappable", "cannot be translated"},
	identityUnresolved: {"identity_unresolved", "says not whom it is about"},
	unsupportedVersion: {"unsupported_version", "has a form that is not known here"},
	wrongMode:          {"wrong_mode", "is a test on a live route, or the other way round"},
	privacyRequest:     {"privacy_request", "asks for somebody's data, or for its end"},
	gap:                {"gap", "says that something was left out: what it is about must be read again"},
	notState:           {"bad_state", "must be subscribed or unsubscribed"},

	notBatch: {"not_a_batch", "is no batch of events"},
	notEvent: {"not_an_event", "is no event"},

	refusedByKafka: {"refused_by_kafka", "was refused by Kafka"},
}

// String is the word.
func (w why) String() string { return whys[w].word }

// problem is the first thing wrong with an item.
type problem struct {
	why   why
	field string // path within the item; empty for the item as a whole
	limit int    // the limit that is exceeded; 0 where there is none
	unit  string // of the limit
	at    int    // offset in the body plus one; 0 where it would not help
	// detail stands for all of these where the sentence would say too little.
	detail string
}

// reason says what is wrong in words, without the field.
func (p problem) reason() string {
	if p.detail != "" {
		return p.detail
	}
	text := whys[p.why].sentence
	if p.limit > 0 {
		text += ": at most " + strconv.Itoa(p.limit) + " " + p.unit
	}
	if p.at > 0 {
		text += ", at byte " + strconv.Itoa(p.at-1)
	}
	return text
}

// errTooMany says that a request has more items than it may.
var errTooMany = errors.New("too many items")
