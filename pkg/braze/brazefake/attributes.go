package brazefake

import (
	"strings"
	"time"
	_ "time/tzdata" // zones are checked wherever the sandbox runs

	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

// attributeRules are the profile fields that can get a whole attributes object refused, with the codes
// that Braze documents for it (braze-docs: post_user_track). Each returns the code, or nothing. None is
// asked about null, which removes a field.
var attributeRules = map[string]func(value []byte) string{
	"email":                   checkEmail,
	"current_location":        checkLocation,
	"email_subscribe":         checkState("BAD_EMAIL_SUBSCRIPTION_STATE"),
	"push_subscribe":          checkState("BAD_PUSH_SUBSCRIPTION_STATE"),
	"subscription_groups":     checkGroups,
	"push_tokens":             checkPushTokens,
	"email_subscription_info": func([]byte) string { return "INVALID_ATTRIBUTE_EMAIL_SUBSCRIPTION_INFO" },
}

// checkAttributes returns why an attributes object is refused, or nothing.
func (s *Sandbox) checkAttributes(o *object) string {
	if o.who.pushImport {
		return o.checkImport()
	}
	for name, value := range jsonscan.Members(o.raw) {
		if rule := attributeRules[string(name)]; rule != nil && !isNull(value) {
			if code := rule(value); code != "" {
				return code
			}
		}
	}
	return ""
}

// checkImport is for push tokens of nobody yet: there must be some, and no user (braze-docs:
// user_attributes_object).
func (o *object) checkImport() string {
	tokens := false
	for name, value := range jsonscan.Members(o.raw) {
		switch string(name) {
		case "external_id", "braze_id":
			return "BAD_PUSH_TOKEN_IMPORT"
		case "push_tokens":
			if code := checkPushTokens(value); code != "" {
				return code
			}
			for range jsonscan.Elements(value) {
				tokens = true
			}
		}
	}
	if !tokens {
		return "BAD_PUSH_TOKEN_IMPORT"
	}
	return ""
}

func checkEmail(value []byte) string {
	if text, ok := jsonscan.String(value); !ok || len(text) > 0 && !validEmail(string(text)) {
		return "EMAIL_BAD_FORMAT"
	}
	return ""
}

func checkLocation(value []byte) string {
	found := 0
	for name, value := range jsonscan.Members(value) {
		if n := string(name); (n == "longitude" || n == "latitude") && isNumber(value) {
			found++
		}
	}
	if found != 2 {
		return "BAD_LOCATION_UPDATE"
	}
	return ""
}

func checkState(code string) func([]byte) string {
	return func(value []byte) string {
		switch string(value) {
		case `"opted_in"`, `"subscribed"`, `"unsubscribed"`:
			return ""
		}
		return code
	}
}

func checkGroups(value []byte) string {
	if value[0] != '[' {
		return "BAD_SUBSCRIPTION_GROUP_ARRAY"
	}
	for element := range jsonscan.Elements(value) {
		var id, state []byte
		for name, value := range jsonscan.Members(element) {
			switch string(name) {
			case "subscription_group_id":
				id = value
			case "subscription_state":
				state = value
			}
		}
		switch {
		case id == nil || state == nil:
			return "BAD_SUBSCRIPTION_GROUP_HASH"
		case !isUUID(id):
			return "BAD_SUBSCRIPTION_GROUP_ID"
		case string(state) != `"subscribed"` && string(state) != `"unsubscribed"`:
			return "BAD_SUBSCRIPTION_GROUP_STATE"
		}
	}
	return ""
}

func checkPushTokens(value []byte) string {
	if value[0] != '[' {
		return "BAD_PUSH_TOKEN_VALUE"
	}
	for element := range jsonscan.Elements(value) {
		if element[0] != '{' {
			return "BAD_PUSH_TOKEN_VALUE"
		}
		token, app := false, false
		for name, value := range jsonscan.Members(element) {
			text, isString := jsonscan.String(value)
			switch string(name) {
			case "token":
				token = isString && len(text) > 0
			case "app_id":
				app = isString && len(text) > 0
			case "device_id":
				if !isString || len(text) < 8 || len(text) > 255 {
					return "BAD_DEVICE_ID"
				}
			}
		}
		switch {
		case !token:
			return "BAD_PUSH_TOKEN_STRING"
		case !app:
			return "BAD_PUSH_TOKEN_APP_ID"
		}
	}
	return ""
}

// isUUID takes a raw string of the form 8-4-4-4-12.
func isUUID(value []byte) bool {
	if len(value) != 38 {
		return false
	}
	for i, c := range value[1:37] {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdefABCDEF", rune(c)) {
			return false
		}
	}
	return true
}

func isNumber(value []byte) bool {
	return len(value) > 0 && (value[0] == '-' || value[0] >= '0' && value[0] <= '9')
}

// profileFields are the fields of a profile that Braze knows, each with what may be set. A value that
// may not is left out without a word (braze-docs: user_attributes_object).
var profileFields = map[string]func(value []byte) bool{
	"first_name": isText, "last_name": isText, "home_city": isText, "language": isText,
	"email": isText, "phone": isText, "country": isText,
	"email_subscribe": isText, "push_subscribe": isText,
	"gender":                        oneOf(`"M"`, `"F"`, `"O"`, `"N"`, `"P"`),
	"dob":                           isDay,
	"time_zone":                     isZone,
	"current_location":              isObject,
	"facebook":                      isObject,
	"twitter":                       isObject,
	"date_of_first_session":         isDate,
	"date_of_last_session":          isDate,
	"marked_email_as_spam_at":       isDate,
	"email_open_tracking_disabled":  oneOf(`true`, `false`),
	"email_click_tracking_disabled": oneOf(`true`, `false`),
	"push_tokens":                   func(value []byte) bool { return value[0] == '[' },
}

func isText(value []byte) bool { return fits(value) }

func isObject(value []byte) bool { return value[0] == '{' }

func oneOf(allowed ...string) func([]byte) bool {
	return func(value []byte) bool {
		for _, a := range allowed {
			if string(value) == a {
				return true
			}
		}
		return false
	}
}

func isDay(value []byte) bool {
	text, _ := jsonscan.String(value)
	_, err := time.Parse(time.DateOnly, string(text))
	return err == nil
}

func isDate(value []byte) bool {
	text, _ := jsonscan.String(value)
	_, ok := parseDate(string(text))
	return ok
}

func isZone(value []byte) bool {
	text, _ := jsonscan.String(value)
	if len(text) == 0 || len(text) > 64 {
		return false
	}
	_, err := time.LoadLocation(string(text))
	return err == nil
}
