package brazefake

import (
	"fmt"
	"net/http"

	"github.com/sluicehq/sluice/pkg/braze"
)

// planMessages plans /messages/send (braze-docs: post_send_messages).
func (s *Sandbox) planMessages(c *call, _ *http.Request, body []byte) (plan, reply) {
	f := s.read(c, "", body, "broadcast", "external_user_ids", "user_aliases", "segment_id", "audience", "campaign_id", "send_id",
		"override_frequency_capping", "recipient_subscription_state", "messages")
	ids, aliases := f.texts("external_user_ids", false), f.list("user_aliases")
	f.most("external_ids", len(ids)+len(aliases), c.endpoint.MaxItems)
	var recipients []recipient
	for _, id := range ids {
		recipients = append(recipients, recipient{target: target{who: identity{externalID: id, primaries: 1}}})
	}
	for i, a := range aliases {
		who := identity{}
		if who.read("user_alias", a); who.refusal != "" {
			f.fail("'user_aliases[%d]': %s", i, who.refusal)
		}
		recipients = append(recipients, recipient{target: target{who: who}})
	}
	send := Send{
		Request: c.number, At: c.at, Endpoint: c.endpoint.String(), Campaign: f.text("campaign_id"), SendID: f.text("send_id"),
		DispatchID: dispatchID(c.number), Broadcast: f.boolean("broadcast", false), Audience: f.object("audience", braze.MaxBody),
	}
	if send.Campaign != "" {
		_, problem := s.lookUp(send.Campaign, APICampaign)
		f.problem = firstOf(f.problem, problem)
	}
	f.boolean("override_frequency_capping", false)
	f.oneOf("recipient_subscription_state", "", "opted_in", "subscribed", "all")
	messages := f.object("messages", braze.MaxBody)
	switch {
	case len(recipients) == 0 && f.text("segment_id") == "" && send.Audience == nil:
		f.fail("No Recipients")
	case send.Broadcast && len(recipients) > 0:
		f.fail("broadcast excludes external_user_ids and user_aliases")
	case len(recipients) == 0 && !send.Broadcast:
		f.fail("broadcast must be true when there are no external_user_ids")
	case len(dictionary(messages)) == 0:
		f.fail("No message to send")
	}
	p := plan{items: len(recipients), status: c.knobs.PlainStatus}
	for _, r := range recipients {
		p.users = append(p.users, r.who.key())
	}
	p.body = success("dispatch_id", quoted(send.DispatchID))
	p.apply = func() { s.sendTo(send, messages, recipients, false) }
	return p, f.bad()
}

// planSendID plans /sends/id/create (braze-docs: post_create_send_ids).
func (s *Sandbox) planSendID(c *call, _ *http.Request, body []byte) (plan, reply) {
	f := s.read(c, "", body, "campaign_id", "send_id")
	if _, problem := s.lookUp(f.text("campaign_id"), APICampaign); problem != "" {
		f.fail("%s", problem)
	}
	id := f.text("send_id")
	if id == "" {
		id = fmt.Sprintf("send-%d", c.number)
	}
	return plan{items: 1, status: c.knobs.PlainStatus, body: success("send_id", quoted(id))}, f.bad()
}
