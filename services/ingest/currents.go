package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/config"
)

// currentsSource is the source of what Braze reports, in headers and metrics.
const currentsSource = "braze-currents"

// currentsDoor is what the door keeps for Currents.
type currentsDoor struct {
	tokens Tokens
	window *window // of its own: what Braze reports is far more than what anybody else sends
	holder *holder
	watch  *currentsWatch
	drifts *driftBook
	log    zerolog.Logger

	strangers sparing // log lines about tokens that nobody knows
}

// newCurrents prepares for Currents. A door that only this machine reaches, and that takes the key which
// everybody knows, takes that as a token too where there is no other.
func (s *Service) newCurrents(reg prometheus.Registerer) *currentsDoor {
	o := s.options
	c := &currentsDoor{
		tokens: o.CurrentsTokens, window: newWindow(o.CurrentsDedupEntries, o.DedupWindow),
		watch: newCurrentsWatch(reg, s.log), drifts: newDriftBook(reg, s.log), log: s.log,
	}
	if dev := o.devSecret(); len(c.tokens) == 0 && dev != "" {
		c.tokens = Tokens{config.Secret(dev)}
	}
	c.holder = newHolder(currentsSource, nil, c.window, s.metrics)
	return c
}

// ready is a check of readiness that also says what Braze makes of it. Refusing Currents is no reason of its own
// to be taken out of service: then nothing could come that shows it is over.
func (s *Service) ready(ping func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		err := ping(ctx)
		if trouble := s.currents.watch.trouble(time.Now()); err != nil && trouble != "" {
			return fmt.Errorf("%w; %s", err, trouble)
		}
		return err
	}
}

// postCurrents answers POST /v1/braze/currents. Braze never sends again what it has been told yes for, and
// what it has been told no for either never again (400, 401, 403) or for five days, after which it switches
// the connector off (braze-docs: custom_http_connector). Hence:
//
//   - 200 once every event of the batch is durable, as a record or as a dead letter, and for a batch of none;
//   - 401 for a token that is not known, also for a batch of none, which Braze sends to find out;
//   - 413 for what is too large, which Braze then sends in parts;
//   - 503 for everything else that goes wrong, also for what would be a 400 elsewhere.
func (s *Service) postCurrents(x *exchange) error {
	rq, r, c := x.rq, x.Request(), s.currents
	if len(c.tokens) == 0 {
		return errNoTokens
	}
	// Not X-Api-Key, which a gateway in between may set for reasons of its own.
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || !c.tokens.open(strings.TrimSpace(token)) {
		c.watch.turnedAway()
		if c.strangers.allows(rq.received) {
			c.log.Warn().Msg("Currents' path was called without a token that is known; if it was Braze, its connector sends nothing any more until somebody gives it one of BRAZE_CURRENTS_TOKENS")
		}
		return errNoToken
	}
	x.origin()
	rq.holder, rq.counts = c.holder, &c.holder.counts[routeCurrents]
	rq.window, rq.buries = c.window, true
	workspace := workspaceOf(r.URL)
	space := c.watch.space(workspace)
	err := asCurrentsKnowsIt(s.takeCurrents(x, workspace, space))
	space.answered(err, len(rq.items), rq.received)
	return err
}

// takeCurrents makes a batch durable and says so.
func (s *Service) takeCurrents(x *exchange, workspace string, space *currentsSpace) error {
	rq := x.rq
	if err := rq.readCurrents(x.Request(), workspace); err != nil {
		return err
	}
	var t tally
	if len(rq.items) > 0 {
		x.leave = !rq.accept()
		if t = rq.tally(); t[unavailable] > 0 {
			return errKafkaAway
		}
		s.currents.watch.took(space, rq)
		s.currents.drifts.read(rq)
	}
	rq.out = strconv.AppendInt(append(rq.out[:0], `{"accepted":`...), int64(t[accepted]), 10)
	rq.out = strconv.AppendInt(append(rq.out, `,"duplicate":`...), int64(t[duplicate]), 10)
	rq.out = strconv.AppendInt(append(rq.out, `,"deadletter":`...), int64(t[rejected]), 10)
	writeJSON(x, http.StatusOK, append(rq.out, '}'))
	return nil
}

// asCurrentsKnowsIt makes of a refusal one that loses nothing: a batch that is told 400 is sent once more in
// parts, and those that are told so again are gone.
func asCurrentsKnowsIt(err error) error {
	var r *refusal
	if !errors.As(err, &r) || r.status != http.StatusBadRequest {
		return err
	}
	again := *r
	again.status, again.retry = http.StatusServiceUnavailable, retrySoon
	return &again
}

var (
	errNoToken = &refusal{
		status: http.StatusUnauthorized, code: "unauthorized",
		message: "give one of BRAZE_CURRENTS_TOKENS, as Authorization: Bearer TOKEN",
	}
	// errNoTokens is a 503, so that what is sent before somebody sets one is sent again.
	errNoTokens = &refusal{
		status: http.StatusServiceUnavailable, code: "no_token",
		message: "Currents has no token here yet: set BRAZE_CURRENTS_TOKENS", retry: 30 * time.Second,
	}
)

// errUnkeepable is of a body that cannot be read and is too long for a dead letter. Braze sends what it is of in
// parts, of which one will fit.
var errUnkeepable = &refusal{
	status: http.StatusRequestEntityTooLarge, code: "too_large",
	message: "the body is no batch of events, and too long to be kept as it is: send less at once",
}

// holdsNothing reports whether a body without events has nothing else to say either.
func holdsNothing(body []byte) bool {
	if len(body) > 1<<10 {
		return len(bytes.TrimSpace(body)) == 0
	}
	switch string(bytes.Join(bytes.Fields(body), nil)) {
	case "", "null", "[]", "{}", `{"events":[]}`, `{"events":null}`:
		return true
	}
	return false
}
