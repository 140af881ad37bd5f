package simulate

import (
	"fmt"
	"math/rand/v2"
)

// journey is what somebody sets out to do: steps in order, any of which may be the last.
type journey struct {
	name   string
	weight int // how often people choose it, compared with the others
	steps  []step
	// open says who can set out on it; nil is everybody.
	open func(*Person) bool
}

// step is one thing that a person does.
type step struct {
	do func(*rand.Rand, *Person) deed
	// onward is the chance in percent that the person goes on to the next step.
	onward int
}

// deed is what a step comes to, before it is put into a request.
type deed struct {
	kind       string // track, page, identify or commerce
	name       string
	properties map[string]any
	attributes map[string]any // set together with a track; the traits of an identify
	commerce   *Commerce      // of kind commerce
}

var journeys = []journey{
	{name: "browse", weight: 40, steps: []step{
		{visitPage, 90}, {viewProduct, 80}, {viewProduct, 60}, {viewProduct, 50}, {visitPage, 0},
	}},
	{name: "buy", weight: 30, steps: []step{
		{viewProduct, 95}, {addToCart, 85}, {viewProduct, 90}, {addToCart, 75}, {startCheckout, 80}, {placeOrder, 0},
	}},
	{name: "change one's mind", weight: 8, steps: []step{{addToCart, 90}, {removeFromCart, 30}, {addToCart, 0}}},
	{name: "unpack", weight: 12, open: waitsForParcel, steps: []step{{shipOrder, 85}, {deliverOrder, 0}}},
	{name: "return", weight: 8, open: hasOrdered, steps: []step{{returnOrder, 40}, {openCase, 0}}},
	{name: "renew", weight: 5, steps: []step{{renewalDue, 60}, {failPayment, 70}, {recoverPayment, 0}}},
	{name: "complain", weight: 8, steps: []step{{openCase, 70}, {resolveCase, 60}, {rateCase, 0}}},
	{name: "tell about oneself", weight: 6, open: (*Person).tracked, steps: []step{{introduce, 0}}},
}

// arrival comes before everything else.
var arrival = []step{{signUp, 100}}

// setOut chooses what a person does next.
func (p *Person) setOut(r *rand.Rand) {
	if !p.known {
		p.known, p.agenda = true, arrival
		return
	}
	sum := 0
	for _, j := range journeys {
		if j.open == nil || j.open(p) {
			sum += j.weight
		}
	}
	roll := r.IntN(sum)
	for _, j := range journeys {
		if j.open != nil && !j.open(p) {
			continue
		}
		if roll -= j.weight; roll < 0 {
			p.agenda = j.steps
			return
		}
	}
}

// act does the next thing.
func (p *Person) act(r *rand.Rand) deed {
	if len(p.agenda) == 0 {
		p.setOut(r)
	}
	now := p.agenda[0]
	p.agenda = p.agenda[1:]
	if r.IntN(100) >= now.onward {
		p.agenda = nil
	}
	return now.do(r, p)
}

// product is something the shop sells.
type product struct {
	id, name string
	cents    int
}

var products = []product{
	{"P-77", "Trail Runner", 11990},
	{"P-78", "Rain Shell", 14900},
	{"P-101", "Wool Socks", 1450},
	{"P-102", "Thermos Flask", 2795},
	{"P-205", "Camping Lantern", 3900},
	{"P-206", "Folding Kettle", 2499},
	{"P-310", "Map Case", 1890},
	{"P-311", "Walking Poles", 6990},
	{"P-412", "Down Blanket", 19900},
	{"P-530", "Tin Whistle", 999},
}

func track(name string, properties map[string]any) deed {
	return deed{kind: kindTrack, name: name, properties: properties}
}

func signUp(r *rand.Rand, p *Person) deed {
	d := track("Signed Up", map[string]any{"channel": pick(r, []string{"web", "app", "store"})})
	d.attributes = map[string]any{
		"first_name": p.FirstName, "last_name": p.LastName,
		"favourite_colour": pick(r, []string{"moss", "slate", "rust", "sand"}),
	}
	return d
}

func introduce(r *rand.Rand, p *Person) deed {
	return deed{kind: kindIdentify, attributes: map[string]any{
		"email": p.Email, "firstName": p.FirstName, "lastName": p.LastName,
		"plan": pick(r, []string{"basic", "silver", "gold"}),
	}}
}

func visitPage(r *rand.Rand, p *Person) deed {
	page := pick(r, []string{"Home", "Sale", "New Arrivals", "Store Finder"})
	if !p.tracked() {
		return track("Page Looked At", map[string]any{"page": page})
	}
	return deed{kind: kindPage, name: page, properties: map[string]any{"path": "/" + page}}
}

func (t product) properties() map[string]any {
	return map[string]any{"product_id": t.id, "product_name": t.name, "price": money(t.cents), "currency": currency}
}

// viewProduct is told by the client on the person's device, or by the shop where there is none.
func viewProduct(r *rand.Rand, p *Person) deed {
	t := pick(r, products)
	if !p.tracked() {
		return shop(Commerce{Type: "product_viewed", Currency: currency, Lines: []line{{t, 1}}})
	}
	return track("Product Viewed", t.properties())
}

func openCase(r *rand.Rand, p *Person) deed {
	return track("Support Case Opened", map[string]any{
		"case_id": fmt.Sprintf("C-%d-%03d", p.Number, p.seq+1), "channel": pick(r, []string{"chat", "phone", "email"}),
	})
}

func resolveCase(_ *rand.Rand, p *Person) deed {
	return track("Support Case Resolved", map[string]any{"case_id": fmt.Sprintf("C-%d-%03d", p.Number, p.seq)})
}

func rateCase(r *rand.Rand, _ *Person) deed {
	return track("Support Case Rated", map[string]any{"rating": 1 + r.IntN(5)})
}
