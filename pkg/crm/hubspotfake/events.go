package hubspotfake

import (
	"slices"
	"strconv"
)

// Where a change comes from, in HubSpot's words.
const (
	sourceUI          = "CRM_UI"
	sourceIntegration = "INTEGRATION"
)

// Event is one notification, as it stands in the array that is sent.
type Event struct {
	EventID          int64  `json:"eventId"`
	SubscriptionID   int64  `json:"subscriptionId"`
	PortalID         int64  `json:"portalId"`
	AppID            int64  `json:"appId"`
	OccurredAt       int64  `json:"occurredAt"` // ms
	SubscriptionType string `json:"subscriptionType"`
	AttemptNumber    int    `json:"attemptNumber"`
	ObjectID         int64  `json:"objectId"`
	PropertyName     string `json:"propertyName,omitzero"`
	// PropertyValue is "" where a property was cleared; nil of a creation.
	PropertyValue *string `json:"propertyValue,omitzero"`
	ChangeFlag    string  `json:"changeFlag,omitzero"`
	ChangeSource  string  `json:"changeSource"`
	SourceID      string  `json:"sourceId,omitzero"`
}

// tell queues what has changed. Only values that really are others now come here. The lock is held.
func (s *Sandbox) tell(k *kind, o *Object, changed []string, made bool, source, sourceID string) {
	e, listens := s.event(k, o, source, sourceID)
	if !listens {
		return
	}
	if made {
		e.SubscriptionType, e.SubscriptionID, e.ChangeFlag = "contact.creation", 4849550, "CREATED"
		s.hooks.add(e)
	}
	e.SubscriptionType, e.SubscriptionID, e.ChangeFlag = "contact.propertyChange", 4849549, ""
	for _, name := range changed {
		if s.hooks.o.Properties != nil && !slices.Contains(s.hooks.o.Properties, name) {
			continue
		}
		value := o.Properties[name]
		e.PropertyName, e.PropertyValue = name, &value
		s.hooks.add(e)
	}
}

// tellDeleted queues that an object is gone. The lock is held.
func (s *Sandbox) tellDeleted(k *kind, o *Object) {
	if e, listens := s.event(k, o, sourceUI, "userId:48213"); listens {
		e.SubscriptionType, e.SubscriptionID, e.ChangeFlag = "contact.deletion", 4849551, "DELETED"
		s.hooks.add(e)
	}
}

// event begins a notification about an object; false where nobody listens.
func (s *Sandbox) event(k *kind, o *Object, source, sourceID string) (Event, bool) {
	if s.hooks.o.URL == "" || k.name != "contacts" || len(s.hooks.queue) >= maxWaiting {
		return Event{}, false
	}
	id, _ := strconv.ParseInt(o.ID, 10, 64)
	return Event{
		PortalID: s.options.PortalID, AppID: s.options.AppID, OccurredAt: s.options.Now().UnixMilli(),
		ObjectID: id, ChangeSource: source, SourceID: sourceID,
	}, true
}

func (h *hooks) add(e Event) {
	h.nextID++
	e.EventID = h.nextID
	h.queue = append(h.queue, e)
	select {
	case h.wake <- struct{}{}:
	default:
	}
}
