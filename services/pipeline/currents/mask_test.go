package currents

import (
	"strings"
	"testing"
)

func TestMask(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"an address is still one", `"anna.b-7@example.com"`, `"xxxx.x-9@xxxxxxx.xxx"`},
		{"a number keeps its shape", `-12.50e3`, `-99.99x9`},
		{"letters of every script", `"Ünïcødé 語"`, `"xxxxxxx x"`},
		{"true, false and null stay", `[true,false,null]`, `[true,false,null]`},
		{"names of members stay", `{"user_phone":"+43 1 234","n":{"a":[1,"b"]}}`, `{"user_phone":"+99 9 999","n":{"a":[9,"x"]}}`},
		{"what is empty", `{"a":{},"b":[],"c":""}`, `{"a":{},"b":[],"c":""}`},
		{"a long text is cut", `"` + strings.Repeat("a", 100) + `"`, `"` + strings.Repeat("x", 40) + `…"`},
		{"a long list too", `[1,2,3,4,5,6,7,8,9,10,11,12,13,14]`, `[9,9,9,9,9,9,9,9,9,99,99,99,…]`},
		{"nothing moves the cursor", `"\u001b[31m\n"`, `"?[99x?"`},
		{"what is no JSON", `{"a":`, ``},
		{"nothing", ``, ``},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := mask([]byte(test.value)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestExample(t *testing.T) {
	const event = `{"event_type":"x","time":12,"user":{"user_id":"ab1"},"properties":{"a.b":"C3","n":4,"user":"z"}}`
	for field, want := range map[string]string{
		"":                    `{"a.b":"x9","n":9,"user":"x"}`,
		"time":                `99`,
		"user.user_id":        `"xx9"`,
		"properties.a.b":      `"x9"`,
		"properties.user":     `"x"`,
		"properties.not_here": ``,
		"user":                `{"user_id":"xx9"}`,
	} {
		if got := example([]byte(event), field); got != want {
			t.Errorf("%q: got %s, want %s", field, got, want)
		}
	}
}

// FuzzMask holds that nothing is shown that was said, and that every value has an end.
func FuzzMask(f *testing.F) {
	for _, seed := range []string{`{"k":"Secret7"}`, `[[[["S"]]]]`, `"\ud800S"`, `{"a":1,"a":2}`, strings.Repeat("[", 200), `1 2`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := mask(b)
		if len([]rune(got)) > maxMasked+1 {
			t.Errorf("%d characters", len([]rune(got)))
		}
		if len(b) > 0 && b[0] == '"' && strings.ContainsAny(got, "abcdefghijklmnopqrstuvwyz012345678") {
			t.Errorf("%q is shown as %q", b, got)
		}
	})
}
