package simulate

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"
)

// What the shop and its billing system do for somebody: each is a deed of kind commerce.

func shop(c Commerce) deed { return deed{kind: kindCommerce, commerce: &c} }

// cart tells what is in the cart now.
func (p *Person) cartUpdated() deed {
	if p.cartID == "" {
		p.carts++
		p.cartID = fmt.Sprintf("K-%d-%03d", p.Number, p.carts)
	}
	c := Commerce{Type: "cart_updated", CartID: p.cartID, Currency: currency, Lines: append([]line{}, p.cart...)}
	c.Total = worth(c.Lines)
	return shop(c)
}

func addToCart(r *rand.Rand, p *Person) deed {
	p.cart = append(p.cart, line{pick(r, products), 1 + r.IntN(3)})
	return p.cartUpdated()
}

func removeFromCart(r *rand.Rand, p *Person) deed {
	if len(p.cart) == 0 {
		return viewProduct(r, p)
	}
	p.cart = p.cart[:len(p.cart)-1]
	return p.cartUpdated()
}

func startCheckout(r *rand.Rand, p *Person) deed {
	if len(p.cart) == 0 {
		return addToCart(r, p)
	}
	c := Commerce{Type: "checkout_started", CheckoutID: "X" + p.cartID, CartID: p.cartID}
	c.price(append([]line{}, p.cart...))
	return shop(c)
}

func placeOrder(r *rand.Rand, p *Person) deed {
	if len(p.cart) == 0 {
		return viewProduct(r, p)
	}
	d := p.order(r, p.cart)
	d.commerce.CartID, d.commerce.CheckoutID = p.cartID, "X"+p.cartID
	p.cart, p.cartID = nil, ""
	return d
}

// order buys lines.
func (p *Person) order(r *rand.Rand, lines []line) deed {
	p.ordered++
	o := order{id: fmt.Sprintf("A-%d-%03d", p.Number, p.ordered), lines: lines}
	c := Commerce{Type: "order_placed", OrderID: o.id}
	if r.IntN(4) == 0 {
		c.price(lines, discount{"WELCOME", 500})
	} else {
		c.price(lines)
	}
	// What a shop's own systems number with goes beyond what a float64 can hold.
	c.Metadata = map[string]any{"warehouse_ref": json.Number(fmt.Sprintf("8209829119461%05d", r.IntN(100_000)))}
	o.total = c.Total
	p.orders = append(p.orders, o)
	return shop(c)
}

// forget takes back an order that never came to be, since nobody took the message about it.
func (p *Person) forget(id string) {
	for i, o := range p.orders {
		if o.id == id {
			p.orders = append(p.orders[:i:i], p.orders[i+1:]...)
			return
		}
	}
}

func waitsForParcel(p *Person) bool { return p.next(placed) != nil || p.next(shipped) != nil }

// next is the person's oldest order that has come so far.
func (p *Person) next(s stage) *order {
	for i := range p.orders {
		if p.orders[i].stage == s {
			return &p.orders[i]
		}
	}
	return nil
}

func shipOrder(r *rand.Rand, p *Person) deed {
	o := p.next(placed)
	if o == nil {
		return deliverOrder(r, p)
	}
	o.stage = shipped
	o.carrier, o.tracking = pick(r, []string{"DHL", "GLS", "Post"}), fmt.Sprintf("JD%08d", r.IntN(100_000_000))
	return shop(Commerce{Type: "shipment_updated", OrderID: o.id, Carrier: o.carrier, Tracking: o.tracking})
}

func deliverOrder(r *rand.Rand, p *Person) deed {
	o := p.next(shipped)
	if o == nil {
		return viewProduct(r, p)
	}
	o.stage = delivered
	return shop(Commerce{Type: "delivered", OrderID: o.id, Carrier: o.carrier, Tracking: o.tracking})
}

func hasOrdered(p *Person) bool { return len(p.orders) > 0 }

// returnOrder gives an order back, or cancels what has not left yet.
func returnOrder(r *rand.Rand, p *Person) deed {
	o := p.orders[r.IntN(len(p.orders))]
	p.forget(o.id)
	return o.undo(pick(r, []string{"too small", "too late", "not as pictured", "changed my mind"}))
}

func (o order) undo(reason string) deed {
	c := Commerce{Type: "order_refunded", OrderID: o.id, Currency: currency, Total: o.total, Lines: o.lines, Reason: reason}
	if o.stage == placed {
		c.Type = "order_cancelled"
	}
	return shop(c)
}

// fee is what the shop's club costs a month.
const fee = 1290

func renewalDue(r *rand.Rand, p *Person) deed {
	p.plan = pick(r, []string{"silver", "gold"})
	return p.bill("renewal_due", "", longAgo.AddDate(0, 0, 7+r.IntN(24)))
}

func failPayment(r *rand.Rand, p *Person) deed {
	return p.bill("payment_failed", pick(r, []string{"card_declined", "expired_card", "insufficient_funds"}), longAgo.AddDate(0, 0, 3))
}

func recoverPayment(_ *rand.Rand, p *Person) deed {
	return p.bill("payment_recovered", "", time.Time{})
}

// bill is what the billing system says of the person's membership.
func (p *Person) bill(what, reason string, due time.Time) deed {
	return shop(Commerce{
		Type: what, Currency: currency, Total: fee, Reason: reason, Due: due, Metadata: map[string]any{"plan": p.plan},
	})
}
