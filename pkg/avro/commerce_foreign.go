package avro

import (
	"fmt"
	"time"

	"github.com/twmb/avro"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
)

// CommerceDecoder reads records of commerce.events.
type CommerceDecoder = Decoder[event.Commerce]

// NewCommerceDecoder asks source for each schema id once.
func NewCommerceDecoder(source Source) *CommerceDecoder {
	return &CommerceDecoder{source: source, kind: commerceKind}
}

var commerceKind = kindOf(schema.CommerceEvents, []plan[event.Commerce]{readCommerce}, checkCommerce, fillCommerce)

func checkCommerce(writer []avro.SchemaField) error {
	if err := checkTimes(writer, "occurred_at", "received_at", "due_at"); err != nil {
		return err
	}
	for i := range writer {
		f := &writer[i]
		var err error
		switch t := nonNull(&f.Type); f.Name {
		case "total", "subtotal", "tax", "shipping":
			err = checkMoney(f.Name, t)
		case "discounts":
			err = checkMoneyWithin(t, "amount")
		case "lines":
			err = checkMoneyWithin(t, "price")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkMoneyWithin(array *avro.SchemaNode, name string) error {
	if array.Items == nil {
		return nil
	}
	for _, f := range array.Items.Fields {
		if f.Name == name {
			return checkMoney(f.Name, nonNull(&f.Type))
		}
	}
	return nil
}

// checkMoney refuses amounts in another form. To the resolution bytes are bytes, and a string may stand
// for them: it would take the text 84.90 for some three hundred, and cents for billionths.
func checkMoney(field string, t *avro.SchemaNode) error {
	if t.Type == "null" || t.Type == "bytes" && t.LogicalType == "decimal" && t.Precision == event.MoneyPrecision && t.Scale == event.MoneyScale {
		return nil
	}
	return fmt.Errorf("%s is not bytes with the logical type decimal(%d,%d)", field, event.MoneyPrecision, event.MoneyScale)
}

// wireCommerce is version 1 of commerce.events, as the resolving decoder fills it.
type wireCommerce struct {
	wireUser
	EventID       string         `avro:"event_id"`
	EventType     string         `avro:"event_type"`
	OccurredAt    time.Time      `avro:"occurred_at"`
	ReceivedAt    time.Time      `avro:"received_at"`
	Source        string         `avro:"source"`
	AppID         *string        `avro:"app_id"`
	OrderID       *string        `avro:"order_id"`
	CartID        *string        `avro:"cart_id"`
	CheckoutID    *string        `avro:"checkout_id"`
	Currency      *string        `avro:"currency"`
	Total         *[]byte        `avro:"total"`
	Subtotal      *[]byte        `avro:"subtotal"`
	Tax           *[]byte        `avro:"tax"`
	Shipping      *[]byte        `avro:"shipping"`
	Discounts     []wireDiscount `avro:"discounts"`
	Lines         []wireLine     `avro:"lines"`
	Reason        *string        `avro:"reason"`
	DueAt         *time.Time     `avro:"due_at"`
	Carrier       *string        `avro:"carrier"`
	Tracking      *string        `avro:"tracking"`
	MetadataJSON  *string        `avro:"metadata_json"`
	BrazeDisabled *bool          `avro:"braze_disabled"`
}

type wireDiscount struct {
	Code         *string `avro:"code"`
	Amount       *[]byte `avro:"amount"`
	DiscountType *string `avro:"discount_type"`
}

type wireLine struct {
	ProductID    *string `avro:"product_id"`
	ProductName  *string `avro:"product_name"`
	VariantID    *string `avro:"variant_id"`
	Quantity     int64   `avro:"quantity"`
	Price        *[]byte `avro:"price"`
	ImageURL     *string `avro:"image_url"`
	ProductURL   *string `avro:"product_url"`
	MetadataJSON *string `avro:"metadata_json"`
}

func fillCommerce(w *wireCommerce, c *event.Commerce) (userID string, err error) {
	var m moneyFiller
	*c = event.Commerce{
		ID: w.EventID, User: w.user(), Type: event.CommerceType(w.EventType),
		OccurredAt: w.OccurredAt.UTC(), ReceivedAt: w.ReceivedAt.UTC(),
		Source: w.Source, AppID: orEmpty(w.AppID),
		OrderID: orEmpty(w.OrderID), CartID: orEmpty(w.CartID), CheckoutID: orEmpty(w.CheckoutID),
		Currency: orEmpty(w.Currency),
		Total:    m.money("total", w.Total), Subtotal: m.money("subtotal", w.Subtotal),
		Tax: m.money("tax", w.Tax), Shipping: m.money("shipping", w.Shipping),
		Reason: orEmpty(w.Reason), Carrier: orEmpty(w.Carrier), Tracking: orEmpty(w.Tracking),
		Metadata:      orNil(w.MetadataJSON),
		BrazeDisabled: w.BrazeDisabled != nil && *w.BrazeDisabled,
	}
	if w.DueAt != nil {
		c.DueAt = w.DueAt.UTC()
	}
	for _, d := range w.Discounts {
		c.Discounts = append(c.Discounts, event.Discount{
			Code: orEmpty(d.Code), Amount: m.money("discounts.amount", d.Amount), Type: orEmpty(d.DiscountType),
		})
	}
	for _, l := range w.Lines {
		c.Lines = append(c.Lines, event.Line{
			ProductID: orEmpty(l.ProductID), ProductName: orEmpty(l.ProductName), VariantID: orEmpty(l.VariantID),
			Quantity: l.Quantity, Price: m.money("lines.price", l.Price),
			ImageURL: orEmpty(l.ImageURL), ProductURL: orEmpty(l.ProductURL), Metadata: orNil(l.MetadataJSON),
		})
	}
	return w.UserID, m.err
}

// moneyFiller turns decimals into money; the first that does not fit is the error.
type moneyFiller struct{ err error }

func (m *moneyFiller) money(field string, unscaled *[]byte) event.Money {
	if unscaled == nil {
		return ""
	}
	a, ok := event.AmountFromBytes(*unscaled)
	if !ok && m.err == nil {
		m.err = &Unreadable{Reason: "undecodable", Detail: field + ": the amount has more than 38 digits"}
	}
	return a.Money()
}
