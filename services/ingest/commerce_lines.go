package ingest

import (
	"fmt"
	"slices"

	"github.com/sluicehq/sluice/pkg/event"
)

func (s *scanner) discounts(it *item) []event.Discount {
	from := len(s.pool.discounts)
	if !s.entries(it, "discounts", func() {
		s.pool.discounts = append(s.pool.discounts, event.Discount{})
		d := &s.pool.discounts[len(s.pool.discounts)-1]
		for base, first := s.object(), true; s.member(base, first); first = false {
			switch field := s.name; field {
			case "code":
				d.Code = s.short(it, field)
			case "amount":
				d.Amount = s.money(it, field)
			case "type":
				d.Type = s.short(it, field)
			default:
				it.refuse(problem{why: unknownField, field: field})
				s.value()
			}
		}
	}) {
		return nil
	}
	return tail(s.pool.discounts, from)
}

// maxPooled bounds the lines and discounts of one body. A body of 5 MB that says anything in its lines
// has fewer; one of {},{},{} would make a gigabyte of them.
const maxPooled = 10 * MaxEntries

// unsaidQuantity is that of a line that has none, until the event's type says whether it needs one.
const unsaidQuantity = -1

func (s *scanner) lines(it *item) []event.Line {
	from := len(s.pool.lines)
	if !s.entries(it, "lines", func() {
		s.pool.lines = append(s.pool.lines, event.Line{Quantity: unsaidQuantity})
		s.line(it, &s.pool.lines[len(s.pool.lines)-1])
	}) {
		return nil
	}
	return tail(s.pool.lines, from)
}

// tail is what has been appended since: never nil, for an array that is empty is not one that is left
// out.
func tail[T any](all []T, from int) []T {
	if from == len(all) {
		return []T{}
	}
	return all[from:len(all):len(all)]
}

func (s *scanner) line(it *item, l *event.Line) {
	for base, first := s.object(), true; s.member(base, first); first = false {
		switch field := s.name; field {
		case "product_id":
			l.ProductID = s.reference(it, field)
		case "product_name":
			l.ProductName = s.short(it, field)
		case "variant_id":
			l.VariantID = s.reference(it, field)
		case "quantity":
			l.Quantity = s.quantity(it)
		case "price":
			l.Price = s.money(it, field)
		case "image_url":
			l.ImageURL = s.address(it, field)
		case "product_url":
			l.ProductURL = s.address(it, field)
		case "metadata":
			l.Metadata = s.metadata(it)
		default:
			it.refuse(problem{why: unknownField, field: field})
			s.value()
		}
	}
}

// entries reads an array of objects, each by read. It is false where there is none. What read finds
// wrong gets the entry's place before its field.
func (s *scanner) entries(it *item, field string, read func()) bool {
	if s.null() {
		return false
	}
	if s.peek() != '[' {
		it.refuse(problem{why: notArray, field: field})
		s.value()
		return false
	}
	n := 0
	for first := s.open(); s.element(first); first = false {
		was := it.problem.why
		switch {
		case n >= MaxEntries || len(s.pool.lines)+len(s.pool.discounts) >= maxPooled:
			it.refuse(problem{why: tooManyEntries, field: field, limit: MaxEntries, unit: "entries"})
			s.value()
			continue
		case s.peek() != '{':
			it.refuse(problem{why: notObject})
			s.value()
		default:
			read()
		}
		if was == fine && it.problem.why != fine {
			it.problem.field = entry(field, n, it.problem.field)
		}
		n++
	}
	return true
}

// entry is the path to a field of an array's entry, such as lines[3].price.
func entry(array string, i int, field string) string {
	if field == "" {
		return fmt.Sprintf("%s[%d]", array, i)
	}
	return fmt.Sprintf("%s[%d].%s", array, i, field)
}

var countedTypes = []event.CommerceType{event.CartUpdated, event.CheckoutStarted, event.OrderPlaced, event.OrderCancelled, event.OrderRefunded}

// settleQuantities looks for the quantities that were not said: a cart or an order needs them, anything
// else does without.
func settleQuantities(c *event.Commerce) problem {
	needed := slices.Contains(countedTypes, c.Type)
	for i := range c.Lines {
		switch {
		case c.Lines[i].Quantity != unsaidQuantity:
		case needed:
			return problem{why: missing, field: entry("lines", i, "quantity")}
		default:
			c.Lines[i].Quantity = 0
		}
	}
	return problem{}
}
