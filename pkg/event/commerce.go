package event

import "time"

// Commerce is what happened to a customer's cart, order, shipment or subscription, the content of one
// record of commerce.events.
type Commerce struct {
	ID         string // idempotency key within Source
	User       User   // whom it concerns; its canonical key is the Kafka key
	Type       CommerceType
	OccurredAt time.Time // by the source's clock; UTC, milliseconds
	ReceivedAt time.Time // by our clock
	Source     string    // the system that says so, such as shop.example.com
	AppID      string    // Braze app identifier, where the source names one

	OrderID    string
	CartID     string
	CheckoutID string
	Currency   string // ISO 4217, upper case
	Total      Money  // of the whole; of a refund, the amount refunded
	Subtotal   Money
	Tax        Money
	Shipping   Money
	Discounts  []Discount
	Lines      []Line

	Reason   string    // why an order was cancelled or refunded, a payment failed
	DueAt    time.Time // of a renewal, of the next attempt at a payment; zero when not said
	Carrier  string    // of a shipment
	Tracking string    // of a shipment
	// Metadata is a JSON object with whatever else the source says, valid and bounded, or nil.
	Metadata []byte
	// BrazeDisabled is the source's wish that Braze should not see this event.
	BrazeDisabled bool
}

// CommerceType is what happened.
type CommerceType string

// The types of commerce events there are.
const (
	ProductViewed    CommerceType = "product_viewed"
	CartUpdated      CommerceType = "cart_updated"
	CheckoutStarted  CommerceType = "checkout_started"
	OrderPlaced      CommerceType = "order_placed"
	OrderCancelled   CommerceType = "order_cancelled"
	OrderRefunded    CommerceType = "order_refunded"
	ShipmentUpdated  CommerceType = "shipment_updated"
	Delivered        CommerceType = "delivered"
	RenewalDue       CommerceType = "renewal_due"
	PaymentFailed    CommerceType = "payment_failed"
	PaymentRecovered CommerceType = "payment_recovered"
)

// CommerceTypes are all of them, in the order of a customer's way.
func CommerceTypes() []CommerceType {
	return []CommerceType{
		ProductViewed, CartUpdated, CheckoutStarted, OrderPlaced, OrderCancelled, OrderRefunded,
		ShipmentUpdated, Delivered, RenewalDue, PaymentFailed, PaymentRecovered,
	}
}

// Discount is one reduction of an order.
type Discount struct {
	Code   string
	Amount Money
	Type   string // as the source calls it, such as fixed_amount or percentage
}

// Line is one product of a cart or an order.
type Line struct {
	ProductID   string
	ProductName string
	VariantID   string
	Quantity    int64
	Price       Money // of one piece
	ImageURL    string
	ProductURL  string
	Metadata    []byte // JSON object, or nil
}
