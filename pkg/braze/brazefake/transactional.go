package brazefake

import (
	"net/http"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
)

const queued = "The external reference has been queued. Please retry to obtain send_id."

// planTransactional plans a transactional send. Its external_send_id is the only key in all of Braze's
// messaging by which a repeated call is recognised (braze-docs: post_send_transactional_message).
func (s *Sandbox) planTransactional(c *call, r *http.Request, body []byte) (plan, reply) {
	f := s.read(c, "", body, "external_send_id", "trigger_properties", "recipient")
	id := r.PathValue("campaign_id")
	unsent, problem := s.lookUp(id, TransactionalCampaign)
	if known, exists := s.options.Campaigns[id]; exists && known.Kind != TransactionalCampaign {
		problem = "the campaign is not a transactional campaign"
	}
	if problem = firstOf(problem, unsent); problem != "" {
		f.fail("%s", problem)
	}
	external := f.text("external_send_id")
	if f.has("external_send_id") && (external == "" || strings.Trim(external, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_+/=") != "") {
		f.fail("'external_send_id' must match ^[a-zA-Z0-9-_+\\/=]+$")
	}
	properties := f.object("trigger_properties", braze.MaxTriggerBytes)
	if !f.has("recipient") {
		f.fail("No Recipients")
		return plan{items: 1}, f.bad()
	}
	rf := s.read(c, "recipient.", f.members["recipient"], "external_user_id", "user_alias", "attributes")
	to := recipient{
		target: rf.target("external_user_id", false, "external_id", "user_alias"), attributes: rf.object("attributes", braze.MaxBody),
	}
	to.create = len(to.attributes) > 0 && to.who.aliasName == ""
	f.problem = firstOf(f.problem, rf.problem)
	p := plan{items: 1, users: []string{to.who.key()}, status: c.knobs.PlainStatus}
	if f.problem != "" {
		return p, f.bad()
	}
	send := Send{
		Request: c.number, At: c.at, Endpoint: c.endpoint.String(), Campaign: id, DispatchID: dispatchID(c.number), ExternalSendID: external,
	}
	p.body = success("dispatch_id", quoted(send.DispatchID), "status", `"sent"`,
		"metadata", `{"external_send_id":`+quoted(external)+`,"campaign_api_id":`+quoted(id)+`,"received_at":`+quoted(c.at.UTC().Format("2006-01-02T15:04:05.000-07:00"))+`}`)
	p.apply = func() { s.sendTo(send, properties, []recipient{to}, false) }
	if external == "" {
		return p, reply{}
	}
	// Whether the id is taken is asked when the send is carried out, and not for one that a mishap stops.
	p.claim = func(p *plan) reply { return s.claim(c, p, external) }
	return p, reply{}
}

// claim takes an external_send_id for a send, or makes the plan that of the one that has it already.
func (s *Sandbox) claim(c *call, p *plan, external string) reply {
	l := &s.sends
	l.mu.Lock()
	defer l.mu.Unlock()
	before, exists := l.taken[external]
	switch {
	case exists && c.at.Sub(before.at) >= externalSendIDKept:
	case exists && before.answer == nil:
		return fatal(c.knobs.QueuedStatus, queued)
	case exists:
		p.apply, p.body = nil, before.answer
		return reply{}
	}
	l.taken[external] = taken{at: time.Now()}
	apply, answer := p.apply, p.body
	p.apply = func() {
		apply()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.taken[external] = taken{at: c.at, answer: answer}
	}
	return reply{}
}
