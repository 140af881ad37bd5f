package event

import "time"

// Engagement is an event that Braze reported through Currents, the content of one record of
// braze.engagements.
type Engagement struct {
	ID   string // Braze's own, globally unique
	User User   // external id, Braze id, both or neither
	Type string // Braze's dotted name, such as users.messages.email.Click
	// Channel is that of the message it is about, such as email or push; empty where there is none.
	Channel    string
	OccurredAt time.Time // by Braze's clock, mostly in whole seconds
	ReceivedAt time.Time // by ours
	Workspace  string    // which connector sent it; empty where it does not say

	AppID                        string
	CampaignID                   string
	CampaignName                 string
	MessageVariationID           string
	CanvasID                     string
	CanvasName                   string
	CanvasVariationID            string
	CanvasStepID                 string
	CanvasStepMessageVariationID string
	SendID                       string
	DispatchID                   string
	DeviceID                     string

	// JSON is the whole event as Braze sent it: an object with event_type, id, time, user, properties.
	JSON []byte
}

// Key is the Kafka key: the user's canonical id, or one of the event's own where it names nobody.
func (e *Engagement) Key() string {
	if key := e.User.Key(); key != "" {
		return key
	}
	return "event:" + e.ID
}

// Action is a webhook that a campaign or Canvas sent, the content of one record of braze.actions.
type Action struct {
	ID          string // idempotency key within Name
	User        User
	Name        string // last part of the path it was sent to
	OccurredAt  time.Time
	ReceivedAt  time.Time // by our clock
	Source      string    // name of the API key
	Workspace   string    // empty where the URL does not say
	ContentType string
	// JSON is the body as it came, where that is JSON; Body is it where it is not.
	JSON []byte
	Body []byte
}

// Key is the Kafka key: the user's canonical id, or one of the action's own where it names nobody.
func (a *Action) Key() string {
	if key := a.User.Key(); key != "" {
		return key
	}
	return "action:" + a.Name + ":" + a.ID
}
