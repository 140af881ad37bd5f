package braze

import (
	"bytes"
	"cmp"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/quota"
)

// Answer is what became of one call.
type Answer struct {
	Verdict Verdict
	Status  int // HTTP status; 0 when no answer came
	// RequestID is the answer's X-Request-Id, for asking Braze about it; often empty.
	RequestID string
	// Message is Braze's own words, or ours where it used none; cut to a length fit for a receipt.
	Message string
	// Items are the objects that were refused, each at most once, in the order of the answer. Of an
	// Accepted batch all others were taken. Of a Malformed one nothing was taken, and Items, if there
	// are any, say where to look.
	Items []ItemError
	// Strange counts entries of the answer's error list that point to no object of the request or make
	// no sense. An object may have been refused of which we do not know.
	Strange int
	Hint    quota.Hint
	Latency time.Duration

	// What follows is said by some endpoints only; see [Client.Call].

	// Notice is Braze's remark on a call that it accepted, such as that the Canvas is paused and nothing
	// will be sent.
	Notice     string
	DispatchID string // of what was sent by this call; one for all recipients
	SendID     string // of a tracked send
	SendStatus string // of a transactional send: "sent"
	// Duplicate says that an external_send_id had been taken before: this call has sent nothing, and the
	// verdict is Accepted.
	Duplicate bool
	Deleted   int // users queued for deletion
	Aliases   int // aliases_processed of identifying and aliasing; no proof that any matched
	// Body is the whole answer of an export, and nil elsewhere.
	Body []byte

	// Err is why no answer came; nil whenever Status is set.
	Err error
}

// ItemError is one object that Braze refused.
type ItemError struct {
	Array Array  // of /users/track; the zero Array elsewhere
	Index int    // in that array, from 0
	Type  string // Braze's words; several refusals of one object are joined
}

// MaybeApplied reports whether the batch, or a part of it, may have been applied although it was not
// accepted: then repeating it can double its events. So it is after silence, and after a 5xx, of which
// it is not documented.
func (a Answer) MaybeApplied() bool {
	return a.Verdict == InDoubt || a.Verdict == Unavailable && a.Status >= 500
}

// Unreadable reports whether the batch was accepted with an answer that cannot be read: refusals of
// single objects, if it named any, are lost.
func (a Answer) Unreadable() bool {
	return a.Verdict == Accepted && strings.HasPrefix(a.Message, unreadable)
}

const (
	success    = "success"
	unreadable = "unreadable answer"
	maxMessage = 512 // bytes of Answer.Message and ItemError.Type
)

// parse reads an answer's body into a. Whole is false when the body was cut off or monstrous. N is how
// many objects each array of the request held.
func (a *Answer) parse(body []byte, whole bool, n [3]int) {
	if whole && a.Verdict == Accepted && plainSuccess(body) {
		a.Message = success
		return
	}
	// Each member is read as whatever it is, because one of a wrong type must not hide the others.
	var wire struct {
		Message jsontext.Value `json:"message"`
		Error   jsontext.Value `json:"error"` // in place of message when the body was no JSON (braze-docs: errors)
		Errors  jsontext.Value `json:"errors"`
	}
	if !whole || len(body) == 0 || json.Unmarshal(body, &wire, lenient) != nil || !isObject(body) {
		a.Message = a.unreadable(body)
		return
	}
	a.Message = cmp.Or(text(wire.Message), text(wire.Error))
	a.readErrors(wire.Errors, n)
	if a.Message == "" && a.Verdict != Accepted {
		a.Message = http.StatusText(a.Status)
	}
	a.Message = shortened(a.Message, maxMessage)
}

// plainSuccess recognises the usual answer, in which nothing was refused, without parsing it.
func plainSuccess(body []byte) bool {
	return len(body) > 1 && body[0] == '{' && body[len(body)-1] == '}' &&
		(bytes.Contains(body, []byte(`"message":"success"`)) || bytes.Contains(body, []byte(`"message": "success"`))) &&
		!bytes.Contains(body, []byte(`errors"`)) && bytes.IndexByte(body, '\\') < 0
}

var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

func isObject(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && body[0] == '{'
}

// unreadable is the message for a body that is not what Braze sends. A proxy's page is not quoted.
func (a *Answer) unreadable(body []byte) string {
	words := strings.Join(strings.Fields(string(body[:min(len(body), 2*maxMessage)])), " ")
	if a.Verdict == Accepted {
		return unreadable
	}
	status := strings.TrimSpace(strconv.Itoa(a.Status) + " " + http.StatusText(a.Status))
	if words == "" || words[0] == '<' || words[0] == '{' {
		return unreadable + ": " + status
	}
	return shortened(unreadable+": "+status+": "+words, maxMessage)
}

// readErrors reads the list of errors: of refused objects after a 2xx, of sentences after a 4xx.
func (a *Answer) readErrors(list jsontext.Value, n [3]int) {
	if len(list) == 0 || list.Kind() == 'n' {
		return
	}
	var entries []jsontext.Value
	if json.Unmarshal(list, &entries, lenient) != nil {
		entries = []jsontext.Value{list}
	}
	for _, entry := range entries {
		if item, ok := parseItem(entry, n); ok {
			a.refuse(item)
		} else if a.Verdict == Accepted {
			a.Strange++
		} else if words := text(entry); words != "" && len(a.Message) < maxMessage {
			a.Message = join(a.Message, words)
		}
	}
}

// parseItem reads one entry of the error list; ok is false when it points to no object of the request.
func parseItem(entry jsontext.Value, n [3]int) (item ItemError, ok bool) {
	var wire struct {
		Index jsontext.Value `json:"index"`
		Array jsontext.Value `json:"input_array"`
		Type  jsontext.Value `json:"type"`
	}
	if entry.Kind() != '{' || json.Unmarshal(entry, &wire, lenient) != nil {
		return item, false
	}
	if item.Array, ok = parseArray(text(wire.Array)); !ok {
		return item, false
	}
	if item.Index, ok = index(wire.Index); !ok || item.Index >= n[item.Array] {
		return item, false
	}
	item.Type = shortened(cmp.Or(text(wire.Type), "unspecified"), maxMessage)
	return item, true
}

// refuse adds an item, or joins it to what was already said of the same object.
func (a *Answer) refuse(item ItemError) {
	i := slices.IndexFunc(a.Items, func(known ItemError) bool {
		return known.Array == item.Array && known.Index == item.Index
	})
	if i < 0 {
		a.Items = append(a.Items, item)
	} else if known := &a.Items[i]; !strings.Contains(known.Type, item.Type) {
		known.Type = shortened(join(known.Type, item.Type), maxMessage)
	}
}

// index reads a whole number from 0, also one written as a string or with a fraction of zero.
func index(value jsontext.Value) (int, bool) {
	digits := string(bytes.Trim(value, `"`))
	if n, err := strconv.Atoi(digits); err == nil {
		return n, n >= 0
	}
	n, err := strconv.ParseFloat(digits, 64)
	return int(n), err == nil && n >= 0 && n <= math.MaxInt32 && n == math.Trunc(n)
}

// text is the meaning of a string, and the JSON itself of anything else but null.
func text(value jsontext.Value) string {
	switch value.Kind() {
	case '"':
		if s, err := jsontext.AppendUnquote(nil, value); err == nil || utf8.Valid(s) {
			return string(s)
		}
	case 'n', 0:
		return ""
	}
	return string(value)
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// shortened is s as valid UTF-8 of at most limit bytes.
func shortened(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= limit {
		return s
	}
	const mark = "…"
	cut := limit - len(mark)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + mark
}
