package ingest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"unsafe"

	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/event"
)

// readCurrents makes items of a request of Currents: one for each event, or one dead letter for a body that
// is no batch at all. What is odd about an event is no reason to have less of it.
func (rq *request) readCurrents(r *http.Request, workspace string) error {
	rq.kept = httpHeaders(label(r.Header.Get("Content-Type")), "", r.URL.RawQuery)
	rq.items = rq.items[:0]
	err := rq.readBodyWithin(r, rq.service.options.CurrentsMaxBody)
	if errors.Is(err, errGzip) && len(rq.packed) > 0 {
		// It has come whole, and another time it would be no different: what came is kept, not what little of
		// it can be unpacked.
		rq.body, rq.packed = rq.packed, rq.body[:0]
		rq.kept = httpHeaders(label(r.Header.Get("Content-Type")), "gzip", r.URL.RawQuery)
		return rq.keepWhole(err.Error())
	}
	if err != nil {
		return err
	}
	return rq.readBatch(workspace)
}

// readBatch makes items of the body. It survives whatever parsing might do: a batch that brings the door down
// would come again for five days, and then the connector would be switched off.
func (rq *request) readBatch(workspace string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			rq.service.log.Error().Interface("panic", p).Msg("reading a batch of Currents panicked; it becomes a dead letter")
			rq.items = rq.items[:0]
			err = rq.keepWhole(fmt.Sprintf("reading it panicked: %v", p))
		}
	}()
	events, err := currents.Batch(rq.body)
	switch {
	case errors.Is(err, currents.ErrTooMany):
		return errTooManyEvents
	case err != nil:
		return rq.keepWhole(err.Error())
	case len(events) == 0 && !holdsNothing(rq.body):
		return rq.keepWhole("it holds no events")
	}
	rq.items = slices.Grow(rq.items, len(events))
	rq.engagements = slices.Grow(rq.engagements[:0], len(events)) // items point into it
	for _, raw := range events {
		rq.addEvent(raw, workspace)
	}
	return nil
}

// addEvent makes an item of one event, in place: items are large.
func (rq *request) addEvent(raw []byte, workspace string) {
	rq.items = append(rq.items, item{})
	it := &rq.items[len(rq.items)-1]
	it.start = offset(rq.body, raw)
	it.end = it.start + len(raw)
	e, err := currents.Read(raw, workspace, rq.received)
	if err != nil {
		it.fate = deadLetter
		it.refuse(problem{why: notEvent, detail: err.Error()})
		it.setID(hashOf(raw))
		it.lighten()
		return
	}
	rq.engagements = append(rq.engagements, e)
	it.engagement = &rq.engagements[len(rq.engagements)-1]
}

// keepWhole makes a dead letter of the whole body, unless no dead letter can be so long.
func (rq *request) keepWhole(detail string) error {
	if len(rq.body) > longestLetter {
		return errUnkeepable
	}
	it := item{event: event.Event{ID: hashOf(rq.body)}, fate: deadLetter, end: len(rq.body)}
	it.refuse(problem{why: notBatch, detail: detail})
	rq.items = append(rq.items, it)
	return nil
}

var errTooManyEvents = &refusal{
	status: http.StatusRequestEntityTooLarge, code: "too_many_items",
	message: fmt.Sprintf("a batch may have at most %d events", currents.MaxEvents),
}

// hashOf is the id of what has none and cannot be given one.
func hashOf(raw []byte) string {
	sum := sha256.Sum256(bytes.TrimSpace(raw))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// offset is where in a body a part of it begins.
func offset(body, part []byte) int {
	return int(uintptr(unsafe.Pointer(unsafe.SliceData(part))) - uintptr(unsafe.Pointer(unsafe.SliceData(body))))
}
