package simulate

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// The ways of putting an act to the front door.
const (
	PathEvents   = "/v1/events"   // our own API
	PathCommerce = "/v1/commerce" // likewise, for shops and billing systems
	PathBatch    = "/v1/batch"    // that of tracking clients
)

// Kinds of item.
const (
	kindTrack    = "track"
	kindPage     = "page"
	kindIdentify = "identify"
	kindCommerce = "commerce"
)

// Verdict is what becomes of an item at the way in.
type Verdict string

// What an answer can say of an item.
const (
	Accepted  Verdict = "accepted"
	Duplicate Verdict = "duplicate"
	Rejected  Verdict = "rejected"
)

// Fate is what becomes of a record on its way to Braze.
type Fate string

// What a story foresees.
const (
	Delivered Fate = "delivered"
	Skipped   Fate = "skipped"
	Refused   Fate = "refused"
	Elsewhere Fate = "elsewhere" // no event: it stands on another topic, and Braze is told what follows from it
	Nowhere   Fate = ""          // it never gets onto a topic
)

// Act is one request of one person.
type Act struct {
	Number int // from 1
	Person *Person
	Mishap Mishap
	Path   string // PathEvents, PathCommerce, PathBatch, PathProfiles or PathCases; empty for a story told to the topics
	Items  []Item
	Body   []byte // what is posted to Path
}

// Item is one thing that an act says.
type Item struct {
	ID         string
	Kind       string    // track, page, identify, commerce, profile or case
	Name       string    // of a commerce event, its type
	Seq        int       // the person's running number on the topic; 0 for what is no event, or never becomes one
	Time       time.Time // zero when the person says nothing about it
	Properties json.RawMessage
	Attributes json.RawMessage
	Commerce   *Commerce      // of kind commerce, in the place of the two
	Said       map[string]any // of kinds profile and case, likewise: without id, user and time
	Muted      bool
	Want       Verdict // by the front door
	Fate       Fate    // by the time nothing is held any more
}

// Telling says which story to tell. One Telling tells one story, byte for byte.
type Telling struct {
	Seed      uint64
	Customers int      // 50 when 0
	Mishaps   []Mishap // FrontDoor or Upstream, or a part of either; none when nil
	Straight  bool     // to the topics instead of the front door
}

// Story tells what people do, without end.
type Story struct {
	t       Telling
	people  Population
	life    *rand.Rand // who does what
	luck    *rand.Rand // what goes wrong: a generator of its own, so that all else stays
	desk    *rand.Rand // what offices say, likewise
	mail    *rand.Rand // what goes wrong with that
	letters int        // of offices
	deeds   int
	told    int
	items   int
	pending []Act
}

// NewStory begins a story.
func NewStory(t Telling) *Story {
	if t.Customers == 0 {
		t.Customers = 50
	}
	return &Story{
		t: t, people: NewPopulation(t.Seed, t.Customers),
		life: rand.New(rand.NewPCG(t.Seed, 1<<40)), //nolint:gosec // no secrets here
		luck: rand.New(rand.NewPCG(t.Seed, 1<<41)), //nolint:gosec // likewise
		desk: rand.New(rand.NewPCG(t.Seed, 1<<42)), //nolint:gosec // likewise
		mail: rand.New(rand.NewPCG(t.Seed, 1<<43)), //nolint:gosec // likewise
	}
}

// Next is the next act. Acts of one person must come to pass in the order in which they are told.
func (s *Story) Next() Act {
	for len(s.pending) == 0 {
		s.tell()
		s.office()
	}
	a := s.pending[0]
	s.pending = s.pending[1:]
	s.told++
	a.Number = s.told
	return a
}

// here are the people who have come so far. They come one after the other, so that the first of them
// order something before the last has signed up.
func (s *Story) here() Population { return s.people[:min(len(s.people), 5+s.deeds/5)] }

// tell lets somebody do something, and something go wrong with it.
func (s *Story) tell() {
	s.deeds++
	p := pick(s.life, s.here())
	d := p.act(s.life)
	clientRoll := s.life.IntN(4)
	mishap := befall(s.luck, d.able(s.t))
	if s.t.Straight {
		s.tellStraight(p, d, mishap)
		return
	}
	a := Act{Person: p, Mishap: mishap, Path: PathEvents, Items: []Item{s.item(p, d)}}
	if d.commerce != nil {
		a.Path = PathCommerce
		s.goWrong(&a)
		s.send(&a)
		return
	}
	// Pages and introductions exist only in the tracking API; other acts use it now and then.
	byClient := d.kind != kindTrack || p.tracked() && d.attributes == nil && clientRoll == 0
	switch {
	case mishap == Muted && p.tracked():
		a.Path = PathBatch
		a.Items[0].mute()
	case byClient:
		a.Path, a.Mishap = PathBatch, NoMishap // a client's answer could not tell of anything else
	case mishap == Muted:
		a.Mishap = NoMishap // there is no such wish in our own API
	default:
		s.goWrong(&a)
	}
	s.send(&a)
}

// send puts an act to the front door.
func (s *Story) send(a *Act) {
	if a.Body == nil {
		a.Body = a.body()
	}
	s.pending = append(s.pending, *a)
	if a.Mishap == Twice {
		s.pending = append(s.pending, a.again())
	}
}

// tellStraight puts the deed on the topic. What is no event is left out.
func (s *Story) tellStraight(p *Person, d deed, mishap Mishap) {
	if d.kind == kindIdentify {
		return
	}
	a := Act{Person: p, Mishap: mishap, Items: []Item{s.item(p, d)}}
	switch mishap {
	case Garbage, UnknownSchema, KeyMismatch, Hostile:
		// The broken record comes before a good one of the same person, which must not suffer.
		bad := Item{ID: s.id(), Kind: kindTrack, Name: "Product Viewed", Want: Accepted}
		if d.commerce != nil {
			bad = s.bill(Accepted)
		}
		bad.Fate = Refused
		s.pending = append(s.pending, Act{Person: p, Mishap: mishap, Items: []Item{bad}})
		a.Mishap = NoMishap
	case NoMishap, Twice, Late, OutOfOrder, Restated, Overtaken, Unwelcome, Muted, Malformed:
		s.goWrong(&a)
	}
	s.pending = append(s.pending, a)
	if mishap == Twice {
		if d.commerce != nil && d.commerce.OrderID != "" {
			a.Items = slices.Clone(a.Items)
			a.Items[0].Fate = Skipped // of orders it is known what has been said
		}
		s.pending = append(s.pending, a)
	}
}

// again is the same act once more.
func (a Act) again() Act {
	a.Items = slices.Clone(a.Items)
	for i := range a.Items {
		a.Items[i].Want, a.Items[i].Fate = Duplicate, Nowhere
	}
	return a
}

// id is the idempotency key of the next item.
func (s *Story) id() string {
	s.items++
	return fmt.Sprintf("sim-%d-%06d", s.t.Seed, s.items)
}

func (s *Story) item(p *Person, d deed) Item {
	it := Item{ID: s.id(), Kind: d.kind, Name: d.name, Want: Accepted, Fate: Delivered}
	switch d.kind {
	case kindIdentify:
		it.Fate = Elsewhere
	case kindPage:
		it.Fate = Skipped // unless BRAZE_PAGE_EVENTS is set
	}
	if d.commerce != nil {
		c := *d.commerce
		it.Name, it.Seq = c.Type, p.number(d.kind)
		c.Metadata = maps.Clone(c.Metadata)
		if c.Metadata == nil {
			c.Metadata = map[string]any{}
		}
		c.Metadata["seq"] = it.Seq
		it.Commerce = &c
		return it
	}
	if d.kind != kindIdentify {
		it.Seq = p.number(d.kind)
		properties := maps.Clone(d.properties)
		if properties == nil {
			properties = map[string]any{}
		}
		properties["seq"] = it.Seq
		it.Properties = encode(properties)
	}
	if d.attributes != nil {
		it.Attributes = encode(d.attributes)
	}
	return it
}
