package simulate

import "time"

// goWrong lets the act's mishap happen to it.
func (s *Story) goWrong(a *Act) {
	switch a.Mishap {
	case Late:
		a.Items[0].Time = s.late()
	case OutOfOrder:
		second := s.item(a.Person, track("Product Viewed", pick(s.luck, products).properties()))
		second.Time = s.late()
		a.Items[0].Time = second.Time.Add(time.Minute)
		a.Items = append(a.Items, second)
	case Restated:
		s.restate(a)
	case Overtaken:
		s.overtake(a)
	case Unwelcome:
		a.Items[0].spoil()
	case Muted:
		a.Items[0].mute()
	case Malformed:
		s.malform(a)
	case NoMishap, Twice, Garbage, UnknownSchema, KeyMismatch, Hostile:
	}
}

// restate reports the state of an order once more, under another id. The system says when it came
// about: two refunds of one amount are the same if they are of the same moment.
func (s *Story) restate(a *Act) {
	a.Items[0].Time = s.late()
	second := a.Items[0]
	second.ID, second.Fate = s.id(), Skipped
	a.Items = append(a.Items, second)
}

// overtake lets the person order something else besides and think better of it, and the second message
// come before the first. Their numbers are those of what happened: whoever has waited for the order has
// them in a row.
func (s *Story) overtake(a *Act) {
	p := a.Person
	d := p.order(s.luck, []line{{pick(s.luck, products), 1}})
	o := p.orders[len(p.orders)-1]
	p.forget(o.id) // what people do does not depend on what goes wrong
	o.stage = shipped
	order := s.item(p, d)
	refund := s.item(p, o.undo("changed my mind"))
	a.Items = append(a.Items, refund, order)
}

// malform puts an item that breaks a rule beside the good one, or breaks the whole body.
func (s *Story) malform(a *Act) {
	good := &a.Items[0]
	bad, flaws := Item{ID: s.id(), Kind: kindTrack, Name: "Product Viewed", Want: Rejected}, flaws
	if good.Commerce != nil {
		bad, flaws = s.bill(Rejected), shopFlaws
		if good.Commerce.Type == "order_placed" { // it may not get lost, or its refund would wait for it
			flaws = flaws[:len(flaws)-1]
		}
	}
	object := a.object(bad)
	if body := pick(s.luck, flaws)(object); body != nil {
		a.Body = body
		a.Person.unnumber(good.Kind) // the good item is not sent
		a.Items = []Item{bad}
		return
	}
	a.Body = encode([]any{a.object(*good), object})
	a.Items = append(a.Items, bad)
}

// bill is a commerce event that is put beside another.
func (s *Story) bill(want Verdict) Item {
	c := &Commerce{Type: "payment_failed", Currency: currency, Total: fee, Metadata: map[string]any{}}
	return Item{ID: s.id(), Kind: kindCommerce, Name: c.Type, Commerce: c, Want: want}
}

// late is a time up to three days ago.
func (s *Story) late() time.Time {
	return longAgo.Add(-time.Duration(1+s.luck.IntN(72*3600)) * time.Second)
}

// mute asks that Braze should not see the item.
func (it *Item) mute() {
	it.Muted, it.Attributes = true, nil // a client's track has no attributes
	if it.Fate == Delivered {
		it.Fate = Skipped
	}
}

// spoil gives the item a property that Braze does not take.
func (it *Item) spoil() {
	it.Properties = append(it.Properties[:len(it.Properties)-1:len(it.Properties)-1], `,"$price":1}`...)
	if it.Fate == Delivered {
		it.Fate = Refused
	}
}
