package currents

import (
	"bytes"
	"errors"
	"fmt"
)

// MaxEvents is how many events a batch may have. Braze sends a hundred; the limit is there so that a
// body cannot ask for a list many times its own size.
const MaxEvents = 10_000

// ErrTooMany says that a batch has more than MaxEvents events. To a 413 Braze answers with smaller ones.
var ErrTooMany = fmt.Errorf("more than %d events in one batch", MaxEvents)

// Batch takes the body of a Currents request apart: {"events":[…]}. What it returns are the values of
// the list as they came, in its order, aliasing the body; whether one is an event is for [Read] to say,
// so that a broken one spoils no other.
//
// An empty body, null, an object without events and an empty list are all a batch of none: Braze sends
// such to try the credentials. So that nothing is lost, more is taken than Braze promises to send: a
// list without the object around it, an event instead of the list, an event as the whole body, and
// events under a name that is there twice.
//
// An error means that the body as a whole cannot be trusted: it is not JSON, or is cut off, or holds
// more than MaxEvents (then it is [ErrTooMany]).
func Batch(body []byte) (events [][]byte, err error) {
	w := walker{buf: bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))}
	switch w.peek() {
	case 0:
		if w.pos < len(w.buf) {
			return nil, w.error()
		}
		return nil, nil
	case '[':
		events, err = w.list(nil)
	case '{':
		events, err = w.envelope()
	default:
		if value, _ := w.skip(); string(value) != "null" {
			return nil, errors.New("reading a batch of events: neither an object nor a list")
		}
	}
	if err != nil {
		return nil, err
	}
	if w.broken || w.peek() != 0 || w.pos < len(w.buf) {
		return nil, w.error()
	}
	return events, nil
}

// envelope reads the object around the events.
func (w *walker) envelope() (events [][]byte, err error) {
	start, found, alone := w.pos, false, false
	w.enter('{')
	for first := true; ; first = false {
		name, ok := w.member(first)
		if !ok {
			break
		}
		switch string(name) {
		case "events":
			found = true
			if events, err = w.list(events); err != nil {
				return nil, err
			}
			continue
		case "event_type":
			alone = true
		}
		w.skip()
	}
	if !found && alone && !w.broken {
		events = append(events, w.buf[start:w.pos])
	}
	return events, nil
}

// list appends the events that stand here to what there is already.
func (w *walker) list(events [][]byte) ([][]byte, error) {
	if c := w.peek(); c != '[' {
		value, ok := w.skip()
		switch {
		case !ok || string(value) == "null":
			return events, nil
		case c == '{':
			return append(events, value), nil
		}
		return nil, errors.New(`reading a batch of events: "events" is not a list`)
	}
	w.enter('[')
	if events == nil {
		events = make([][]byte, 0, 100)
	}
	for first := true; w.more(first, ']'); first = false {
		value, ok := w.skip()
		if !ok {
			break
		}
		if len(events) == MaxEvents {
			return nil, ErrTooMany
		}
		events = append(events, value)
	}
	return events, nil
}

// error says where the outline is broken.
func (w *walker) error() error {
	if w.pos >= len(w.buf) {
		return errors.New("reading a batch of events: the body is cut off")
	}
	return fmt.Errorf("reading a batch of events: not JSON at byte %d", w.pos)
}
