package brazefake

import (
	"maps"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
)

// mailing is a message of a campaign or a Canvas on its way to one user.
type mailing struct {
	campaign, canvas, name string
	send, dispatch         string
}

// What people do with messages, roughly.
const (
	pBounce      = 0.03
	pOpen        = 0.6
	pMachineOpen = 0.1 // of those that are opened
	pClick       = 0.4 // likewise
	pUnsubscribe = 0.03
)

// told reports what was sent by the API; the person is not locked.
func (s *Sandbox) told(who *person, send *Send) {
	r := s.reporter.Load()
	if r == nil || send.Unsent != "" {
		return
	}
	m := &mailing{campaign: send.Campaign, name: send.Campaign, send: send.SendID, dispatch: send.DispatchID}
	if send.Endpoint == braze.CanvasTriggerSend.String() {
		m.campaign, m.canvas = "", send.Campaign
	}
	who.mu.Lock()
	defer who.mu.Unlock()
	r.mail(who, who.face(), m)
}

// mail sends a message: by email to who has an address, else as a push notification.
func (r *reporter) mail(who *person, f *face, m *mailing) {
	now := time.Now()
	if m.canvas != "" {
		r.report("users.canvas.Entry", now, f, map[string]any{
			"canvas_id": m.canvas, "canvas_name": m.name, "canvas_variation_id": m.canvas + "-variation", "in_control_group": false,
		})
	}
	if f.email == "" {
		r.push(f, m, now)
		return
	}
	const kind = "users.messages.email."
	r.report(kind+"Send", now, f, m.email(f, map[string]any{"from_domain": "mail.example.com", "ip_pool": "sandbox"}))
	if r.chance(pBounce) {
		r.after(r.options.Reaction/8, func(at time.Time) {
			r.report(kind+"Bounce", at, f, m.email(f, map[string]any{"bounce_reason": "550 5.1.1 no such mailbox", "esp": "SparkPost"}))
		})
		return
	}
	r.after(r.options.Reaction/8, func(at time.Time) {
		r.report(kind+"Delivery", at, f, m.email(f, map[string]any{"from_domain": "mail.example.com", "esp": "SparkPost"}))
	})
	if r.chance(pOpen) {
		r.after(r.options.Reaction, func(at time.Time) { r.opened(who, f, m, at) })
	}
}

// opened reports an open, and what follows it.
func (r *reporter) opened(who *person, f *face, m *mailing, at time.Time) {
	const kind = "users.messages.email."
	open := map[string]any{"user_agent": "Mozilla/5.0", "device_class": "phone", "esp": "SparkPost", "is_amp": false}
	if r.chance(pMachineOpen) {
		open["machine_open"] = "true" // a text (currents-examples: sample-data/Avro)
		r.report(kind+"Open", at, f, m.email(f, open))
		return
	}
	r.report(kind+"Open", at, f, m.email(f, open))
	switch {
	case r.chance(pClick):
		r.after(r.options.Reaction, func(at time.Time) {
			r.report(kind+"Click", at, f, m.email(f, map[string]any{
				"url": "https://shop.example/?c=" + m.campaign + m.canvas, "link_alias": "hero", "is_suspected_bot_click": false,
				"suspected_bot_click_reason": []string{},
			}))
		})
	case r.chance(pUnsubscribe):
		r.after(r.options.Reaction, func(at time.Time) {
			r.report(kind+"Unsubscribe", at, f, m.email(f, map[string]any{}))
			who.mu.Lock()
			defer who.mu.Unlock()
			before := who.attributes["email_subscribe"]
			who.attributes["email_subscribe"] = []byte(`"unsubscribed"`)
			r.sandbox.resubscribed(who, before, who.attributes["email_subscribe"], byPage)
		})
	}
}

// push sends a notification.
func (r *reporter) push(f *face, m *mailing, now time.Time) {
	const kind = "users.messages.pushnotification."
	device := map[string]any{"app_id": "sandbox-app", "platform": "ios"}
	r.report(kind+"Send", now, f, m.about(device))
	if r.chance(pOpen / 2) {
		r.after(r.options.Reaction, func(at time.Time) { r.report(kind+"Open", at, f, m.about(device)) })
	}
}

// email is about with the address, which every event of the channel has.
func (m *mailing) email(f *face, more map[string]any) map[string]any {
	more["email_address"] = f.email
	return m.about(more)
}

// about adds the columns by which events of one message are joined.
func (m *mailing) about(more map[string]any) map[string]any {
	all := map[string]any{"dispatch_id": strings.ReplaceAll(m.dispatch, "-", "")}
	if m.canvas != "" {
		all["canvas_id"], all["canvas_name"], all["canvas_variation_id"] = m.canvas, m.name, m.canvas+"-variation"
		all["canvas_step_id"], all["canvas_step_name"] = m.canvas+"-step", "Message"
	} else {
		all["campaign_id"], all["campaign_name"] = m.campaign, m.name
		all["message_variation_id"], all["message_variation_name"] = m.campaign+"-variation", "Variant 1"
	}
	if m.send != "" {
		all["send_id"] = m.send
	}
	maps.Copy(all, more)
	return all
}
