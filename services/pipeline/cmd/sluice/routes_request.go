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

// refusedWord stands for what becomes a dead letter instead of a request.
const refusedWord = "refused"

// thing is what is counted, and by what requests of two files are laid side by side.
type thing struct{ what, target string }

func (r request) thing() thing { return thing{r.What, r.Target} }

// refused is the request that a record's routes failed to make.
func refused(err error) request {
	r := request{What: refusedWord, Reason: err.Error()}
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
	case routes.Event:
		return r.event(a, rec)
	case routes.Commerce:
		return r.commerce(rec)
	case routes.Attributes:
		return r.attributes(rec, rec.Event.Attributes)
	case routes.Purchase:
		return r.purchase(a, rec)
	case routes.Campaign:
		r.Target, body = a.ID, &braze.CampaignTrigger{CampaignID: a.ID, Recipients: []braze.Recipient{recipient(a, rec)}}
	case routes.Canvas:
		r.Target, body = a.ID, &braze.CanvasTrigger{CanvasID: a.ID, Recipients: []braze.Recipient{recipient(a, rec)}}
	case routes.Transactional:
		r.Target, body = a.ID, &braze.TransactionalMessage{
			CampaignID: a.ID, ExternalSendID: a.ExternalSendID, Properties: a.Properties, User: userOf(rec),
		}
	case routes.Subscription:
		r.Target = a.GroupID + " " + a.State
		if body = subscription(a, rec); body == nil { // as an attribute, since the endpoint does not know such users
			value := braze.AppendString([]byte(`{"subscription_groups":[{"subscription_group_id":`), a.GroupID)
			value = braze.AppendString(append(value, `,"subscription_state":`...), a.State)
			return r.attributes(rec, append(value, `}]}`...))
		}
	}
	if v := body.Check(); v != nil { // as the sender will find
		return r.invalid(v)
	}
	call := braze.NewCall(nil, body)
	r.Call, r.Body = call.Endpoint.Method+" "+body.Path(), call.Body
	return r
}

// invalid is the request that the sender finds Braze would not take.
func (r request) invalid(err error) request {
	return request{What: refusedWord, Target: "invalid", Route: r.Route, Reason: err.Error()}
}

func recipient(a routes.Action, rec routes.Record) braze.Recipient {
	r := braze.Recipient{Target: braze.Target{User: userOf(rec)}, Properties: a.Properties}
	if r.User.Email != "" {
		r.Prioritization = []braze.Prioritization{braze.Identified, braze.MostRecentlyUpdated}
	}
	return r
}

// subscription is the call that sets a state; nil for a user whom its endpoint does not know.
func subscription(a routes.Action, rec routes.Record) braze.Body {
	group := braze.GroupStatus{GroupID: a.GroupID, State: braze.SubscriptionState(a.State)}
	switch u := identity(rec); {
	case u.ExternalID != "":
		group.ExternalIDs = []string{u.ExternalID}
	case u.BrazeID != "" || u.AliasName != "":
		return nil
	case u.Email != "":
		group.Emails = []string{u.Email}
	default:
		group.Phones = []string{u.Phone}
	}
	return &braze.SubscriptionStatus{GroupStatus: group}
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
