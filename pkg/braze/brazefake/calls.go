package brazefake

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/braze"
)

// plan is what a call comes to once its body has been found good.
type plan struct {
	items   int               // recipients, users or items
	refused int               // of these, singly
	users   []string          // canonical ids, to be watched while the call is under way
	apply   func()            // what it does, when it is done; nil is nothing
	now     bool              // do it before the answer, whatever the delay
	claim   func(*plan) reply // asked right before applying; may change the plan, or refuse
	status  int               // of success
	body    []byte            // of the answer, after apply where now is set
	answer  func() []byte
}

// planner looks at a body and plans, or returns the refusal of the whole call.
type planner func(s *Sandbox, c *call, r *http.Request, body []byte) (plan, reply)

// planners are the endpoints but those of /users/track.
var planners = map[*braze.Endpoint]planner{
	braze.CampaignsTriggerSend: (*Sandbox).planCampaign,
	braze.CanvasTriggerSend:    (*Sandbox).planCanvas,
	braze.MessagesSend:         (*Sandbox).planMessages,
	braze.TransactionalSend:    (*Sandbox).planTransactional,
	braze.SendsIDCreate:        (*Sandbox).planSendID,

	braze.SubscriptionStatusSet:   (*Sandbox).planStatus,
	braze.SubscriptionStatusSetV2: (*Sandbox).planStatusV2,
	braze.EmailStatus:             (*Sandbox).planEmail,

	braze.UsersIdentify:          (*Sandbox).planIdentify,
	braze.UsersAliasNew:          (*Sandbox).planAliases,
	braze.UsersMerge:             (*Sandbox).planMerge,
	braze.UsersDelete:            (*Sandbox).planDelete,
	braze.UsersExternalIDsRename: (*Sandbox).planRename,
	braze.UsersExportIDs:         (*Sandbox).planExport,

	braze.CatalogsCreate:      (*Sandbox).planCatalog,
	braze.CatalogFieldsCreate: (*Sandbox).planFields,
	braze.CatalogItemsCreate:  (*Sandbox).planItems,
	braze.CatalogItemsUpdate:  (*Sandbox).planItems,
	braze.CatalogItemsReplace: (*Sandbox).planItems,
	braze.CatalogItemsDelete:  (*Sandbox).planItems,
	braze.CatalogItemCreate:   (*Sandbox).planItem,
}

// serveEndpoints puts all endpoints into the mux. Those that share a path are told apart by the method.
func (s *Sandbox) serveEndpoints() {
	byPath := map[string][]*braze.Endpoint{}
	for _, e := range braze.Endpoints() {
		byPath[e.Path] = append(byPath[e.Path], e)
	}
	for path, endpoints := range byPath {
		s.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			e := endpoints[0]
			for _, other := range endpoints {
				if other.Method == r.Method {
					e = other
				}
			}
			if planners[e] == nil {
				s.track(w, r, e)
			} else {
				s.answer(w, r, e)
			}
		})
	}
}

// isEndpoint reports whether there is an endpoint with that path.
func isEndpoint(path string) bool {
	return slices.ContainsFunc(braze.Endpoints(), func(e *braze.Endpoint) bool {
		want, got := strings.Split(e.Path, "/"), strings.Split(path, "/")
		return slices.EqualFunc(want, got, func(w, g string) bool { return w == g || strings.HasPrefix(w, "{") && g != "" })
	})
}

// sendsMessages reports whether the body says which pool the call draws from.
func sendsMessages(e *braze.Endpoint) bool {
	return e == braze.CampaignsTriggerSend || e == braze.CanvasTriggerSend || e == braze.MessagesSend
}

// answer answers a call to any endpoint but those of /users/track.
func (s *Sandbox) answer(w http.ResponseWriter, r *http.Request, e *braze.Endpoint) {
	c := s.begin(e)
	s.end(c, w, s.treatCall(c, w, r))
}

func (s *Sandbox) treatCall(c *call, w http.ResponseWriter, r *http.Request) reply {
	if answer := s.gate(c, w.Header(), r); answer.status != 0 {
		return answer
	}
	var buf bytes.Buffer
	body, err := s.readBody(w, r, &buf, int64(c.endpoint.MaxBody))
	c.size = len(body)
	s.counters.bytes.Add(int64(c.size))
	switch {
	case errors.Is(err, errTooLarge):
		return s.tooLarge(c)
	case err != nil:
		return fatal(http.StatusBadRequest, errNotJSON.Error())
	}
	if value := jsontext.Value(body); !value.IsValid(syntax) || value.Kind() != '{' {
		return fatal(http.StatusBadRequest, errNotJSON.Error())
	}
	if sendsMessages(c.endpoint) {
		if answer := s.spendOnSend(c, w.Header(), body); answer.status != 0 {
			return answer
		}
	}
	p, refusal := planners[c.endpoint](s, c, r, body)
	c.items = p.items
	if s.options.Forget {
		return s.countCall(r.Context(), c, &p, refusal)
	}
	if refusal.status != 0 {
		s.calls.add(c, r, body, p.users, refusal.status)
		return refusal
	}
	return s.carryOutCall(c, r, &p, body)
}

// countCall is the whole treatment when everything is to be forgotten.
func (s *Sandbox) countCall(ctx context.Context, c *call, p *plan, refusal reply) reply {
	if refusal.status != 0 {
		return refusal
	}
	if c.mishap = c.knobs.throwBefore(c.dice); c.mishap.happened() {
		return fault(c.mishap.status)
	}
	wait(ctx, between(c.dice, c.knobs.LatencyMin, c.knobs.LatencyMax))
	if c.mishap = c.knobs.throwAfter(c.dice); c.mishap.happened() {
		return fault(c.mishap.status)
	}
	if p.answer != nil {
		p.body = p.answer()
	}
	return reply{status: p.status, body: p.body}
}

// carryOutCall does what is planned and finds the answer, with whatever goes wrong before and after. Its
// users are in flight until just before the answer is written.
func (s *Sandbox) carryOutCall(c *call, r *http.Request, p *plan, body []byte) reply {
	ctx := r.Context()
	c.flight.number, c.flight.ctx, c.flight.users = c.number, ctx, slices.Compact(slices.Sorted(slices.Values(p.users)))
	s.flights.take(&c.flight)
	if c.mishap = c.knobs.throwBefore(c.dice); c.mishap.happened() {
		wait(ctx, between(c.dice, c.knobs.LatencyMin, c.knobs.LatencyMax))
		s.flights.land(&c.flight)
		c.fate = NotApplied
		s.calls.add(c, r, body, p.users, c.mishap.status)
		return fault(c.mishap.status)
	}
	if p.claim != nil {
		if refusal := p.claim(p); refusal.status != 0 {
			s.flights.land(&c.flight)
			s.calls.add(c, r, body, p.users, refusal.status)
			return refusal
		}
	}
	c.refused = p.refused
	if p.apply != nil {
		delay := between(c.dice, c.knobs.ApplyDelayMin, c.knobs.ApplyDelayMax)
		if p.now {
			delay = 0
		}
		s.soon(delay, p.apply)
	}
	if p.answer != nil {
		p.body = p.answer()
	}
	wait(ctx, between(c.dice, c.knobs.LatencyMin, c.knobs.LatencyMax))
	c.mishap = c.knobs.throwAfter(c.dice)
	c.fate = Answered
	if gone := s.flights.land(&c.flight); gone {
		c.fate = ClientGone
	}
	if c.mishap.happened() {
		c.fate = AppliedUnanswered
		s.calls.add(c, r, body, p.users, c.mishap.status)
		return fault(c.mishap.status)
	}
	s.calls.add(c, r, body, p.users, p.status)
	return reply{status: p.status, body: p.body}
}
