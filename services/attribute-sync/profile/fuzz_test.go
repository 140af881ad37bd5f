package profile

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
)

// FuzzApply feeds records of any content. What is sent of them must be JSON that keeps Braze's rules, and
// nothing may be sent twice.
func FuzzApply(f *testing.F) {
	for _, seed := range []struct{ set, add, increment string }{
		{`{"tier":"gold","n":1.50,"o":{"x":[1,{"y":"\u00e9"}]},"t":[1,"a",true]}`, `{"t":["b",1e1]}`, `{"visits":-3}`},
		{`{"cars":{"$add":[{"id":1}],"$remove":[{"$identifier_key":"id","$identifier_value":2}]},"email":"a@example.org"}`, ``, ``},
		{`{"cars":[{"id":1}],"n":{"inc":2},"t":{"add":["x"],"remove":["y"]},"current_location":{"longitude":1,"latitude":2}}`, `{"n":[1]}`, `{"cars":1}`},
		{`{" a ":null,"a":-0.0e5,"b":12345678901234567890.5e-400}`, `{"a":[{}]}`, `{"a":9223372036854775807,"b":1}`},
	} {
		f.Add([]byte(seed.set), []byte(seed.add), []byte(seed.increment))
	}
	f.Fuzz(func(t *testing.T, set, add, increment []byte) {
		for _, on := range []OnInvalid{Refuse, Drop} {
			u := newUser(t, &Rules{OnInvalid: on})
			p := &event.Profile{ID: "e1", Source: "crm", OccurredAt: start, Set: set, Add: add, Remove: add, Increment: increment}
			refusal := u.apply(p)
			d := u.end()
			if refusal != nil {
				if len(d.Objects)+len(d.Counts) > 0 {
					t.Errorf("of a refused record something was applied: %v", d)
				}
				continue
			}
			for _, o := range d.Objects {
				if !jsontext.Value(o.Attributes).IsValid(jsontext.AllowDuplicateNames(true)) {
					t.Errorf("no JSON is sent: %s", o.Attributes)
				}
				if v := braze.CheckAttributes(o.Attributes); v != nil {
					t.Errorf("a rule is broken by %s: %v", o.Attributes, v)
				}
			}
			again := &event.Profile{ID: "e1", Source: "crm", OccurredAt: start, Set: set}
			u.apply(again)
			u.end()
			if u.apply(again); len(u.end().Objects) > 0 {
				t.Errorf("the same is sent again: %s", set)
			}
		}
	})
}

// FuzzNumber compares spellings of a number: with zeros in front of the exponent and behind the point it
// is the same.
func FuzzNumber(f *testing.F) {
	for _, seed := range []string{"0", "-0", "1.50", "10e-1", "9223372036854775807", "-9223372036854775808", "1e400", "0.000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, number string) {
		read := func(text string) (content, bool) {
			var c scanner
			c.start([]byte(text))
			is, ok := c.number()
			return is, ok && c.i == len(text)
		}
		is, ok := read(number)
		if valid := jsontext.Value(number).IsValid() && jsontext.Value(number).Kind() == '0' && number[len(number)-1] >= '0' && number[0] > ' '; ok != (valid && finite(number)) {
			t.Fatalf("%q is a number: %v, want %v", number, ok, valid && finite(number))
		}
		if !ok || len(number) > 30 || strings.ContainsAny(number, "eE") {
			return
		}
		for i, c := range number {
			if c == '.' {
				if more, ok := read(number + "000"); !ok || more.sum() != is.sum() {
					t.Errorf("%s is not %s000", number, number)
				}
				break
			}
			if i == len(number)-1 {
				if more, ok := read(number + ".0"); !ok || more.sum() != is.sum() {
					t.Errorf("%s is not %s.0", number, number)
				}
			}
		}
		if more, ok := read(number + "e0"); !ok || more.sum() != is.sum() {
			t.Errorf("%s is not %se0", number, number)
		}
	})
}

// finite reports whether a double can hold a number.
func finite(number string) bool {
	_, err := strconv.ParseFloat(number, 64)
	return err == nil
}

func FuzzDecode(f *testing.F) {
	rules := &Rules{}
	if err := rules.Validate(); err != nil {
		f.Fatal(err)
	}
	u := newUser(f, rules)
	f.Add([]byte{})
	f.Add([]byte{format, 0, 0, 0, 0})
	u.window(says("crm", 1, `{"tier":"gold","o":{"a":1},"n":1,"list":["a"]}`), versioned(says("shop", 2, `{"tier":"none"}`), 3))
	f.Add(u.state.Append(nil))
	u.window(named(increments("crm", 3, `{"n":2}`), "e1"), adds("shop", 4, `{"list":["b",1.5]}`, `{"list":[true]}`), named(says("crm", 4, `{"cars":{"$add":[{"a":1}]}}`), "e2"))
	f.Add(u.state.Append(nil))
	u.window(says("crm", 6, `{"n":7}`), named(says("crm", 6, `{"cars":{"$update":[{"$identifier_key":"a","$identifier_value":1,"$new_object":{"b":2}}]}}`), "e4"))
	f.Add(u.state.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s State
		if s.Decode(b) != nil {
			if !s.Empty() {
				t.Error("something is known of what cannot be read")
			}
			return
		}
		written := s.Append(nil)
		if err := s.Decode(written); err != nil {
			t.Fatalf("what was read cannot be read when it is written: %v", err)
		}
		if again := s.Append(nil); !bytes.Equal(again, written) {
			t.Fatalf("it is written in two ways:\n%x\n%x", written, again)
		}
		_ = s.Fields()
		for _, p := range []*event.Profile{
			says("crm", 5, `{"tier":"x","list":["z"],"n":5}`), named(increments("crm", 6, `{"n":2,"m":1}`), "e3"), adds("crm", 6, `{"list":["b"],"tier":["x"]}`, ``),
			named(says("crm", 7, `{"cars":{"$add":[{"a":1}]},"n":null}`), "e2"),
		} {
			rules.Apply(&s, p, Place{Now: start})
		}
		d := s.Update()
		s.Forget(d.Number, 0)
		s.Forget(1, 1)
		if err := s.Decode(s.Append(nil)); err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
	})
}
