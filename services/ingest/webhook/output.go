package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/itchyny/gojq"
)

// outputs makes records of what a program yields. All of a message's outputs go on, or none: half of
// one could not be told from the whole when its dead letter is replayed.
func (t *translation) outputs(m *Message, outputs []any, input any) error {
	for i, output := range outputs {
		object, ok := output.(map[string]any)
		if !ok {
			return fmt.Errorf("output %d: it is no object", i)
		}
		to, _ := object["to"].(string)
		switch {
		case slices.Contains(Targets(), Target(to)):
		case to == toDeadLetter:
			reason, _ := object["reason"].(string)
			detail, _ := object["detail"].(string)
			m.Outputs = nil
			m.refuse(known(Reason(reason)), detail)
			return nil
		default:
			return fmt.Errorf(`output %d: "to" is %q, and must be one of %s, %s`, i, clipped(to), listed(Targets()), toDeadLetter)
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
		if Target(to) == Content {
			if o, err = tombstone(object, o); err != nil {
				return fmt.Errorf("output %d: %w", i, err)
			}
			if o.JSON != nil {
				m.Outputs = append(m.Outputs, o)
			}
		}
	}
	if len(m.Outputs) == 0 {
		m.Skip = skipNothing
	}
	return nil
}

// known is the reason if it is one, so that a program's mistake is no new label of a metric.
func known(r Reason) Reason {
	if slices.Contains(Reasons(), r) {
		return r
	}
	return Unmappable
}

var errNobody = errors.New("nobody")

// output completes one: id, time and user where it does not say them itself.
func (t *translation) output(m *Message, to Target, object map[string]any, input any) (Output, error) {
	ps := &t.source.programs
	whole := make(map[string]any, len(object)+3) // the program's own value is not ours to change
	for name, v := range object {
		if empty, ok := v.(map[string]any); name == "to" || v == nil || name == "metadata" && ok && len(empty) == 0 {
			continue
		}
		whole[name] = withoutNulls(name, v)
	}
	key := "id" // where the idempotency key stands
	if to == Content {
		key = "event_id"
	}
	id, err := idText(whole[key])
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
	whole[key] = text
	if whole["time"] == nil && ps.time != nil {
		at, err := ps.time.first(t.ctx, ps.settings, input)
		if err != nil {
			return Output{}, err
		}
		if at != nil {
			whole["time"] = at
		}
	}
	if user, _ := whole["user"].(map[string]any); len(user) == 0 && to != Content {
		who, err := t.who(input)
		switch {
		case err == nil:
			whole["user"] = who
		case to != CRM || !errors.Is(err, errNobody):
			return Output{}, err
		default: // the object is whose it is
			delete(whole, "user")
		}
	}
	return encode(to, text, whole)
}

// tombstone is the second record of content that is withdrawn, behind the one that says so of all that is older;
// without JSON where there is none to be.
func tombstone(object map[string]any, first Output) (Output, error) {
	if object["withdraw"] != true || object["locale"] != nil {
		return Output{}, nil
	}
	return encode(Content, fitID(first.ID+":tombstone"), map[string]any{
		"collection": object["collection"], "id": object["id"], "remove": true, "event_id": fitID(first.ID + ":tombstone"),
	})
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

// who is the user of outputs that do not say it themselves: asked for once for each message.
func (t *translation) who(input any) (map[string]any, error) {
	ps := &t.source.programs
	if t.user != nil {
		return t.user, nil
	}
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
	t.user = user
	return user, nil
}

// withoutNulls leaves null members, and objects that are empty, out of what has a fixed shape, where they
// stand for nothing. What is free of form keeps them: there a null can mean something.
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
