// Package commerce says what Braze is told of a commerce event. It is a pure translation: nothing here
// knows of topics, requests or clocks.
//
//	Event       the event object's name and properties (shape.go says which property is whose)
//	Purchases   purchase objects, for accounts that still have them (purchases.go)
//
// Braze has recommended events for what a shop does, and draws revenue, orders and carts from them. It
// drops one altogether, with a word in an answer that says success, when a required property is missing,
// a type is wrong or a property is not in the schema (braze-docs: recommended_events). So there are
// three ways for an event to leave:
//
//   - As the recommended event, strictly valid. What the schema has no property for stands in metadata:
//     nothing is dropped silently.
//   - As a plain custom event under the house name, such as order_placed, when a property that Braze
//     requires is not known; Mapped.Lacks names it. A broken recommended event would be no event.
//   - Not at all, when what is known breaks a rule, such as an amount below zero: a [Violation] names
//     the field.
//
// Shipments, deliveries, renewals and payments are plain custom events in any case.
package commerce

import (
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
)

// MaxProducts is how many of an order's lines an event may list. Braze documents no limit but the size
// of the whole; this is as many as it documents to keep of anything in an event (braze-docs:
// custom_events), and more than any message shows.
const MaxProducts = 256

// Mapped is what Braze is told.
type Mapped struct {
	// Event is ready to be sent. Its properties alias the memory that Event was given to append to,
	// everything else the commerce event.
	Event event.Event
	// Lacks is why a recommended event could not be made: the property that is missing, such as
	// products[2].variant_id. It is empty for a recommended event, and for what never is one.
	Lacks string
	// LinesOmitted is how many lines did not fit. Their number, quantity and value stand in the
	// event's metadata, and the order's totals are those of the whole.
	LinesOmitted int
}

// Violation says which field of a commerce event breaks which of Braze's rules, so that the event
// cannot be sent. Fields of the record have its names, such as lines[2].price; what the record's fields
// became has Braze's, such as properties.products[2].product_name.
type Violation struct {
	Field string
	Rule  string
}

// Error names the field and states the rule.
func (v *Violation) Error() string { return v.Field + " " + v.Rule }

// Event translates a commerce event. It appends the properties to dst and returns what that became,
// also with an error, which is always a *[Violation].
func Event(dst []byte, c *event.Commerce) (Mapped, []byte, error) {
	from := len(dst)
	if v := check(c); v != nil {
		return Mapped{}, dst, v
	}
	s, known := shapes[c.Type]
	if !known {
		return Mapped{}, dst, &Violation{"event_type", "is none that there is"}
	}
	m := Mapped{Event: event.Event{
		ID: c.ID, User: c.User, Name: s.name, Kind: event.KindTrack, OccurredAt: c.OccurredAt, ReceivedAt: c.ReceivedAt,
		Source: c.Source, AppID: c.AppID, BrazeDisabled: c.BrazeDisabled,
	}}
	if m.Lacks = s.lacks(c); m.Lacks != "" {
		m.Event.Name, s = string(c.Type), plain
	}
	e := encoder{dst: dst, from: from, commerce: c, shape: s}
	if v := e.properties(); v != nil {
		return Mapped{}, dst, v
	}
	m.LinesOmitted = len(c.Lines) - e.keep
	if s.viewed {
		m.LinesOmitted = 0
	}
	m.Event.Properties = e.dst[from:len(e.dst):len(e.dst)]
	if v := braze.CheckProperties(m.Event.Properties); v != nil {
		return Mapped{}, dst, &Violation{v.Field, strings.TrimPrefix(v.Error(), v.Field+" ")}
	}
	return m, e.dst, nil
}

// check holds the event to what no event of Braze's may break, whatever its name. Whoever writes to the
// topic may have put anything there.
func check(c *event.Commerce) *Violation {
	if c.Currency != "" {
		if _, ok := event.Currency(c.Currency); !ok {
			return &Violation{"currency", "is no currency of ISO 4217"}
		}
	}
	signed := c.Type == event.OrderCancelled || c.Type == event.OrderRefunded
	for _, a := range [...]struct {
		field  string
		money  event.Money
		signed bool
	}{{"total", c.Total, signed}, {"subtotal", c.Subtotal, false}, {"tax", c.Tax, false}, {"shipping", c.Shipping, false}} {
		if rule := checkAmount(a.money, a.signed); rule != "" {
			return &Violation{a.field, rule}
		}
	}
	for i := range c.Discounts {
		if rule := checkAmount(c.Discounts[i].Amount, false); rule != "" {
			return &Violation{fmt.Sprintf("discounts[%d].amount", i), rule}
		}
	}
	for i := range c.Lines {
		l := &c.Lines[i]
		if rule := checkAmount(l.Price, false); rule != "" {
			return &Violation{fmt.Sprintf("lines[%d].price", i), rule}
		}
		if l.Quantity < 0 {
			return &Violation{fmt.Sprintf("lines[%d].quantity", i), negative}
		}
		if !isObject(l.Metadata) {
			return &Violation{fmt.Sprintf("lines[%d].metadata_json", i), notObject}
		}
	}
	if !isObject(c.Metadata) {
		return &Violation{"metadata_json", notObject}
	}
	return nil
}

const (
	negative  = "is less than 0"
	notMoney  = "is no amount"
	notObject = "is no valid JSON object"
)

func checkAmount(m event.Money, signed bool) (rule string) {
	if m == "" {
		return ""
	}
	switch a, ok := m.Amount(); {
	case !ok:
		return notMoney
	case a.Sign() < 0 && !signed:
		return negative
	}
	return ""
}
