package commerce

import (
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
)

// encoder writes the properties of one event.
type encoder struct {
	dst      []byte
	from     int // where the properties begin
	commerce *event.Commerce
	shape    shape
	keep     int // lines that are listed
}

// member is a property with a simple value, which an event may know or not.
type member struct {
	name  string
	text  string
	money event.Money
	time  time.Time
	place place
}

func (m *member) known() bool { return m.text != "" || m.money != "" || !m.time.IsZero() }

// members are an event's properties with simple values, in the order in which a person reads them.
func (e *encoder) members() [15]member {
	c, s := e.commerce, &e.shape
	rest := inMetadata // of what no recommended event has
	if s.free {
		rest = optional
	}
	reason, why := "reason", rest
	if s.reason != inMetadata {
		reason, why = "cancel_reason", s.reason
	}
	currency := c.Currency
	if code, ok := event.Currency(currency); ok {
		currency = code
	}
	list := [15]member{
		{name: "order_id", text: c.OrderID, place: s.order},
		{name: "cart_id", text: c.CartID, place: s.cart},
		{name: "checkout_id", text: c.CheckoutID, place: s.checkout},
		{name: reason, text: c.Reason, place: why},
		{name: "total_value", money: absolute(c.Total), place: s.total},
		{name: "subtotal_value", money: c.Subtotal, place: s.parts},
		{name: "tax", money: c.Tax, place: s.parts},
		{name: "shipping", money: c.Shipping, place: s.parts},
		{name: "total_discounts", place: s.discounts},
		{name: "currency", text: currency, place: s.currency},
		{name: "source", text: c.Source, place: s.source},
		{name: "due_at", time: c.DueAt, place: rest},
		{name: "carrier", text: c.Carrier, place: rest},
		{name: "tracking", text: c.Tracking, place: rest},
	}
	if s.discounts != inMetadata {
		list[8].money = totalDiscounts(c.Discounts)
	}
	return list
}

// absolute is an amount without its sign: Braze wants what was refunded and what was cancelled as a
// positive number (braze-docs: logging_ecommerce_events).
func absolute(m event.Money) event.Money { return event.Money(strings.TrimPrefix(string(m), "-")) }

// properties writes them: once as a rule, and once more with fewer lines when they are too large.
func (e *encoder) properties() *Violation {
	lines := len(e.commerce.Lines)
	e.keep = min(lines, MaxProducts)
	fitting := e.attempt()
	if fitting == e.keep {
		return nil
	}
	if e.keep = fitting; fitting > 0 && e.attempt() == fitting {
		return nil
	}
	return &Violation{"properties", "are larger than Braze takes, whatever lines are left out"}
}

// foldReserve is more than what an event says of the lines that it leaves out.
const foldReserve = 256

// attempt writes all properties, e.keep lines among them, and returns that number; or, if that is too
// large, how many lines would have fitted together with what is said of the others. The products come
// last, so that it knows.
func (e *encoder) attempt() (fitting int) {
	e.dst = append(e.dst[:e.from], '{')
	list := e.members()
	for i := range list {
		if m := &list[i]; m.known() && m.place != inMetadata {
			e.member(m)
		}
	}
	complete := discountsAreComplete(e.commerce.Discounts)
	if len(e.commerce.Discounts) > 0 && e.shape.discounts != inMetadata && (complete || e.shape.free) {
		e.name("discounts")
		e.discounts()
	}
	if e.shape.viewed {
		e.viewed(&e.commerce.Lines[0])
	}
	e.metadata(list[:], complete)
	if e.keep > 0 && !e.shape.viewed {
		e.name("products")
		open := byte('[')
		for i := range e.keep {
			e.dst = append(e.dst, open)
			e.product(&e.commerce.Lines[i])
			open = ','
			switch size := len(e.dst) - e.from + len(`]}`); {
			case size+foldReserve <= braze.MaxPropertyBytes:
				fitting = i + 1
			case size > braze.MaxPropertyBytes:
				return fitting
			}
		}
		e.dst = append(e.dst, ']')
	}
	e.dst = append(e.dst, '}')
	return e.keep
}

// name writes a comma, if one is needed, and a property's name, which needs no escape.
func (e *encoder) name(name string) {
	e.dst = appendName(e.dst, name)
}

func appendName(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(append(append(dst, '"'), name...), '"', ':')
}

func (e *encoder) member(m *member) {
	e.name(m.name)
	e.value(m)
}

func (e *encoder) value(m *member) {
	switch {
	case m.money != "":
		e.dst = appendAmount(e.dst, m.money)
	case m.text != "":
		e.dst = braze.AppendString(e.dst, m.text)
	default:
		e.dst = braze.AppendTime(e.dst, m.time)
	}
}

// appendAmount appends an amount as a JSON number with the digits it has. It always has a point: what
// Braze calls a float, a number without one might not be (braze-docs: recommended_events).
func appendAmount(dst []byte, m event.Money) []byte {
	dst = append(dst, m...)
	if !strings.Contains(string(m), ".") {
		dst = append(dst, ".0"...)
	}
	return dst
}
