package brazefake

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/brazefake/outgoing"
	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
	"github.com/sluicehq/sluice/pkg/currents"
)

// face is what a report says of somebody.
type face struct {
	key                 string // canonical id
	brazeID, externalID string
	email, phone, zone  string
}

// face looks at somebody, who is locked.
func (p *person) face() *face {
	text := func(name string) string {
		value, _ := jsonscan.String(p.attributes[name])
		return string(value)
	}
	f := &face{key: "braze_id:" + p.brazeID, brazeID: p.brazeID, externalID: p.externalID, email: text("email"), phone: text("phone"), zone: text("time_zone")}
	if p.externalID != "" {
		f.key = p.externalID
	}
	return f
}

// json is the "user" of an event: user_id is what the REST API calls braze_id, and external_user_id what it
// calls external_id (braze-docs: message_engagement_events).
func (f *face) json(typ string) map[string]any {
	user := map[string]any{"user_id": f.brazeID}
	if f.externalID != "" {
		user["external_user_id"] = f.externalID
	}
	if f.zone != "" {
		// Not every type has it.
		if t, known := currents.Lookup(typ); known {
			if _, has := t.Field(currents.InUser, "timezone"); has {
				user["timezone"] = f.zone
			}
		}
	}
	return user
}

// behaved reports an event or a purchase that was stored; the person is locked. Custom properties are an
// object of their own there (currents-examples: sample-data/Custom HTTP).
func (s *Sandbox) behaved(who *person, o *object) {
	r := s.reporter.Load()
	if r == nil {
		return
	}
	properties := map[string]any{}
	if len(o.appID) > 0 && !isNull(o.appID) {
		properties["app_id"] = raw(o.appID)
	}
	own := json.RawMessage(`{}`)
	if kept := keptProperties(o.entry.Properties); len(kept) > 0 && kept[0] == '{' {
		own = raw(kept)
	}
	f := who.face()
	if o.array == braze.Purchases {
		properties["product_id"], properties["currency"], properties["price"] = o.entry.Name, raw(o.currency), raw(o.price)
		properties["purchase_properties"] = own
		r.report("users.behaviors.Purchase", o.at, f, properties)
		return
	}
	properties["name"], properties["custom_properties"] = o.entry.Name, own
	r.report("users.behaviors.CustomEvent", o.at, f, properties)
	if name := o.entry.Name; r.chance(r.options.Marketing) {
		r.mail(who, f, &mailing{campaign: "after-" + strings.ToLower(url.PathEscape(name)), name: "After " + name, dispatch: newEventID()})
	}
}

// Where a change of a subscription comes from (braze-docs: property_details_dispatch_state_source).
const (
	byAPI  = "REST API"
	byPage = "Subscription Page"
)

// states are the states as events have them.
var states = map[string]string{"subscribed": "Subscribed", "unsubscribed": "Unsubscribed", "opted_in": "Opted In"}

// regrouped reports that somebody's state in a subscription group has changed; the person is locked.
func (s *Sandbox) regrouped(who *person, group, before, now string) {
	r := s.reporter.Load()
	if r == nil || before == now || states[now] == "" {
		return
	}
	f := who.face()
	properties := map[string]any{"subscription_group_id": group, "subscription_status": states[now], "state_change_source": byAPI}
	f.addressed(properties)
	r.report("users.behaviors.subscriptiongroup.StateChange", time.Now(), f, properties)
}

// resubscribed reports that somebody's state for all email has changed; the person is locked.
func (s *Sandbox) resubscribed(who *person, before, now []byte, source string) {
	was, _ := jsonscan.String(before)
	is, _ := jsonscan.String(now)
	r := s.reporter.Load()
	if r == nil || string(was) == string(is) || states[string(is)] == "" {
		return
	}
	f := who.face()
	properties := map[string]any{"subscription_status": states[string(is)], "state_change_source": source, "channel": "email"}
	f.addressed(properties)
	r.report("users.behaviors.subscription.GlobalStateChange", time.Now(), f, properties)
}

// addressed adds the address that a subscription is about.
func (f *face) addressed(properties map[string]any) {
	switch {
	case f.email != "":
		properties["channel"], properties["channel_identifier"], properties["email_address"] = "email", f.email, f.email
	case f.phone != "" && properties["channel"] == nil:
		properties["channel"], properties["channel_identifier"], properties["phone_number"] = "sms", f.phone, f.phone
	}
}

// tried reports a webhook: when it goes out first, and each time it is not received (braze-docs:
// message_engagement_events).
func (r *reporter) tried(hook outgoing.Webhook, a outgoing.Attempt) {
	f := r.sandbox.faceOf(hook.User)
	if f == nil {
		return // sent about nobody
	}
	properties := map[string]any{"campaign_id": "webhook-" + hook.Name, "campaign_name": hook.Name, "dispatch_id": hook.ID}
	if a.Number == 1 {
		r.report("users.messages.webhook.Send", a.At, f, properties)
	}
	if !a.Failed() {
		return
	}
	failed := map[string]any{
		"endpoint_url": hook.URL, "retry_count": a.Number - 1, "webhook_duration": a.Took.Milliseconds(), "is_terminal": a.Terminal,
		"webhook_failure_source": "External Endpoint", "raw_response": a.Detail,
	}
	for name, value := range properties {
		failed[name] = value
	}
	if a.Status > 0 {
		failed["http_status_code"] = a.Status
	}
	if u, err := url.Parse(hook.URL); err == nil {
		failed["host"], failed["url_path"] = u.Host, u.Path
	}
	r.report("users.messages.webhook.Failure", a.At, f, failed)
}

// faceOf looks at somebody by canonical id; nil for nobody.
func (s *Sandbox) faceOf(user string) *face {
	s.people.whole.RLock()
	defer s.people.whole.RUnlock()
	who := s.people.find(parseUser(user))
	if who == nil {
		return nil
	}
	who.mu.Lock()
	defer who.mu.Unlock()
	return who.face()
}
