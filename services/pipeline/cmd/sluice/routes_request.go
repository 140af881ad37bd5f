package main

import (
	"encoding/json"
	"strings"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/braze-sender/routes"
)

// request is one thing that a file of routes would have sent, or why it would not. In earnest several
// customers share a request where the endpoint allows it; here each has its own.
type request struct {
	What     string          `json:"what"`             // the action's kind, or refused
	Target   string          `json:"target,omitempty"` // event's name, campaign's id and so on
	Route    string          `json:"route,omitempty"`  // empty for the default
	Priority string          `json:"priority,omitempty"`
	InDoubt  string          `json:"in_doubt,omitempty"`
	Call     string          `json:"call,omitempty"` // method and path
	Body     json.RawMessage `json:"body,omitempty"`
	Reason   string          `json:"reason,omitempty"` // of a skip, and of what is refused
}

// sameAs says whether a customer and the budget would notice a difference. What the route is called
// they would not.
func (r request) sameAs(other request) bool {
	return r.Priority == other.Priority && r.InDoubt == other.InDoubt && r.Call == other.Call && r.Reason == other.Reason &&
		string(r.Body) == string(other.Body)
}

// thing is what is counted, and by what requests of two files are laid side by side.
type thing struct{ what, target string }

func (r request) thing() thing { return thing{r.What, r.Target} }

// refused is the request that a record's routes failed to make.
func refused(err error) request {
	r := request{What: "refused", Reason: err.Error()}
	if route, _, ok := strings.Cut(strings.TrimPrefix(r.Reason, "route "), ": "); ok {
		r.Route, r.Target = route, route
	}
	return r
}

// requestFor makes the request of an action.
func requestFor(a routes.Action, rec routes.Record) request {
	r := request{What: a.Kind.String(), Route: a.Route, Priority: a.Priority.String(), InDoubt: a.InDoubt.String()}
	var body braze.Body
	switch a.Kind {
	case routes.Skip:
		return request{What: r.What, Target: a.Reason, Route: a.Route, Reason: a.Reason}
	case routes.Event, routes.Commerce, routes.Attributes, routes.Purchase:
		r.Target, r.Call, r.Body = trackRequest(a, rec)
		return r
	case routes.Campaign:
		r.Target, body = a.ID, &braze.CampaignTrigger{CampaignID: a.ID, Recipients: []braze.Recipient{recipient(a, rec)}}
	case routes.Canvas:
		r.Target, body = a.ID, &braze.CanvasTrigger{CanvasID: a.ID, Recipients: []braze.Recipient{recipient(a, rec)}}
	case routes.Transactional:
		r.Target, body = a.ID, &braze.TransactionalMessage{
			CampaignID: a.ID, ExternalSendID: a.ExternalSendID, Properties: a.Properties, User: userOf(rec),
		}
	case routes.Subscription:
		r.Target, body = a.GroupID+" "+a.State, subscription(a, rec)
	}
	call := braze.NewCall(nil, body)
	r.Call, r.Body = call.Endpoint.Method+" "+body.Path(), call.Body
	if v := body.Check(); v != nil { // as the sender will find
		r.Reason = "Braze would refuse it: " + v.Error()
	}
	return r
}

func recipient(a routes.Action, rec routes.Record) braze.Recipient {
	r := braze.Recipient{Target: braze.Target{User: userOf(rec)}, Properties: a.Properties}
	if r.User.Email != "" {
		r.Prioritization = []braze.Prioritization{braze.Identified, braze.MostRecentlyUpdated}
	}
	return r
}

func subscription(a routes.Action, rec routes.Record) braze.Body {
	group := braze.GroupStatus{GroupID: a.GroupID, State: braze.SubscriptionState(a.State)}
	switch u := identity(rec); {
	case u.ExternalID != "":
		group.ExternalIDs = []string{u.ExternalID}
	case u.Email != "":
		group.Emails = []string{u.Email}
	default:
		group.Phones = []string{u.Phone}
	}
	return &braze.SubscriptionStatusV2{Groups: []braze.GroupStatus{group}}
}

func identity(rec routes.Record) event.User {
	if rec.Commerce != nil {
		return rec.Commerce.User
	}
	return rec.Event.User
}

// userOf names the record's user by the strongest identifier there is.
func userOf(rec routes.Record) braze.User {
	switch u := identity(rec); {
	case u.ExternalID != "":
		return braze.User{ExternalID: u.ExternalID}
	case u.BrazeID != "":
		return braze.User{BrazeID: u.BrazeID}
	case u.AliasName != "":
		return braze.User{Alias: braze.Alias{Label: u.AliasLabel, Name: u.AliasName}}
	case u.Email != "":
		return braze.User{Email: u.Email}
	default:
		return braze.User{Phone: u.Phone}
	}
}
