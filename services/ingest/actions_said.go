package ingest

import (
	"cmp"
	"encoding/json"
	"math/big"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
)

// What an action's body says where nobody has configured it. Whoever writes a webhook in Braze types JSON by
// hand, with Liquid in it that may render to nothing, to blanks, or to what an address is not: what cannot be
// used counts as left out, and the action is kept all the same.

// actionID is the action's own id: a member of the body, in the order of how sure they are to mean it, or the
// header that HTTP has for it. Whoever gives an idempotency_key may mean something else by id, such as the
// user's, so that a key which is too long or not on one line is not passed over: its hash is as good.
func actionID(body any, header string) string {
	if key, ok := memberOf(body, "idempotency_key").(string); ok {
		if key = strings.TrimSpace(key); key != "" && (len(key) > MaxID || !printable(key)) {
			return hashOf([]byte(key))
		}
	}
	for _, name := range []string{"idempotency_key", "event_id", "id"} {
		if id := scalarNamed(memberOf(body, name)); id != "" && len(id) <= MaxID {
			return id
		}
	}
	if header = strings.TrimSpace(header); header != "" && len(header) <= MaxID && printable(header) && utf8.ValidString(header) {
		return header
	}
	return ""
}

// userNamed is whom a body names, by members of its own or of its user; the body's own go first. user_id is
// none of them: Braze calls the customer's id so in Liquid, and its own in Currents.
func userNamed(body any) (u event.User) {
	within := memberOf(body, "user")
	first := func(names ...string) string {
		for _, from := range []any{body, within} {
			for _, name := range names {
				if text := scalarNamed(memberOf(from, name)); text != "" {
					return text
				}
			}
		}
		return ""
	}
	if id := first("external_id", "external_user_id"); len(id) <= MaxExternalID {
		u.ExternalID = id
	}
	u.BrazeID = shortened(first("braze_id"))
	u.AliasLabel, u.AliasName = aliasNamed(body)
	if u.AliasName == "" {
		u.AliasLabel, u.AliasName = aliasNamed(within)
	}
	if email := shortened(first("email")); plausibleEmail(email) {
		u.Email = email
	}
	if phone := first("phone"); isE164(phone) {
		u.Phone = phone
	}
	return u
}

// aliasNamed is an alias in our form, {"alias": {"label", "name"}}, or in Braze's, {"user_alias":
// {"alias_label", "alias_name"}}.
func aliasNamed(from any) (label, name string) {
	ours, theirs := memberOf(from, "alias"), memberOf(from, "user_alias")
	label = shortened(cmp.Or(scalarNamed(memberOf(ours, "label")), scalarNamed(memberOf(theirs, "alias_label"))))
	name = shortened(cmp.Or(scalarNamed(memberOf(ours, "name")), scalarNamed(memberOf(theirs, "alias_name"))))
	if label == "" || name == "" {
		return "", ""
	}
	return label, name
}

// shortened is an identifier that is not too long to be one.
func shortened(id string) string {
	if utf8.RuneCountInString(id) > MaxIdentifier {
		return ""
	}
	return id
}

// momentNamed is the point in time that a value stands for, or none.
func momentNamed(v any) time.Time {
	text, isText := v.(string)
	if !isText {
		text = digitsNamed(v)
	}
	if at := epoch(text); at.known() { // Liquid renders numbers between quotes too
		return at.Time
	}
	return parseMoment(text).Time
}

// memberOf is an object's member, or nil.
func memberOf(v any, name string) any {
	object, _ := v.(map[string]any)
	return object[name]
}

// scalarNamed is a text or the digits of a whole number, without the blanks around it that templates leave.
func scalarNamed(v any) string {
	text, isText := v.(string)
	if !isText {
		return digitsNamed(v)
	}
	if text = strings.TrimSpace(text); !printable(text) {
		return ""
	}
	return text
}

// digitsNamed is a whole number as it was sent, or as jq has it.
func digitsNamed(v any) string {
	switch v := v.(type) {
	case json.Number:
		if digits := v.String(); !strings.ContainsAny(digits, ".eE") {
			return digits
		}
	case int:
		return strconv.Itoa(v)
	case *big.Int:
		return v.String()
	}
	return ""
}

// longestLabel bounds what a URL or a header says of a record.
const longestLabel = 255

// label is a text that a record can carry in a column; empty for what would harm a reader's screen.
func label(text string) string {
	text = strings.TrimSpace(strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) > longestLabel {
		text = strings.ToValidUTF8(text[:longestLabel], "")
	}
	if !printable(text) {
		return ""
	}
	return text
}

// workspaceOf is the workspace that a URL in Braze says it is of: its parameter ws.
func workspaceOf(u *url.URL) string {
	if u.RawQuery == "" {
		return ""
	}
	return label(u.Query().Get("ws"))
}

// httpHeaders are the parts of a request that go with a dead letter, so that all that was said can be said
// again: neither in the body nor secret.
func httpHeaders(contentType, encoding, query string) (kept []stream.Header) {
	for _, h := range []struct{ name, value string }{{"content-type", contentType}, {"content-encoding", encoding}, {"query", query}} {
		if h.value != "" {
			kept = append(kept, stream.Header{Key: "http-" + h.name, Value: []byte(h.value)})
		}
	}
	return kept
}
