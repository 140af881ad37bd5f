package watch

import (
	"encoding/json"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
)

func TestWhatAnEventCountsAs(t *testing.T) {
	for _, test := range []struct {
		name, kind, properties string
		want                   What
	}{
		{name: "a send", kind: send, want: Sends},
		{name: "a send of a channel that is yet to come", kind: "users.messages.telegram.Send", want: Sends},
		{name: "an SMS that its carrier has is not delivered yet", kind: "users.messages.sms.CarrierSend", want: nothing},
		{name: "a delivery", kind: "users.messages.whatsapp.Delivery", want: Deliveries},
		{name: "a hard bounce", kind: "users.messages.email.Bounce", want: Bounces},
		{name: "an SMS that was rejected", kind: "users.messages.sms.Rejection", want: Bounces},
		{name: "a WhatsApp message that failed", kind: "users.messages.whatsapp.Failure", want: Bounces},
		{name: "a webhook that will be tried again", kind: "users.messages.webhook.Failure", properties: `{"is_terminal":false}`, want: SoftBounces},
		{name: "a webhook that will not", kind: "users.messages.webhook.Failure", properties: `{"is_terminal":true}`, want: Bounces},
		{name: "a soft bounce", kind: "users.messages.email.SoftBounce", want: SoftBounces},
		{name: "an open", kind: opens, properties: `{"machine_open":null}`, want: Opens},
		{name: "an open by a machine, in text as Braze writes it", kind: opens, properties: `{"machine_open":"true"}`, want: MachineOpens},
		{name: "an open by a machine of another kind", kind: opens, properties: `{"machine_open":"gmail_prefetch"}`, want: MachineOpens},
		{name: "an open that is said to be none", kind: opens, properties: `{"machine_open":"False"}`, want: Opens},
		{name: "machine_open somewhere else", kind: opens, properties: `{"subject":"machine_open","x":{"machine_open":"true"}}`, want: Opens},
		{name: "a message that was read", kind: "users.messages.rcs.Read", want: Opens},
		{name: "a card that was seen", kind: "users.messages.contentcard.Impression", want: Opens},
		{name: "a click", kind: click, properties: `{"url":"https://example.com"}`, want: Clicks},
		{name: "a click by a bot", kind: click, properties: `{"is_suspected_bot_click":true}`, want: BotClicks},
		{name: "a click that was looked at", kind: click, properties: `{"is_suspected_bot_click":false,"suspected_bot_click_reason":["x"]}`, want: Clicks},
		{name: "a click with reasons and no verdict", kind: click, properties: `{"is_suspected_bot_click":null,"suspected_bot_click_reason":["user_agent"]}`, want: BotClicks},
		{name: "a click with no reasons", kind: click, properties: `{"suspected_bot_click_reason":[ ]}`, want: Clicks},
		{name: "a short link", kind: "users.messages.sms.ShortLinkClick", want: Clicks},
		{name: "an unsubscribe", kind: "users.messages.email.Unsubscribe", want: Unsubscribes},
		{name: "STOP", kind: "users.messages.sms.InboundReceive", properties: `{"action":"Unsubscribed"}`, want: Unsubscribes},
		{name: "any other answer", kind: "users.messages.sms.InboundReceive", properties: `{"action":"None"}`, want: nothing},
		{name: "spam", kind: "users.messages.email.MarkAsSpam", want: Spam},
		{name: "an abort", kind: "users.messages.banner.Abort", want: Aborts},
		{name: "a step of a content optimizer is sent by its channel too", kind: "users.canvas.costep.Send", want: nothing},
		{name: "no message", kind: start, want: nothing},
	} {
		t.Run(test.name, func(t *testing.T) {
			properties := test.properties
			if properties == "" {
				properties = "{}"
			}
			var m marks
			e := event.Engagement{Type: test.kind, JSON: []byte(`{"event_type":"` + test.kind + `","user":{"machine_open":1},"properties":` + properties + `}`)}
			if got := m.whatOf(&e); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestRatiosOfACampaignAndOfAStep(t *testing.T) {
	b := NewBook(Rules{Window: 3 * time.Hour}, noon.Add(-6*time.Hour))
	n := 0
	add := func(count int, kind, campaign, canvas, step, properties string, at time.Time) {
		for range count {
			n++
			b.Add(&event.Engagement{
				ID: string(rune('a'+n%26)) + time.Duration(n).String(), Workspace: "main", Type: kind, Channel: "email", OccurredAt: at, ReceivedAt: at,
				CampaignID: campaign, CampaignName: "Spring", CanvasID: canvas, CanvasStepID: step, JSON: []byte(`{"properties":` + properties + `}`),
			}, at.Add(time.Minute))
		}
	}
	add(999, send, "c1", "", "", "{}", noon.Add(-5*time.Hour)) // before the window
	add(100, send, "c1", "", "", "{}", noon.Add(-time.Hour))
	add(90, "users.messages.email.Delivery", "c1", "", "", "{}", noon)
	add(10, "users.messages.email.Bounce", "c1", "", "", "{}", noon)
	add(45, opens, "c1", "", "", "{}", noon)
	add(20, opens, "c1", "", "", `{"machine_open":"true"}`, noon)
	add(9, click, "c1", "", "", "{}", noon)
	add(3, click, "c1", "", "", `{"is_suspected_bot_click":true}`, noon)
	add(20, "users.messages.pushnotification.Send", "", "v1", "s1", "{}", noon)
	add(4, "users.messages.pushnotification.Bounce", "", "v1", "s1", "{}", noon)
	add(8, "users.messages.pushnotification.Open", "", "v1", "s1", "{}", noon)
	add(5, start, "", "", "", "{}", noon)
	b.Add(&event.Engagement{ID: "other", Workspace: "main", Type: "users.messages.sms.Send", Channel: "sms", CampaignID: "c1", OccurredAt: noon, ReceivedAt: noon}, noon)
	got, err := json.Marshal(b.Snapshot(noon).Steps)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"workspace":"main","campaign_id":"c1","channel":"email","name":"Spring",` +
		`"sends":100,"deliveries":90,"bounces":10,"soft_bounces":0,"opens":45,"machine_opens":20,"clicks":9,"bot_clicks":3,"unsubscribes":0,"spam":0,"aborts":0,` +
		`"delivered_ratio":0.9,"bounced_ratio":0.1,"opened_ratio":0.5,"clicked_ratio":0.1,"unsubscribed_ratio":0},` +
		`{"workspace":"main","canvas_id":"v1","canvas_step_id":"s1","channel":"email",` +
		`"sends":20,"deliveries":0,"bounces":4,"soft_bounces":0,"opens":8,"machine_opens":0,"clicks":0,"bot_clicks":0,"unsubscribes":0,"spam":0,"aborts":0,` +
		`"bounced_ratio":0.2,"opened_ratio":0.5,"clicked_ratio":0,"unsubscribed_ratio":0},` +
		`{"workspace":"main","campaign_id":"c1","channel":"sms",` +
		`"sends":1,"deliveries":0,"bounces":0,"soft_bounces":0,"opens":0,"machine_opens":0,"clicks":0,"bot_clicks":0,"unsubscribes":0,"spam":0,"aborts":0,` +
		`"bounced_ratio":0,"opened_ratio":0,"clicked_ratio":0,"unsubscribed_ratio":0}]`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

// FuzzMarks holds the search for one property to a full parse of the event.
func FuzzMarks(f *testing.F) {
	for _, seed := range []string{
		`{"properties":{"machine_open":"true"}}`, `{"properties":{"a":[1,{"machine_open":"x"}],"machine_open":true}}`, `{"user":{},"properties":null}`,
		`{"properties":{"machine_open":`, `[]`, `"machine_open"`, ``, `{"properties":{"machine\u005fopen":"true"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m marks
		got := m.yes(b, "machine_open")
		m.bot(b)
		var want map[string]any
		if jsonv2.Unmarshal(b, &want) != nil || !got { // which refuses what stands there twice
			return
		}
		properties, _ := want["properties"].(map[string]any)
		switch v := properties["machine_open"].(type) {
		case bool:
			if !v {
				t.Errorf("%s is said to be true", b)
			}
		case string:
			if v == "" {
				t.Errorf("%s is said to be true", b)
			}
		default:
			t.Errorf("%s is said to be true", b)
		}
	})
}
