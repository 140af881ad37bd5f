package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// postAction answers POST /v1/braze/webhooks/{name}: what a campaign or Canvas tells, as its author has put it
// together. Braze tries again after 408, 429 and 5xx, and takes any other refusal for final, so that whatever
// has come whole from somebody with a key is kept: as an action, or where it does not fit there as a dead
// letter.
func (s *Service) postAction(x *exchange) error {
	rq, r := x.rq, x.Request()
	name := x.Param("name")
	how := s.sources.Action(name)
	if err := x.authorizeAction(how); err != nil {
		return err
	}
	if !isName(name) {
		return errActionName
	}
	if err := rq.readBody(r); err != nil {
		return err
	}
	rq.readAction(name, how, r)
	rq.buries = true
	x.leave = !rq.accept()
	if t := rq.tally(); t[unavailable] > 0 {
		return errKafkaAway
	}
	rq.out = appendQuoted(append(rq.out[:0], `{"status":`...), rq.verdictOf(0).String())
	rq.out = append(appendQuoted(append(rq.out, `,"id":`...), rq.items[0].id()), '}')
	writeJSON(x, http.StatusOK, rq.out)
	return nil
}

// errActionName is seen by who tries the webhook out in Braze, where a typing mistake is still easy to mend.
var errActionName = &refusal{
	status: http.StatusNotFound, code: "bad_name", field: "name",
	message: "the name of an action, the last part of the path, is 1 to 100 letters, digits, dots, dashes or underscores",
}

// authorizeAction looks for a key where authors of webhooks put it: Bearer or X-Api-Key, either part of Basic
// authorization, and in the URL where the action's entry allows it.
func (x *exchange) authorizeAction(how *webhook.Action) error {
	r := x.Request()
	user, password := basicParts(r)
	keys := [][]byte{bearer(r), password, user}
	if how.KeyQuery() != "" {
		keys = append(keys, []byte(r.URL.Query().Get(how.KeyQuery())))
	}
	for _, key := range keys {
		if len(key) > 0 && x.rq.service.ring.find(key) != nil {
			return x.authorize(key, routeActions, errNoActionKey)
		}
	}
	return errNoActionKey
}

var errNoActionKey = &refusal{
	status: http.StatusUnauthorized, code: "unauthorized",
	message: "give a key that is known here, as Authorization: Bearer KEY, X-Api-Key: KEY or the password of Basic authorization",
}

// basicParts are the two halves of Basic authorization.
func basicParts(r *http.Request) (user, password []byte) {
	scheme, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Basic") {
		return nil, nil
	}
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(credentials))
	if err != nil {
		return nil, nil
	}
	before, after, _ := strings.Cut(string(plain), ":")
	return []byte(before), []byte(after)
}

// readAction makes an item of a request: of each particular what the action's entry says, else what the
// conventions find.
func (rq *request) readAction(name string, how *webhook.Action, r *http.Request) {
	// A client that hangs up must not leave half an action read.
	told, err := how.Read(context.WithoutCancel(r.Context()), callOf(r, rq.body, rq.received))
	if err != nil {
		rq.service.log.Warn().Str("action", name).Err(err).Msg("a program of this action fails; what it should have said is left out")
	}
	a := &event.Action{
		Name: name, Source: rq.holder.source, Workspace: workspaceOf(r.URL), ContentType: label(r.Header.Get("Content-Type")),
		ID: told.ID, User: userNamed(told.User), OccurredAt: momentNamed(told.Time),
	}
	saysID, saysUser, saysTime := how.Says()
	if !saysID {
		a.ID = actionID(told.Body, r.Header.Get("Idempotency-Key"))
	}
	if !saysUser {
		a.User = userNamed(told.Body)
	}
	if !saysTime {
		a.OccurredAt = momentNamed(memberOf(told.Body, "time"))
	}
	switch {
	case told.JSON:
		a.JSON = rq.body
	case len(rq.body) > 0:
		a.Body = rq.body
	}
	it := item{action: a, end: len(rq.body)}
	query := how.Query(r.URL)
	if a.ID == "" && how.Repeats() > 0 {
		a.ID = rq.sameBytes(&it, query, how.Repeats())
	}
	rq.kept = httpHeaders(a.ContentType, "", query.Encode())
	rq.items = append(rq.items[:0], it)
}

// sameBytes is the id of what nobody gave one: a hash of all that came, which a repeat has too, and of the
// stretch of time that it came in, which the same words months later have not. A customer who leaves,
// comes back and leaves again says the same twice and means it.
//
// Stretches have edges, and a repeat may come behind one. So the one before is asked for too: within one
// replica the same bytes are the same action for the whole of the time, and a new one after it.
func (rq *request) sameBytes(it *item, query url.Values, repeats time.Duration) string {
	sum := sha256.New()
	for _, part := range []string{it.action.Name, query.Encode(), it.action.ContentType, ""} {
		sum.Write(append(strconv.AppendInt(nil, int64(len(part)), 10), ':'))
		sum.Write([]byte(part))
	}
	sum.Write(rq.body)
	hash := "sha256:" + hex.EncodeToString(sum.Sum(nil)) + "/"
	stretch := rq.received.UnixMilli() / repeats.Milliseconds()
	before := hash + strconv.FormatInt(stretch-1, 10)
	at, known := rq.window.at(rq.window.fingerprint(rq.salt(it), before))
	if known && rq.received.Sub(at) < repeats {
		return before
	}
	return hash + strconv.FormatInt(stretch, 10)
}
