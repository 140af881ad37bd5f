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
	switch unread, err := rq.readOrKeep(r, s.options.MaxBody); {
	case err != nil:
		return asCurrentsKnowsIt(err) // a webhook that is told 400 is gone too
	case unread != nil && len(rq.body) > longestLetter:
		return errTooLarge(longestLetter)
	case unread != nil:
		rq.keepUnread(name, how, r, unread)
	default:
		rq.readAction(name, how, r)
	}
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
		// jq's errors repeat what they stumble over, which is a customer's: not for everybody who reads logs.
		rq.service.log.Debug().Str("action", name).Err(err).Msg("a program of this action fails on this")
		rq.service.log.Warn().Str("action", name).Msg("a program of this action fails; what it should have said is left out; with LOG_LEVEL=debug the log says why")
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
	query := queryOf(how, r.URL)
	if a.ID == "" && how.Repeats() > 0 {
		a.ID = rq.sameBytes(&it, query, how.Repeats())
	}
	rq.kept = httpHeaders(a.ContentType, "", query.Encode())
	rq.items = append(rq.items[:0], it)
}

// keepUnread makes a dead letter of a body in an encoding that is not known here, or that it is not in: authors
// write the headers of webhooks by hand, and utf-8 is what some take for an encoding.
func (rq *request) keepUnread(name string, how *webhook.Action, r *http.Request, unread error) {
	a := &event.Action{Name: name, ContentType: label(r.Header.Get("Content-Type"))}
	it := item{action: a, fate: deadLetter, end: len(rq.body)}
	it.refuse(problem{why: unmappable, detail: unread.Error()})
	if how.Repeats() > 0 {
		a.ID = rq.sameBytes(&it, queryOf(how, r.URL), how.Repeats())
	}
	rq.kept = httpHeaders(a.ContentType, label(r.Header.Get("Content-Encoding")), queryOf(how, r.URL).Encode())
	rq.items = append(rq.items[:0], it)
}

// queryOf are the URL's parameters without the API key. Where some cannot be read, as Liquid makes them of a name with
// a semicolon or a percent sign in it, all that stands there is one, without a name: to leave it out would make
// one action of two. There it is not said which of it is the key, so that such a query goes by its hash.
func queryOf(how *webhook.Action, u *url.URL) url.Values {
	if _, err := url.ParseQuery(u.RawQuery); err == nil {
		return how.Query(u)
	}
	query := how.Query(u)
	query.Add("", hashOf([]byte(u.RawQuery)))
	return query
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
