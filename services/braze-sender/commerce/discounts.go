package commerce

import "github.com/sluicehq/sluice/pkg/event"

// discounts writes the list of them, each with what is known of it.
func (e *encoder) discounts() {
	open := byte('[')
	for i := range e.commerce.Discounts {
		d := &e.commerce.Discounts[i]
		e.dst = append(e.dst, open, '{')
		e.known("code", d.Code)
		if d.Amount != "" {
			e.name("amount")
			e.dst = appendAmount(e.dst, d.Amount)
		}
		e.known("type", d.Type)
		e.dst = append(e.dst, '}')
		open = ','
	}
	e.dst = append(e.dst, ']')
}

// discountsAreComplete reports whether each discount has all three of its properties. Braze does not
// document which of them may be missing in a recommended event, so that lists which are not complete
// stand in metadata.
func discountsAreComplete(discounts []event.Discount) bool {
	for i := range discounts {
		if d := &discounts[i]; isBlank(d.Code) || d.Amount == "" || isBlank(d.Type) {
			return false
		}
	}
	return true
}

// totalDiscounts is their sum; nothing when there are none, or an amount is not known.
func totalDiscounts(discounts []event.Discount) event.Money {
	if len(discounts) == 1 {
		return discounts[0].Amount
	}
	var sum event.Amount
	for i := range discounts {
		a, ok := discounts[i].Amount.Amount()
		if !ok {
			return ""
		}
		if sum, ok = sum.Add(a); !ok {
			return ""
		}
	}
	if len(discounts) == 0 {
		return ""
	}
	return sum.Money()
}
