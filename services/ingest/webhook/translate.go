package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/itchyny/gojq"
)

const (
	maxMessages = 1_000   // of one body
	maxOutput   = 980_000 // bytes of one output; with its envelope it fits a batch of Kafka's client
	longestID   = 255     // bytes, as everywhere at the front door
)

// translation is one request on its way to messages.
type translation struct {
	ctx     context.Context
	source  *Source
	request *Request
	polled  *Item // nil for what a webhook brings
	headers map[string]any
	query   map[string]any
	user    map[string]any // of the message, once it has been asked for
	order   any            // what the message is put in order by
}

func (t *translation) messages() (all []Message) {
	t.headers = map[string]any{}
	for _, h := range t.source.Headers(t.request) {
		t.headers[h.Name] = h.Value
	}
	t.query = flat(t.source.Query(t.request))
	conceal(t.request.Body, t.source.spec.Conceal)
	type placed struct {
		message Message
		by      any
	}
	var found []placed
	t.source.pieces(t.request.Body, func(p piece) bool {
		m := t.message(p)
		found = append(found, placed{m, t.order})
		return true
	})
	slices.SortStableFunc(found, func(a, b placed) int { return gojq.Compare(a.by, b.by) })
	for _, p := range found {
		all = append(all, p.message)
	}
	return all
}

// message translates one.
func (t *translation) message(p piece) Message {
	t.user, t.order = nil, nil
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
		"headers": t.headers, "query": t.query, "body": body, "method": t.request.Method, "polled": t.polled != nil,
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
	if ps.order != nil {
		if t.order, err = ps.order.first(t.ctx, ps.settings, input); err != nil {
			return err
		}
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
	if t.polled != nil && t.polled.Gone {
		program = ps.poll.gone
	}
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
	if t.polled != nil {
		return t.polled.key(hash), nil
	}
	if ps.dedup == nil {
		return hash, nil
	}
	v, err := ps.dedup.first(t.ctx, ps.settings, input)
	if err != nil {
		return hash, err
	}
	texts, err := partsOf(v)
	if err != nil {
		return hash, err
	}
	for i, text := range texts {
		texts[i] = cmp.Or(text, hash)
	}
	return cmp.Or(fitID(strings.Join(texts, "/")), hash), nil
}

var errRemember = errors.New(`remember: it must yield {"keys": [text], "value": any}, of at most 4,096 bytes as JSON`)

// maxRemembered bounds what one value can take.
const maxRemembered = 4_096

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
		text, err := gojq.Marshal(link["value"])
		if !ok || err != nil || len(text) > maxRemembered {
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
