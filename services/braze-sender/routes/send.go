package routes

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
)

// send is one entry under a route's send.
type send struct {
	at       string // where in the route it stands, such as "send[0].campaign"
	priority Priority
	inDoubt  InDoubt
	actor
}

// actor adds to the actions what its part of a route makes of a record.
type actor interface {
	act(a *application) error
}

// maxActions bounds what becomes of one record. A request to /users/track holds as many objects, and
// an order with more lines than that is no longer a purchase each.
const maxActions = braze.MaxObjects

var errTooManyActions = fmt.Errorf("more than %d things to send for one record", maxActions)

// maxTrigger is the size in bytes of trigger_properties and of a Canvas's context (braze-docs:
// trigger_properties_object, context_object).
const maxTrigger = 51_200

// skipSend sends nothing.
type skipSend struct{ reason string }

func (s skipSend) act(a *application) error {
	a.actions = append(a.actions, Action{Kind: Skip, Reason: s.reason})
	return nil
}

// eventSend sends a custom event.
type eventSend struct {
	name         string // empty: the record's own
	properties   *shape // nil: the record's own, less what is not picked
	picks        picks
	existingOnly bool
}

func (s eventSend) act(a *application) error {
	made := Action{Kind: Event, Name: s.name, ExistingOnly: s.existingOnly}
	if made.Name == "" {
		made.Name = a.record.name()
	}
	var err error
	switch {
	case s.properties != nil:
		made.Properties, err = s.properties.of(a, nil, braze.MaxPropertyBytes)
	case a.record.Event == nil:
		made.Properties, err = s.picks.fromView(a)
	case s.picks.none():
		made.Properties = a.record.Event.Properties
	default:
		made.Properties, err = s.picks.fromObject(a.record.Event.Properties)
	}
	if err != nil {
		return err
	}
	if v := braze.CheckProperties(made.Properties); v != nil {
		return v
	}
	a.actions = append(a.actions, made)
	return nil
}

// messageSend triggers a campaign, a Canvas or a transactional campaign.
type messageSend struct {
	kind       Kind
	id         string
	properties *shape
	externalID *program // of a transactional send; nil: made of the record's id
}

func (s messageSend) act(a *application) error {
	if err := reachable(s.kind, *a.record.User()); err != nil {
		return err
	}
	made := Action{Kind: s.kind, ID: s.id}
	var err error
	if s.properties != nil {
		if made.Properties, err = s.properties.of(a, nil, maxTrigger); err != nil {
			return err
		}
	}
	if s.kind == Transactional {
		if made.ExternalSendID, err = s.externalSendID(a); err != nil {
			return within("external_send_id", err)
		}
	}
	a.actions = append(a.actions, made)
	return nil
}

// sendIDs are what Braze takes for an external_send_id (braze-docs: post_send_transactional_message).
var sendIDs = regexp.MustCompile(`^[a-zA-Z0-9-_+/=]{1,255}$`)

// externalSendID is what the expression says, or a name for this send of this record. The record's id
// is unique within its source only, and there may be several campaigns, so a mark of all of them is
// put behind it: two shops that count their orders from 1 must not silence each other.
func (s messageSend) externalSendID(a *application) (string, error) {
	if s.externalID != nil {
		v, err := a.ask(s.externalID, nil)
		if err != nil {
			return "", err
		}
		id, ok := word(v)
		if !ok || !sendIDs.MatchString(id) {
			return "", errors.New("want 1 to 255 letters, digits or any of - _ + / =")
		}
		return id, nil
	}
	before := 0
	for _, other := range a.actions {
		if other.Kind == Transactional && other.ID == s.id {
			before++
		}
	}
	mark := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %d", a.record.source(), a.record.id(), s.id, before))
	readable := strings.Map(func(r rune) rune {
		if r < 0x80 && sendIDs.MatchString(string(r)) {
			return r
		}
		return '_'
	}, a.record.id())
	const most = 64
	return readable[:min(len(readable), most)] + "-" + base64.RawURLEncoding.EncodeToString(mark[:9]), nil
}

// subscriptionSend sets a subscription group's state.
type subscriptionSend struct{ group, state string }

func (s subscriptionSend) act(a *application) error {
	a.actions = append(a.actions, Action{Kind: Subscription, GroupID: s.group, State: s.state})
	return nil
}

// reachable says by which identifiers Braze lets a kind of message name its user (braze-docs:
// recipients_object, post_send_transactional_message).
func reachable(kind Kind, u event.User) error {
	switch {
	case u.ExternalID != "", u.AliasName != "":
		return nil
	case kind == Transactional:
		return errors.New("a transactional send needs external_id or an alias, and the record has neither")
	case u.BrazeID != "" || u.Email != "":
		return nil
	}
	return fmt.Errorf("a %s needs external_id, an alias, braze_id or email, and the record has none of them", kind)
}
