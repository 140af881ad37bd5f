package ingest

import (
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/pkg/event"
)

// What a commerce event may be at most, beside what any item may be.
const (
	MaxText    = 255    // characters of an id, a name, a reason; braze-docs: a string in an event's properties
	MaxURL     = 2_048  // bytes
	MaxEntries = 10_000 // lines, and discounts; what readers of the topic take in one block
)

// parseCommerce reads the body of POST /v1/commerce, an object or an array of them, into items, as
// parseEvents does.
func parseCommerce(s *scanner, items []item) ([]item, error) {
	return parseItems(s, items, (*scanner).commerceEvent)
}

// commerceEvent reads one item.
func (s *scanner) commerceEvent(it *item) {
	c := s.pool.event()
	it.commerce = c
	hasUser, ok := s.members(it, func(field string) { s.commerceMember(it, c, field) })
	if !ok {
		it.commerce = nil
		return
	}
	c.User = it.event.User
	switch {
	case !hasUser:
		it.refuse(problem{why: missing, field: "user"})
	case c.Type == "":
		it.refuse(problem{why: missing, field: "type"})
	}
	if it.problem.why == fine {
		it.refuse(settleQuantities(c))
		it.refuse(checkCommerce(c))
	}
}

func (s *scanner) commerceMember(it *item, c *event.Commerce, field string) {
	switch field {
	case "id":
		c.ID = s.id(it)
	case "type":
		c.Type = event.CommerceType(s.short(it, field))
	case "time":
		c.OccurredAt = s.time(it, field)
	case "order_id":
		c.OrderID = s.reference(it, field)
	case "cart_id":
		c.CartID = s.reference(it, field)
	case "checkout_id":
		c.CheckoutID = s.reference(it, field)
	case "currency":
		c.Currency, _ = s.optional(it, field)
	case "total":
		c.Total = s.money(it, field)
	case "subtotal":
		c.Subtotal = s.money(it, field)
	case "tax":
		c.Tax = s.money(it, field)
	case "shipping":
		c.Shipping = s.money(it, field)
	case "discounts":
		c.Discounts = s.discounts(it)
	case "lines":
		c.Lines = s.lines(it)
	case "reason":
		c.Reason = s.short(it, field)
	case "due":
		c.DueAt = s.time(it, field)
	case "carrier":
		c.Carrier = s.short(it, field)
	case "tracking":
		c.Tracking = s.short(it, field)
	case "source":
		c.Source, _ = s.optional(it, field)
	case "metadata":
		c.Metadata = s.metadata(it)
	default:
		it.refuse(problem{why: unknownField, field: field})
		s.value()
	}
}

// reference reads the id of something in the source's books. Many are numbers beyond 2⁵³, and some
// sources send them as such: their digits are the id.
func (s *scanner) reference(it *item, field string) string {
	if c := s.peek(); c != '-' && (c < '0' || c > '9') {
		return s.short(it, field)
	}
	text := alias(s.raw())
	if strings.Trim(text, "0123456789") != "" || len(text) > MaxText {
		it.refuse(problem{why: notString, field: field})
	}
	return text
}

// money reads an amount, from a string or a number, exactly.
func (s *scanner) money(it *item, field string) event.Money {
	var text string
	switch c := s.peek(); {
	case c == '"':
		text, _ = s.str()
	case c == '-' || '0' <= c && c <= '9':
		text = alias(s.raw())
	case s.null():
		return ""
	default:
		s.value()
	}
	m, ok := event.ParseMoney(text)
	if !ok {
		it.refuse(problem{why: notMoney, field: field})
	}
	return m
}

func (s *scanner) quantity(it *item) int64 {
	if s.null() {
		return unsaidQuantity
	}
	n, err := strconv.ParseInt(alias(s.raw()), 10, 64)
	switch {
	case err != nil:
		it.refuse(problem{why: notWhole, field: "quantity"})
	case n < 0:
		it.refuse(problem{why: negative, field: "quantity"})
	}
	return n
}

// address reads a URL that a browser or a mail program can open.
func (s *scanner) address(it *item, field string) string {
	text := s.identifier(it, field)
	switch {
	case text == "":
	case len(text) > MaxURL:
		it.refuse(problem{why: tooLong, field: field, limit: MaxURL, unit: "bytes"})
	case !isAddress(text):
		it.refuse(problem{why: notURL, field: field})
	}
	return text
}

// isAddress reports whether a text begins like an address in the web and has no blanks. Whether there
// is anything at an address only its server knows.
func isAddress(text string) bool {
	scheme, rest, found := strings.Cut(text, "://")
	if !found || !strings.EqualFold(scheme, "https") && !strings.EqualFold(scheme, "http") {
		return false
	}
	host, _, _ := strings.Cut(rest, "/")
	return host != "" && !strings.ContainsAny(host, `?#\`) && !strings.ContainsAny(rest, ` "<>`)
}

func (s *scanner) metadata(it *item) []byte {
	return s.freeForm(it, "metadata", func(string) bool { return true })
}
