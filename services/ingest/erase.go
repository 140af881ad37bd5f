package ingest

import (
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/event"
)

// erased is the name of the event that asks for a user to be deleted.
const erased = "User Erased"

var errNotErase = &refusal{
	status: http.StatusForbidden, code: "forbidden",
	message: "this key may not erase users: give it erase in INGEST_KEYS",
}

// pathParam is a part of the path as it is meant. The router takes the path as it was sent only where RawPath
// is set; else it is decoded already, and must not be once more: of a%2541 that would make aA, which is
// something else.
func (x *exchange) pathParam(name string) (string, error) {
	if x.Request().URL.RawPath == "" {
		return x.Param(name), nil
	}
	return url.PathUnescape(x.Param(name))
}

// deleteUser answers DELETE /v1/users/{external_id}: a record behind everything that was said of the user
// before asks for what is known of them to be deleted, in Braze and in every state. Nothing can be undone
// after that, so a key needs to be allowed to.
func (s *Service) deleteUser(x *exchange) error {
	rq, r := x.rq, x.Request()
	if err := x.authorize(bearer(r), routeErase, errNoKey); err != nil {
		return err
	}
	if !rq.holder.mayErase {
		return errNotErase
	}
	id, err := x.pathParam("external_id")
	it := item{}
	it.event = event.Event{
		User: event.User{ExternalID: id}, Name: erased, Kind: event.KindErase, OccurredAt: rq.received,
	}
	switch {
	case !utf8.ValidString(id):
		it.refuse(problem{why: notUTF8, field: "external_id"})
	case err != nil || !printable(id) || id == "":
		it.refuse(problem{why: unprintable, field: "external_id"})
	case len(id) > MaxExternalID:
		it.refuse(problem{why: tooLong, field: "external_id", limit: MaxExternalID, unit: "bytes"})
	}
	rq.items = append(rq.items[:0], it)
	x.leave = !rq.accept()
	for _, h := range s.hooks { // what later webhooks would have asked for
		h.source.Forget(id)
	}
	return x.answerItems()
}
