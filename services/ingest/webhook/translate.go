package webhook

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/itchyny/gojq"
)

// Message is one thing that a source says: the body, or an element of it. It has outputs, or a reason
// why it has none.
type Message struct {
	Start, End int    // its place in the body
	Kind       string // as the source calls it
	Key        string // idempotency key, fit for a header
	Outputs    []Output
	Skip       string // why nothing comes of it
	Refuse     Reason // why it is to be kept as a dead letter
	Detail     string // of Refuse, for a person
}

// Output is one record to be: JSON in the shape that the API of its target takes.
type Output struct {
	To   Target
	ID   string // its idempotency key, which is in the JSON too
	JSON []byte
}

// Target is where an output goes.
type Target string

// The targets there are, and the paths whose shape an output has.
const (
	Commerce Target = "commerce" // POST /v1/commerce
	Event    Target = "event"    // POST /v1/events
	Profile  Target = "profile"  // POST /v1/profiles
)

// toDeadLetter is what a program says that finds out by itself that a message cannot be mapped.
const toDeadLetter = "dead_letter"

// Reason is why a message becomes a dead letter.
type Reason string

// The reasons there are.
const (
	Unmappable         Reason = "unmappable"          // it cannot be read, or means nothing that we know
	IdentityUnresolved Reason = "identity_unresolved" // nothing says whom it is about
	UnsupportedVersion Reason = "unsupported_version" // of a form that the source's programs do not know
	WrongMode          Reason = "wrong_mode"          // a test on a live route, or the other way round
	PrivacyRequest     Reason = "privacy_request"     // somebody's data is asked for, or is to go: for a person
)

// Reasons are all of them.
func Reasons() []Reason {
	return []Reason{Unmappable, IdentityUnresolved, UnsupportedVersion, WrongMode, PrivacyRequest}
}

// Reasons for skipping that no file has to name.
const (
	skipUnmapped = "unmapped"      // the kind has no program, and the source says to skip such
	skipNothing  = "nothing_to_do" // the program yields nothing
)

const (
	maxMessages = 1_000   // of one body
	maxOutput   = 1 << 20 // bytes of one output
	longestID   = 255     // bytes, as everywhere at the front door
)

// translation is one request on its way to messages.
type translation struct {
	ctx     context.Context
	source  *Source
	request *Request
	headers map[string]any
	query   map[string]any
}

func (t *translation) messages() (all []Message) {
	t.headers = map[string]any{}
	for _, h := range t.source.Headers(t.request) {
		t.headers[h.Name] = h.Value
	}
	t.query = flat(t.source.Query(t.request))
	t.source.pieces(t.request.Body, func(p piece) bool {
		all = append(all, t.message(p))
		return true
	})
	return all
}

// message translates one.
func (t *translation) message(p piece) Message {
	m := Message{Start: p.start, End: p.end, Key: hashed(t.request.Body[p.start:p.end])}
	if p.err != nil {
		// What it is, and which, may stand in its headers.
		input := t.input(nil)
		m.Kind, _ = t.kind(input)
		m.Key, _ = t.key(&m, input)
		m.refuse(Unmappable, p.err.Error())
		return m
	}
	if err := t.translate(&m, p.value); err != nil {
		m.Outputs, m.Skip = nil, ""
		m.refuse(Unmappable, err.Error())
	}
	return m
}

func (m *Message) refuse(r Reason, detail string) { m.Refuse, m.Detail = r, detail }

// input is what programs see.
func (t *translation) input(body any) map[string]any {
	return map[string]any{
		"headers": t.headers, "query": t.query, "body": body, "method": t.request.Method,
		"received_at": t.request.Received.UTC().Format(time.RFC3339Nano), "source": t.source.name,
	}
}

func (t *translation) translate(m *Message, body any) error {
	ps := &t.source.programs
	input := t.input(body)
	var err error
	if m.Kind, err = t.kind(input); err != nil {
		return err
	}
	if m.Key, err = t.key(m, input); err != nil {
		return err
	}
	for _, c := range ps.refuse {
		if holds, err := c.when.holds(t.ctx, ps.settings, input); err != nil {
			return err
		} else if holds {
			m.refuse(Reason(c.reason), "the source's rule refuse."+c.reason+" holds")
			return nil
		}
	}
	for _, c := range ps.ignore {
		if holds, err := c.when.holds(t.ctx, ps.settings, input); err != nil {
			return err
		} else if holds {
			m.Skip = c.reason
			return nil
		}
	}
	if err := t.remember(input); err != nil {
		return err
	}
	program := ps.of(m.Kind)
	switch {
	case program == nil && t.source.spec.Unmapped == unmappedSkip:
		m.Skip = skipUnmapped
		return nil
	case program == nil:
		m.refuse(Unmappable, fmt.Sprintf("the source has no program for the kind %q", clipped(m.Kind)))
		return nil
	}
	outputs, err := program.run(t.ctx, ps.settings, input)
	if err != nil {
		return err
	}
	return t.outputs(m, outputs, input)
}

// kind is the kind of the message, empty where the source has no such program.
func (t *translation) kind(input any) (string, error) {
	ps := &t.source.programs
	if ps.kind == nil {
		return "", nil
	}
	v, err := ps.kind.first(t.ctx, ps.settings, input)
	if err != nil {
		return "", err
	}
	text, _ := v.(string)
	return text, nil
}

// key is the message's idempotency key. What the source's program cannot say, its hash (which is its key
// so far) says: then a repeat is recognised if it is the same to the byte.
func (t *translation) key(m *Message, input any) (string, error) {
	ps := &t.source.programs
	hash := m.Key
	if ps.dedup == nil {
		return hash, nil
	}
	v, err := ps.dedup.first(t.ctx, ps.settings, input)
	if err != nil {
		return hash, err
	}
	parts, several := v.([]any)
	if !several {
		parts = []any{v}
	}
	texts := make([]string, len(parts))
	for i, p := range parts {
		text, err := idText(p)
		if err != nil {
			return hash, fmt.Errorf("dedup: %w", err)
		}
		if texts[i], _ = text.(string); texts[i] == "" {
			texts[i] = hash
		}
	}
	return cmp.Or(fitID(strings.Join(texts, "/")), hash), nil
}

var errRemember = errors.New(`remember: it must yield {"keys": [text], "value": any}`)

// remember keeps what later messages will ask for. That it is done before the records are durable
// harms nobody: it says who somebody is, not what happened.
func (t *translation) remember(input any) error {
	ps := &t.source.programs
	if ps.remembered == nil {
		return nil
	}
	outputs, err := ps.remembered.run(t.ctx, ps.settings, input)
	if err != nil {
		return err
	}
	for _, output := range outputs {
		link, _ := output.(map[string]any)
		keys, ok := link["keys"].([]any)
		if !ok {
			return errRemember
		}
		for _, key := range keys {
			text, ok := key.(string)
			switch {
			case key == nil || link["value"] == nil:
			case !ok:
				return errRemember
			default:
				t.source.memory.remember(text, link["value"], time.Now())
			}
		}
	}
	return nil
}

// outputs makes records of what a program yields. All of a message's outputs go on, or none: half of
// one could not be told from the whole when its dead letter is replayed.
func (t *translation) outputs(m *Message, outputs []any, input any) error {
	for i, output := range outputs {
		object, ok := output.(map[string]any)
		if !ok {
			return fmt.Errorf("output %d: it is no object", i)
		}
		to, _ := object["to"].(string)
		switch Target(to) {
		case Commerce, Event, Profile:
		case toDeadLetter:
			reason, _ := object["reason"].(string)
			detail, _ := object["detail"].(string)
			m.Outputs = nil
			m.refuse(known(Reason(reason)), detail)
			return nil
		default:
			return fmt.Errorf(`output %d: "to" is %q, and must be commerce, event, profile or dead_letter`, i, clipped(to))
		}
		o, err := t.output(m, Target(to), object, input)
		switch {
		case errors.Is(err, errNobody):
			m.Outputs = nil
			m.refuse(IdentityUnresolved, fmt.Sprintf("nothing says whom the %s %q is about, and nothing that is remembered does", to, clipped(m.Kind)))
			return nil
		case err != nil:
			return fmt.Errorf("output %d: %w", i, err)
		}
		m.Outputs = append(m.Outputs, o)
	}
	if len(m.Outputs) == 0 {
		m.Skip = skipNothing
	}
	return nil
}

// known is the reason if it is one, so that a program's mistake is no new label of a metric.
func known(r Reason) Reason {
	for _, k := range Reasons() {
		if r == k {
			return r
		}
	}
	return Unmappable
}

var errNobody = errors.New("nobody")

// output completes one: id, time and user where it does not say them itself.
func (t *translation) output(m *Message, to Target, object map[string]any, input any) (Output, error) {
	ps := &t.source.programs
	whole := make(map[string]any, len(object)+3) // the program's own value is not ours to change
	for name, v := range object {
		if name != "to" && v != nil {
			whole[name] = withoutNulls(name, v)
		}
	}
	id, err := idText(whole["id"])
	if err != nil {
		return Output{}, err
	}
	text, _ := id.(string)
	switch {
	case text != "":
		text = fitID(text)
	case len(m.Outputs) == 0:
		text = m.Key
	default:
		text = fitID(fmt.Sprintf("%s/%d", m.Key, len(m.Outputs)))
	}
	whole["id"] = text
	if whole["time"] == nil && ps.time != nil {
		at, err := ps.time.first(t.ctx, ps.settings, input)
		if err != nil {
			return Output{}, err
		}
		if at != nil {
			whole["time"] = at
		}
	}
	if user, _ := whole["user"].(map[string]any); len(user) == 0 {
		if whole["user"], err = t.who(input); err != nil {
			return Output{}, err
		}
	}
	return encode(to, text, whole)
}

func encode(to Target, id string, whole map[string]any) (Output, error) {
	text, err := gojq.Marshal(whole)
	if err != nil {
		return Output{}, fmt.Errorf("encoding: %w", err)
	}
	if len(text) > maxOutput {
		return Output{}, fmt.Errorf("it is larger than %d bytes", maxOutput)
	}
	return Output{To: to, ID: id, JSON: text}, nil
}

// who is the user of outputs that do not say it themselves.
func (t *translation) who(input any) (map[string]any, error) {
	ps := &t.source.programs
	if ps.who == nil {
		return nil, errNobody
	}
	v, err := ps.who.first(t.ctx, ps.settings, input)
	if err != nil {
		return nil, err
	}
	user, _ := withoutNulls("user", v).(map[string]any)
	if len(user) == 0 {
		return nil, errNobody
	}
	return user, nil
}

// withoutNulls leaves null members, and objects that are empty, out of what has a fixed shape, where they
// stand for nothing. What is
// free of form keeps them: there a null can mean something.
func withoutNulls(name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		if name != "user" && name != "alias" && name != "line" {
			return v
		}
		kept := make(map[string]any, len(v))
		for member, inner := range v {
			if empty, ok := inner.(map[string]any); inner != nil && (!ok || len(empty) > 0) {
				kept[member] = withoutNulls(member, inner)
			}
		}
		return kept
	case []any:
		if name != "lines" && name != "discounts" && name != "subscriptions" {
			return v
		}
		kept := make([]any, len(v))
		for i, inner := range v {
			kept[i] = withoutNulls("line", inner)
		}
		return kept
	}
	return v
}

// hashed stands for a message that has no id of its own.
func hashed(bytes []byte) string {
	sum := sha256.Sum256(bytes)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// fitID is an id that fits a header, or its hash.
func fitID(id string) string {
	if len(id) <= longestID && printable(id) {
		return id
	}
	return hashed([]byte(id))
}

// clipped is a text short enough to be repeated.
func clipped(text string) string {
	if len(text) > 80 {
		return strings.ToValidUTF8(text[:80], "") + "…"
	}
	return text
}
