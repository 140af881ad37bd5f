package catalog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/content"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/schemas"
)

func TestIDsAreThoseThatBrazeTakes(t *testing.T) {
	for id, want := range map[string]string{
		"spring-sale_2":          "spring-sale_2",
		"a b":                    "x--a_20b",
		"a_b.c":                  "x--a__b_2Ec",
		"ü":                      "x--_C3_BC",
		"x--a_20b":               "x--x--a__20b",
		"xh--a":                  "x--xh--a",
		"":                       "x--",
		strings.Repeat("a", 250): strings.Repeat("a", 250),
	} {
		if got := ItemID(id); got != want {
			t.Errorf("%q becomes %q, want %q", id, got, want)
		}
	}
	for _, id := range []string{strings.Repeat("a", 251), strings.Repeat("/", 100)} {
		if got := ItemID(id); len(got) != len("xh--")+64 || !strings.HasPrefix(got, "xh--") {
			t.Errorf("%d characters become %q", len(id), got)
		}
	}
}

func FuzzIDs(f *testing.F) {
	f.Add("a b", "a_20b")
	f.Add("x--a_20b", "a b")
	f.Add("a_b", "a__b")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, id := range []string{a, b} {
			row := braze.CatalogItem{ID: ItemID(id)}
			if v := row.Check(braze.DeleteItems); v != nil {
				t.Errorf("%q becomes %q: %v", id, row.ID, v)
			}
		}
		if a != b && ItemID(a) == ItemID(b) {
			t.Errorf("%q and %q become the same", a, b)
		}
	})
}

func TestTypes(t *testing.T) {
	for value, want := range map[string]string{
		`"a"`: typeString, `""`: typeString, `"2026-03-04"`: typeString, `"2026-03-04T10:00:00Z"`: typeTime, `"2026-03-04T10:00:00"`: typeString,
		`1`: typeNumber, `-1.5e3`: typeNumber, `820982911946154508`: typeNumber, `true`: typeBoolean, `false`: typeBoolean,
		`{}`: typeObject, `[]`: typeArray, `["a"]`: typeArray, `[1,2]`: typeGeo, `[1,2,3]`: typeArray, `[1,"a"]`: typeArray,
	} {
		if got := typeOf(jsontext.Value(value)); got != want {
			t.Errorf("%s is a %s, want %s", value, got, want)
		}
	}
	for value, kinds := range map[string][]string{
		`"2026-03-04"`: {typeString, typeTime}, `[]`: {typeArray}, `[1,2]`: {typeGeo}, `["a","b"]`: {typeArray}, `[1]`: nil, `[{}]`: nil, `"soon"`: {typeString},
	} {
		var fitting []string
		for _, kind := range []string{typeString, typeNumber, typeBoolean, typeTime, typeGeo, typeObject, typeArray} {
			if fits(kind, jsontext.Value(value)) {
				fitting = append(fitting, kind)
			}
		}
		if diff := cmp.Diff(kinds, fitting); diff != "" {
			t.Errorf("%s fits (-want +got):\n%s", value, diff)
		}
	}
}

// desk is a book with somebody who writes records for it.
type desk struct {
	*book
	t       *testing.T
	offset  int64
	settled map[string]int
	taken   int
	now     time.Time
}

// ownSchema is a registry of the newest schema, under number 1.
type ownSchema struct{}

func (ownSchema) SchemaByID(context.Context, int) (string, error) {
	return schemas.Latest("content.items"), nil
}

func newDesk(t *testing.T, rule content.Collection) *desk {
	t.Helper()
	rule.Name, rule.Catalog = "rows", true
	d := &desk{book: newBook(&rule, avro.NewContentDecoder(ownSchema{})), t: t, settled: map[string]int{}, now: time.UnixMilli(1_800_000_000_000)}
	d.Era = "e"
	d.book.settled = func(o outcome.Outcome, n int) { d.settled[o.Kind.String()+" "+o.Reason] += n }
	return d
}

func (d *desk) write(c *event.Content) {
	d.t.Helper()
	c.Collection, c.ID, c.Source = "rows", "e", "test"
	if c.ReceivedAt.IsZero() {
		c.ReceivedAt = d.now
	}
	c.OccurredAt = c.ReceivedAt
	d.record(c.Key(), avro.AppendContent(nil, 1, c))
}

func (d *desk) record(key string, value []byte) {
	d.t.Helper()
	d.offset++
	d.taken++
	_, id, locale, _ := event.SplitContentKey(key)
	if err := d.take(d.t.Context(), id, locale, &stream.Record{Key: []byte(key), Value: value, Offset: d.offset}, d.now); err != nil {
		d.t.Fatal(err)
	}
}

// act does what is to be done, as if Braze took everything, and says what that was.
func (d *desk) act() (did []string) {
	d.t.Helper()
	for {
		f, err := d.next(d.now)
		if err != nil {
			d.t.Fatal(err)
		}
		if f == nil {
			return did
		}
		f.answer.Verdict = braze.Accepted
		if f.body != nil {
			did = append(did, string(f.body.AppendBody(nil)))
			f.done, f.standing.Created = true, true
			f.standing.Fields = map[string]string{}
			for name, kind := range f.standing.Asked {
				f.standing.Fields[name] = kind
			}
		}
		for i := range f.loads {
			ld := &f.loads[i]
			ld.succeed()
			words := map[kind]string{put: "put", remove: "remove", note: "note"}[f.kind]
			did = append(did, strings.TrimSpace(words+" "+ld.it.key+" "+string(ld.text)))
		}
		d.land(f, d.now)
		d.until = time.Time{}
	}
}

func (d *desk) wants(did ...string) {
	d.t.Helper()
	if diff := cmp.Diff(did, d.act()); diff != "" {
		d.t.Errorf("done (-want +got):\n%s", diff)
	}
	held := 0
	for _, it := range d.items {
		held += it.held
	}
	ended := 0
	for _, n := range d.settled {
		ended += n
	}
	if d.taken != ended+held {
		d.t.Errorf("taken %d, but %d have ended and %d are held", d.taken, ended, held)
	}
}

func item1(id, body string) *event.Content {
	return &event.Content{ItemID: id, Approved: true, Body: []byte(body)}
}

func TestWhatDiffersGoesOut(t *testing.T) {
	d := newDesk(t, content.Collection{})
	d.wants()
	d.write(item1("a", `{ "n": 1 }`))
	d.wants(`{"catalogs":[{"name":"rows","description":"kept in step by Sluice","fields":[{"name":"id","type":"string"},{"name":"n","type":"number"}]}]}`, `put a {"n":1}`)
	d.write(item1("a", `{"n":1}`))
	d.wants()
	version := int64(3)
	newer := item1("a", `{"n":2,"m":"x"}`)
	newer.Version = &version
	d.write(newer)
	d.wants(`{"fields":[{"name":"m","type":"string"}]}`, `put a {"m":"x","n":2}`)
	version2 := int64(2)
	older := item1("a", `{"n":9}`)
	older.Version = &version2
	d.write(older)
	d.wants()
	hidden := item1("a", `{"n":3}`)
	hidden.Approved = false
	d.write(hidden)
	d.wants(`remove a`)
	d.write(item1("b", `{"n":1}`))
	d.write(item1("b", `{"n":2}`))
	d.wants(`put b {"n":2}`)
	d.record("rows/b", nil)
	d.record("rows/nobody", nil)
	d.wants(`remove b`)
	want := map[string]int{"delivered ": 5, "skipped unchanged": 2, "skipped stale": 1, "skipped superseded": 1}
	if diff := cmp.Diff(want, d.settled); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if len(d.have) > 0 {
		t.Errorf("remembered: %v", d.have)
	}
}

func TestAWindowIsWaitedFor(t *testing.T) {
	d := newDesk(t, content.Collection{})
	c := item1("a", `{"n":1}`)
	c.ValidFrom, c.ValidUntil = d.now.Add(time.Hour), d.now.Add(2*time.Hour)
	d.write(c)
	d.write(item1("b", `{"n":1}`))
	d.act()
	if got := d.wake(d.now); !got.Equal(c.ValidFrom) {
		t.Errorf("the next look is at %v", got)
	}
	d.now = c.ValidFrom
	d.wants(`put a {"n":1}`)
	d.now = c.ValidUntil.Add(-time.Millisecond)
	d.wants()
	d.now = c.ValidUntil
	d.wants(`remove a`)
	if got := d.wake(d.now); !got.IsZero() {
		t.Errorf("the next look is at %v", got)
	}
}

func TestLocalesBecomeFields(t *testing.T) {
	both := func() *event.Content {
		c := item1("a", `{"t":"en","n":1}`)
		c.Variants = []event.ContentVariant{{Locale: "de-AT", Body: []byte(`{"t":"AT"}`)}, {Locale: "de", Body: []byte(`{"t":"de"}`)}}
		return c
	}
	french := item1("a", `{"t":"fr"}`)
	french.Locale = "fr"
	german := item1("a", `{"t":"de 2"}`)
	german.Locale = "de"
	for _, tt := range []struct {
		name  string
		rule  content.Collection
		items []*event.Content
		want  string
	}{
		{"variants", content.Collection{}, []*event.Content{both()}, `{"n":1,"t":"en","t_de":"de","t_de-AT":"AT"}`},
		{"a locale's own record goes before a variant", content.Collection{}, []*event.Content{both(), german}, `{"n":1,"t":"en","t_de":"de 2","t_de-AT":"AT"}`},
		{"of locales alone the first stands without one", content.Collection{}, []*event.Content{french, german}, `{"t":"de 2","t_de":"de 2","t_fr":"fr"}`},
		{"the collection's locale stands without one", content.Collection{Locale: "fr"}, []*event.Content{both(), french}, `{"t":"fr","t_de":"de","t_de-AT":"AT","t_fr":"fr"}`},
		{"and nothing where there is none in it", content.Collection{Locale: "it"}, []*event.Content{french}, `{"t_fr":"fr"}`},
		{"fields that are listed have their variants", content.Collection{Fields: map[string]string{"t": "string"}}, []*event.Content{both()}, `{"t":"en","t_de":"de","t_de-AT":"AT"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t, tt.rule)
			d.keep = true
			for _, c := range tt.items {
				d.write(c)
			}
			did := d.act()
			if got := did[len(did)-1]; got != "put a "+tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestACatalogHas500FieldsAtMost(t *testing.T) {
	d := newDesk(t, content.Collection{})
	body := func(from, to int) string {
		var members []string
		for i := from; i < to; i++ {
			members = append(members, fmt.Sprintf(`"f%d":%d`, i, i))
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	d.write(item1("a", body(0, 400)))
	d.act()
	d.write(item1("b", body(350, 499)))
	d.write(item1("c", body(0, 500)))
	d.write(item1("d", body(0, 3)))
	did := d.act()
	sent := 0
	for _, words := range did {
		if strings.HasPrefix(words, `{"fields"`) {
			sent += strings.Count(words, `"type"`)
		}
	}
	if sent != 99 || d.settled["refused too_many_fields"] != 1 || d.settled["delivered "] != 3 {
		t.Errorf("%d fields added, %v", sent, d.settled)
	}
}

func TestAFieldThatBrazeDoesNotAddIsTheFaultOfItsItemsOnly(t *testing.T) {
	d := newDesk(t, content.Collection{})
	d.write(item1("a", `{"n":1}`))
	d.act()
	d.write(item1("b", `{"good":1,"wrong":1}`))
	d.write(item1("c", `{"good":1}`))
	for range 10 {
		f, err := d.next(d.now)
		if err != nil {
			t.Fatal(err)
		}
		if f == nil {
			break
		}
		f.answer.Verdict = braze.Accepted
		switch {
		case f.body == nil:
			for i := range f.loads {
				f.loads[i].succeed()
			}
		case strings.Contains(string(f.body.AppendBody(nil)), "wrong"):
			f.answer.Verdict, f.answer.Message = braze.Malformed, "no such luck"
		default:
			f.done = true
			for _, name := range f.names {
				f.standing.Fields[name] = f.standing.Asked[name]
			}
		}
		d.land(f, d.now)
		d.until = time.Time{}
	}
	want := map[string]int{"delivered ": 2, "refused invalid_field": 1}
	if diff := cmp.Diff(want, d.settled); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

func TestWhatIsKnownIsReadBack(t *testing.T) {
	s := scribe{topic: "state", partition: 2, catalog: "rows", owner: "one"}
	m := &memory{have: map[string]have{}}
	read := func(s scribe, key string, h have) {
		t.Helper()
		r, err := s.itemRecord(key, h)
		if err != nil {
			t.Fatal(err)
		}
		_, item := splitStateKey(r.Key)
		if err := m.take(item, r); err != nil {
			t.Fatal(err)
		}
	}
	claim := func(s scribe, st standing) {
		t.Helper()
		r, err := s.catalogRecord(st)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.take("", r); err != nil {
			t.Fatal(err)
		}
	}
	st := standing{Era: "e2", Created: true, Fields: map[string]string{"n": "number"}}
	claim(s, st)
	read(s, "a", have{Hash: "1", Era: "e2"})
	read(s, "b", have{Hash: "1", Refused: "0/1/x", Era: "e2"})
	read(s, "c", have{Hash: "1", Era: "e1"}) // of the catalog that was there before
	read(s, "d", have{Hash: "1", Era: "e2"})
	read(s, "d", have{Era: "e2"})
	late := s
	s.owner = "two"
	claim(s, st)
	read(late, "a", have{Hash: "2", Era: "e2"})
	read(late, "e", have{Era: "e2"})
	read(s, "f", have{Hash: inDoubt, Era: "e2"})
	m.settle()
	want := map[string]have{
		"a": {Hash: inDoubt, Era: "e2"}, "b": {Hash: "1", Refused: "0/1/x", Era: "e2"}, "c": {Refused: "-", Era: "e2"},
		"e": {Hash: inDoubt, Era: "e2"}, "f": {Hash: inDoubt, Era: "e2"},
	}
	if diff := cmp.Diff(want, m.have); diff != "" || m.owner != "two" || !m.standing.Created {
		t.Errorf("known (-want +got):\n%s", diff)
	}
}

func TestTimersCome(t *testing.T) {
	var ts timers
	dice := rand.New(rand.NewPCG(1, 2))
	began := time.UnixMilli(0)
	for range 100 {
		ts.push(began.Add(time.Duration(dice.IntN(1000))*time.Millisecond), &item{})
	}
	last, n := began, 0
	for at := ts.next(); !at.IsZero(); at = ts.next() {
		if _, early := ts.due(at.Add(-time.Millisecond)); early || at.Before(last) {
			t.Fatal("out of order")
		}
		if _, ok := ts.due(at); !ok {
			t.Fatal("not due")
		}
		last = at
		n++
	}
	if n != 100 {
		t.Errorf("%d came", n)
	}
}
