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
	PathEvents = "/v1/events" // our own API
	PathBatch  = "/v1/batch"  // that of tracking clients
)

// Kinds of item.
const (
	kindTrack    = "track"
	kindPage     = "page"
	kindIdentify = "identify"
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
	Elsewhere Fate = "elsewhere" // no event: it stands on another topic
	Nowhere   Fate = ""          // it never gets onto a topic
)

// Act is one request of one person.
type Act struct {
	Number int // from 1
	Person *Person
	Mishap Mishap
	Path   string // PathEvents or PathBatch; empty for a story told to the topics
	Items  []Item
	Body   []byte // what is posted to Path
}

// Item is one thing that an act says.
type Item struct {
	ID         string
	Kind       string // track, page or identify
	Name       string
	Seq        int       // the person's running number; 0 for what is no event, or never becomes one
	Time       time.Time // zero when the person says nothing about it
	Properties json.RawMessage
	Attributes json.RawMessage
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
	}
}

// Next is the next act. Acts of one person must come to pass in the order in which they are told.
func (s *Story) Next() Act {
	for len(s.pending) == 0 {
		s.tell()
	}
	a := s.pending[0]
	s.pending = s.pending[1:]
	s.told++
	a.Number = s.told
	return a
}

// tell lets somebody do something, and something go wrong with it.
func (s *Story) tell() {
	p := pick(s.life, s.people)
	d := p.act(s.life)
	clientRoll := s.life.IntN(4)
	mishap := befall(s.luck, s.t.Mishaps)
	if s.t.Straight {
		s.tellStraight(p, d, mishap)
		return
	}
	a := Act{Person: p, Mishap: mishap, Path: PathEvents, Items: []Item{s.item(p, d)}}
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
	if a.Body == nil {
		a.Body = a.body()
	}
	s.pending = append(s.pending, a)
	if a.Mishap == Twice {
		s.pending = append(s.pending, a.again())
	}
}

// goWrong lets the act's mishap happen to it.
func (s *Story) goWrong(a *Act) {
	switch a.Mishap {
	case Late:
		a.Items[0].Time = s.late()
	case OutOfOrder:
		second := s.item(a.Person, viewProduct(s.luck, a.Person))
		second.Time = s.late()
		a.Items[0].Time = second.Time.Add(time.Minute)
		a.Items = append(a.Items, second)
	case Unwelcome:
		a.Items[0].spoil()
	case Muted:
		a.Items[0].mute()
	case Malformed:
		s.malform(a)
	case NoMishap, Twice, Garbage, UnknownSchema, KeyMismatch, Hostile:
	}
}

// malform puts an item that breaks a rule beside the good one, or breaks the whole body.
func (s *Story) malform(a *Act) {
	bad := Item{ID: s.id(), Kind: kindTrack, Name: "Product Viewed", Want: Rejected}
	object := a.object(bad)
	if body := pick(s.luck, flaws)(object); body != nil {
		a.Body = body
		a.Person.seq-- // of the good item, which is not sent
		a.Items = []Item{bad}
		return
	}
	a.Body = encode([]any{a.object(a.Items[0]), object})
	a.Items = append(a.Items, bad)
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
		bad := Item{ID: s.id(), Kind: kindTrack, Name: "Product Viewed", Want: Accepted, Fate: Refused}
		s.pending = append(s.pending, Act{Person: p, Mishap: mishap, Items: []Item{bad}})
		a.Mishap = NoMishap
	case NoMishap, Twice, Late, OutOfOrder, Unwelcome, Muted, Malformed:
		s.goWrong(&a)
	}
	s.pending = append(s.pending, a)
	if mishap == Twice {
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

// late is a time up to three days ago.
func (s *Story) late() time.Time {
	return longAgo.Add(-time.Duration(1+s.luck.IntN(72*3600)) * time.Second)
}

func (s *Story) item(p *Person, d deed) Item {
	it := Item{ID: s.id(), Kind: d.kind, Name: d.name, Want: Accepted, Fate: Delivered}
	switch d.kind {
	case kindIdentify:
		it.Fate = Elsewhere
	case kindPage:
		it.Fate = Skipped // unless BRAZE_PAGE_EVENTS is set
	}
	if d.kind != kindIdentify {
		it.Seq = p.next()
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

// body is what the act posts.
func (a *Act) body() []byte {
	if a.Path == PathBatch {
		return a.batch()
	}
	if len(a.Items) == 1 {
		return encode(a.object(a.Items[0]))
	}
	objects := make([]any, len(a.Items))
	for i, it := range a.Items {
		objects[i] = a.object(it)
	}
	return encode(objects)
}

// object is an item as our own API takes it.
func (a *Act) object(it Item) map[string]any {
	o := map[string]any{"id": it.ID, "user": a.Person.User, "name": it.Name}
	if it.Properties != nil {
		o["properties"] = it.Properties
	}
	if it.Attributes != nil {
		o["attributes"] = it.Attributes
	}
	if !it.Time.IsZero() {
		o["time"] = it.Time.Format(time.RFC3339)
	}
	return o
}

// batch is the act as a tracking client sends it.
func (a *Act) batch() []byte {
	messages := make([]any, len(a.Items))
	for i, it := range a.Items {
		m := map[string]any{"type": it.Kind, "messageId": it.ID, "userId": a.Person.Key}
		switch it.Kind {
		case kindTrack:
			m["event"] = it.Name
		case kindPage:
			m["name"] = it.Name
		}
		if it.Properties != nil {
			m["properties"] = it.Properties
		}
		if it.Kind == kindIdentify {
			m["traits"] = it.Attributes
		}
		if it.Muted {
			m["integrations"] = map[string]any{"All": true, "Braze": false}
		}
		messages[i] = m
	}
	return encode(map[string]any{"batch": messages})
}

// encode is JSON with sorted names, so that the same is always the same bytes.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("simulate: encoding: " + err.Error()) // maps, text and numbers of our own making
	}
	return b
}
