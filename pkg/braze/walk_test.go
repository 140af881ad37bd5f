package braze

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// lax are rules that only grammar can break.
var lax = rules{root: "x", maxBytes: 1 << 20, maxMembers: 1 << 20, reserved: func([]byte) bool { return false }, free: ""}

func TestOnlyJSONPassesAsJSON(t *testing.T) {
	for _, good := range []string{
		`{}`, ` { } `, `{"a":1}`, `{"a":[1,-0,0.5,1e9,1E-2,"x",true,false,null,{},[]]}`, `{"é":"\u00e9\"\\"}`, `{"a":"0123456789abcdef"}`,
	} {
		if v := lax.check([]byte(good)); v != nil {
			t.Errorf("%s: %v", good, v)
		}
	}
	for _, bad := range []string{
		`{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":+1}`, `{"a":1e}`, `{"a":tru}`, `{"a":'x'}`,
		`{"a":"` + "\x01" + `"}`, `{"a":"\x"}`, `{"a":"\u12g4"}`, `{"a":"` + "\xff" + `"}`, `{"a":1}x`, `{"a":1}{"b":2}`, `{a:1}`, `{"a":[1 2]}`, `{"a":"unending`,
		`{"a":1},"evil":{"b":2}`, `{"a":NaN}`, `{"a":"12345678` + "\n" + `"}`,
	} {
		if v := lax.check([]byte(bad)); v == nil || v.Rule != RuleNotJSON {
			t.Errorf("%s passes: %v", bad, v)
		}
	}
	deep := `{"a":` + strings.Repeat("[", 1<<19) // must neither pass nor take the stack
	if v := lax.check([]byte(deep)); v == nil || v.Rule != RuleTooDeep {
		t.Errorf("half a million brackets: %v", v)
	}
}

// FuzzWalk compares with encoding/json: nothing passes that it refuses.
func FuzzWalk(f *testing.F) {
	f.Add(`{"a":[1,2.5e-3,"x\u00e9",true,null,{"b":{}}]}`)
	f.Add("{\"a\":\"long enough for eight bytes at once \x80\"}")
	f.Fuzz(func(t *testing.T, text string) {
		w := walker{b: []byte(text), rules: &lax, free: true}
		ok := w.value(1)
		w.space()
		ok = ok && w.i == len(text)
		want := json.Valid([]byte(text)) && utf8.ValidString(text)
		if w.rule != "" && w.rule != RuleNotJSON {
			return // a rule of Braze's is broken: an empty name, a long string
		}
		if ok != want {
			t.Errorf("%q: walk says %v, encoding/json %v", text, ok, want)
		}
	})
}
