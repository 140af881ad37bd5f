package simulate

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Mishap is what goes wrong with an act.
type Mishap string

// What can go wrong on any way in.
const (
	NoMishap   Mishap = "none"
	Twice      Mishap = "twice"        // the same again, with the same ids
	Late       Mishap = "late"         // it happened hours or days ago
	OutOfOrder Mishap = "out_of_order" // two events in the reverse order of their times
	Unwelcome  Mishap = "unwelcome"    // fit for the topic, but not for Braze
	Muted      Mishap = "muted"        // the source asks that Braze should not see it
)

// What can go wrong only with an order, on any way in.
const (
	Restated  Mishap = "restated"  // one system reports the same state of it twice, as two events
	Overtaken Mishap = "overtaken" // its refund comes first
)

// What can go wrong only at the front door.
const (
	Malformed Mishap = "malformed" // an item that breaks a rule beside one that does not, or no JSON at all
)

// What can go wrong only for those who write to the topic themselves.
const (
	Garbage       Mishap = "garbage"        // bytes that are no Avro
	UnknownSchema Mishap = "unknown_schema" // a schema id that the registry does not have
	KeyMismatch   Mishap = "key_mismatch"   // the record's key is not its user
	Hostile       Mishap = "hostile"        // a length that would fill the memory
)

// FrontDoor and Upstream list the mishaps there are on each way, in the order of a summary.
var (
	FrontDoor = []Mishap{NoMishap, Twice, Late, OutOfOrder, Restated, Overtaken, Malformed, Unwelcome, Muted}
	Upstream  = []Mishap{NoMishap, Twice, Late, OutOfOrder, Restated, Overtaken, Unwelcome, Muted, Garbage, UnknownSchema, KeyMismatch, Hostile}
)

// mishapShare is how many acts of a hundred go wrong, when any may.
const mishapShare = 12

// befall decides what goes wrong with the next act.
func befall(r *rand.Rand, from []Mishap) Mishap {
	// Both dice are always thrown, so that the story without mishaps is the same story otherwise.
	roll, which := r.IntN(100), r.IntN(max(len(from)-1, 1))
	if len(from) < 2 || roll >= mishapShare {
		return NoMishap
	}
	return from[1+which]
}

// able are the mishaps of a telling that can happen to a deed. What is in a shop's message the front
// door knows as well as Braze does, so there is nothing that only Braze would refuse; our own API has
// no way to ask that Braze should not see it. An order always gets there: a refund would wait for it.
func (d deed) able(t Telling) []Mishap {
	return slices.DeleteFunc(slices.Clone(t.Mishaps), func(m Mishap) bool {
		switch m {
		case Restated:
			return d.commerce == nil || d.commerce.OrderID == ""
		case Overtaken: // it is another order than the one that the deed may be about
			return d.commerce == nil || d.commerce.OrderID != ""
		case OutOfOrder, Unwelcome:
			return d.commerce != nil
		case Muted:
			return d.commerce != nil && (!t.Straight || d.commerce.Type == "order_placed")
		case NoMishap, Twice, Late, Malformed, Garbage, UnknownSchema, KeyMismatch, Hostile:
		}
		return false
	})
}

// longAgo is the day from which late events look back. A story knows no clock: it would not be the
// same story tomorrow.
var longAgo = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)

// flaw is a way in which an item can be malformed: it changes the item, or returns a body in the
// place of the whole request.
type flaw func(item map[string]any) (body []byte)

var flaws = []flaw{
	func(item map[string]any) []byte { delete(item, "name"); return nil },
	func(item map[string]any) []byte { item["time"] = "yesterday"; return nil },
	func(item map[string]any) []byte { item["colour"] = "moss"; return nil },
	func(item map[string]any) []byte { item["user"] = map[string]any{}; return nil },
	func(item map[string]any) []byte { item["properties"] = []any{1, 2}; return nil },
	func(item map[string]any) []byte {
		item["attributes"] = map[string]any{"external_id": "someone-else"}
		return nil
	},
	func(map[string]any) []byte { return []byte(`{"user":{"external_id":"cut off`) },
}

// shopFlaws are flaws of commerce events.
var shopFlaws = []flaw{
	func(item map[string]any) []byte { delete(item, "type"); return nil },
	func(item map[string]any) []byte { item["currency"] = "EURO"; return nil },
	func(item map[string]any) []byte { item["total"] = "12,90"; return nil },
	func(item map[string]any) []byte { item["lines"] = []any{map[string]any{"quantity": -1}}; return nil },
	func(item map[string]any) []byte { item["user"] = map[string]any{}; return nil },
	func(map[string]any) []byte { return []byte(`[{"type":"order_placed","order_id":"cut off`) },
}
