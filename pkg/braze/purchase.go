package braze

import (
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/braze/internal/ecommerce"
)

// Purchase is an object of the purchases array of /users/track. Only customers of old may send purchases;
// others are to use the recommended commerce events (braze-docs: purchase_events). A refund is a purchase
// with a negative price, and counts as one more.
type Purchase struct {
	User      User
	ProductID string
	Currency  string // ISO 4217
	// Price of one, a JSON number in the currency's whole units, such as 9.90. It is text so that no digit
	// is lost.
	Price      string
	Quantity   int // 1 to 100; 0 leaves it out, which Braze takes for 1
	Time       time.Time
	AppID      string // optional
	Properties []byte // a JSON object, or nothing
	Existing   Creation
}

// AppendBody appends the object.
func (p *Purchase) AppendBody(dst []byte) []byte {
	w := startWriter(dst)
	w.open('{')
	p.User.append(&w, "external_id")
	w.text("product_id", p.ProductID)
	w.text("currency", p.Currency)
	w.raw("price", []byte(p.Price))
	if p.Quantity != 0 {
		w.name("quantity")
		w.b = strconv.AppendInt(w.b, int64(p.Quantity), 10)
	}
	w.name("time")
	w.b = AppendTime(w.b, p.Time)
	w.text("app_id", p.AppID)
	w.raw("properties", p.Properties)
	if p.Existing != CreateDefault {
		w.boolean("_update_existing_only", p.Existing == CreateNever)
	}
	w.close('}')
	return w.b
}

// Check returns the first documented rule that the purchase breaks, or nil.
func (p *Purchase) Check() *Violation {
	if v := p.User.check("purchase", "external_id", "user_alias", "braze_id", "email", "phone"); v != nil {
		return v
	}
	switch {
	case p.ProductID == "":
		return &Violation{Field: "product_id", Rule: RuleMissing}
	case longerText(p.ProductID, MaxProductID):
		return &Violation{Field: "product_id", Rule: RuleTooLong, Detail: "255 characters"}
	case !ecommerce.IsCurrency(p.Currency):
		return &Violation{Field: "currency", Rule: RuleNotACurrency}
	case !isNumberText(p.Price):
		return &Violation{Field: "price", Rule: RuleNotANumber}
	case p.Quantity < 0 || p.Quantity > MaxQuantity:
		return &Violation{Field: "quantity", Rule: RuleOutOfRange, Detail: "1 to 100"}
	case p.Time.IsZero():
		return &Violation{Field: "time", Rule: RuleMissing}
	}
	return CheckPurchaseProperties(p.Properties)
}

// isNumberText reports whether a text is a JSON number and nothing else.
func isNumberText(s string) bool {
	return s != "" && jsontext.Value(s).Kind() == '0' && strings.TrimSpace(s) == s && jsontext.Value(s).IsValid()
}

// longerText reports whether a text has more than limit characters.
func longerText(s string, limit int) bool {
	if len(s) <= limit {
		return false
	}
	n := 0
	for range s {
		if n++; n > limit {
			return true
		}
	}
	return false
}
