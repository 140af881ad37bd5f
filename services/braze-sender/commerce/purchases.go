package commerce

import (
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
)

// Purchase is a purchase object without its user, for accounts that still count revenue by them
// (braze-docs: purchase_object).
type Purchase struct {
	ProductID  string
	Currency   string      // ISO 4217, upper case
	Price      event.Money // of one piece; negative for what was refunded
	Quantity   int64       // from 1 to [braze.MaxQuantity]
	Time       time.Time
	AppID      string
	Properties []byte // JSON object: order_id, product_name, variant_id, source
}

// MaxPurchases bounds what one order becomes: a quantity is only a number, and each hundred of it is
// an object of its own.
const MaxPurchases = 1_000

// Purchases appends the purchases of an order that was placed or refunded: one for each line, and as
// many as it takes for a quantity beyond [braze.MaxQuantity]. Nothing else is a purchase: what was
// cancelled and had been paid is refunded, and the refund says so.
//
// What an order costs beside its lines, discounts, taxes and shipping, purchases cannot say. An order
// without lines, or with a line that has no product or price, is a *[Violation].
func Purchases(dst []Purchase, c *event.Commerce) ([]Purchase, error) {
	if c.Type != event.OrderPlaced && c.Type != event.OrderRefunded {
		return dst, nil
	}
	if v := check(c); v != nil {
		return dst, v
	}
	currency, ok := event.Currency(c.Currency)
	switch {
	case !ok:
		return dst, &Violation{"currency", isMissing}
	case len(c.Lines) == 0:
		return dst, &Violation{"lines", isMissing}
	}
	from := len(dst)
	for i := range c.Lines {
		l := &c.Lines[i]
		if v := checkPurchase(l, i); v != nil {
			return dst[:from], v
		}
		p := Purchase{ProductID: l.ProductID, Currency: currency, Price: l.Price, Time: c.OccurredAt, AppID: c.AppID}
		if c.Type == event.OrderRefunded {
			p.Price = negated(l.Price)
		}
		if l.Quantity > 0 {
			p.Properties = appendPurchaseProperties(nil, c, l)
		}
		if v := braze.CheckPurchaseProperties(p.Properties); v != nil {
			return dst[:from], &Violation{fmt.Sprintf("lines[%d]", i), v.Error()}
		}
		for rest := l.Quantity; rest > 0; rest -= p.Quantity {
			if len(dst)-from == MaxPurchases {
				return dst[:from], &Violation{fmt.Sprintf("lines[%d].quantity", i), fmt.Sprintf("makes more than %d purchases of the order", MaxPurchases)}
			}
			p.Quantity = min(rest, braze.MaxQuantity)
			dst = append(dst, p)
		}
	}
	return dst, nil
}

const isMissing = "is missing"

func checkPurchase(l *event.Line, i int) *Violation {
	field := func(name string) string { return fmt.Sprintf("lines[%d].%s", i, name) }
	switch {
	case isBlank(l.ProductID):
		return &Violation{field("product_id"), isMissing}
	case len(l.ProductID) > braze.MaxProductID && utf8.RuneCountInString(l.ProductID) > braze.MaxProductID:
		return &Violation{field("product_id"), fmt.Sprintf("is longer than %d characters", braze.MaxProductID)}
	case l.Price == "":
		return &Violation{field("price"), isMissing}
	}
	return nil
}

// negated is the amount below zero that undoes one above it.
func negated(m event.Money) event.Money {
	if a, _ := m.Amount(); a.Sign() == 0 {
		return m
	}
	return "-" + m
}

func appendPurchaseProperties(dst []byte, c *event.Commerce, l *event.Line) []byte {
	dst = append(dst, '{')
	for _, p := range [...]struct{ name, text string }{
		{"order_id", c.OrderID}, {"product_name", l.ProductName}, {"variant_id", l.VariantID}, {"source", c.Source},
	} {
		if p.text != "" {
			dst = braze.AppendString(appendName(dst, p.name), p.text)
		}
	}
	return append(dst, '}')
}

// AppendMembers appends the members of the purchase object, without braces, so that those which name
// the user can stand before them: "product_id":…,"currency":…,"price":…,"quantity":…,"time":….
func (p *Purchase) AppendMembers(dst []byte) []byte {
	dst = braze.AppendString(append(dst, `"product_id":`...), p.ProductID)
	dst = braze.AppendString(append(dst, `,"currency":`...), p.Currency)
	dst = appendAmount(append(dst, `,"price":`...), p.Price)
	dst = strconv.AppendInt(append(dst, `,"quantity":`...), p.Quantity, 10)
	dst = braze.AppendTime(append(dst, `,"time":`...), p.Time)
	if p.AppID != "" {
		dst = braze.AppendString(append(dst, `,"app_id":`...), p.AppID)
	}
	if len(p.Properties) > 0 {
		dst = append(append(dst, `,"properties":`...), p.Properties...)
	}
	return dst
}
