package brazefake

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/pkg/braze"
)

// recipient is one of those a call sends to.
type recipient struct {
	target
	properties []byte
	attributes []byte
	create     bool
}

func (s *Sandbox) planCampaign(c *call, _ *http.Request, body []byte) (plan, reply) {
	return s.planTrigger(c, body, "campaign_id", "trigger_properties", APICampaign)
}

func (s *Sandbox) planCanvas(c *call, _ *http.Request, body []byte) (plan, reply) {
	return s.planTrigger(c, body, "canvas_id", "context", Canvas)
}

// planTrigger plans a send of a campaign or a Canvas (braze-docs: post_send_triggered_campaigns,
// post_send_triggered_canvases).
func (s *Sandbox) planTrigger(c *call, body []byte, idName, propertiesName string, kind CampaignKind) (plan, reply) {
	names := []string{idName, propertiesName, "broadcast", "audience", "recipients"}
	if kind == APICampaign {
		names = append(names, "send_id", "attachments")
	}
	f := s.read(c, "", body, names...)
	id := f.text(idName)
	unsent, problem := s.lookUp(id, kind)
	if problem != "" {
		f.fail("%s", problem)
	}
	send := Send{
		Request: c.number, At: c.at, Endpoint: c.endpoint.String(), Campaign: id, SendID: f.text("send_id"),
		DispatchID: dispatchID(c.number), Broadcast: f.boolean("broadcast", false), Audience: f.object("audience", braze.MaxBody), Unsent: unsent,
	}
	properties := f.object(propertiesName, braze.MaxTriggerBytes)
	recipients := s.readRecipients(c, f, propertiesName)
	attachments := f.list("attachments")
	switch {
	case send.Broadcast && f.has("recipients"):
		f.fail("broadcast excludes recipients")
	case !send.Broadcast && len(recipients) == 0:
		f.fail("No Recipients")
	case send.Broadcast && len(attachments) > 0:
		f.fail("attachments cannot be sent to a broadcast")
	}
	for i, a := range attachments {
		af := s.read(c, indexed("attachments", i), a, "file_name", "url")
		af.needed("file_name")
		af.needed("url")
		f.problem = firstOf(f.problem, af.problem)
	}
	p := plan{items: len(recipients), status: http.StatusCreated}
	if kind == APICampaign {
		p.status = c.knobs.PlainStatus
	}
	for _, r := range recipients {
		p.users = append(p.users, r.who.key())
	}
	answer := []string{"dispatch_id", quoted(send.DispatchID)}
	if unsent != "" && kind == Canvas {
		answer = append(answer, "notice", quoted(unsent))
	}
	if send.Broadcast && send.SendID != "" {
		answer = append(answer, "send_id", quoted(send.SendID))
	}
	p.body = success(answer...)
	p.apply = func() { s.sendTo(send, properties, recipients, kind == Canvas) }
	return p, f.bad()
}

// lookUp finds a campaign: why it is not sent although the call succeeds, or why the call is refused.
func (s *Sandbox) lookUp(id string, kind CampaignKind) (unsent, problem string) {
	what := "Campaign"
	if kind == Canvas {
		what = "Canvas"
	}
	if id == "" {
		return "", "Invalid " + what + " ID"
	}
	if s.options.Campaigns == nil {
		return "", ""
	}
	known, exists := s.options.Campaigns[id]
	switch {
	case !exists || known.Kind != kind:
		return "", "Invalid " + what + " ID"
	case known.State == Paused || known.State == Archived:
		return fmt.Sprintf("the %s is %s", strings.ToLower(what), known.State), ""
	}
	return "", ""
}

func (s *Sandbox) readRecipients(c *call, f *form, propertiesName string) (recipients []recipient) {
	elements := f.list("recipients")
	f.most("recipients", len(elements), c.endpoint.MaxItems)
	for i, element := range elements {
		rf := s.read(c, indexed("recipients", i), element, "external_user_id", "user_alias", "braze_id", "email", "prioritization",
			propertiesName, "attributes", "send_to_existing_only")
		r := recipient{
			target:     rf.target("external_user_id", true, "external_id", "user_alias", "braze_id", "email"),
			properties: rf.object(propertiesName, braze.MaxTriggerBytes), attributes: rf.object("attributes", braze.MaxBody),
			create: !rf.boolean("send_to_existing_only", true),
		}
		switch {
		case r.create && len(r.attributes) == 0:
			rf.fail("%s: 'attributes' are required when send_to_existing_only is false", rf.where())
		case r.create && r.who.aliasName != "":
			rf.fail("%s: send_to_existing_only cannot be used with user_alias", rf.where())
		}
		f.problem = firstOf(f.problem, rf.problem)
		// The same user again gets one message, with what the last of them says (braze-docs: recipient_object).
		again := slices.IndexFunc(recipients, func(other recipient) bool { return other.who.key() == r.who.key() })
		if again >= 0 {
			recipients[again] = r
			continue
		}
		recipients = append(recipients, r)
	}
	return recipients
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func dispatchID(number int64) string { return fmt.Sprintf("%032x", number) }
