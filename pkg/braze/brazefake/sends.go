package brazefake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

// Send is one message, or one entry into a Canvas, that was asked for.
type Send struct {
	Request    int64     `json:"request"`
	At         time.Time `json:"at"`
	Endpoint   string    `json:"endpoint"`
	Campaign   string    `json:"campaign,omitempty"` // or Canvas
	SendID     string    `json:"send_id,omitempty"`
	DispatchID string    `json:"dispatch_id"`
	// User is whom it goes to, by canonical id; empty for a broadcast.
	User string `json:"user,omitempty"`
	// Properties are the trigger_properties or the context, the recipient's over those of the request; of
	// /messages/send, the messages.
	Properties json.RawMessage `json:"properties,omitempty"`
	// ExternalSendID is that of a transactional send.
	ExternalSendID string          `json:"external_send_id,omitempty"`
	Audience       json.RawMessage `json:"audience,omitempty"` // of a broadcast
	Broadcast      bool            `json:"broadcast,omitempty"`
	// Unsent is why nothing was sent although the call succeeded; empty when something was.
	Unsent string `json:"unsent,omitempty"`
}

// sendLog is what was sent; beyond limit the oldest sends are forgotten.
type sendLog struct {
	limit int
	mu    sync.Mutex
	list  []Send
	taken map[string]taken // external_send_ids
}

// taken is an external_send_id that has been used.
type taken struct {
	at     time.Time
	answer []byte // of the send that took it; nil while it is queued
}

const externalSendIDKept = 24 * time.Hour // braze-docs: post_send_transactional_message

func (l *sendLog) init(limit int) {
	l.limit = limit
	l.taken = map[string]taken{}
}

func (l *sendLog) add(sends []Send) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = bounded(append(l.list, sends...), l.limit)
}

func (l *sendLog) last(n int, user string) []Send {
	l.mu.Lock()
	defer l.mu.Unlock()
	return newest(l.list, n, func(s *Send) bool { return user == "" || s.User == user })
}

func (l *sendLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list, l.taken = nil, map[string]taken{}
}

// Sends are all sends that are remembered, in the order in which they were carried out.
func (s *Sandbox) Sends() []Send {
	s.sends.mu.Lock()
	defer s.sends.mu.Unlock()
	return slices.Clone(s.sends.list)
}

// spendOnSend takes a send out of its pool: the general one, or as a broadcast that of broadcasts and of
// its audience (braze-docs: api_limits).
func (s *Sandbox) spendOnSend(c *call, h http.Header, body []byte) reply {
	members := dictionary(body)
	if string(members["broadcast"]) != "true" {
		return s.spend(c, h, braze.PoolGeneral)
	}
	if answer := s.spend(c, h, braze.PoolBroadcast); answer.status != 0 || c.knobs.rateOf(braze.PoolBroadcast).IsZero() {
		return answer
	}
	var audience strings.Builder
	for _, name := range []string{"campaign_id", "canvas_id", "segment_id", "audience"} {
		audience.Write(members[name])
		audience.WriteByte(0)
	}
	return s.spendOnAudience(c, h, audience.String())
}

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
	p.apply = func() { s.sendTo(c, send, properties, recipients, kind == Canvas) }
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

// sendTo sends to each recipient who exists, or is created, after setting their attributes.
func (s *Sandbox) sendTo(c *call, send Send, properties []byte, recipients []recipient, canvas bool) {
	if send.Broadcast {
		send.Properties = raw(properties)
		s.sends.add([]Send{send})
		return
	}
	s.people.whole.RLock()
	defer s.people.whole.RUnlock()
	sends := make([]Send, 0, len(recipients))
	for _, r := range recipients {
		one := send
		one.User, one.Properties = r.who.key(), over(properties, r.properties)
		who := s.people.resolve(r.target)
		if who == nil && r.create {
			who = s.people.findOrCreate(r.who)
		}
		if who == nil {
			s.counters.nobody.Add(1)
			one.Unsent = firstOf(one.Unsent, "no such user")
		} else if len(r.attributes) > 0 {
			s.setAttributes(who, &object{raw: without(r.attributes, canvas)})
		}
		sends = append(sends, one)
	}
	s.sends.add(sends)
}

// without leaves the subscription groups out of a Canvas's attributes, which by default may not change
// them (braze-docs: post_send_triggered_canvases).
func without(attributes []byte, canvas bool) []byte {
	if !canvas {
		return attributes
	}
	out := []byte{'{'}
	for name, value := range jsonscan.Members(attributes) {
		if string(name) == "subscription_groups" {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), name...), `":`...)
		out = append(out, value...)
	}
	return append(out, '}')
}

// over is an object with the members of another laid over it.
func over(under, top []byte) json.RawMessage {
	switch {
	case len(under) == 0:
		return raw(top)
	case len(top) == 0:
		return raw(under)
	}
	return deepMerge(under, top, 0)
}

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
	p.apply = func() { s.sendTo(c, send, messages, recipients, false) }
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
