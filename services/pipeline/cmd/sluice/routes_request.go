package main

import (
	"encoding/json"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	brazesender "github.com/sluicehq/sluice/services/braze-sender"
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

// requestFor makes the request of an action, as the sender would.
func requestFor(sender *brazesender.Previewer, a routes.Action, rec routes.Record) request {
	r := request{What: a.Kind.String(), Route: a.Route, Priority: a.Priority.String(), InDoubt: a.InDoubt.String()}
	if a.Kind == routes.Skip {
		return request{What: r.What, Target: a.Reason, Route: a.Route, Reason: a.Reason}
	}
	sent, err := sender.Request(rec, &a)
	if err != nil {
		return invalid(a.Route, err)
	}
	r.Call, r.Body, r.Target = sent.Method+" "+sent.Path, compacted(sent.Body), a.ID
	switch a.Kind {
	case routes.Event, routes.Commerce:
		r.Target = eventName(r.Body)
	case routes.Purchase:
		r.Target = a.ProductID
	case routes.Subscription:
		r.Target = a.GroupID + " " + a.State
	case routes.Campaign, routes.Canvas, routes.Transactional: // named by their ids
	case routes.Attributes, routes.Skip: // there is one kind of them
	}
	return r
}

// invalid is the request that the sender finds Braze would not take.
func invalid(route string, err error) request {
	return request{What: refusedWord, Target: "invalid", Route: route, Reason: err.Error()}
}

// eventName is the name of the event in a request to /users/track.
func eventName(body []byte) string {
	var track struct {
		Events []struct {
			Name string `json:"name"`
		} `json:"events"`
	}
	if err := json.Unmarshal(body, &track); err != nil || len(track.Events) == 0 {
		return ""
	}
	return track.Events[0].Name
}

// compacted is a body without spaces, which would only make lines longer.
func compacted(body []byte) []byte {
	v := jsontext.Value(body).Clone()
	_ = v.Compact(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return v
}
