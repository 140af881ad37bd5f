package profile

import (
	"bytes"
	"strconv"
	"strings"
	_ "time/tzdata" // time zones are checked wherever this runs

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/braze"
)

// standard is a field of a profile that Braze knows. What may stand there is checked here, since Braze
// either refuses the whole object or leaves the value out and says nothing (braze-docs:
// user_attributes_object).
type standard struct {
	// check returns the rule that a value other than null breaks, if any.
	check func(s *State, raw []byte, is content) (rule braze.Rule, detail string)
	// points is what it costs (braze-docs: data_points). Of fields that the page does not mention the
	// careful guess is 1.
	points int64
	free   bool // strings within may be of any length
}

var standards = map[string]*standard{
	"first_name": {check: checkText, points: 1},
	"last_name":  {check: checkText, points: 1},
	"home_city":  {check: checkText, points: 1},
	"email":      {check: ofText(isEmail, braze.RuleNotAnEmail, ""), points: 1},
	"phone":      {check: ofText(isE164, braze.RuleNotE164, ""), points: 1},
	"country":    {check: ofText(countries.has, braze.RuleNotOneOf, "a country's two capital letters of ISO 3166-1, such as AT"), points: 1},
	"language":   {check: ofText(languages.has, braze.RuleNotOneOf, "a language's two small letters of ISO 639-1, such as de"), points: 1},
	"gender":     {check: oneOf("M", "F", "O", "N", "P"), points: 1},
	"dob":        {check: ofText(isDay, braze.RulePattern, "a day as YYYY-MM-DD"), points: 1},
	"time_zone":  {check: checkZone, points: 1},

	"email_subscribe": {check: oneOf("opted_in", "subscribed", "unsubscribed")},
	"push_subscribe":  {check: oneOf("opted_in", "subscribed", "unsubscribed")},

	"current_location":              {check: checkLocation, points: 1},
	"date_of_first_session":         {check: ofText(isDate, braze.RulePattern, "a date of ISO 8601"), points: 1},
	"date_of_last_session":          {check: ofText(isDate, braze.RulePattern, "a date of ISO 8601"), points: 1},
	"marked_email_as_spam_at":       {check: ofText(isDate, braze.RulePattern, "a date of ISO 8601"), points: 1},
	"email_open_tracking_disabled":  {check: ofShape(boolean), points: 1},
	"email_click_tracking_disabled": {check: ofShape(boolean), points: 1},
	"facebook":                      {check: ofShape(object), points: 1},
	"twitter":                       {check: ofShape(object), points: 1},
	"push_tokens":                   {check: ofShape(objects), free: true},
}

func ofShape(want shape) func(*State, []byte, content) (braze.Rule, string) {
	return func(_ *State, _ []byte, is content) (braze.Rule, string) {
		if is.shape != want {
			return braze.RuleWrongType, want.String()
		}
		return "", ""
	}
}

func checkText(_ *State, _ []byte, is content) (braze.Rule, string) {
	if is.shape != text {
		return braze.RuleWrongType, text.String()
	}
	return "", ""
}

// ofText is the check that a value is a string which is so.
func ofText(so func(text []byte) bool, rule braze.Rule, detail string) func(*State, []byte, content) (braze.Rule, string) {
	return func(_ *State, raw []byte, is content) (braze.Rule, string) {
		switch {
		case is.shape != text:
			return braze.RuleWrongType, text.String()
		case !so(said(raw)):
			return rule, detail
		}
		return "", ""
	}
}

func oneOf(words ...string) func(*State, []byte, content) (braze.Rule, string) {
	return ofText(func(text []byte) bool {
		for _, word := range words {
			if string(text) == word {
				return true
			}
		}
		return false
	}, braze.RuleNotOneOf, strings.Join(words, ", "))
}

// said is what a JSON string means; nothing for any other value.
func said(raw []byte) []byte {
	if len(raw) < 2 || raw[0] != '"' {
		return nil
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return nil
	}
	return text
}

// isEmail wants one @ with something on both sides, a dot in the domain but not at its ends, and no
// blanks: less than what the standards of mail allow, and more than what Braze is known to refuse.
func isEmail(b []byte) bool {
	local, domain, found := bytes.Cut(b, []byte("@"))
	if !found || len(b) > braze.MaxStringLen || len(local) == 0 || len(domain) < 3 {
		return false
	}
	if dot := bytes.IndexByte(domain, '.'); dot <= 0 || domain[len(domain)-1] == '.' || bytes.Contains(domain, []byte("..")) {
		return false
	}
	for _, c := range b {
		if c <= ' ' || c == 0x7f || c == ',' || c == ';' || c == '<' || c == '>' || c == '"' {
			return false
		}
	}
	return bytes.IndexByte(domain, '@') < 0
}

// isE164 takes a plus sign and 7 to 15 digits, of which the first is no zero.
func isE164(b []byte) bool {
	if len(b) < 8 || len(b) > 16 || b[0] != '+' || b[1] == '0' {
		return false
	}
	for _, c := range b[1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// checkLocation wants longitude and latitude, both in degrees, and nothing else.
func checkLocation(_ *State, raw []byte, is content) (braze.Rule, string) {
	if is.shape != object {
		return braze.RuleWrongType, object.String()
	}
	var longitude, latitude, others bool
	for name, value := range members(raw) {
		degrees, err := strconv.ParseFloat(string(value), 64)
		limit := 180.0
		switch string(name) {
		case "longitude":
			longitude = true
		case "latitude":
			latitude, limit = true, 90
		default:
			others = true
		}
		if !others && (err != nil || degrees < -limit || degrees > limit) {
			return braze.RuleOutOfRange, string(name) + " in degrees"
		}
	}
	if !longitude || !latitude || others {
		return braze.RuleMissing, "longitude and latitude, and nothing else"
	}
	return "", ""
}
