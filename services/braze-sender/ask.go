package brazesender

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/braze-sender/commerce"
	"github.com/sluicehq/sluice/services/braze-sender/routes"
)

// ask makes the parts of one action. The record has been found to be valid; an error names what is
// wrong with the action, or that it cannot be done for this user.
func (s *Sender) ask(d *drafts, r routes.Record, a *routes.Action) error {
	switch a.Kind {
	case routes.Event:
		return s.askEvent(d, r, a)
	case routes.Attributes:
		return s.askAttributes(d, &r.Event.User, r.Event.Attributes, a)
	case routes.Commerce:
		return s.askCommerce(d, r.Commerce, a)
	case routes.Purchase:
		return s.askPurchase(d, r, a)
	case routes.Campaign:
		return s.askCall(d, a, &braze.CampaignTrigger{CampaignID: a.ID, Recipients: []braze.Recipient{recipient(r, a)}})
	case routes.Canvas:
		return s.askCall(d, a, &braze.CanvasTrigger{CanvasID: a.ID, Recipients: []braze.Recipient{recipient(r, a)}})
	case routes.Transactional:
		return s.askCall(d, a, &braze.TransactionalMessage{
			CampaignID: a.ID, ExternalSendID: a.ExternalSendID, Properties: a.Properties, User: target(r.User()).User,
		})
	case routes.Subscription:
		return s.askSubscription(d, r.User(), a)
	case routes.Skip:
	}
	return fmt.Errorf("route %s: there is no way to do %q", a.Route, a.Kind)
}

// track is the line of /users/track with the action's priority.
func (s *Sender) track(a *routes.Action) *line { return s.lines.track[rank(a.Priority)] }

func (s *Sender) askEvent(d *drafts, r routes.Record, a *routes.Action) error {
	var e event.Event
	if r.Event != nil {
		e = *r.Event
	} else {
		e.User = *r.User()
		e.OccurredAt, e.AppID = r.When()
	}
	if !a.AsIs {
		e.Name, e.Properties = a.Name, a.Properties
	}
	if a.Attributes && r.Event != nil && e.Attributes != nil {
		if err := s.askAttributes(d, &e.User, e.Attributes, a); err != nil {
			return err
		}
	}
	s.addEvent(d, &e, a)
	return nil
}

func (s *Sender) addEvent(d *drafts, e *event.Event, a *routes.Action) {
	d.parts = append(d.parts, part{
		line: s.track(a), array: braze.Events, park: s.park(a.InDoubt),
		object: d.object(func(dst []byte) []byte { return appendEvent(dst, e, a.ExistingOnly) }),
	})
}

func (s *Sender) askAttributes(d *drafts, u *event.User, object []byte, a *routes.Action) error {
	attributes, merge, err := parseAttributes(object, *u)
	if err != nil {
		return fmt.Errorf("attributes: %w", err)
	}
	if len(attributes) == 0 {
		return nil
	}
	d.parts = append(d.parts, part{
		line: s.track(a), array: braze.Attributes, attributes: attributes, alias: onlyAlias(u), merge: merge,
		object:     d.object(func(dst []byte) []byte { return appendUser(append(dst, '{'), u) }),
		repeatable: !slices.ContainsFunc(attributes, func(a attribute) bool { return a.grows }),
		park:       s.park(a.InDoubt),
	})
	return nil
}

func (s *Sender) askCommerce(d *drafts, c *event.Commerce, a *routes.Action) error {
	m, bytes, err := commerce.Event(d.bytes, c)
	d.bytes = bytes
	if err != nil {
		return err
	}
	if m.Lacks != "" {
		s.metrics.lacking(c.Type)
	}
	if err := braze.CheckEvent(m.Event.Name, nil); err != nil {
		return err
	}
	s.addEvent(d, &m.Event, a)
	return nil
}

func (s *Sender) askPurchase(d *drafts, r routes.Record, a *routes.Action) error {
	p := commerce.Purchase{
		ProductID: a.ProductID, Currency: a.Currency, Price: event.Money(a.Price), Quantity: int64(a.Quantity), Properties: a.Properties,
	}
	p.Time, p.AppID = r.When()
	u := r.User()
	d.parts = append(d.parts, part{
		line: s.track(a), array: braze.Purchases, park: s.park(a.InDoubt),
		object: d.object(func(dst []byte) []byte {
			dst = p.AppendMembers(append(appendUser(append(dst, '{'), u), ','))
			switch {
			case a.ExistingOnly:
				dst = append(dst, existingOnly...)
			case onlyAlias(u):
				dst = append(dst, createAlias...)
			}
			return append(dst, '}')
		}),
	})
	return nil
}

// recipient is the user of a send.
func recipient(r routes.Record, a *routes.Action) braze.Recipient {
	return braze.Recipient{Target: target(r.User()), Properties: a.Properties}
}

// target is the user as calls name one, by the strongest identifier there is. Of several who share an
// address the one is meant whom somebody has identified, and who was seen last.
func target(u *event.User) braze.Target {
	byAddress := []braze.Prioritization{braze.Identified, braze.MostRecentlyUpdated}
	switch {
	case u.ExternalID != "":
		return braze.Target{User: braze.User{ExternalID: u.ExternalID}}
	case u.BrazeID != "":
		return braze.Target{User: braze.User{BrazeID: u.BrazeID}}
	case u.AliasName != "":
		return braze.Target{User: braze.User{Alias: braze.Alias{Label: u.AliasLabel, Name: u.AliasName}}}
	case u.Email != "":
		return braze.Target{User: braze.User{Email: u.Email}, Prioritization: byAddress}
	}
	return braze.Target{User: braze.User{Phone: u.Phone}, Prioritization: byAddress}
}

// askSubscription sets a subscription group's state. The endpoint for it knows users by external id, email
// or phone; others have it set as an attribute.
func (s *Sender) askSubscription(d *drafts, u *event.User, a *routes.Action) error {
	group := braze.GroupStatus{GroupID: a.GroupID, State: braze.SubscriptionState(a.State)}
	switch {
	case u.ExternalID != "":
		group.ExternalIDs = []string{u.ExternalID}
	case u.BrazeID != "" || u.AliasName != "":
		value := braze.AppendString([]byte(`[{"subscription_group_id":`), a.GroupID)
		value = braze.AppendString(append(value, `,"subscription_state":`...), a.State)
		d.parts = append(d.parts, part{
			line: s.track(a), array: braze.Attributes, alias: onlyAlias(u), repeatable: true,
			attributes: []attribute{{key: "subscription_groups", value: append(value, `}]`...), operator: true}},
			object:     d.object(func(dst []byte) []byte { return appendUser(append(dst, '{'), u) }),
		})
		return nil
	case u.Email != "":
		group.Emails = []string{u.Email}
	default:
		group.Phones = []string{u.Phone}
	}
	return s.askCall(d, a, &braze.SubscriptionStatus{GroupStatus: group})
}

// askCall makes a part of a body with a single recipient or user. What stands around them is what all
// requests of their line begin and end with.
func (s *Sender) askCall(d *drafts, a *routes.Action, b braze.Body) error {
	if v := b.Check(); v != nil {
		return v
	}
	body := d.object(b.AppendBody)
	from, to := 0, len(body)
	if e := b.Endpoint(); e.MaxItems > 1 {
		// The only list of the body is that of its users: quotes within texts are escaped.
		from, to = bytes.Index(body, openList)+len(openList), len(body)-len(closeList)
	}
	d.parts = append(d.parts, part{
		line: s.lines.find(lineKey{
			endpoint: b.Endpoint(), path: b.Path(), prefix: string(body[:from]), suffix: string(body[to:]), priority: a.Priority,
		}),
		object: body[from:to:to], repeatable: b.Repeatable(), park: s.park(a.InDoubt),
	})
	return nil
}

var openList, closeList = []byte(`":[`), []byte(`]}`)
