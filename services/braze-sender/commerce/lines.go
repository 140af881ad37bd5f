package commerce

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
)

// product writes an entry of products.
func (e *encoder) product(l *event.Line) {
	e.dst = append(e.dst, '{')
	e.known("product_id", l.ProductID)
	e.known("product_name", l.ProductName)
	e.known("variant_id", l.VariantID)
	e.name("quantity")
	e.dst = strconv.AppendInt(e.dst, l.Quantity, 10)
	if l.Price != "" {
		e.name("price")
		e.dst = appendAmount(e.dst, l.Price)
	}
	e.url("image_url", l.ImageURL)
	e.url("product_url", l.ProductURL)
	if inner := inside(l.Metadata); len(inner) > 0 || hasLongURL(l) {
		e.name("metadata")
		e.dst = append(append(e.dst, '{'), inner...)
		e.longURLs(inner, l)
		e.dst = append(e.dst, '}')
	}
	e.dst = append(e.dst, '}')
}

// viewed writes the product of a view, whose properties are the event's.
func (e *encoder) viewed(l *event.Line) {
	e.known("product_id", l.ProductID)
	e.known("product_name", l.ProductName)
	e.known("variant_id", l.VariantID)
	e.name("price")
	e.dst = appendAmount(e.dst, l.Price)
	e.url("image_url", l.ImageURL)
	e.url("product_url", l.ProductURL)
}

func (e *encoder) known(name, text string) {
	if text != "" {
		e.name(name)
		e.dst = braze.AppendString(e.dst, text)
	}
}

// url writes an address that Braze can take. One that is too long is left out, for the sake of the rest
// of the order, and longURLs says so.
func (e *encoder) url(name, url string) {
	if !isLong(url) {
		e.known(name, url)
	}
}

func isLong(text string) bool {
	return len(text) > braze.MaxStringLen && utf8.RuneCountInString(text) > braze.MaxStringLen
}

func hasLongURL(l *event.Line) bool { return isLong(l.ImageURL) || isLong(l.ProductURL) }

// longURLs writes, into metadata that has inner already, the lengths of addresses that were left out.
func (e *encoder) longURLs(inner []byte, l *event.Line) {
	for _, u := range [...]struct{ name, url string }{{"image_url_too_long", l.ImageURL}, {"product_url_too_long", l.ProductURL}} {
		if isLong(u.url) {
			e.freeName(inner, u.name)
			e.dst = strconv.AppendInt(e.dst, int64(len(u.url)), 10)
		}
	}
}

// omitted writes, into metadata that has inner already, what the lines that are not listed amount to.
func (e *encoder) omitted(inner []byte) {
	lines := e.commerce.Lines
	e.freeName(inner, "lines_total")
	e.dst = strconv.AppendInt(e.dst, int64(len(lines)), 10)
	e.freeName(inner, "lines_omitted")
	e.dst = strconv.AppendInt(e.dst, int64(len(lines)-e.keep), 10)
	if quantity, ok := quantityOf(lines[e.keep:]); ok {
		e.freeName(inner, "lines_omitted_quantity")
		e.dst = strconv.AppendInt(e.dst, quantity, 10)
	}
	if value, ok := valueOf(lines[e.keep:]); ok {
		e.freeName(inner, "lines_omitted_value")
		e.dst = appendAmount(e.dst, value.Money())
	}
}

func quantityOf(lines []event.Line) (sum int64, ok bool) {
	for i := range lines {
		if lines[i].Quantity > math.MaxInt64-sum {
			return 0, false
		}
		sum += lines[i].Quantity
	}
	return sum, true
}

// valueOf is what lines cost together; false when a price is not known.
func valueOf(lines []event.Line) (sum event.Amount, ok bool) {
	for i := range lines {
		price, ok := lines[i].Price.Amount()
		if !ok {
			return event.Amount{}, false
		}
		value, ok := price.Times(lines[i].Quantity)
		if !ok {
			return event.Amount{}, false
		}
		if sum, ok = sum.Add(value); !ok {
			return event.Amount{}, false
		}
	}
	return sum, true
}
