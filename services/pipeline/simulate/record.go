package simulate

import (
	"encoding/json"
	"maps"
	"math/big"
	"time"
)

// native is an item as goavro wants a record of its topic.
func (u Upstreamer) native(p *Person, it *Item) map[string]any {
	now := time.Now().UTC().Truncate(time.Millisecond)
	occurred := it.Time
	if occurred.IsZero() {
		occurred = now
	}
	record := map[string]any{
		"event_id": it.ID, "user_id": p.Key,
		"external_id": nil, "braze_id": nil, "alias_label": nil, "alias_name": nil, "email": nil, "phone": nil,
		"occurred_at": occurred, "received_at": now, "source": u.Source,
		"app_id": nil, "braze_disabled": nil,
	}
	if it.Muted {
		record["braze_disabled"] = map[string]any{"boolean": true}
	}
	user := maps.Clone(p.User)
	if alias, ok := user["alias"].(map[string]any); ok {
		user = map[string]any{"alias_label": alias["label"], "alias_name": alias["name"]}
	}
	for field, v := range user {
		record[field] = map[string]any{"string": v}
	}
	if it.Commerce != nil {
		it.Commerce.native(record)
		return record
	}
	record["event_name"], record["event_kind"] = it.Name, it.Kind
	record["properties_json"], record["attributes_json"] = optional(it.Properties), optional(it.Attributes)
	record["identified_as"] = nil
	return record
}

// optional is a nullable string in goavro's form.
func optional(s json.RawMessage) any {
	if s == nil {
		return nil
	}
	return text(string(s))
}

func text(s string) any {
	if s == "" {
		return nil
	}
	return map[string]any{"string": s}
}

// amount is nullable money in goavro's form: an exact fraction, of which it takes the nine digits that
// the schema keeps.
func amount(cents int) any {
	if cents == 0 {
		return nil
	}
	return map[string]any{"bytes.decimal": big.NewRat(int64(cents), 100)}
}

// native adds to a record what commerce.events has beside what every topic has.
func (c *Commerce) native(record map[string]any) {
	record["event_type"] = c.Type
	for field, s := range map[string]string{
		"order_id": c.OrderID, "cart_id": c.CartID, "checkout_id": c.CheckoutID, "currency": c.Currency,
		"reason": c.Reason, "carrier": c.Carrier, "tracking": c.Tracking,
	} {
		record[field] = text(s)
	}
	for field, cents := range map[string]int{"total": c.Total, "subtotal": c.Subtotal, "tax": c.Tax, "shipping": c.Shipping} {
		record[field] = amount(cents)
	}
	record["due_at"] = nil
	if !c.Due.IsZero() {
		record["due_at"] = map[string]any{"long.timestamp-millis": c.Due}
	}
	discounts, lines := make([]any, len(c.Discounts)), make([]any, len(c.Lines))
	for i, d := range c.Discounts {
		discounts[i] = map[string]any{"code": text(d.code), "amount": amount(d.cents), "discount_type": text("fixed_amount")}
	}
	for i, l := range c.Lines {
		lines[i] = map[string]any{
			"product_id": text(l.product.id), "product_name": text(l.product.name), "variant_id": text(l.product.variant()),
			"quantity": int64(l.quantity), "price": amount(l.product.cents),
			"image_url": nil, "product_url": nil, "metadata_json": nil,
		}
	}
	record["discounts"], record["lines"] = discounts, lines
	record["metadata_json"] = optional(encode(c.Metadata))
}
