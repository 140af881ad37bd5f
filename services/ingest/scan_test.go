package ingest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// judge passes over a body and says what is wrong with it, if anything.
func judge(body string) (fault, flaw) {
	var s scanner
	s.reset([]byte(body))
	if s.value() {
		s.end()
	}
	return s.fault, s.flaw
}

func TestScannerTellsFaultsFromFlaws(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	many := func(last string) string {
		var b strings.Builder
		for i := range 3 * fewNames {
			fmt.Fprintf(&b, `"n%d":{"a":0},`, i)
		}
		return "{" + b.String() + last + ":1}"
	}
	for _, c := range []struct {
		name, body string
		fault      string
		flaw       why
		at         int
	}{
		{name: "an object is fine", body: ` {"a":[1,-2.5e+3,true,false,null,"x"],"b":{}} `},
		{name: "escapes are fine", body: `"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é😀"`},
		{name: "a name may come again in another object", body: `{"a":{"a":1},"b":{"a":2}}`},
		{name: "512 levels are fine", body: deep(512)},
		{name: "many names are fine", body: many(`"last"`)},

		{name: "a name that stands twice is a flaw", body: `{"a":1,"a":2}`, flaw: duplicateName, at: 7},
		{name: "so it is if it is spelled differently", body: `{"a":1,"\u0061":2}`, flaw: duplicateName, at: 7},
		{name: "so it is among many names", body: many(`"n7"`), flaw: duplicateName, at: len(many(`"n7"`)) - 7},
		{name: "a broken character is a flaw", body: "\"ab\xff\"", flaw: notUTF8, at: 3},
		{name: "half of a character is a flaw", body: `"\ud83d"`, flaw: notUTF8, at: 1},
		{name: "a half with the wrong other half is a flaw", body: `"\ud83d\u0061"`, flaw: notUTF8, at: 1},
		{name: "only the first flaw is told", body: "{\"a\":\"\xff\",\"a\":2}", flaw: notUTF8, at: 6},

		{name: "513 levels are a fault", body: deep(513), fault: "values are nested too deeply", flaw: tooDeep, at: 512},
		{name: "nothing is a fault", body: "", fault: "expected a value"},
		{name: "two values are a fault", body: "1 2", fault: "something follows the JSON value", at: 2},
		{name: "a zero byte behind the value is a fault", body: "1\x00", fault: "something follows the JSON value", at: 1},
		{name: "a comma before the end is a fault", body: `[1,]`, fault: "expected a value", at: 3},
		{name: "a comma at the beginning is a fault", body: `{,"a":1}`, fault: "expected a name in quotes", at: 1},
		{name: "a comma before the brace is a fault", body: `{"a":1,}`, fault: "expected a name in quotes", at: 7},
		{name: "a missing comma is a fault", body: `[1 2]`, fault: "expected a comma or ]", at: 3},
		{name: "a missing colon is a fault", body: `{"a" 1}`, fault: "expected a colon", at: 5},
		{name: "a name without quotes is a fault", body: `{a:1}`, fault: "expected a name in quotes", at: 1},
		{name: "an open string is a fault", body: `["abc`, fault: "a string does not end", at: 1},
		{name: "an open name is a fault", body: `{"abc`, fault: "a string does not end", at: 1},
		{name: "a line break in a string is a fault", body: "\"a\nb\"", fault: "a string holds a control character", at: 2},
		{name: "an escape nobody knows is a fault", body: `"\x41"`, fault: "a string holds an escape that does not exist", at: 1},
		{name: "a short escape is a fault", body: `"\u12"`, fault: "a string holds an escape that does not exist", at: 1},
		{name: "a leading zero is a fault", body: `01`, fault: "something follows the JSON value", at: 1},
		{name: "a lone minus is a fault", body: `-`, fault: "expected a digit", at: 1},
		{name: "a point without digits is a fault", body: `1.`, fault: "expected a digit", at: 2},
		{name: "an exponent without digits is a fault", body: `1e+`, fault: "expected a digit", at: 3},
		{name: "half a word is a fault", body: `[tru]`, fault: "expected a value", at: 1},
		{name: "an open array is a fault", body: `[1`, fault: "expected a comma or ]", at: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			gotFault, gotFlaw := judge(c.body)
			at := gotFault.at
			if c.fault == "" || c.flaw != fine {
				at = gotFlaw.at
			}
			if gotFault.what != c.fault || gotFlaw.why != c.flaw || at != c.at {
				t.Errorf("got fault %+v, flaw %v at %d; want fault %q, flaw %v at %d", gotFault, gotFlaw.why, gotFlaw.at, c.fault, c.flaw, c.at)
			}
		})
	}
}

func TestPlainFindsEveryByteAtEveryPlace(t *testing.T) {
	for at := range 24 {
		for c := range 256 {
			text := []byte(strings.Repeat("~", 24))
			text[at] = byte(c)
			want := 24
			if c < ' ' || c == '"' || c == '\\' || c >= 0x80 {
				want = at
			}
			for from := 0; from <= at; from++ {
				if got := plain(text, from); got != want {
					t.Fatalf("byte %#x at %d, looking from %d: got %d, want %d", c, at, from, got, want)
				}
			}
		}
	}
}

// FuzzScan holds the scanner to jsontext, which was written by others from the same standards.
func FuzzScan(f *testing.F) {
	for _, body := range []string{
		oneEvent(1), `{"a":1,"\u0061":2}`, "\"\xff\"", `"\ud83d\ude00"`, `[-0.1e5,0,10]`, `{"":{},"a":[[]]}`, "1\x00", `"\udc00"`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var s scanner
		s.reset(body)
		if s.value() {
			s.end()
		}
		if s.flaw.why == tooDeep {
			return // jsontext goes deeper
		}
		err := jsontext.Value(body).IsValid()
		if ours := s.fault.what == "" && s.flaw.why == fine; ours != err {
			t.Fatalf("jsontext finds it valid: %v; we find fault %+v, flaw %+v", err, s.fault, s.flaw)
		}
		if s.fault.what != "" && s.fault.at > len(body) || s.flaw.at > len(body) {
			t.Fatalf("a place behind the end of %d bytes: fault %+v, flaw %+v", len(body), s.fault, s.flaw)
		}
		// With flaws allowed there must still be no disagreement about the outline.
		d := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
		_, readErr := d.ReadValue()
		if readErr == nil {
			_, readErr = d.ReadToken()
			if readErr != nil && readErr.Error() == "EOF" {
				readErr = nil
			} else {
				readErr = fmt.Errorf("something follows: %w", readErr)
			}
		}
		if (readErr == nil) != (s.fault.what == "") {
			t.Fatalf("jsontext, leniently, says %v; we find fault %+v", readErr, s.fault)
		}
	})
}

// FuzzString holds what the scanner reads from a string to what jsontext reads from it.
func FuzzString(f *testing.F) {
	for _, text := range []string{"plain", `esc\"\u00e9\n`, `\ud83d\ude00 é😀`, strings.Repeat("x", 40)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		body := []byte(`"` + text + `"`)
		if !jsontext.Value(body).IsValid() {
			return
		}
		want, err := jsontext.AppendUnquote(nil, body)
		if err != nil {
			t.Fatal(err)
		}
		var s scanner
		s.reset(body)
		got, ok := s.str()
		if !ok || got != string(want) || s.flaw.why != fine {
			t.Fatalf("got %q %v %+v, want %q", got, ok, s.flaw, want)
		}
	})
}
