package avro

import (
	"fmt"

	"github.com/sluicehq/sluice/pkg/event"
)

// AppendCommerce appends a commerce.events record of version 1, header included; id is the id of that
// version's schema in the registry. The event's metadata must be valid JSON. It fails, and appends
// nothing, when something stands for money that is none or has more than 38 digits.
func AppendCommerce(dst []byte, id int, c *event.Commerce) ([]byte, error) {
	w := commerceWriter{dst: AppendHeader(dst, id)}
	w.dst = AppendString(w.dst, c.ID)
	w.dst = appendKey(w.dst, c.User)
	w.dst = appendUser(w.dst, c.User)
	w.dst = AppendString(w.dst, string(c.Type))
	w.dst = AppendTime(w.dst, c.OccurredAt)
	w.dst = AppendTime(w.dst, c.ReceivedAt)
	w.dst = AppendString(w.dst, c.Source)
	w.text(c.AppID)
	w.text(c.OrderID)
	w.text(c.CartID)
	w.text(c.CheckoutID)
	w.text(c.Currency)
	w.money("total", c.Total)
	w.money("subtotal", c.Subtotal)
	w.money("tax", c.Tax)
	w.money("shipping", c.Shipping)
	w.discounts(c.Discounts)
	w.lines(c.Lines)
	w.text(c.Reason)
	w.dst = AppendOptLong(w.dst, c.DueAt.UnixMilli(), !c.DueAt.IsZero())
	w.text(c.Carrier)
	w.text(c.Tracking)
	w.dst = AppendOptBytes(w.dst, c.Metadata)
	if c.BrazeDisabled {
		w.dst = append(w.dst, branchValue, 1)
	} else {
		w.dst = append(w.dst, branchNull)
	}
	if w.bad != "" {
		return dst, fmt.Errorf("encoding record: %s is no amount of at most 29 digits before the point and 9 behind it", w.bad)
	}
	return w.dst, nil
}

type commerceWriter struct {
	dst []byte
	bad string // the first field that should be money
}

func (w *commerceWriter) text(s string) { w.dst = AppendOptString(w.dst, s) }

func (w *commerceWriter) discounts(discounts []event.Discount) {
	if len(discounts) > 0 {
		w.dst = AppendLong(w.dst, int64(len(discounts)))
	}
	for i := range discounts {
		d := &discounts[i]
		w.text(d.Code)
		w.money("discounts.amount", d.Amount)
		w.text(d.Type)
	}
	w.dst = append(w.dst, 0) // the end of the blocks
}

func (w *commerceWriter) lines(lines []event.Line) {
	if len(lines) > 0 {
		w.dst = AppendLong(w.dst, int64(len(lines)))
	}
	for i := range lines {
		l := &lines[i]
		w.text(l.ProductID)
		w.text(l.ProductName)
		w.text(l.VariantID)
		w.dst = AppendLong(w.dst, l.Quantity)
		w.money("lines.price", l.Price)
		w.text(l.ImageURL)
		w.text(l.ProductURL)
		w.dst = AppendOptBytes(w.dst, l.Metadata)
	}
	w.dst = append(w.dst, 0)
}

// The fewest bytes that a discount and a line can have: one for each field.
const (
	leastDiscount = 3
	leastLine     = 8
)

// readCommerce reads the body of a commerce.events record of version 1. It returns the record's own
// user_id beside the event, which aliases the body; amounts are texts of their own.
func readCommerce(body []byte, c *event.Commerce) (userID string, err error) {
	r := NewReader(body)
	var amounts texts
	*c = event.Commerce{}
	c.ID = r.String("event_id")
	userID, c.User = readUser(&r)
	c.Type = event.CommerceType(r.String("event_type"))
	c.OccurredAt = r.Time("occurred_at")
	c.ReceivedAt = r.Time("received_at")
	c.Source = r.String("source")
	c.AppID = r.OptString("app_id")
	c.OrderID = r.OptString("order_id")
	c.CartID = r.OptString("cart_id")
	c.CheckoutID = r.OptString("checkout_id")
	c.Currency = r.OptString("currency")
	c.Total = amounts.optMoney(&r, "total")
	c.Subtotal = amounts.optMoney(&r, "subtotal")
	c.Tax = amounts.optMoney(&r, "tax")
	c.Shipping = amounts.optMoney(&r, "shipping")
	c.Discounts = readDiscounts(&r, &amounts)
	c.Lines = readLines(&r, &amounts)
	c.Reason = r.OptString("reason")
	if r.Present("due_at") {
		c.DueAt = r.Time("due_at")
	}
	c.Carrier = r.OptString("carrier")
	c.Tracking = r.OptString("tracking")
	c.Metadata = r.OptBytes("metadata_json")
	c.BrazeDisabled = r.Present("braze_disabled") && r.Bool("braze_disabled")
	return userID, r.Err()
}

func readDiscounts(r *Reader, amounts *texts) (discounts []event.Discount) {
	for n := r.Block("discounts", leastDiscount); n > 0; n = r.Block("discounts", leastDiscount) {
		if discounts == nil {
			discounts = make([]event.Discount, 0, min(n, atOnce))
		}
		for ; n > 0 && r.bad == ""; n-- {
			discounts = append(discounts, event.Discount{
				Code:   r.OptString("discounts.code"),
				Amount: amounts.optMoney(r, "discounts.amount"),
				Type:   r.OptString("discounts.discount_type"),
			})
		}
	}
	return discounts
}

func readLines(r *Reader, amounts *texts) (lines []event.Line) {
	for n := r.Block("lines", leastLine); n > 0; n = r.Block("lines", leastLine) {
		if lines == nil {
			lines = make([]event.Line, 0, min(n, atOnce))
		}
		for ; n > 0 && r.bad == ""; n-- {
			lines = append(lines, event.Line{
				ProductID:   r.OptString("lines.product_id"),
				ProductName: r.OptString("lines.product_name"),
				VariantID:   r.OptString("lines.variant_id"),
				Quantity:    r.Long("lines.quantity"),
				Price:       amounts.optMoney(r, "lines.price"),
				ImageURL:    r.OptString("lines.image_url"),
				ProductURL:  r.OptString("lines.product_url"),
				Metadata:    r.OptBytes("lines.metadata_json"),
			})
		}
	}
	return lines
}
