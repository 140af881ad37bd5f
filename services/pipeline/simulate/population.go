package simulate

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Population is everybody in a story.
type Population []*Person

// Person is an invented customer.
type Person struct {
	Number    int // from 1
	FirstName string
	LastName  string
	Email     string // at example.com, which belongs to nobody
	Phone     string // of a range that is set aside for drama
	// User is how this person is named in requests: the "user" of POST /v1/events.
	User map[string]any
	// Key is the person's canonical id, the key of every record about them.
	Key string

	known    bool // has signed up
	seq      int  // of the last event
	commerce int  // of the last commerce event
	cart     []line
	cartID   string // empty until something is in it
	carts    int    // that there have been
	orders   []order
	ordered  int    // orders that there have been
	plan     string // of the membership
	agenda   []step // what is left of the present journey
	record   record // what offices have of the person
}

// line is a row of a cart.
type line struct {
	product  product
	quantity int
}

// order is something bought and not yet sent back.
type order struct {
	id                string
	lines             []line
	total             int // cents
	stage             stage
	carrier, tracking string
}

// stage is how far an order has come.
type stage int

const (
	placed stage = iota
	shipped
	delivered
)

// tracked reports whether an analytics client would name this person as the front door does, so that
// both kinds of request concern the same customer.
func (p *Person) tracked() bool { return p.User["external_id"] != nil }

// number is that of the person's next item. Each topic has a count of its own, since nothing orders
// records of two topics.
func (p *Person) number(kind string) int {
	if kind == kindCommerce {
		p.commerce++
		return p.commerce
	}
	p.seq++
	return p.seq
}

// unnumber takes back the number of an item that is not sent.
func (p *Person) unnumber(kind string) {
	if kind == kindCommerce {
		p.commerce--
	} else {
		p.seq--
	}
}

// The names are put together from syllables, so that they are nobody's.
var (
	firstHalves  = []string{"Bre", "Cal", "Dov", "Fen", "Hes", "Jor", "Kel", "Lum", "Mir", "Nev", "Pel", "Quil", "Sel", "Tam", "Ulv", "Wyn", "Yar", "Zel"}
	secondHalves = []string{"adi", "eno", "imar", "ola", "uva", "eth", "isse", "omi", "unda", "ayo"}
	surnames     = []string{"Arkwell", "Brandlow", "Corvessy", "Dunmarrow", "Eskerlin", "Fallowmere", "Grenholt", "Harrowquin", "Islebrook", "Jutterby", "Kestenloft", "Lorrimund", "Marrowick", "Nettlesund", "Oxenfjord", "Pellorane"}
)

// NewPopulation makes up n people. The same seed makes up the same, and more of them begin with the
// same.
func NewPopulation(seed uint64, n int) Population {
	people := make(Population, n)
	for i := range people {
		// A generator each: whoever comes later changes nobody before.
		people[i] = newPerson(rand.New(rand.NewPCG(seed, uint64(i)+1)), seed, i+1) //nolint:gosec // no secrets here
	}
	return people
}

func newPerson(r *rand.Rand, seed uint64, number int) *Person {
	p := &Person{
		Number:    number,
		FirstName: pick(r, firstHalves) + pick(r, secondHalves),
		LastName:  pick(r, surnames),
		Phone:     fmt.Sprintf("+447700900%03d", number%1000),
	}
	p.Email = fmt.Sprintf("%s.%s.%d-%d@example.com", p.FirstName, p.LastName, seed, number)
	p.User, p.Key = p.identity(r.IntN(20), seed)
	return p
}

// identity decides by what the person is known. Most have a customer number; some are known by less,
// as visitors and newsletter readers are.
func (p *Person) identity(roll int, seed uint64) (user map[string]any, key string) {
	switch roll {
	case 0:
		return map[string]any{"email": p.Email}, "email:" + strings.ToLower(p.Email)
	case 1:
		if p.Number < 1000 { // the range has no more numbers, and two people must not share one
			return map[string]any{"phone": p.Phone}, "phone:" + p.Phone
		}
	case 2:
		name := fmt.Sprintf("visitor-%d-%d", seed, p.Number)
		return map[string]any{"alias": map[string]any{"label": "shop_visitor", "name": name}}, "alias:shop_visitor:" + name
	}
	id := fmt.Sprintf("cus-%d-%04d", seed, p.Number)
	return map[string]any{"external_id": id}, id
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
